package expr

import (
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// RefKind says what a reference reads.
type RefKind string

// The kinds of a reference. Root is a path from the top of the document, such as
// vars.x.
const (
	RefRoot   RefKind = "root"
	RefProps  RefKind = "props"
	RefOutput RefKind = "output"
	RefInfo   RefKind = "info"
	RefVars   RefKind = "vars"
	RefOther  RefKind = "other" // a service's name, access, component or actions
)

// Ref is one reference of an expression.
type Ref struct {
	Service string   // "this" for the service itself, "" for RefRoot; may name no service
	Path    []string // below the kind; the whole path for RefRoot
	Kind    RefKind
	Pos     diag.Pos
}

// References lists what the expressions in v read, in the order of the text. It
// evaluates nothing and does not follow what it finds.
func References(v *app.Value, edition app.Edition) []Ref {
	var refs []Ref
	var walk func(v *app.Value)
	walk = func(v *app.Value) {
		if v == nil {
			return
		}
		if len(v.Exprs) > 0 {
			for _, p := range scan(v.Str()) {
				if p.expr != nil {
					refs = p.expr.references(refs, place(v, p.nth), edition)
				}
			}
		}
		for _, item := range v.Items {
			walk(item)
		}
		for _, entry := range v.Entries {
			walk(entry.Value)
		}
	}
	walk(v)
	return refs
}

func (x *expression) references(refs []Ref, at diag.Pos, edition app.Edition) []Ref {
	for i := range x.args {
		arg, function := &x.args[i], x.name
		if i > 0 {
			function = "" // a default value
		}
		if arg.kind != kindBare || arg.isReference(function, edition) {
			refs = arg.references(refs, at, edition)
		}
	}
	if len(x.path) == 0 || x.path[0] == "env" {
		return refs
	}
	return append(refs, reference(x.path, at))
}

func reference(path []string, at diag.Pos) Ref {
	root := Ref{Kind: RefRoot, Path: path, Pos: at}
	if path[0] == "vars" {
		return root
	}
	service, rest := path[0], path[1:]
	if slices.Contains([]string{"services", "resources", "components"}, service) && len(rest) > 0 {
		service, rest = rest[0], rest[1:]
		root = Ref{Kind: RefOther, Service: service, Path: rest, Pos: at}
	}
	if len(rest) == 0 {
		return root
	}
	switch kind := RefKind(rest[0]); kind {
	case RefProps, RefOutput, RefInfo, RefVars:
		return Ref{Service: service, Kind: kind, Path: rest[1:], Pos: at}
	}
	if service == "this" {
		return Ref{Service: service, Kind: RefOther, Path: rest, Pos: at}
	}
	return root
}

// Lookup goes down path from v through what is written there, without evaluating.
// It stops at a text with expressions, which is what stands for the rest of the
// path; nil when there is nothing.
func Lookup(v *app.Value, path []string) *app.Value {
	for _, key := range path {
		if v == nil || len(v.Exprs) > 0 {
			return v
		}
		v, _ = child(v, key)
	}
	return v
}

// Alias returns the path of a text that is nothing but one reference to a path from
// the top of the document, such as ${vars.base}.
func Alias(v *app.Value) ([]string, bool) {
	if v == nil || len(v.Exprs) != 1 || !strings.HasPrefix(v.Str(), "${") {
		return nil, false
	}
	parts := scan(v.Str())
	if len(parts) != 1 || parts[0].expr == nil || parts[0].expr.kind != kindRef {
		return nil, false
	}
	ref := reference(parts[0].expr.path, v.Pos)
	return ref.Path, ref.Kind == RefRoot
}
