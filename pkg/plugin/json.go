package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

const (
	maxDepth = 200     // nesting of an answer
	maxExact = 1 << 53 // whole numbers below it are exact in a float64
)

// encode returns v as JSON, keys in their order, secrets revealed: the program
// needs the values.
func encode(v *app.Value) ([]byte, error) {
	var b bytes.Buffer
	if err := appendJSON(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func appendJSON(b *bytes.Buffer, v *app.Value) error {
	if v == nil {
		b.WriteString("null")
		return nil
	}
	switch v.Kind {
	case app.List:
		return appendList(b, v)
	case app.Map:
		return appendMap(b, v)
	case app.Unknown:
		return diag.At(v.Pos, "%s is known only after the deploy and cannot be handed to a program yet", v.Str())
	case app.Float:
		if f, ok := v.Scalar.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return diag.At(v.Pos, "the number %s has no form in JSON", v.Str())
		}
	case app.Null:
		b.WriteString("null")
		return nil
	}
	return appendScalar(b, v.Scalar)
}

func appendList(b *bytes.Buffer, v *app.Value) error {
	b.WriteByte('[')
	for i, item := range v.Items {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := appendJSON(b, item); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func appendMap(b *bytes.Buffer, v *app.Value) error {
	b.WriteByte('{')
	for i, e := range v.Entries {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := appendScalar(b, e.Key); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := appendJSON(b, e.Value); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func appendScalar(b *bytes.Buffer, scalar any) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(scalar); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the encoder's line feed
	return nil
}

// decode returns the one JSON value in data, keys in their order, or nil when data
// is empty or null. Errors quote nothing of data: it may hold secrets.
func decode(data []byte, pos diag.Pos) (*app.Value, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	d := decoder{pos: pos, tokens: json.NewDecoder(bytes.NewReader(data))}
	d.tokens.UseNumber()
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := d.tokens.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows after the JSON value")
	}
	if v.IsNull() {
		return nil, nil
	}
	return v, nil
}

type decoder struct {
	pos    diag.Pos
	tokens *json.Decoder
}

func (d *decoder) value(depth int) (*app.Value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested more than %d levels deep", maxDepth)
	}
	token, err := d.tokens.Token()
	if err != nil {
		return nil, d.wrong(err)
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			return d.list(depth)
		}
		return d.mapping(depth)
	case json.Number:
		return number(t, d.pos)
	}
	return app.From(token, d.pos), nil
}

func (d *decoder) list(depth int) (*app.Value, error) {
	v := &app.Value{Kind: app.List, Pos: d.pos}
	for d.tokens.More() {
		item, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		v.Items = append(v.Items, item)
	}
	return v, d.end()
}

func (d *decoder) mapping(depth int) (*app.Value, error) {
	v := &app.Value{Kind: app.Map, Pos: d.pos}
	seen := map[string]bool{}
	for d.tokens.More() {
		token, err := d.tokens.Token()
		if err != nil {
			return nil, d.wrong(err)
		}
		key, _ := token.(string) // the decoder lets nothing else be a key
		if seen[key] {
			return nil, fmt.Errorf("a key stands twice in one object (byte %d)", d.tokens.InputOffset())
		}
		seen[key] = true
		value, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		v.Entries = append(v.Entries, app.Entry{Key: key, KeyPos: d.pos, Value: value})
	}
	return v, d.end()
}

// end reads the closing bracket.
func (d *decoder) end() error {
	_, err := d.tokens.Token()
	if err != nil {
		return d.wrong(err)
	}
	return nil
}

func (d *decoder) wrong(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends in the middle")
	}
	return fmt.Errorf("it is wrong at byte %d", d.tokens.InputOffset())
}

// number returns n without a change: whole numbers as Int (60.0 too), others as the
// nearest float64. A whole number that neither holds is refused.
func number(n json.Number, pos diag.Pos) (*app.Value, error) {
	text := n.String()
	whole := !strings.ContainsAny(text, ".eE")
	if i, err := n.Int64(); whole && err == nil {
		return &app.Value{Kind: app.Int, Pos: pos, Scalar: i}, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return nil, errors.New("it holds a number that is too large")
	case whole && strconv.FormatFloat(f, 'f', -1, 64) != text:
		return nil, errors.New("it holds a whole number of more than 64 bits, which must be written as a text")
	case f == math.Trunc(f) && math.Abs(f) < maxExact:
		return &app.Value{Kind: app.Int, Pos: pos, Scalar: int64(f)}, nil
	}
	return &app.Value{Kind: app.Float, Pos: pos, Scalar: f}, nil
}
