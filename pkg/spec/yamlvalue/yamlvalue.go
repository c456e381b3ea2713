// Package yamlvalue reads YAML text into app.Value nodes that know their place in
// the file. It settles everything that is YAML (anchors, merge keys, number
// spellings, limits against hostile input) and knows nothing of what the
// application file means.
package yamlvalue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// Limits against files made to exhaust the reader.
const (
	MaxBytes = 4 << 20 // of one file
	maxDepth = 100     // of nesting
	maxNodes = 200_000 // of one file, aliases counted as often as they are used
)

// Options says how to read.
type Options struct {
	File string // the name in places and messages

	// Expressions marks the texts that hold "${" as expressions. Leave it off
	// for files that are data.
	Expressions bool
}

// Parse reads the one YAML document of data. A document that is empty or holds
// comments alone is a Null. Errors are diag.Problems with a line.
func Parse(data []byte, opts Options) (*app.Value, error) {
	text, err := clean(data, opts.File)
	if err != nil {
		return nil, err
	}
	doc, err := decode(text, opts.File)
	if err != nil {
		return nil, err
	}
	if doc == nil {
		return &app.Value{Kind: app.Null, Pos: diag.Pos{File: opts.File, Line: 1, Column: 1}}, nil
	}
	c := newConverter(text, opts)
	v := c.convert(doc, 0).value
	if err := errors.Join(c.problems...); err != nil {
		return nil, err
	}
	return v, nil
}

// clean checks size and encoding, drops a byte order mark and makes all line
// breaks "\n", as YAML itself does inside values.
func clean(data []byte, file string) ([]byte, error) {
	if len(data) > MaxBytes {
		return nil, diag.At(diag.Pos{File: file, Line: 1}, "the file is larger than %d MiB", MaxBytes>>20).
			WithHint("an application file is a few kilobytes: check that this is the right file")
	}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return nil, diag.At(diag.Pos{File: file, Line: 1}, "the file is UTF-16 text").WithHint("save it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return nil, diag.At(placeAt(data, i, file), "the file is not UTF-8 text").WithHint("save it as UTF-8")
		}
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return nil, diag.At(placeAt(data, i, file), "there is a control character (U+%04X)", r).WithHint("delete it")
		}
		i += size
	}
	return data, nil
}

func placeAt(data []byte, offset int, file string) diag.Pos {
	start := bytes.LastIndexByte(data[:offset], '\n') + 1
	return diag.Pos{
		File:   file,
		Line:   bytes.Count(data[:start], []byte("\n")) + 1,
		Column: utf8.RuneCount(data[start:offset]) + 1,
	}
}

// decode returns the root node of the only document, nil when there is none.
func decode(text []byte, file string) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	err := safely(func() error { return dec.Decode(&doc) })
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, syntaxProblem(text, file, err)
	}
	var next yaml.Node
	switch err := safely(func() error { return dec.Decode(&next) }); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntaxProblem(text, file, err)
	case len(next.Content) > 0:
		return nil, diag.At(diag.Pos{File: file, Line: next.Content[0].Line, Column: next.Content[0].Column},
			"the file holds more than one YAML document").
			WithHint("delete the --- line above, or move what follows to a file of its own")
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	return doc.Content[0], nil
}

// safely turns a panic of the YAML library into an error: the text is the user's,
// and no text may end the process.
func safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return f()
}

// lines returns the lines of text as runes, for columns that count characters.
func lines(text []byte) [][]rune {
	var all [][]rune
	for line := range strings.SplitSeq(string(text), "\n") {
		all = append(all, []rune(line))
	}
	return all
}
