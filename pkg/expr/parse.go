package expr

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of one placeholder.
const (
	maxLength = 4096 // bytes
	maxCalls  = 16   // calls inside of calls
)

type kind int

const (
	kindText kind = iota // a quoted text
	kindBare             // an argument without quotes: a text, or a reference when path is set
	kindCall             // name(args)
	kindRef              // a.b[0].c
)

// expression is the parsed inside of a placeholder.
type expression struct {
	kind kind
	text string // kindText, kindBare
	name string // kindCall
	args []expression
	path []string // kindRef, and kindBare that could be one
}

// The functions, and the roots that a path can have in every file.
var (
	functions = [...]string{"env", "file", "path", "config", "secret", "json", "yaml", "str", "regex"}
	roots     = [...]string{"vars", "this", "services", "resources", "components"}
)

func isFunction(name string) bool {
	for _, f := range functions {
		if f == name {
			return true
		}
	}
	return false
}

func isRoot(name string) bool {
	for _, r := range roots {
		if r == name {
			return true
		}
	}
	return false
}

// part is a piece of a text: literal text, or a placeholder.
type part struct {
	text string      // as written, with ${ and } for a placeholder
	expr *expression // nil for literal text
	err  error       // why text, which begins with "${", is no placeholder; expr is nil
	nth  int         // how many "${" stand before it
}

// scan splits a text into literal pieces and placeholders. A "${" that does not
// begin a well-formed placeholder becomes a part with err, and scanning goes on
// behind its "${": in ${A:-${env(B)}} the inner one is found.
func scan(text string) []part {
	var parts []part
	nth, start := 0, 0
	flush := func(end int) {
		if end > start {
			parts = append(parts, part{text: text[start:end]})
		}
	}
	for {
		i := strings.Index(text[start:], "${")
		if i < 0 {
			flush(len(text))
			return parts
		}
		i += start
		flush(i)
		p := part{nth: nth}
		nth++
		e, length, err := parse(text[i:])
		if err != nil {
			p.text, p.err = "${", err
			parts = append(parts, p)
			start = i + 2
			continue
		}
		p.text, p.expr = text[i:i+length], &e
		nth += strings.Count(p.text[2:], "${")
		parts = append(parts, p)
		start = i + length
	}
}

// broken returns the text of a failed placeholder for messages: up to its "}",
// or the end of the line.
func broken(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), 300)], "")
	if i := strings.IndexAny(text, "}\n"); i >= 0 {
		if text[i] == '}' {
			i++
		}
		text = text[:i]
	}
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return text
}

// What makes a placeholder unreadable.
var (
	errOpen   = errors.New("it is not closed with }")
	errSyntax = errors.New("it is neither a function such as env('X') nor a path such as vars.x")
	errQuote  = errors.New("a quote is not closed")
	errArgs   = errors.New("the ( of a function is not closed")
	errDeep   = errors.New("functions are nested too deeply")
)

type parser struct {
	text string
	at   int
}

// parse reads the placeholder at the beginning of text and returns its length.
func parse(text string) (expression, int, error) {
	if len(text) > maxLength {
		text = text[:maxLength]
	}
	p := parser{text: text, at: len("${")}
	p.space()
	e, err := p.expression(0)
	if err != nil {
		return expression{}, 0, err
	}
	p.space()
	if !p.take('}') {
		if strings.IndexByte(p.text[p.at:], '}') < 0 {
			return expression{}, 0, errOpen
		}
		return expression{}, 0, errSyntax
	}
	return e, p.at, nil
}

func (p *parser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t' || p.text[p.at] == '\n') {
		p.at++
	}
}

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) take(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// expression reads a call, a quoted text or a path.
func (p *parser) expression(depth int) (expression, error) {
	if c := p.peek(); c == '\'' || c == '"' {
		text, err := p.quoted()
		return expression{kind: kindText, text: text}, err
	}
	path, err := p.path()
	if err != nil {
		return expression{}, err
	}
	if len(path) == 1 && p.take('(') {
		args, err := p.arguments(depth + 1)
		return expression{kind: kindCall, name: path[0], args: args}, err
	}
	return expression{kind: kindRef, path: path}, nil
}

// quoted reads a text in single or double quotes; a backslash keeps the quote
// that follows it.
func (p *parser) quoted() (string, error) {
	quote := p.text[p.at]
	var b strings.Builder
	for i := p.at + 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '\\' && i+1 < len(p.text) && (p.text[i+1] == quote || p.text[i+1] == '\\'):
			i++
			b.WriteByte(p.text[i])
		case c == quote:
			p.at = i + 1
			return b.String(), nil
		default:
			b.WriteByte(c)
		}
	}
	return "", errQuote
}

// arguments reads what follows the ( of a call, up to and with its ).
func (p *parser) arguments(depth int) ([]expression, error) {
	if depth > maxCalls {
		return nil, errDeep
	}
	var args []expression
	for {
		p.space()
		if len(args) == 0 && p.take(')') {
			return nil, nil
		}
		arg, err := p.argument(depth)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
		p.space()
		switch {
		case p.take(')'):
			return args, nil
		case p.take(','):
		default:
			return nil, errArgs
		}
	}
}

// argument reads a quoted text, a call, or anything up to the next , or ).
func (p *parser) argument(depth int) (expression, error) {
	if c := p.peek(); c == '\'' || c == '"' {
		return p.expression(depth)
	}
	start := p.at
	if path, err := p.path(); err == nil && len(path) == 1 && isFunction(path[0]) && p.peek() == '(' {
		p.at = start
		return p.expression(depth)
	}
	p.at = start
	end := strings.IndexAny(p.text[p.at:], ",)}\n")
	if end < 0 || p.text[p.at+end] == '}' || p.text[p.at+end] == '\n' {
		return expression{}, errArgs
	}
	text := strings.TrimSpace(p.text[p.at : p.at+end])
	p.at += end
	if text == "" {
		return expression{}, errSyntax
	}
	arg := expression{kind: kindBare, text: text}
	sub := parser{text: text}
	if path, err := sub.path(); err == nil && sub.at == len(text) && len(path) > 1 {
		arg.path = path
	}
	return arg, nil
}

// path reads a.b-c[0]['d e'].f; numbers are written as [0] or .0.
func (p *parser) path() ([]string, error) {
	first := p.word()
	if first == "" {
		return nil, errSyntax
	}
	path := []string{first}
	for {
		switch {
		case p.take('.'):
			word := p.word()
			if word == "" {
				return nil, errSyntax
			}
			path = append(path, word)
		case p.take('['):
			key, err := p.index()
			if err != nil {
				return nil, err
			}
			path = append(path, key)
		default:
			return path, nil
		}
	}
}

func (p *parser) index() (string, error) {
	var key string
	if c := p.peek(); c == '\'' || c == '"' {
		text, err := p.quoted()
		if err != nil {
			return "", err
		}
		key = text
	} else if key = p.word(); key == "" {
		return "", errSyntax
	}
	if !p.take(']') {
		return "", errSyntax
	}
	return key, nil
}

// word reads letters of any script, digits, _ and -.
func (p *parser) word() string {
	start := p.at
	for p.at < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			break
		}
		p.at += size
	}
	return p.text[start:p.at]
}
