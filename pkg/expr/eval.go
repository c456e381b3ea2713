package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// Limits of one evaluation. References can double a value again and again.
const (
	maxSize  = 16 << 20 // bytes of text plus nodes
	maxDepth = 400      // values inside of values, references counted
)

type evaluator struct {
	scope    *Scope
	memo     map[memoKey]*outcome
	stack    []frame // what is being evaluated
	warnings []Warning
	problems []error
	said     map[string]bool // what warnings and problems hold already
}

// context is where a value stands.
type context struct {
	view  *View // what `this` is
	mode  Mode
	label string // how the value was reached, for messages about cycles
	depth int
}

// memoKey: the same node can belong to several services (aliases, templates).
type memoKey struct {
	node *app.Value
	this string // name of the service
	mode Mode
}

type frame struct {
	key   memoKey
	label string
}

type outcome struct {
	value *app.Value
	size  int
	ok    bool
	busy  bool // being evaluated: meeting it again is a cycle
}

// errReported says that the reason is in e.problems already, at a better place.
var errReported = errors.New("reported")

// errUnknownForm says that a placeholder is none of the known forms.
var errUnknownForm = errors.New("no known form")

func (e *evaluator) report(p *diag.Problem) {
	if !e.said[p.Error()] {
		e.said[p.Error()] = true
		e.problems = append(e.problems, p)
	}
}

func (e *evaluator) warn(pos diag.Pos, format string, args ...any) {
	w := Warning{Pos: pos, Text: fmt.Sprintf(format, args...)}
	if !e.said[w.String()] {
		e.said[w.String()] = true
		e.warnings = append(e.warnings, w)
	}
}

// value evaluates v; ok is false when a problem was reported.
func (e *evaluator) value(v *app.Value, c context) (got *app.Value, ok bool) {
	o := e.outcome(v, c)
	return o.value, o.ok
}

func (e *evaluator) outcome(v *app.Value, c context) *outcome {
	if v == nil {
		v = &app.Value{Kind: app.Null}
	}
	if v.Kind != app.List && v.Kind != app.Map && len(v.Exprs) == 0 {
		return &outcome{value: v, size: 1 + len(v.Str()), ok: true}
	}
	key := memoKey{node: v, mode: c.mode}
	if c.view != nil {
		key.this = c.view.Name
	}
	if have := e.memo[key]; have != nil {
		if have.busy {
			e.cycle(v, key, c.label)
			return &outcome{}
		}
		return have
	}
	o := &outcome{busy: true}
	e.memo[key] = o
	e.stack = append(e.stack, frame{key, c.label})
	e.compute(v, c, o)
	e.stack = e.stack[:len(e.stack)-1]
	o.busy = false
	if o.ok && o.size > maxSize {
		e.report(diag.At(v.Pos, "the value becomes larger than %d MiB when its expressions are replaced", maxSize>>20).
			WithHint("look for variables that repeat other variables many times"))
		o.value, o.ok = nil, false
	}
	return o
}

func (e *evaluator) compute(v *app.Value, c context, o *outcome) {
	c.depth++
	if c.depth > maxDepth {
		e.report(diag.At(v.Pos, "expressions refer to each other more than %d levels deep", maxDepth).
			WithHint("let variables refer to values, not to long chains of variables"))
		return
	}
	switch v.Kind {
	case app.List:
		e.list(v, c, o)
	case app.Map:
		e.mapping(v, c, o)
	default:
		o.value, o.ok = e.text(v, c)
		if o.ok {
			o.size = sizeOf(o.value)
		}
	}
}

// cycle reports that v, which is on the stack as key, needs itself. label is how it
// was called this time.
func (e *evaluator) cycle(v *app.Value, key memoKey, label string) {
	names := []string{label}
	from := slices.IndexFunc(e.stack, func(f frame) bool { return f.key == key })
	for _, f := range e.stack[from+1:] {
		if f.label != names[len(names)-1] && f.label != e.stack[from].label {
			names = append(names, f.label)
		}
	}
	names = append(names, label)
	pos := v.Pos
	if len(v.Exprs) > 0 {
		pos = v.Exprs[0]
	}
	e.report(diag.At(pos, "the value needs itself: %s", strings.Join(names, " -> ")).
		WithHint("give one of them a value that does not refer to the others"))
}

func (e *evaluator) list(v *app.Value, c context, o *outcome) {
	o.ok, o.size = true, 1
	items := make([]*app.Value, len(v.Items))
	changed := false
	for i, item := range v.Items {
		got := e.outcome(item, c)
		items[i] = got.value
		changed = changed || got.value != item
		o.ok = o.ok && got.ok
		o.size += got.size
	}
	o.value = v
	if changed && o.ok {
		n := *v
		n.Items = items
		o.value = &n
	}
}

func (e *evaluator) mapping(v *app.Value, c context, o *outcome) {
	o.ok, o.size = true, 1
	entries := make([]app.Entry, len(v.Entries))
	changed := false
	for i, entry := range v.Entries {
		got := e.outcome(entry.Value, c)
		entries[i] = entry
		entries[i].Value = got.value
		changed = changed || got.value != entry.Value
		o.ok = o.ok && got.ok
		o.size += got.size + len(entry.Key)
	}
	o.value = v
	if changed && o.ok {
		n := *v
		n.Entries = entries
		o.value = &n
	}
}

// sizeOf measures what one placeholder brought in. Values are trees that were
// measured on their way here, so this ends soon.
func sizeOf(v *app.Value) int {
	if v == nil {
		return 1
	}
	size := 1
	if v.Kind != app.List && v.Kind != app.Map {
		size += len(v.Str())
	}
	for _, item := range v.Items {
		if size += sizeOf(item); size > maxSize {
			return size
		}
	}
	for _, entry := range v.Entries {
		if size += sizeOf(entry.Value) + len(entry.Key); size > maxSize {
			return size
		}
	}
	return size
}

// text evaluates a String with expressions.
func (e *evaluator) text(v *app.Value, c context) (*app.Value, bool) {
	source := v.Str()
	parts := scan(source)
	if len(parts) == 1 && parts[0].expr != nil {
		got, ok := e.placeholder(parts[0], v, c)
		if !ok || got == nil {
			return literal(v, source), ok
		}
		n := *got
		n.Pos = v.Pos
		if n.Kind == app.Unknown && n.Str() == "" {
			n.Scalar = source
		}
		return &n, true
	}
	var b strings.Builder
	out := &app.Value{Kind: app.String, Pos: v.Pos, Secret: v.Secret}
	ok := true
	offset := 0
	for _, p := range parts {
		switch {
		case p.expr != nil:
			got, good := e.placeholder(p, v, c)
			ok = ok && good
			if good {
				ok = e.join(&b, out, got, p, v) && ok
			}
		case p.err != nil:
			ok = e.unreadable(p, source[offset:], v, c) && ok
			b.WriteString(p.text)
		default:
			b.WriteString(p.text)
		}
		offset += len(p.text)
		if b.Len() > maxSize {
			break // reported by outcome
		}
	}
	out.Scalar = b.String()
	if out.Kind == app.Unknown {
		out.Scalar = source
	}
	return out, ok
}

// literal returns the text as data.
func literal(v *app.Value, text string) *app.Value {
	return &app.Value{Kind: app.String, Pos: v.Pos, Scalar: text, Secret: v.Secret}
}

// join puts the value of a placeholder into a longer text. A nil value means that
// the placeholder stays as written.
func (e *evaluator) join(b *strings.Builder, out, got *app.Value, p part, v *app.Value) bool {
	if got == nil {
		b.WriteString(p.text)
		return true
	}
	out.Secret = out.Secret || got.HasSecret()
	switch got.Kind {
	case app.Unknown:
		out.Kind = app.Unknown
	case app.List, app.Map:
		e.report(diag.At(place(v, p.nth), "%s is %s and cannot be put into a text", p.text, got.Kind).
			WithHint("use it alone as the whole value, or refer to one of its fields"))
		return false
	case app.Null:
		e.warn(place(v, p.nth), "%s is null; nothing is put into the text", p.text)
	}
	b.WriteString(got.Str())
	return true
}

func place(v *app.Value, nth int) diag.Pos {
	if nth < len(v.Exprs) {
		return v.Exprs[nth]
	}
	return v.Pos
}

// placeholder resolves one placeholder. A nil value with ok means that it stays
// as written.
func (e *evaluator) placeholder(p part, v *app.Value, c context) (*app.Value, bool) {
	at := place(v, p.nth)
	if c.mode == Shell && isShellArray(p) {
		return nil, true
	}
	got, err := e.resolve(p.expr, at, c)
	switch {
	case err == nil:
		return got, true
	case errors.Is(err, errReported):
		return nil, false
	case errors.Is(err, errUnknownForm):
		return nil, e.unknownForm(p, at, c)
	}
	return nil, e.unresolved(p.text, at, err)
}
