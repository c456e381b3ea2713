package dockerfile

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/devs/deploy/pkg/diag"
)

// Limits of a Dockerfile. The length of a line is that of BuildKit's parser; the others
// keep its recursion and copying within bounds.
const (
	maxSource    = 4 << 20 // bytes of a file
	maxLine      = 65535   // bytes of a line
	maxVariables = 20000   // how often ${ may stand in a file
	maxStages    = 1000    // FROMs of a file
	maxTriggers  = 1000    // how often ONBUILD may stand in a file
)

// text is the Dockerfile as it was written, to find places in it.
type text struct {
	name  string
	lines []string
}

func newText(name string, src []byte) *text {
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	return &text{name: name, lines: strings.Split(string(src), "\n")}
}

// line returns line n (from 1), or "".
func (t *text) line(n int) string {
	if n < 1 || n > len(t.lines) {
		return ""
	}
	return t.lines[n-1]
}

// trimmed returns line n without the space around it.
func (t *text) trimmed(n int) string { return strings.TrimSpace(t.line(n)) }

// start returns the place of the first word of line n.
func (t *text) start(n int) diag.Pos {
	line := t.line(n)
	blank := len(line) - len(strings.TrimLeftFunc(line, unicode.IsSpace))
	return diag.Pos{File: t.name, Line: max(n, 1), Column: column(line, blank)}
}

func column(line string, bytes int) int { return utf8.RuneCountInString(line[:bytes]) + 1 }

// find returns the place of word in the lines of node, after the name of the
// instruction, or the start of the node when it is not there.
func (t *text) find(node *parser.Node, word string) diag.Pos {
	start := t.start(node.StartLine)
	if word == "" {
		return start
	}
	for n := node.StartLine; n <= node.EndLine && n <= len(t.lines); n++ {
		line, from := t.line(n), 0
		if n == node.StartLine {
			blank := len(line) - len(strings.TrimLeftFunc(line, unicode.IsSpace))
			from = min(blank+len(node.Value), len(line))
		}
		if i := indexWord(line[from:], word); i >= 0 {
			return diag.Pos{File: t.name, Line: n, Column: column(line, from+i)}
		}
	}
	return start
}

// indexWord returns where word stands in line, not as a part of a longer word.
func indexWord(line, word string) int {
	for from := 0; ; {
		i := strings.Index(line[from:], word)
		if i < 0 {
			return -1
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(line[:i])
		after, _ := utf8.DecodeRuneInString(line[i+len(word):])
		first, _ := utf8.DecodeRuneInString(word)
		last, _ := utf8.DecodeLastRuneInString(word)
		if !(isWord(before) && isWord(first)) && !(isWord(last) && isWord(after)) {
			return i
		}
		from = i + 1
	}
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// at returns the place where ranges begin.
func (t *text) at(ranges []parser.Range) diag.Pos {
	if len(ranges) == 0 {
		return diag.Pos{File: t.name}
	}
	return t.start(ranges[0].Start.Line)
}

// check refuses what is no Dockerfile, or one that is beyond the limits.
func (t *text) check(src []byte) error {
	if len(src) > maxSource {
		return diag.At(diag.Pos{File: t.name}, "the Dockerfile has %d bytes, more than %d", len(src), maxSource).
			WithHint("put large content into files of the build context and COPY them")
	}
	for i, line := range t.lines {
		if strings.IndexByte(line, 0) >= 0 {
			return diag.At(diag.Pos{File: t.name, Line: i + 1}, "the Dockerfile has a NUL byte").
				WithHint("save it as text in UTF-8")
		}
		if len(line) > maxLine {
			return diag.At(diag.Pos{File: t.name, Line: i + 1}, "the line has %d bytes, more than %d", len(line), maxLine).
				WithHint("break it with \\ at the ends of the lines")
		}
	}
	return checkDepth(t.name, src)
}

// checkDepth bounds what makes the parser recurse.
func checkDepth(name string, src []byte) error {
	if n := bytes.Count(src, []byte("${")); n > maxVariables {
		return diag.At(diag.Pos{File: name}, "${ stands %d times in it, more than %d", n, maxVariables)
	}
	if n := len(regexp.MustCompile(`(?i)onbuild`).FindAllIndex(src, maxTriggers+1)); n > maxTriggers {
		return diag.At(diag.Pos{File: name}, "ONBUILD stands more than %d times in it", maxTriggers)
	}
	return nil
}
