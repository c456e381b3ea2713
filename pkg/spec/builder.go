package spec

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// builder makes the app.App of a document and collects every problem on its way.
type builder struct {
	app      *app.App
	root     *app.Value
	problems []error
}

func (b *builder) err() error { return errors.Join(b.problems...) }

func (b *builder) report(p *diag.Problem) { b.problems = append(b.problems, p) }

func (b *builder) warn(pos diag.Pos, format string, args ...any) {
	b.app.Warnings = append(b.app.Warnings, pos.String()+": "+fmt.Sprintf(format, args...))
}

// topLevel are the keys with a meaning; others may stand there and be referred to.
func topLevel() []string {
	return []string{"edition", "name", "access", "vars", "services", "resources", "actions", "flow", "template", "extend", "extends", "env", "provider", "validation", "state"}
}

func (b *builder) build() {
	if !b.edition() {
		return
	}
	if p := templateText(b.root); p != nil {
		b.report(p)
		return
	}
	b.head()
	b.services()
	b.app.Actions = b.actions(b.root.Get("actions"), true)
	if b.app.Edition == app.Edition3 && len(b.problems) == 0 {
		b.flow()
	}
}

// edition settles which edition the file is; everything else depends on it.
func (b *builder) edition() bool {
	v := b.root.Get("edition")
	if v.IsNull() {
		if p := templateText(b.root); p != nil {
			b.report(p)
			return false
		}
		b.report(diag.At(b.root.Pos, "the file has no edition").WithHint("%s", b.editionHint()))
		return false
	}
	switch text := v.Str(); text {
	case "1.0.0", "2.0.0":
		b.app.Edition = app.Edition1
	case "3.0.0":
		b.app.Edition = app.Edition3
	default:
		b.report(diag.At(v.Pos, "edition %q is not supported", text).WithHint("use 1.0.0 (services) or 3.0.0 (resources)"))
		return false
	}
	return true
}

func (b *builder) editionHint() string {
	switch {
	case b.root.Get("resources") != nil:
		return "add edition: 3.0.0 as its first line"
	case b.root.Get("services") != nil:
		return "add edition: 1.0.0 as its first line"
	}
	return "this does not look like an application file: one has edition, name and services; check -t"
}

// head reads the scalars at the top.
func (b *builder) head() {
	if v := b.root.Get("name"); v.IsNull() || v.Str() == "" {
		b.app.Name = filepath.Base(b.app.Dir)
		b.warn(b.root.Pos, "the application has no name: its folder's is used; add name: %s below edition", b.app.Name)
	} else {
		b.app.Name = v.Str()
	}
	if v := b.root.Get("access"); !v.IsNull() {
		if v.Kind == app.List || v.Kind == app.Map {
			b.report(diag.At(v.Pos, "access is %s", v.Kind).WithHint("write the alias of a credential, for example access: default"))
		}
		b.app.Access = v.Str()
	}
	if v := b.root.Get("vars"); !v.IsNull() && v.Kind != app.Map && len(v.Exprs) == 0 {
		b.report(diag.At(v.Pos, "vars is %s, not a mapping", v.Kind).WithHint("write vars: and below it, indented, name: value"))
	}
	if v := b.root.Get("env"); v != nil && b.app.Edition == app.Edition3 {
		b.warn(v.Pos, "env: environments (env.yaml) are not supported; the file is used without them")
	}
	known := topLevel()
	for _, e := range b.root.Entries {
		if slices.Contains(known, e.Key) || b.servicesKey(e.Key) {
			continue
		}
		if near := diag.Suggest(e.Key, known); near != "" && b.root.Get(near) == nil {
			b.warn(e.KeyPos, "the key %s has no meaning; did you mean %s?", e.Key, near)
		}
	}
}

// servicesKey reports whether key is a misspelling of services or resources, which
// services deals with.
func (b *builder) servicesKey(key string) bool {
	return slices.Contains([]string{"service", "services", "resource", "resources"}, strings.ToLower(key))
}
