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
// empty values dropped, defaults filled in, numbers and sets brought into order.
func (s Schema) Canonical(attrs Attributes) Attributes {
	m, _ := s.canonical("", map[string]any(attrs)).(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	for path, rule := range s {
		if rule.Default != nil && !strings.Contains(path, "[]") && !strings.Contains(path, "*") {
			fill(m, strings.Split(path, "."), rule.Default)
		}
	}
	return m
}

// fill sets the default of a path whose parent is there.
func fill(m map[string]any, keys []string, def any) {
	for _, key := range keys[:len(keys)-1] {
		next, ok := m[key].(map[string]any)
		if !ok {
			return
		}
		m = next
	}
	last := keys[len(keys)-1]
	if _, ok := m[last]; !ok {
		m[last] = def
	}
}

// canonical returns nil for what equals absent.
func (s Schema) canonical(path string, v any) any {
	rule := s.rule(path)
	if rule.Ignore {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, item := range v {
			if c := s.canonical(join(path, key), item); c != nil {
				out[key] = c
			}
		}
		s.fillElement(path, out)
		if len(out) == 0 {
			return nil
		}
		return out
	case Attributes:
		return s.canonical(path, map[string]any(v))
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			c := s.canonical(path+"[]", item)
			if c == nil {
				c = map[string]any{}
			}
			out = append(out, c)
		}
		if len(out) == 0 {
			return nil
		}
		if rule.Set {
			slices.SortFunc(out, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			out = slices.CompactFunc(out, equal)
		}
		return out
	}
	return rule.scalar(v)
}

// fillElement fills the defaults below a list element or a wildcard, which Canonical
// cannot reach by walking keys.
func (s Schema) fillElement(path string, out map[string]any) {
	if !strings.HasSuffix(path, "[]") {
		return
	}
	for p, rule := range s {
		rest, ok := strings.CutPrefix(p, path+".")
		if ok && rule.Default != nil && !strings.ContainsAny(rest, ".[") {
			if _, there := out[rest]; !there {
				out[rest] = rule.Default
			}
		}
	}
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

// rule finds the rule of a path, exact before wildcard.
func (s Schema) rule(path string) Rule {
	if r, ok := s[path]; ok {
		return r
	}
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return s[path[:i]+".*"]
	}
	return Rule{}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Compare returns in what want differs from found, sorted by path. With managed
// not nil, only those top-level attributes are looked at.
func (s Schema) Compare(found, want Attributes, managed []string) []Difference {
	f, w := s.Canonical(found), s.Canonical(want)
	var diffs []Difference
	keys := slices.Collect(maps.Keys(f))
	keys = append(keys, slices.Collect(maps.Keys(w))...)
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		if managed != nil && !slices.Contains(managed, key) {
			continue
		}
		if s.rule(key).KeepUnset && isUnset(want[key]) {
			continue
		}
		s.compare(key, key, f[key], w[key], &diffs)
	}
	return diffs
}

func isUnset(v any) bool {
	return v == nil || reflect.ValueOf(v).IsZero() || (Schema{}).canonical("", v) == nil
}

func (s Schema) compare(field, path string, old, new any, diffs *[]Difference) {
	if s.rule(path).KeepUnset && isUnset(new) {
		return
	}
	o, oldIsMap := old.(map[string]any)
	n, newIsMap := new.(map[string]any)
	if oldIsMap && newIsMap || oldIsMap && new == nil || newIsMap && old == nil {
		keys := slices.Collect(maps.Keys(o))
		keys = append(keys, slices.Collect(maps.Keys(n))...)
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			s.compare(field, join(path, key), o[key], n[key], diffs)
		}
		return
	}
	if !equal(old, new) {
		*diffs = append(*diffs, Difference{Path: path, Field: field, Old: old, New: new, Immutable: s.rule(path).Immutable || s.rule(field).Immutable})
	}
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
