package spec

import (
	"slices"

	"github.com/devs/deploy/pkg/app"
)

// merge lays child over parent: mappings are merged key by key, everything else,
// lists too, is replaced by the child's. Keys stay in the parent's order, new ones
// follow. Every value keeps the place in the file it came from.
func merge(parent, child *app.Value) *app.Value {
	if parent == nil || child != nil && (parent.Kind != app.Map || child.Kind != app.Map) {
		return child
	}
	if child == nil {
		return parent
	}
	out := *child
	out.Entries = slices.Clone(parent.Entries)
	index := make(map[string]int, len(out.Entries))
	for i, e := range out.Entries {
		index[e.Key] = i
	}
	for _, e := range child.Entries {
		if i, ok := index[e.Key]; ok {
			e.Value = merge(out.Entries[i].Value, e.Value)
			out.Entries[i] = e
			continue
		}
		index[e.Key] = len(out.Entries)
		out.Entries = append(out.Entries, e)
	}
	return &out
}

// without returns a mapping without the keys.
func without(v *app.Value, keys ...string) *app.Value {
	if v == nil || v.Kind != app.Map {
		return v
	}
	out := *v
	out.Entries = slices.DeleteFunc(slices.Clone(v.Entries), func(e app.Entry) bool { return slices.Contains(keys, e.Key) })
	return &out
}

// withoutPath returns v without what stands at path.
func withoutPath(v *app.Value, path []string) *app.Value {
	if len(path) == 1 {
		return without(v, path[0])
	}
	inner := v.Get(path[0])
	if inner == nil {
		return v
	}
	out := *v
	out.Entries = slices.Clone(v.Entries)
	for i, e := range out.Entries {
		if e.Key == path[0] {
			out.Entries[i].Value = withoutPath(inner, path[1:])
		}
	}
	return &out
}
