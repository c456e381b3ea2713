package fc

import (
	"errors"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
)

// namesIn returns the names in a list of the props.
func namesIn(v *app.Value, list, key string) []string {
	var names []string
	if all := v.Get(list); all != nil {
		for _, item := range all.Items {
			if name := item.Get(key); !name.IsNull() {
				names = append(names, name.Str())
			}
		}
	}
	return names
}

// withNamed returns v with those of the names at the end of its list that are not
// in it. auto is the domain below which `domainName: auto` gets its name: it may be
// what a name there means.
func withNamed(v *app.Value, list, key string, names []string, auto string) *app.Value {
	old := v.Get(list)
	if old == nil || old.Kind != app.List {
		return v
	}
	there := namesIn(v, list, key)
	has := func(name string) bool {
		return slices.ContainsFunc(there, func(n string) bool {
			return n == name || key == "domainName" && strings.EqualFold(n, name) ||
				auto != "" && strings.EqualFold(n, "auto") && strings.HasSuffix(strings.ToLower(name), "."+auto)
		})
	}
	longer, out := *old, *v
	longer.Items = slices.Clone(old.Items)
	for _, name := range names {
		if !has(name) {
			longer.Items = append(longer.Items, &app.Value{Kind: app.Map, Entries: []app.Entry{{Key: key, Value: app.Text(name)}}})
		}
	}
	out.Entries = slices.Clone(v.Entries)
	i := slices.IndexFunc(out.Entries, func(e app.Entry) bool { return e.Key == list })
	out.Entries[i].Value = &longer
	return &out
}

// checkNamed refuses names of the command line when the props declare none at all:
// only a removal needs no more than a name.
func checkNamed(call *component.Call) error {
	if namesOnly(call.Command) {
		return nil
	}
	var errs []error
	for _, part := range []struct{ flag, list, what string }{
		{"trigger-name", "triggers", "trigger"},
		{"domain-name", "customDomains", "custom domain"},
	} {
		if names := call.Args.Strings(part.flag); len(names) > 0 && call.Props.Get(part.list).IsNull() {
			errs = append(errs, diag.Errorf("the props have no %s %q", part.what, names[0]).WithCode(diag.ExitComponent).
				WithHint("they have none at all: declare it in props.%s, or leave --%s out", part.list, part.flag))
		}
	}
	return errors.Join(errs...)
}

// lower returns domain names as they are compared.
func lower(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, strings.ToLower(name))
	}
	return out
}
