package spec

import (
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/expr"
)

// services reads `services` (1.0.0) or `resources` (3.0.0).
func (b *builder) services() {
	key, other, otherEdition := "services", "resources", app.Edition3
	if b.app.Edition == app.Edition3 {
		key, other, otherEdition = "resources", "services", app.Edition1
	}
	v := b.root.Get(key)
	if v == nil {
		b.noServices(key, other, otherEdition)
		return
	}
	if wrong := b.entry(other); wrong != nil {
		b.warn(wrong.KeyPos, "%s has no meaning in edition %s and is not deployed", other, b.app.Edition)
	}
	if v.Kind != app.Map || len(v.Entries) == 0 {
		b.report(diag.At(v.Pos, "%s is %s, not a mapping of names", key, emptyOr(v)).
			WithHint("write below %s: the name of a service, indented, and below it component: and props:", key))
		return
	}
	for _, e := range v.Entries {
		if s := b.service(e); s != nil {
			b.app.Services = append(b.app.Services, s)
		}
	}
}

func emptyOr(v *app.Value) string {
	if v.IsNull() || v.Kind == app.Map && len(v.Entries) == 0 {
		return "empty"
	}
	return v.Kind.String()
}

func (b *builder) entry(key string) *app.Entry {
	for i, e := range b.root.Entries {
		if e.Key == key {
			return &b.root.Entries[i]
		}
	}
	return nil
}

func (b *builder) noServices(key, other string, otherEdition app.Edition) {
	if e := b.entry(other); e != nil {
		b.report(diag.At(e.KeyPos, "edition %s has no %s", b.app.Edition, other).
			WithHint("write edition: %s if the file is of that edition, else rename %s to %s", otherEdition, other, key))
		return
	}
	for _, e := range b.root.Entries {
		if b.servicesKey(e.Key) {
			b.report(diag.At(e.KeyPos, "the key %s has no meaning", e.Key).WithHint("did you mean %s?", key))
			return
		}
	}
	b.report(diag.At(b.root.Pos, "the file has no %s", key).
		WithHint("add %s: with the name of a service, and below it component: and props:", key))
}

func serviceKeys() []string {
	return []string{"component", "access", "props", "actions", "extend", "vars", "allow_failure"}
}

func (b *builder) service(e app.Entry) *app.Service {
	v := e.Value
	if path, ok := expr.Alias(v); ok { // resources: { a: ${vars.base} }
		if target := expr.Lookup(b.root, path); target != nil {
			v = target
		}
	}
	if v.Kind != app.Map {
		b.report(diag.At(placeOf(e), "the service %s is %s, not a mapping", e.Key, emptyOr(v)).
			WithHint("write component: and props: below it, indented"))
		return nil
	}
	s := &app.Service{Name: e.Key, Pos: e.KeyPos, Access: v.Get("access"), Component: v.Get("component")}
	b.component(s, v)
	if !s.Access.IsNull() && s.Access.Kind != app.String && s.Access.Kind != app.Int {
		b.report(diag.At(s.Access.Pos, "access is %s", s.Access.Kind).WithHint("write the alias of a credential, for example access: default"))
	}
	s.Props = b.props(e.Key, v)
	s.Actions = b.actions(v.Get("actions"), false)
	s.AllowFailure = b.allowFailure(v.Get("allow_failure"))
	for _, field := range v.Entries {
		if slices.Contains(serviceKeys(), field.Key) {
			continue
		}
		if near := diag.Suggest(field.Key, serviceKeys()); near != "" {
			b.warn(field.KeyPos, "the key %s of service %s has no meaning; did you mean %s?", field.Key, e.Key, near)
		} else {
			b.warn(field.KeyPos, "the key %s of service %s has no meaning; properties belong below props:", field.Key, e.Key)
		}
	}
	return s
}

// placeOf returns the place of a value, or of its key when it has no text.
func placeOf(e app.Entry) diag.Pos {
	if e.Value.IsNull() {
		return e.KeyPos
	}
	return e.Value.Pos
}

func (b *builder) component(s *app.Service, v *app.Value) {
	c := s.Component
	switch {
	case c == nil:
		p := diag.At(s.Pos, "the service %s has no component", s.Name).WithHint("add component: fc (or fc3) below it")
		if near := diag.Suggest("component", v.Keys()); near != "" {
			p.Hint = "rename " + near + " to component"
		}
		b.report(p)
	case c.IsNull() || c.Kind == app.String && strings.TrimSpace(c.Str()) == "":
		b.report(diag.At(s.Pos, "the component of service %s is empty", s.Name).WithHint("write component: fc (or fc3)"))
	case c.Kind != app.String:
		b.report(diag.At(c.Pos, "the component of service %s is %s, not a name", s.Name, c.Kind).WithHint("write component: fc (or fc3)"))
	}
}

// props returns the properties with the resource's template below them.
func (b *builder) props(service string, v *app.Value) *app.Value {
	props := v.Get("props")
	if props.IsNull() {
		props = nil
	}
	if props != nil && props.Kind != app.Map && len(props.Exprs) == 0 {
		b.report(diag.At(props.Pos, "props of service %s is %s, not a mapping", service, props.Kind).
			WithHint("write props: and below it, indented, name: value"))
		return nil
	}
	extend := v.Get("extend")
	if extend.IsNull() {
		return props
	}
	if b.app.Edition != app.Edition3 {
		b.warn(extend.Pos, "extend of a service has no meaning in edition %s", b.app.Edition)
		return props
	}
	base := b.template(extend)
	if base == nil {
		return props
	}
	if props != nil && props.Kind != app.Map {
		b.report(diag.At(props.Pos, "props of service %s cannot be an expression beside extend", service).
			WithHint("write the properties out, or remove extend"))
		return nil
	}
	return merge(base, props)
}

// template returns the template that `extend: {name, ignore}` asks for.
func (b *builder) template(extend *app.Value) *app.Value {
	name := extend.Get("name")
	if extend.Kind != app.Map || name.IsNull() || name.Str() == "" {
		b.report(diag.At(extend.Pos, "extend of a resource needs the name of a template").
			WithHint("write extend: { name: base }, where template: has base:"))
		return nil
	}
	templates := b.root.Get("template")
	base := templates.Get(name.Str())
	if base == nil {
		hint := "add template: with " + name.Str() + ": at the top of the file"
		if len(templates.Keys()) > 0 {
			hint = diag.DidYouMean(name.Str(), templates.Keys())
		}
		b.report(diag.At(name.Pos, "there is no template %s", name.Str()).WithHint("%s", hint))
		return nil
	}
	if base.Kind != app.Map {
		b.report(diag.At(base.Pos, "the template %s is %s, not a mapping", name.Str(), emptyOr(base)).
			WithHint("write properties below it, indented"))
		return nil
	}
	ignore, ok := texts(extend.Get("ignore"))
	if !ok {
		b.report(diag.At(extend.Get("ignore").Pos, "ignore is not a list of names").WithHint("write ignore: [logConfig, vpcConfig.vpcId]"))
		return nil
	}
	for _, path := range ignore {
		base = withoutPath(base, strings.Split(path, "."))
	}
	return base
}

// texts reads a text or a list of texts; null is none.
func texts(v *app.Value) ([]string, bool) {
	if v.IsNull() {
		return nil, true
	}
	if v.Kind == app.String {
		return []string{v.Str()}, v.Str() != ""
	}
	if v.Kind != app.List {
		return nil, false
	}
	var all []string
	for _, item := range v.Items {
		if item.Kind == app.List || item.Kind == app.Map || item.Str() == "" {
			return nil, false
		}
		all = append(all, item.Str())
	}
	return all, true
}
