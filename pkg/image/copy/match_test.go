package copy

import (
	"path"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Going down a tree directory by directory gives what patternmatcher says of each path
// by itself, and no directory is passed over in which a pattern could match.
func FuzzMatcher(f *testing.F) {
	for _, s := range [][2]string{
		{"*\n!a/b/c\na/b", "a/b/c"}, {"**/x\n!y", "y/x/z"}, {"a\n!a/*/c", "a/b/c/d"}, {"[a-c]/?\n!a/[^b]", "a/b/c"},
		{"!!x\n!x", "x"}, {"a**b\n\\*", "axb/c"}, {"**", "a/b"}, {"*\n!**/c", "a/b/c"}, {"a/\n!a/b/", "a/b"},
		{"*\xbb", "\x80/c/b"}, {"|@*", "a/x"}, {"a*/b|c", "z/c"}, {"a{2}*/b", "aa/b"}, {"^a*/b", "ab/b"},
		{"a\n!/\t*", "a\rd/b/c/d"}, {"**\n!/\t*", "a/b"}, {"**\n!\u3000/ \u3000", "\u3000/ \u3000"}, {"**\n!/./x", "x"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, rules, file string) {
		file = path.Clean(strings.Trim(file, "/"))
		if strings.HasPrefix(file, "..") || file == "." || len(file) > 60 || len(rules) > 200 {
			return
		}
		m, err := parseIgnore("f", []byte(rules))
		if err != nil {
			return
		}
		patterns, err := ignorefile.ReadAll(strings.NewReader(rules))
		if err != nil {
			t.Fatal(err)
		}
		oracle, err := patternmatcher.New(patterns)
		if err != nil {
			t.Fatal(err)
		}
		var above seen
		parts := strings.Split(file, "/")
		for i := range parts {
			p := path.Join(parts[:i+1]...)
			isDir := i < len(parts)-1
			got, here, err := m.match(p, isDir, above)
			if err != nil {
				t.Fatal(err)
			}
			want, err := oracle.MatchesOrParentMatches(p)
			if err != nil {
				return
			}
			if got != want {
				t.Errorf("%q of %q: got %v", p, rules, got)
			}
			above = here
		}
		for _, pat := range m.patterns {
			ok, err := pat.one.MatchesOrParentMatches(file)
			if err != nil || !ok {
				continue
			}
			for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
				if !mayMatchBelow(pat.text, dir) {
					t.Errorf("%q matches %q, but %q is passed over", pat.text, file, dir)
				}
			}
		}
	})
}

func FuzzMode(f *testing.F) {
	for _, s := range []string{"0755", "u+x", "go=u", "a-w,+X", "u=rws,g+s,+t", "8", ""} {
		f.Add(s, uint32(0o644))
	}
	f.Fuzz(func(t *testing.T, chmod string, mode uint32) {
		change, err := parseMode(chmod)
		if err != nil || change == nil {
			return
		}
		if got := change(mode & 0o7777); got&^0o7777 != 0 {
			t.Errorf("%q makes %o of %o", chmod, got, mode)
		}
	})
}
