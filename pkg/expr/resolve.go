package expr

import (
	"slices"
	"strconv"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

const keepHint = "or pass --allow-unresolved to keep the text"

// resolve returns the value of a placeholder's expression. An error is a
// diag.Problem about it, errReported or errUnknownForm.
func (e *evaluator) resolve(x *expression, at diag.Pos, c context) (*app.Value, error) {
	switch x.kind {
	case kindCall:
		return e.call(x, at, c)
	case kindRef:
		return e.path(x.path, at, c)
	case kindBare:
		return &app.Value{Kind: app.String, Scalar: x.text, Pos: at}, nil
	}
	if e.scope.Edition != app.Edition3 {
		return nil, errUnknownForm // ${'text'} has a meaning in 3.0.0 only
	}
	return &app.Value{Kind: app.String, Scalar: x.text, Pos: at}, nil
}

// path resolves a.b.c.
func (e *evaluator) path(path []string, at diag.Pos, c context) (*app.Value, error) {
	root, rest := path[0], path[1:]
	switch root {
	case "env":
		if len(rest) > 0 {
			return e.env(strings.Join(rest, "."), at, nil)
		}
	case "this":
		if len(rest) == 0 {
			break
		}
		if c.view == nil {
			return nil, diag.Errorf("${%s} is used outside of a service", joinPath(path)).
				WithHint("`this` is the service that the text belongs to; name the service instead")
		}
		return e.view(c.view, "this", rest, c)
	case "services", "resources", "components":
		if len(rest) > 1 {
			return e.service(root+"."+rest[0], rest[0], rest[1:], c)
		}
	}
	if root != "vars" && e.isService(root) && len(rest) > 0 {
		return e.service(root, root, rest, c)
	}
	if e.scope.Root.Get(root) == nil {
		return nil, e.unknownRoot(path)
	}
	// ${name} alone could be the shell's in 1.0.0 and in hooks.
	if len(rest) == 0 && (c.mode == Shell || e.scope.Edition != app.Edition3 && root != "vars") {
		return nil, errUnknownForm
	}
	return e.walk(e.scope.Root, path, "", context{view: c.view, mode: ByEdition, depth: c.depth})
}

func (e *evaluator) isService(name string) bool {
	return e.scope.Service != nil && e.scope.Service(name) != nil
}

// unknownRoot tells a misspelt reference from text that is not ours.
func (e *evaluator) unknownRoot(path []string) error {
	if path[0] == "vars" && len(path) > 1 {
		return diag.Errorf("${%s}: the file has no vars", joinPath(path)).
			WithHint("add vars: with %s, %s", path[1], keepHint)
	}
	if len(path) > 1 && slices.Contains([]string{"props", "output", "info"}, path[1]) {
		return e.noService(path[0], path)
	}
	return errUnknownForm
}

func (e *evaluator) noService(name string, path []string) error {
	hint := "the file has no services"
	if len(e.scope.ServiceNames) > 0 {
		hint = diag.DidYouMean(name, e.scope.ServiceNames)
	}
	return diag.Errorf("${%s}: there is no service %s", joinPath(path), name).WithHint("%s", hint)
}

func (e *evaluator) service(label, name string, rest []string, c context) (*app.Value, error) {
	if !e.isService(name) {
		return nil, e.noService(name, append(strings.Split(label, "."), rest...))
	}
	return e.view(e.scope.Service(name), label, rest, c)
}

var viewFields = [...]string{"name", "access", "component", "props", "output", "info", "vars", "actions"}

// view resolves a field of a service. label is how the author called it.
func (e *evaluator) view(view *View, label string, path []string, c context) (*app.Value, error) {
	field, rest := path[0], path[1:]
	inner := context{view: view, mode: ByEdition, depth: c.depth}
	tree := func(v *app.Value) (*app.Value, error) {
		return e.walk(&app.Value{Kind: app.Map, Entries: []app.Entry{{Key: field, Value: orNull(v)}}}, path, label+".", inner)
	}
	later := func(v *app.Value) (*app.Value, error) {
		if v == nil {
			return &app.Value{Kind: app.Unknown, Scalar: "${" + label + "." + joinPath(path) + "}"}, nil
		}
		return tree(v)
	}
	switch field {
	case "name":
		if len(rest) == 0 {
			return app.Text(view.Name), nil
		}
	case "access":
		return tree(view.Access)
	case "component":
		return tree(view.Component)
	case "props":
		return tree(view.Props)
	case "vars":
		return tree(view.Vars)
	case "actions":
		return tree(view.Actions)
	case "output":
		return later(view.Output)
	case "info":
		return later(view.Info)
	}
	return nil, diag.Errorf("${%s.%s}: a service has no %s", label, joinPath(path), joinPath(path)).
		WithHint("%s", diag.DidYouMean(field, viewFields[:]))
}

func orNull(v *app.Value) *app.Value {
	if v == nil {
		return &app.Value{Kind: app.Null}
	}
	return v
}

// walk goes down path from v, evaluating what stands in the way, and evaluates
// what it finds. prefix is how the author named v, for messages.
func (e *evaluator) walk(v *app.Value, path []string, prefix string, c context) (*app.Value, error) {
	for i, key := range path {
		if len(v.Exprs) > 0 {
			c.label = prefix + joinPath(path[:i])
			got, ok := e.value(v, c)
			if !ok {
				return nil, errReported
			}
			v = got
		}
		if v.Kind == app.Unknown {
			return v, nil
		}
		next, known := child(v, key)
		if next == nil {
			return nil, notFound(prefix, path, i, v, known)
		}
		v = next
	}
	c.label = prefix + joinPath(path)
	got, ok := e.value(v, c)
	if !ok {
		return nil, errReported
	}
	return got, nil
}

// child returns the entry of a map or the item of a list, and the keys there are.
func child(v *app.Value, key string) (*app.Value, []string) {
	switch v.Kind {
	case app.Map:
		return v.Get(key), v.Keys()
	case app.List:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(v.Items) {
			return v.Items[i], nil
		}
	}
	return nil, nil
}

func notFound(prefix string, path []string, i int, v *app.Value, known []string) *diag.Problem {
	where := prefix + joinPath(path[:i])
	where = strings.TrimSuffix(where, ".")
	if where == "" {
		where = "the file"
	}
	p := diag.Errorf("${%s%s}: %s has no %s", prefix, joinPath(path), where, path[i])
	switch {
	case v.Kind == app.List:
		p.Hint = where + " is a list with " + strconv.Itoa(len(v.Items)) + " entries; the first one is [0]"
	case v.Kind != app.Map:
		p.Hint = where + " is " + v.Kind.String() + ", " + keepHint
	case len(known) == 0 || v.HasSecret(): // the keys of a secret are not shown
		p.Hint = "add " + path[i] + " to " + where + ", " + keepHint
	default:
		p.Hint = diag.DidYouMean(path[i], known)
	}
	return p
}

// joinPath writes a path the way an author would.
func joinPath(path []string) string {
	var b strings.Builder
	for i, key := range path {
		switch {
		case strings.ContainsAny(key, ".[]' "):
			b.WriteString("['" + key + "']")
			continue
		case i > 0:
			b.WriteByte('.')
		}
		b.WriteString(key)
	}
	return b.String()
}
