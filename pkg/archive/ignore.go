package archive

import (
	"bytes"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

// IgnoreFile is the name of the files that hold ignore rules, in the syntax of
// gitignore(5). As upstream does, it is packed like any other file unless a
// rule says otherwise.
const IgnoreFile = ".fcignore"

const (
	maxIgnoreFile = 1 << 20 // bytes
	maxIgnoreRule = 1024    // bytes; what one rule may cost to match is bounded by it
)

// rule is one line of an ignore file.
type rule struct {
	match    matcher
	negated  bool // "!": what matches is packed after all
	dirOnly  bool // ends in "/"
	anchored bool // holds a slash: matched with the whole path, not the name
}

// parseRules reads an ignore file. Places in errors name file.
func parseRules(file string, content []byte) ([]rule, error) {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	var rules []rule
	line := 0
	for text := range strings.SplitSeq(string(content), "\n") {
		line++
		text = strings.TrimSuffix(text, "\r")
		if len(text) > maxIgnoreRule {
			return nil, diag.At(diag.Pos{File: file, Line: line}, "the ignore rule is longer than %d bytes", maxIgnoreRule).
				WithHint("shorten the rule")
		}
		r, ok, err := parseRule(text)
		if err != nil {
			return nil, diag.At(diag.Pos{File: file, Line: line}, "the ignore rule cannot be used: %v", err).
				WithHint("write it in the syntax of gitignore").WithCause(err)
		}
		if ok {
			rules = append(rules, r)
		}
	}
	return rules, nil
}

// parseRule reads one line; false when it holds no rule.
func parseRule(text string) (r rule, ok bool, err error) {
	text, _, _ = strings.Cut(text, "\x00") // git ends a line there
	if strings.HasPrefix(text, "#") {
		return rule{}, false, nil
	}
	text = trimSpaces(text)
	text, r.negated = strings.CutPrefix(text, "!")
	text, r.dirOnly = strings.CutSuffix(text, "/")
	r.anchored = strings.Contains(text, "/")
	text = strings.TrimPrefix(text, "/")
	if text == "" {
		return rule{}, false, nil
	}
	r.match, err = compileGlob(text, r.anchored)
	return r, err == nil, err
}

// trimSpaces drops trailing spaces, except one that a backslash protects.
func trimSpaces(s string) string {
	end := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ':
			continue
		case '\\':
			if i++; i == len(s) {
				return s
			}
		}
		end = i + 1
	}
	return s[:end]
}

// ruleSet is the rules of one ignore file and, through outer, those of the
// folders above, which are weaker.
type ruleSet struct {
	outer *ruleSet
	rules []rule
	// strip is how many bytes of a path (relative to the root of the code) lie
	// before the folder of the file, and prefix what to put there: together
	// they make a path relative to that folder.
	strip  int
	prefix string
}

// ignores reports whether the rules leave out path, relative to the root of the
// code. The last rule of the innermost file that matches decides. The folders
// above path must have been asked before: what is in a folder that is left out
// cannot come back.
func (s *ruleSet) ignores(path string, dir bool) bool {
	name := path[strings.LastIndexByte(path, '/')+1:]
	for ; s != nil; s = s.outer {
		rel := s.prefix + path[s.strip:]
		for i := len(s.rules) - 1; i >= 0; i-- {
			r := &s.rules[i]
			if r.dirOnly && !dir {
				continue
			}
			if r.anchored && r.match(rel) || !r.anchored && r.match(name) {
				return !r.negated
			}
		}
	}
	return false
}
