package resource

import (
	"maps"
	"slices"
)

// Unite makes one resource of two that have the same ID, for example one service
// that two entries of the file share. An attribute that only one of them sets is
// taken from it; where both set one, and differently, b wins and the attribute is
// named in conflicts, sorted.
func Unite(s Schema, a, b *Resource) (united *Resource, conflicts []string) {
	switch {
	case a.Absent:
		return b, nil
	case b.Absent:
		return a, nil
	}
	u := *b
	u.Attrs, u.Field = maps.Clone(b.Attrs), maps.Clone(b.Field)
	u.Deps = append(slices.Clone(a.Deps), b.Deps...)
	if a.Managed == nil {
		u.Managed = nil
	}
	for _, key := range s.differing(a.Attrs, b.Attrs) {
		_, inA := a.Field[key]
		_, inB := b.Field[key]
		switch {
		case inA && inB:
			conflicts = append(conflicts, key)
		case inA || !inB && isUnset(b.Attrs[key]):
			u.Attrs[key] = a.Attrs[key]
			if key == "code" {
				u.Code = a.Code
			}
		}
	}
	for key, pos := range a.Field {
		if _, ok := u.Field[key]; !ok {
			u.Field[key] = pos
		}
	}
	return &u, conflicts
}

// differing returns the top-level attributes in which two wanted states differ.
func (s Schema) differing(a, b Attributes) []string {
	var keys []string
	for _, d := range append(s.Compare(a, b, nil), s.Compare(b, a, nil)...) {
		keys = append(keys, d.Field)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
