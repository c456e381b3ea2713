package spec

import (
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/graph"
)

// flow reads `flow:` of edition 3.0.0: for a command, groups of resources in order.
// A resource that no group lists does not run for that command.
func (b *builder) flow() {
	v := b.root.Get("flow")
	if v.IsNull() {
		return
	}
	if v.Kind != app.Map {
		b.report(diag.At(v.Pos, "flow is %s, not a mapping", v.Kind).WithHint("write flow: and below it, indented, deploy: [[a], [b, c]]"))
		return
	}
	nodes := graph.Nodes(b.app)
	for _, e := range v.Entries {
		f := app.Flow{Command: e.Key, Pos: e.KeyPos}
		pattern, isPattern, ok := b.pattern(e.Key, e.KeyPos)
		if isPattern {
			f.Command, f.Pattern = "", pattern
		}
		if ok && b.groups(&f, e) && b.inOrder(&f, e, nodes) {
			b.app.Flow = append(b.app.Flow, f)
		}
	}
}

// groups reads the lists of one command; a name alone is a group of one.
func (b *builder) groups(f *app.Flow, e app.Entry) bool {
	if e.Value.Kind != app.List || len(e.Value.Items) == 0 {
		b.report(diag.At(placeOf(e), "flow is invalid: %s is %s, not a list of groups", e.Key, emptyOr(e.Value)).
			WithHint("write %s: [[a], [b, c]]: the groups run in order, the members of a group side by side", e.Key))
		return false
	}
	var seen []string
	for _, item := range e.Value.Items {
		names, ok := texts(item)
		if !ok || len(names) == 0 {
			b.report(diag.At(item.Pos, "flow is invalid: a group of %s is not a list of resource names", e.Key).WithHint("write %s: [[a], [b, c]]", e.Key))
			return false
		}
		for _, name := range names {
			if b.app.Service(name) == nil {
				b.report(diag.At(namePos(item, name), "flow is invalid: there is no resource %s", name).WithHint("%s", diag.DidYouMean(name, b.app.ServiceNames())))
				return false
			}
			if slices.Contains(seen, name) {
				b.report(diag.At(namePos(item, name), "flow is invalid: %s is listed twice for %s", name, e.Key).WithHint("list it once"))
				return false
			}
			seen = append(seen, name)
		}
		f.Groups = append(f.Groups, names)
	}
	return true
}

func namePos(group *app.Value, name string) diag.Pos {
	for _, item := range group.Items {
		if item.Str() == name {
			return item.Pos
		}
	}
	return group.Pos
}

// inOrder checks that a resource whose output is used runs in an earlier group than
// the one that uses it.
func (b *builder) inOrder(f *app.Flow, e app.Entry, nodes []graph.Node) bool {
	group := map[string]int{}
	for i, names := range f.Groups {
		for _, name := range names {
			group[name] = i
		}
	}
	for _, n := range nodes {
		at, listed := group[n.Name]
		if !listed {
			continue
		}
		for _, d := range n.Deps {
			if first, ok := group[d.Name]; ok && !d.Soft && first >= at {
				b.report(diag.At(namePos(e.Value.Items[at], n.Name), "flow is invalid: %s uses the output of %s, which does not run before it", n.Name, d.Name).
					WithDetail("the reference: "+d.Pos.String()).
					WithHint("put %s into a group before [%s]", d.Name, strings.Join(f.Groups[at], ", ")))
				return false
			}
		}
	}
	return true
}
