package tree_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

func paths(list []*layer.Entry) string {
	var names []string
	for _, e := range list {
		names = append(names, e.Path)
	}
	return strings.Join(names, " ")
}

func linked(t testing.TB) *tree.Tree {
	return of(t, entries{dir("usr"), dir("usr/bin"), file("usr/bin/sh", ""), link("bin", "usr/bin"), link("sh", "bin/sh"), link("abs", "/bin/../bin"),
		dir("var"), link("var/run", "/run"), dir("run"), link("up", "../../../run"), link("self", "."), link("root", "/"), link("loop", "loop"),
		link("a", "b"), link("b", "a"), link("gone", "no/where"), file("file", ""), link("space", "usr//./bin/")})
}

func TestResolve(t *testing.T) {
	tr := linked(t)
	for in, want := range map[string]string{
		"": ".", "/": ".", ".": ".", "..": ".", "../../x": "x",
		"usr": "usr", "/usr/": "usr", "usr/../var": "var", "bin": "usr/bin", "/bin/sh": "usr/bin/sh", "sh": "usr/bin/sh", "abs/sh": "usr/bin/sh",
		"var/run/x.pid": "run/x.pid", "var/run/../x": "x", "up": "run", "up/..": ".", "self/self/bin": "usr/bin", "root/root/sh": "usr/bin/sh",
		"gone": "no/where", "gone/x": "no/where/x", "new/dir/file": "new/dir/file", "new/../bin/x": "usr/bin/x", "file/x": "file/x",
		"file/../bin": "usr/bin", "space": "usr/bin", "usr/bin/none/../sh": "usr/bin/sh",
	} {
		if got, err := tr.Resolve(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"loop", "loop/x", "a", "b/c", "self/a"} {
		if got, err := tr.Resolve(in); err == nil || !strings.Contains(err.Error(), "more than 255 symlinks") {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}

func TestLookup(t *testing.T) {
	tr := linked(t)
	for in, want := range map[string]layer.Type{"bin": layer.Symlink, "usr/bin": layer.Dir, "/usr/bin/sh": layer.File, ".": layer.Dir, "": layer.Dir} {
		if e, ok := tr.Lookup(in); !ok || e.Type != want {
			t.Errorf("%q: got %v, %v", in, e, ok)
		}
	}
	for _, in := range []string{"bin/sh", "none", "usr/bin/sh/x", "usr/../usr", "a\x00"} {
		if e, ok := tr.Lookup(in); ok {
			t.Errorf("%q: got %v", in, e)
		}
	}
}

func TestParents(t *testing.T) {
	tr := linked(t)
	for in, want := range map[string]string{
		".": "", "usr": "", "usr/bin": "usr", "usr/bin/sh": "usr usr/bin", "usr/bin/x/y/z": "usr usr/bin", "new/x": "", "bin/sh": "", "file/x": "", "../x": "",
	} {
		if got := paths(tr.Parents(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestList(t *testing.T) {
	tr := of(t, entries{file("d/b", ""), file("d/a-c", ""), file("d/a/x", ""), hard("d/z", "d/b"), file("e", "")})
	for in, want := range map[string]string{".": "d e", "d": "d/a d/a-c d/b d/z", "d/a": "d/a/x", "e": "", "none": "", "..": ""} {
		if got := paths(tr.List(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if e := tr.List("d")[3]; e.Type != layer.File || e.Open == nil {
		t.Errorf("another name of a file is %+v", e)
	}
}

func TestWalk(t *testing.T) {
	tr := of(t, entries{file("d/a/x", "x"), file("d/a/y", ""), file("d/b", ""), file("d/c/z", ""), hard("d/a/h", "d/a/x"), hard("d/c/h", "d/a/x"), file("e", "")})
	walk := func(dir string, stop map[string]error) (string, error) {
		var seen []string
		err := tr.Walk(dir, func(e *layer.Entry) error {
			seen = append(seen, fmt.Sprintf("%s%d", e.Path, e.Type))
			return stop[e.Path]
		})
		return strings.Join(seen, " "), err
	}
	errOther := errors.New("other")
	for _, c := range []struct {
		dir  string
		stop map[string]error
		want string
		err  error
	}{
		{".", nil, "d1 d/a1 d/a/h2 d/a/x4 d/a/y2 d/b2 d/c1 d/c/h4 d/c/z2 e2", nil},
		{"d/c", nil, "d/c/h2 d/c/z2", nil},
		{"e", nil, "", nil},
		{"none", nil, "", nil},
		{".", map[string]error{"d/a": fs.SkipDir}, "d1 d/a1 d/b2 d/c1 d/c/h2 d/c/z2 e2", nil},
		{".", map[string]error{"d/a/x": fs.SkipDir}, "d1 d/a1 d/a/h2 d/a/x4 d/b2 d/c1 d/c/h4 d/c/z2 e2", nil},
		{".", map[string]error{"d/a/x": fs.SkipAll}, "d1 d/a1 d/a/h2 d/a/x4", nil},
		{".", map[string]error{"d/b": errOther}, "d1 d/a1 d/a/h2 d/a/x4 d/a/y2 d/b2", errOther},
	} {
		got, err := walk(c.dir, c.stop)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s, %v: got %q, %v, want %q", c.dir, c.stop, got, err, c.want)
		}
	}
}

// All is what a layer with everything has.
func TestAllMakesTheSameTree(t *testing.T) {
	first := of(t, base(), entries{file("bin/b", "b"), hard("h", "f"), hard("usr/h", "h"), whiteout("nowhere")})
	second := of(t, first.All())
	if d := cmp.Diff(show(first), show(second)); d != "" {
		t.Error(d)
	}
	sorted := first.All()
	layer.Sort(sorted)
	if d := cmp.Diff(paths(first.All()), paths(sorted)); d != "" {
		t.Error(d)
	}
}

func TestTreesAreReadAndClonedAtOnce(t *testing.T) {
	tr := of(t, base())
	want := show(tr)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c := tr.Clone()
			if err := c.Apply(entries{file(fmt.Sprintf("usr/%d", i), ""), whiteout("f")}); err != nil {
				t.Error(err)
			}
			if got := len(c.All()); got != 6 {
				t.Errorf("%d entries", got)
			}
			if show(tr) != want {
				t.Error("the tree has changed")
			}
		})
	}
	wg.Wait()
}

// FuzzApply lays two layers of any entries over each other: the tree is whole
// afterwards, and gives itself when it is written as one layer.
func FuzzApply(f *testing.F) {
	f.Add("1usr\n2usr/a\n3bin usr\n2bin/b\n4h usr/a", "8usr/a\n9usr\n2usr/n\n3x ../..\n2x/y")
	f.Add("3a b\n3b a\n2a/x", "4h ../x")
	f.Add("2a\n4b a\n4c b", "8a\n2b/c")
	f.Add("3a a\n4b/c a", "2x")
	parse := func(s string) entries {
		var l entries
		for line := range strings.Lines(s) {
			line = strings.TrimSuffix(line, "\n")
			if line == "" {
				continue
			}
			path, target, _ := strings.Cut(line[1:], " ")
			l = append(l, &layer.Entry{Type: layer.Type(line[0] - '0'), Path: path, Linkname: target})
		}
		return l
	}
	f.Fuzz(func(t *testing.T, lower, upper string) {
		tr := tree.New()
		if tr.Apply(parse(lower)) != nil {
			return
		}
		before := show(tr)
		c := tr.Clone()
		if c.Apply(parse(upper)) != nil {
			c = tr
		}
		if d := cmp.Diff(before, show(tr)); d != "" {
			t.Fatalf("a clone changes its tree:\n%s", d)
		}
		for _, e := range c.All() {
			got, ok := c.Lookup(e.Path)
			if !ok || got.Path != e.Path {
				t.Fatalf("%q is not found", e.Path)
			}
			if _, err := c.Resolve(e.Path); err != nil && got.Type != layer.Symlink { // e can be a hard link to one
				t.Fatal(err)
			}
		}
		again := tree.New()
		if err := again.Apply(c.All()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(show(c), show(again)); d != "" {
			t.Fatal(d)
		}
	})
}
