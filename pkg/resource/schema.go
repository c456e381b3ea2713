package resource

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/secret"
)

// Schema is the comparison table of one kind: a Rule for each path that needs one.
// Paths are dotted; "[]" stands for the elements of a list and "*" for any key:
// "routeConfig.routes[].methods".
type Schema map[string]Rule

// Rule says how the values at one path compare.
type Rule struct {
	Default   any  // absent, null and empty equal this value
	Set       bool // a list whose order does not matter
	Fold      bool // a text whose case does not matter
	Number    bool // a text that holds a number equals the number
	Text      bool // numbers and booleans equal their texts
	KeepUnset bool // when the file does not set it, what is online stays
	Immutable bool // cannot be changed in place: the resource is replaced
	Ignore    bool // never compared
	Secret    bool // its leaves are secret, wherever they come from
}

// Difference is one leaf (or whole list) in which two states differ.
type Difference struct {
	Path      string // such as environmentVariables.MODE
	Field     string // the top-level attribute
	Old, New  any    // nil when absent; secret.String when secret
	Immutable bool
}

// Canonical returns attrs in the form in which equal states are equal values:
// empty values, defaults and blocks of nothing else dropped, numbers and sets
// brought into order.
func (s Schema) Canonical(attrs Attributes) Attributes {
	return s.top(attrs, false)
}

func (s Schema) top(attrs Attributes, keepDefaults bool) Attributes {
	m, _ := s.canonical("", map[string]any(attrs), keepDefaults).(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	return m
}

// canonical returns nil for what equals absent.
func (s Schema) canonical(path string, v any, keepDefaults bool) any {
	rule := s.rule(path)
	if rule.Ignore {
		return nil
	}
	out := s.normal(path, rule, v, keepDefaults)
	if out == nil || keepDefaults || rule.Default == nil {
		return out
	}
	if equal(out, s.normal(path, rule, rule.Default, true)) {
		return nil
	}
	return out
}

// normal is canonical without the default at path itself.
func (s Schema) normal(path string, rule Rule, v any, keepDefaults bool) any {
	switch v := v.(type) {
	case Attributes:
		return s.normal(path, rule, map[string]any(v), keepDefaults)
	case map[string]any:
		out := map[string]any{}
		for key, item := range v {
			if c := s.canonical(join(path, key), item, keepDefaults); c != nil {
				out[key] = c
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			c := s.canonical(path+"[]", item, keepDefaults)
			if c == nil {
				c = map[string]any{}
			}
			out = append(out, c)
		}
		if len(out) == 0 {
			return nil
		}
		if rule.Set {
			slices.SortFunc(out, func(a, b any) int { return cmp.Compare(sortKey(a), sortKey(b)) })
			out = slices.CompactFunc(out, equal)
		}
		return out
	}
	return rule.scalar(v)
}

// sortKey is a text by which the elements of a set are ordered: the same for a
// secret and for its plain text.
func sortKey(v any) string {
	switch x := v.(type) {
	case secret.String:
		return x.Reveal()
	case []any:
		var b strings.Builder
		for _, item := range x {
			b.WriteString(sortKey(item) + "\x00")
		}
		return b.String()
	case map[string]any:
		var b strings.Builder
		for _, key := range slices.Sorted(maps.Keys(x)) {
			b.WriteString(key + "\x00" + sortKey(x[key]) + "\x00")
		}
		return b.String()
	}
	return fmt.Sprint(v)
}

func (r Rule) scalar(v any) any {
	switch x := v.(type) {
	case secret.String:
		if x.IsZero() {
			return nil
		}
		return x
	case int:
		v = int64(x)
	case int32:
		v = int64(x)
	case float64:
		if i := int64(x); float64(i) == x {
			v = i
		}
	}
	if r.Text {
		switch x := v.(type) {
		case bool, int64, float64:
			v = fmt.Sprint(x)
		}
	}
	text, isText := v.(string)
	if !isText {
		return v
	}
	if text == "" {
		return nil
	}
	if r.Number {
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return Rule{}.scalar(f)
		}
	}
	if r.Fold {
		text = strings.ToLower(text)
	}
	if r.Secret {
		return secret.New(text)
	}
	return text
}

// rule finds the rule of a path, exact before wildcard. A key below a wildcard may
// hold dots itself, and a rule for any key covers all that is below it.
func (s Schema) rule(path string) Rule {
	if r, ok := s[path]; ok {
		return r
	}
	for parent := path; ; {
		i := strings.LastIndexByte(parent, '.')
		if i < 0 {
			return Rule{}
		}
		parent = parent[:i]
		if r, ok := s[parent+".*"]; ok {
			return r
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Compare returns in what want differs from found, sorted by path. With managed
// not nil, only those top-level attributes are looked at. Against nothing (found
// is nil) all attributes of want are differences, defaults as well.
func (s Schema) Compare(found, want Attributes, managed []string) []Difference {
	kept, _ := s.keep("", map[string]any(found), map[string]any(want)).(map[string]any)
	f, w := s.top(found, false), s.top(kept, found == nil)
	var diffs []Difference
	for _, key := range keysOf(f, w) {
		if managed != nil && !slices.Contains(managed, key) {
			continue
		}
		s.compare(key, key, f[key], w[key], found != nil, &diffs)
	}
	return diffs
}

// keep returns want with what is online in the places where the file says nothing
// and the rule is to leave that as it is. In lists, elements at the same place
// belong together.
func (s Schema) keep(path string, found, want any) any {
	if s.rule(path).KeepUnset && isUnset(want) {
		return found
	}
	if a, ok := want.(Attributes); ok {
		want = map[string]any(a)
	}
	switch w := want.(type) {
	case map[string]any:
		f, ok := found.(map[string]any)
		if !ok {
			return want
		}
		out := maps.Clone(w)
		for key, online := range f {
			if k := s.keep(join(path, key), online, w[key]); k != nil {
				if out == nil {
					out = map[string]any{}
				}
				out[key] = k
			}
		}
		return out
	case []any:
		f, ok := found.([]any)
		if !ok || len(f) != len(w) || s.rule(path).Set {
			return want
		}
		out := make([]any, len(w))
		for i := range w {
			out[i] = s.keep(path+"[]", f[i], w[i])
		}
		return out
	}
	return want
}

func isUnset(v any) bool { return Schema{}.canonical("", v, true) == nil }

func keysOf(a, b map[string]any) []string {
	keys := slices.Collect(maps.Keys(a))
	keys = append(keys, slices.Collect(maps.Keys(b))...)
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (s Schema) compare(field, path string, old, new any, defaults bool, diffs *[]Difference) {
	o, oldIsMap := old.(map[string]any)
	n, newIsMap := new.(map[string]any)
	if oldIsMap && newIsMap || oldIsMap && new == nil || newIsMap && old == nil {
		for _, key := range keysOf(o, n) {
			s.compare(field, join(path, key), o[key], n[key], defaults, diffs)
		}
		return
	}
	if equal(old, new) {
		return
	}
	rule := s.rule(path)
	if defaults && old == nil {
		old = rule.Default
	}
	if defaults && new == nil {
		new = rule.Default
	}
	if holdsSecret(old) || holdsSecret(new) {
		old, new = conceal(old), conceal(new) // the other side is what the secret was, or will be
	}
	*diffs = append(*diffs, Difference{Path: path, Field: field, Old: old, New: new, Immutable: rule.Immutable || s.rule(field).Immutable})
}

// Differing returns the paths in which two states of a resource differ, sorted. None of
// them is what a file wants: nothing is kept. States whose secrets are sealed compare
// with each other as well.
func (s Schema) Differing(a, b Attributes) []string {
	x, y := s.top(a, false), s.top(b, false)
	var diffs []Difference
	for _, key := range keysOf(x, y) {
		s.compare(key, key, x[key], y[key], true, &diffs)
	}
	paths := make([]string, len(diffs))
	for i, d := range diffs {
		paths[i] = d.Path
	}
	return paths
}

// Conceal returns a value of a difference with every leaf as a secret; nil stays nil.
func Conceal(v any) any { return conceal(v) }

// holdsSecret reports whether v is or contains a secret.
func holdsSecret(v any) bool {
	switch x := v.(type) {
	case secret.String:
		return true
	case []any:
		return slices.ContainsFunc(x, holdsSecret)
	case map[string]any:
		for _, item := range x {
			if holdsSecret(item) {
				return true
			}
		}
	}
	return false
}

// conceal returns v with every leaf that is a value as a secret.
func conceal(v any) any {
	switch x := v.(type) {
	case nil, secret.String, app.UnknownValue:
		return v
	case []any:
		out := make([]any, len(x))
		for i, item := range x {
			out[i] = conceal(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for key, item := range x {
			out[key] = conceal(item)
		}
		return out
	}
	return secret.New(fmt.Sprint(v))
}

// equal compares canonical values; an unknown equals nothing, not even itself.
func equal(a, b any) bool {
	switch x := a.(type) {
	case app.UnknownValue:
		return false
	case secret.String:
		switch y := b.(type) {
		case secret.String:
			return x.Equal(y)
		case string:
			return x.Reveal() == y
		}
		return false
	case string:
		if y, ok := b.(secret.String); ok {
			return y.Reveal() == x
		}
		return a == b
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, equal)
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && maps.EqualFunc(x, y, equal)
	}
	return reflect.DeepEqual(a, b)
}
