package copy

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/moby/patternmatcher"
)

// matcher is a list of patterns of .dockerignore, --exclude or --parents: the last one
// that matches a path or a directory above it decides. Patterns that begin with ! take
// back what earlier ones matched. The nil matcher matches nothing.
//
// It keeps the patterns apart: patternmatcher by itself forgets of a directory those
// that had nothing to decide there, and they can have below it.
type matcher struct{ patterns []pattern }

type pattern struct {
	text string
	back bool // it began with !
	one  *patternmatcher.PatternMatcher
}

// seen is what the patterns said of a directory.
type seen []patternmatcher.MatchInfo

// newMatcher makes a matcher whose patterns are all known to be right: the library
// finds some mistakes only when it comes to use a pattern.
func newMatcher(patterns []string) (*matcher, error) {
	all, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, err
	}
	m := &matcher{}
	for _, p := range all.Patterns() {
		one, err := patternmatcher.New([]string{unread(p.String())})
		if err != nil {
			return nil, err
		}
		if _, err := one.MatchesOrParentMatches("x"); err != nil {
			return nil, err
		}
		m.patterns = append(m.patterns, pattern{text: p.String(), back: p.Exclusion(), one: one})
	}
	return m, nil
}

// unread returns what the library reads as the pattern that it has read: by itself it
// would take a ! to mean something, tidy the path and trim white space once more.
func unread(text string) string {
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	switch {
	case first == '!' || strings.HasPrefix(text, "./"):
		text = `\` + text
	case unicode.IsSpace(first):
		text = "./" + text
	}
	if unicode.IsSpace(last) {
		text += "/."
	}
	return text
}

// match reports whether the patterns match a path, and for a directory also what is to
// be given for what is in it; above is that of the directory it is in.
func (m *matcher) match(p string, isDir bool, above seen) (bool, seen, error) {
	if m == nil {
		return false, nil, nil
	}
	var here seen
	if isDir {
		here = make(seen, len(m.patterns))
	}
	matched := false
	for i, pat := range m.patterns {
		if !isDir && pat.back != matched {
			continue // it has nothing to decide
		}
		var before patternmatcher.MatchInfo
		if above != nil {
			before = above[i]
		}
		ok, info, err := pat.one.MatchesUsingParentResults(p, before)
		if err != nil {
			return false, nil, err
		}
		if ok {
			matched = !pat.back
		}
		if isDir {
			here[i] = info
		}
	}
	return matched, here, nil
}

// mayMatchBelow reports whether a pattern could match something below a directory; back
// says which patterns count. It may be wrong in saying yes.
func (m *matcher) mayMatchBelow(dir string, back bool) bool {
	if m == nil {
		return false
	}
	for _, p := range m.patterns {
		if p.back == back && mayMatchBelow(p.text, dir) {
			return true
		}
	}
	return false
}

func mayMatchBelow(pattern, dir string) bool {
	if strings.ContainsAny(pattern, "|{}^") {
		return true // patternmatcher leaves them in its regular expressions
	}
	parts := strings.Split(pattern, "/")
	for name := range strings.SplitSeq(dir, "/") {
		if len(parts) == 0 {
			return true // it matches a directory above
		}
		part := parts[0]
		parts = parts[1:]
		if !utf8.ValidString(part) || !utf8.ValidString(name) {
			return true // to patternmatcher all bytes that are no characters are the same
		}
		if strings.Contains(part, "**") || strings.ContainsAny(part, `[\`) {
			return true
		}
		if ok, err := path.Match(part, name); err == nil && !ok {
			return false
		}
	}
	return true
}
