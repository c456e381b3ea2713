package props

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// decoder turns values of the file into values of the API and collects all that
// is wrong on the way.
type decoder struct {
	problems []error
	warnings []*diag.Problem
}

func (d *decoder) fail(pos diag.Pos, hint, format string, args ...any) {
	p := diag.At(pos, format, args...)
	p.Hint = hint
	d.problems = append(d.problems, p)
}

func (d *decoder) warn(pos diag.Pos, format string, args ...any) {
	d.warnings = append(d.warnings, diag.At(pos, format, args...))
}

// err joins the problems in the order of the file.
func (d *decoder) err() error {
	slices.SortStableFunc(d.problems, func(a, b error) int {
		p, q := placeOf(a), placeOf(b)
		return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
	})
	return errors.Join(d.problems...)
}

func placeOf(err error) diag.Pos {
	if p, ok := errors.AsType[*diag.Problem](err); ok {
		return p.Pos
	}
	return diag.Pos{}
}

// decode returns v in the form of the API: nil when it is absent, and also when
// it is wrong, which is then among the problems.
func (d *decoder) decode(v *app.Value, s shape, path string) any {
	if v.IsNull() {
		return nil
	}
	if v.Kind == app.Unknown {
		if s.known {
			d.failUnknown(v, path)
			return nil
		}
		return app.UnknownValue{Expr: v.Str()}
	}
	got, ok := d.decodeKind(v, s, path)
	if !ok {
		return nil
	}
	for _, c := range s.checks {
		if wrong, hint := c(got); wrong != "" {
			d.fail(v.Pos, hint, "%s%s %s", path, shown(v), wrong)
			return nil
		}
	}
	return got
}

// failUnknown refuses a value that comes out of another deploy in a place that
// must be known to say what is deployed at all.
func (d *decoder) failUnknown(v *app.Value, path string) {
	d.fail(v.Pos, "write it down, or deploy the service that it comes from first",
		"%s must be known before the deploy, but ${%s} is known only after it", path, strings.Trim(v.Str(), "${} "))
}

// shown returns a scalar for a message, never a secret.
func shown(v *app.Value) string {
	switch {
	case v.Kind == app.List || v.Kind == app.Map:
		return ""
	case v.Secret:
		return " (" + secret.Mask + ")"
	case v.Kind == app.String:
		return " " + strconv.Quote(v.Str())
	}
	return " " + v.Str()
}

func (d *decoder) decodeKind(v *app.Value, s shape, path string) (any, bool) {
	switch s.kind {
	case anyKind:
		return v.Plain(), true
	case listKind:
		return d.list(v, s, path)
	case objectKind:
		return d.object(v, s.fields, path)
	case textsKind:
		return d.texts(v, s, path)
	case integerKind, numberKind:
		return d.number(v, s.kind, path)
	case booleanKind:
		return d.boolean(v, path)
	}
	return d.text(v, s, path)
}

func (d *decoder) wrongKind(v *app.Value, path, want string) {
	hint := ""
	if v.Kind == app.Map && len(v.Entries) == 1 && v.Entries[0].Value.IsNull() {
		hint = "{" + v.Entries[0].Key + "} is a mapping in YAML: write ${env(" + v.Entries[0].Key + ")} for the environment variable"
	}
	d.fail(v.Pos, hint, "%s must be %s, not %s", path, want, v.Kind)
}

func (d *decoder) text(v *app.Value, s shape, path string) (any, bool) {
	if v.Kind == app.Float {
		d.fail(v.Pos, "write it in quotes", "%s must be a text, not a number with a point", path)
		return nil, false
	}
	if v.Kind != app.String && v.Kind != app.Int {
		d.wrongKind(v, path, "a text")
		return nil, false
	}
	got := v.Str()
	if s.choices != nil {
		return d.choose(v, got, s, path)
	}
	if s.secret || v.Secret && !s.known {
		return secret.New(got), true
	}
	return got, true
}

func (d *decoder) choose(v *app.Value, got string, s shape, path string) (any, bool) {
	for _, c := range s.choices {
		if c == got || s.fold && strings.EqualFold(c, got) {
			return c, true
		}
	}
	hint := "use one of: " + strings.Join(s.choices, ", ")
	if !v.Secret {
		hint = diag.DidYouMean(got, s.choices)
	}
	d.fail(v.Pos, hint, "%s%s is not known", path, shown(v))
	return nil, false
}

func (d *decoder) number(v *app.Value, k kind, path string) (any, bool) {
	want := "a number"
	if k == integerKind {
		want = "a whole number"
	}
	var f float64
	switch x := v.Scalar.(type) {
	case int64:
		f = float64(x)
	case float64:
		f = x
	case string:
		parsed, err := strconv.ParseFloat(strings.TrimSpace(x), 64)
		if err != nil {
			d.fail(v.Pos, "", "%s must be %s, not the text%s", path, want, shown(v))
			return nil, false
		}
		f = parsed
	default:
		d.wrongKind(v, path, want)
		return nil, false
	}
	if math.IsNaN(f) || math.Abs(f) > 1<<53 {
		d.fail(v.Pos, "", "%s%s is out of range", path, shown(v))
		return nil, false
	}
	if k == numberKind {
		return f, true
	}
	if f != math.Trunc(f) {
		d.fail(v.Pos, "", "%s must be a whole number, not%s", path, shown(v))
		return nil, false
	}
	return int64(f), true
}

func (d *decoder) boolean(v *app.Value, path string) (any, bool) {
	switch x := v.Scalar.(type) {
	case bool:
		return x, true
	case string:
		switch strings.ToLower(strings.TrimSpace(x)) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	d.fail(v.Pos, "", "%s must be true or false, not %s%s", path, v.Kind, shown(v))
	return nil, false
}

func (d *decoder) list(v *app.Value, s shape, path string) (any, bool) {
	if v.Kind != app.List {
		d.wrongKind(v, path, "a list")
		return nil, false
	}
	out := make([]any, 0, len(v.Items))
	before := len(d.problems)
	for i, item := range v.Items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.IsNull() {
			d.fail(posOr(item, v), "", "%s is empty", at)
			continue
		}
		if got := d.decode(item, *s.item, at); got != nil {
			out = append(out, got)
		}
	}
	return out, len(d.problems) == before
}

// posOr is the place of v, or of what it is in.
func posOr(v, parent *app.Value) diag.Pos {
	if v == nil || v.Pos.IsZero() {
		return parent.Pos
	}
	return v.Pos
}

// object decodes the fields of a mapping.
func (d *decoder) object(v *app.Value, fields []field, path string) (any, bool) {
	if v.Kind != app.Map {
		d.wrongKind(v, path, "a mapping")
		return nil, false
	}
	d.refuseUnknownKeys(v, fields, path)
	out := map[string]any{}
	for _, f := range fields {
		value := fieldOf(v, f)
		if isAbsent(value, f.shape) {
			if f.required {
				d.fail(v.Pos, "", "%s is missing", join(path, f.key))
			}
			continue
		}
		got := d.decode(value, f.shape, join(path, f.key))
		if got != nil && f.apiName() != local {
			out[f.apiName()] = got
		}
	}
	return out, true
}

func (d *decoder) refuseUnknownKeys(v *app.Value, fields []field, path string) {
	var known []string
	for _, f := range fields {
		if !f.legacy {
			known = append(known, f.key)
		}
	}
	for _, e := range v.Entries {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.matches(e.Key) }) {
			d.fail(e.KeyPos, diag.DidYouMean(e.Key, known), "unknown key %q in %s", e.Key, pathOr(path))
		}
	}
}

// isAbsent reports whether a field counts as not set: a mapping of fields without
// any is as good as none.
func isAbsent(v *app.Value, s shape) bool {
	return v.IsNull() || s.kind == objectKind && v.Kind == app.Map && len(v.Entries) == 0
}

// pathOr names the top of the props.
func pathOr(path string) string {
	if path == "" {
		return "props"
	}
	return path
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func fieldOf(v *app.Value, f field) *app.Value {
	if got := v.Get(f.key); !got.IsNull() || f.alias == "" {
		return got
	}
	return v.Get(f.alias)
}

// texts decodes a mapping of texts, in the way in which the upstream tool turns
// other scalars into texts; null becomes the empty text.
func (d *decoder) texts(v *app.Value, s shape, path string) (any, bool) {
	if v.Kind != app.Map {
		d.wrongKind(v, path, "a mapping")
		return nil, false
	}
	out := make(map[string]any, len(v.Entries))
	for _, e := range v.Entries {
		at := join(path, e.Key)
		switch {
		case e.Value.IsNull():
			out[e.Key] = ""
		case e.Value.Kind == app.Unknown:
			out[e.Key] = app.UnknownValue{Expr: e.Value.Str()}
			continue
		case e.Value.Kind == app.List || e.Value.Kind == app.Map:
			d.fail(e.Value.Pos, "write it as a text, for example in JSON", "%s must be a text, not %s", at, e.Value.Kind)
			continue
		default:
			out[e.Key] = scalarText(e.Value)
		}
		if s.secret || e.Value != nil && e.Value.Secret {
			out[e.Key] = secret.New(out[e.Key].(string))
		}
	}
	return out, true
}

// scalarText is a scalar as JavaScript writes it, which existing functions were
// deployed with: no exponent below 1e21.
func scalarText(v *app.Value) string {
	if f, ok := v.Scalar.(float64); ok && math.Abs(f) < 1e21 && (math.Abs(f) >= 1e-6 || f == 0) {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return v.Str()
}
