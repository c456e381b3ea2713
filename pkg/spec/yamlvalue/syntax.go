package yamlvalue

import (
	"bytes"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/diag"
)

// wording says what the YAML library's message means, and what to do.
type wording struct{ match, summary, hint string }

var wordings = []wording{
	{"cannot start any token", "a value begins with a character that YAML reserves", "put the value in quotes"},
	{"mapping values are not allowed", "there is a second \": \" on a line, or the line above is indented differently",
		"put a value that holds \": \" in quotes, and check the indentation of this line and the one above"},
	{"did not find expected key", "the line does not belong to the mapping around it",
		"check its indentation, and that quotes and brackets above are closed"},
	{"did not find expected '-'", "the line does not belong to the list around it", "check its indentation against the other \"- \" entries"},
	{"could not find expected ':'", "a key has no \":\" after it", "write \"key: value\", and check that quotes above are closed"},
	{"did not find expected ',' or", "a [ ] list or { } mapping is not closed, or holds an expression without quotes", "close it, and put ${...} inside it in quotes"},
	{"unexpected end of stream", "a quote is opened and never closed", "close the quote"},
	{"did not find expected node content", "a value is missing in a [ ] list or { } mapping", "write the value, and put ${...} inside it in quotes"},
	{"unknown escape character", "a text in double quotes holds an unknown \\ escape", "write \\\\ for a backslash, or use single quotes"},
	{"unknown anchor", "an alias (*name) has no anchor (&name) above it", "define the anchor first, or put a value that begins with * in quotes"},
	{"block sequence entries are not allowed", "a list entry (\"- \") is not allowed here", "put it on a line of its own, indented below its key"},
	{"exceeded max depth", "the values are nested too deeply", "flatten them"},
	{"undefined tag handle", "a tag (!name!) is not known", "put a value that begins with ! in quotes"},
	{"while scanning a directive", "a line that begins with % is read as a YAML directive", "put the value in quotes"},
}

var reportedLine = regexp.MustCompile(`line (\d+): `)

// syntaxProblem words an error of the YAML library and finds its line. The
// library names the line where the surrounding structure began, off by one at
// times; the first line with which the file cannot be read any more is what the
// user has to look at.
func syntaxProblem(text []byte, file string, err error) *diag.Problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := reportedLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = strings.Replace(message, m[0], "", 1)
	}
	all := bytes.SplitAfter(text, []byte("\n"))
	// Once the faulty line is in, every longer prefix fails alike.
	first := 1 + sort.Search(len(all)-1, func(i int) bool {
		got := parseError(bytes.Join(all[:i+1], nil))
		return got != nil && got.Error() == err.Error()
	})
	if first < len(all) {
		line = first
	}
	line = min(max(line, 1), len(all))
	at := diag.Pos{File: file, Line: line}
	if indent := leading(all[line-1]); bytes.ContainsRune(indent, '\t') {
		at.Column = bytes.IndexByte(indent, '\t') + 1
		return diag.At(at, "a tab is used for indentation").WithHint("YAML allows spaces only: replace the tab by spaces").WithCause(err)
	}
	for _, w := range wordings {
		if strings.Contains(message, w.match) {
			return diag.At(at, "%s", w.summary).WithHint("%s", w.hint).WithCause(err)
		}
	}
	return diag.At(at, "this is not valid YAML: %s", message).WithHint("check the indentation, quotes and brackets of this line and the one above").WithCause(err)
}

func leading(line []byte) []byte {
	return line[:len(line)-len(bytes.TrimLeft(line, " \t-"))]
}

// parseError returns the first error in text, nil when it can be read.
func parseError(text []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		switch err := safely(func() error { return dec.Decode(&n) }); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}
