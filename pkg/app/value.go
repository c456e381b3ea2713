package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// Kind says what a Value is.
type Kind int

// The kinds of a Value. Unknown is a value that exists only after something was
// deployed, such as another service's output while planning.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	List
	Map
	Unknown
)

var kindNames = [...]string{"null", "a boolean", "a whole number", "a number", "a text", "a list", "a mapping", "a value known after the deploy"}

// String returns the kind in words, for messages.
func (k Kind) String() string { return kindNames[k] }

// Value is one node of the application file: typed, with its place in the file,
// and marked when it is secret. A Value is not changed after it was made; whoever
// needs another one makes another one.
type Value struct {
	Kind    Kind
	Pos     diag.Pos
	Secret  bool     // came from env(), a credential or an input: rendered as ***
	Scalar  any      // Bool: bool, Int: int64, Float: float64, String: string; Unknown: the expression's text
	Raw     string   // Int and Float from a file: the number as it was written, such as 1.0 or 0644
	Items   []*Value // List
	Entries []Entry  // Map, in the order of the file; keys are unique

	// Exprs marks a String that was written in an application file and holds
	// expressions: the place of every "${" in it, in order. Only such a text is
	// evaluated; any other text is data and stays as it is, whatever it holds.
	Exprs []diag.Pos
}

// Entry is one key of a Map.
type Entry struct {
	Key    string
	KeyPos diag.Pos
	Value  *Value
}

// Text returns a String without a place.
func Text(s string) *Value { return &Value{Kind: String, Scalar: s} }

// IsNull reports whether v is absent or null.
func (v *Value) IsNull() bool { return v == nil || v.Kind == Null }

// Get returns the value under the keys of nested maps, or nil.
func (v *Value) Get(keys ...string) *Value {
	for _, key := range keys {
		if v == nil || v.Kind != Map {
			return nil
		}
		i := slices.IndexFunc(v.Entries, func(e Entry) bool { return e.Key == key })
		if i < 0 {
			return nil
		}
		v = v.Entries[i].Value
	}
	return v
}

// Keys returns the keys of a Map in the order of the file.
func (v *Value) Keys() []string {
	if v == nil {
		return nil
	}
	keys := make([]string, len(v.Entries))
	for i, e := range v.Entries {
		keys[i] = e.Key
	}
	return keys
}

// Str returns the text of a scalar as YAML would write it ("" for null, lists and
// maps); a number from a file keeps its spelling; secrets are revealed.
func (v *Value) Str() string {
	if v == nil {
		return ""
	}
	if v.Raw != "" {
		return v.Raw
	}
	switch s := v.Scalar.(type) {
	case string:
		return s
	case bool:
		return strconv.FormatBool(s)
	case int64:
		return strconv.FormatInt(s, 10)
	case float64:
		return strconv.FormatFloat(s, 'g', -1, 64)
	}
	return ""
}

// HasUnknown reports whether v is or holds an Unknown.
func (v *Value) HasUnknown() bool {
	return v.any(func(n *Value) bool { return n.Kind == Unknown })
}

// HasSecret reports whether v is or holds a secret.
func (v *Value) HasSecret() bool {
	return v.any(func(n *Value) bool { return n.Secret })
}

func (v *Value) any(is func(*Value) bool) bool {
	if v == nil {
		return false
	}
	if is(v) {
		return true
	}
	for _, item := range v.Items {
		if item.any(is) {
			return true
		}
	}
	for _, e := range v.Entries {
		if e.Value.any(is) {
			return true
		}
	}
	return false
}

// AsSecret returns a copy of v in which every scalar is marked secret.
func (v *Value) AsSecret() *Value {
	if v == nil {
		return nil
	}
	c := *v
	switch v.Kind {
	case List:
		c.Items = make([]*Value, len(v.Items))
		for i, item := range v.Items {
			c.Items[i] = item.AsSecret()
		}
	case Map:
		c.Entries = slices.Clone(v.Entries)
		for i, e := range v.Entries {
			c.Entries[i].Value = e.Value.AsSecret()
		}
	default:
		c.Secret = true
	}
	return &c
}

// Plain returns v as Go values: nil, bool, int64, float64, string, []any,
// map[string]any, with a secret scalar as secret.String and an Unknown as
// UnknownValue.
func (v *Value) Plain() any {
	if v == nil {
		return nil
	}
	switch v.Kind {
	case List:
		list := make([]any, len(v.Items))
		for i, item := range v.Items {
			list[i] = item.Plain()
		}
		return list
	case Map:
		m := make(map[string]any, len(v.Entries))
		for _, e := range v.Entries {
			m[e.Key] = e.Value.Plain()
		}
		return m
	case Unknown:
		return UnknownValue{Expr: v.Str()}
	case Null:
		return nil
	}
	if v.Secret {
		return secret.New(v.Str())
	}
	return v.Scalar
}

// UnknownValue stands in Go values where a value is known only after a deploy.
type UnknownValue struct{ Expr string }

// String says that the value is not known yet, and from where it will come.
func (u UnknownValue) String() string { return "(known after deploy: " + u.Expr + ")" }

// MarshalJSON encodes {"unknown": "<expression>"}, which no plain value collides
// with in a plan because plans hold texts for leaves.
func (u UnknownValue) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"unknown": u.Expr})
}

// From returns Go data (as Plain yields it, or as encoding/json decodes it) as a
// Value at pos. Map keys are sorted.
func From(data any, pos diag.Pos) *Value {
	switch d := data.(type) {
	case nil:
		return &Value{Kind: Null, Pos: pos}
	case *Value:
		return d
	case bool:
		return &Value{Kind: Bool, Pos: pos, Scalar: d}
	case int:
		return &Value{Kind: Int, Pos: pos, Scalar: int64(d)}
	case int32:
		return &Value{Kind: Int, Pos: pos, Scalar: int64(d)}
	case int64:
		return &Value{Kind: Int, Pos: pos, Scalar: d}
	case float64:
		if i := int64(d); float64(i) == d {
			return &Value{Kind: Int, Pos: pos, Scalar: i}
		}
		return &Value{Kind: Float, Pos: pos, Scalar: d}
	case json.Number:
		if i, err := d.Int64(); err == nil {
			return &Value{Kind: Int, Pos: pos, Scalar: i}
		}
		f, _ := d.Float64()
		return &Value{Kind: Float, Pos: pos, Scalar: f}
	case string:
		return &Value{Kind: String, Pos: pos, Scalar: d}
	case secret.String:
		return &Value{Kind: String, Pos: pos, Scalar: d.Reveal(), Secret: true}
	case UnknownValue:
		return &Value{Kind: Unknown, Pos: pos, Scalar: d.Expr}
	case []any:
		v := &Value{Kind: List, Pos: pos}
		for _, item := range d {
			v.Items = append(v.Items, From(item, pos))
		}
		return v
	case []string:
		v := &Value{Kind: List, Pos: pos}
		for _, item := range d {
			v.Items = append(v.Items, From(item, pos))
		}
		return v
	case map[string]any:
		v := &Value{Kind: Map, Pos: pos}
		for _, key := range sortedKeys(d) {
			v.Entries = append(v.Entries, Entry{Key: key, KeyPos: pos, Value: From(d[key], pos)})
		}
		return v
	}
	return &Value{Kind: String, Pos: pos, Scalar: fmt.Sprint(data)}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// ParseJSON returns a JSON text as a Value without a place. The order of maps is
// not kept.
func ParseJSON(data []byte) (*Value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	if d.More() {
		return nil, errors.New("reading JSON: more than one value")
	}
	return From(v, diag.Pos{}), nil
}
