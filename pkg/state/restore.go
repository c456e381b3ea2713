package state

import (
	"maps"
	"slices"
	"time"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// Restore returns sealed, a state of a resource as a record has it, with its secrets in
// the places of their seals. They are taken from the states known, in any of which the
// same value may stand at the same path. missing are the paths of the secrets that none
// of them has, sorted; their seals stay where they are.
func (k Key) Restore(s resource.Schema, sealed resource.Attributes, known ...resource.Attributes) (restored resource.Attributes, missing []string) {
	values := map[string]any{}
	for _, a := range known {
		plain, _ := reveal(map[string]any(a)).(map[string]any)
		k.collect("", map[string]any(s.Canonical(plain)), values)
	}
	lost := map[string]bool{}
	m, _ := unseal("", map[string]any(sealed), values, lost).(map[string]any)
	return m, slices.Sorted(maps.Keys(lost))
}

// collect adds to values each leaf of v by its seal.
func (k Key) collect(path string, v any, values map[string]any) {
	switch x := v.(type) {
	case map[string]any:
		for key, item := range x {
			k.collect(join(path, key), item, values)
		}
	case []any:
		for _, item := range x {
			k.collect(path+"[]", item, values)
		}
	case nil:
	case string:
		values[k.sealed(path, x)] = secret.New(x)
	default: // a number stays one
		values[k.sealed(path, leafText(x))] = x
	}
}

// unseal returns a copy of v with values in the places of their seals.
func unseal(path string, v any, values map[string]any, lost map[string]bool) any {
	switch x := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for key, item := range x {
			out[key] = unseal(join(path, key), item, values, lost)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, item := range x {
			out[i] = unseal(path+"[]", item, values, lost)
		}
		return out
	}
	if !isSealed(v) {
		return v
	}
	text, _ := v.(string)
	value, ok := values[text]
	if !ok {
		lost[path] = true
		return v
	}
	return value
}

// Matches reports whether the configuration and the code of a state are those of the
// prints.
func (k Key) Matches(s resource.Schema, a resource.Attributes, p Prints) (config, code bool) {
	now := k.Prints(s, a)
	return samePrint(now.Config, p.Config), samePrint(now.Code, p.Code)
}

// Agree reports whether two prints, of which one may be the beginning of a print only,
// are those of the same state.
func (p Prints) Agree(q Prints) bool { return p.agree(q) }

// Remove forgets a resource that the deploy which began at that time has deleted, but
// for a rollback of that deploy.
func (b *Book) Remove(id resource.ID, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.entry(id); ok && e.recorded() {
		maps.DeleteFunc(b.gone, func(_ resource.ID, old Entry) bool { return !old.Time.Equal(at) })
		e.Previous, e.Pending, e.Time = nil, nil, at
		b.gone[id] = e
	}
	b.unhash(id)
	delete(b.encoded, id)
	delete(b.entries, id)
}

// Removed returns the resources that the last deploy which deleted any has deleted, as
// they were before.
func (b *Book) Removed() map[resource.ID]Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.gone)
}

// Newest returns the newest time that the Book tells of, zero for none.
func (b *Book) Newest() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	var newest time.Time
	for _, entries := range []map[resource.ID]Entry{b.entries, b.gone} {
		for _, e := range entries {
			if e.Time.After(newest) {
				newest = e.Time
			}
		}
	}
	return newest
}
