package state

import (
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/resource"
)

// Recorded returns what the record says of a resource beside what is online, which is
// nil when it is absent.
func (b *Book) Recorded(s resource.Schema, id resource.ID, found *resource.Found) Recorded {
	e, ok := b.Entry(id)
	if !ok || found == nil && !e.recorded() {
		return Recorded{}
	}
	r := Recorded{Known: true, Config: true, Code: true, Attrs: e.Attrs, Files: e.Files}
	if e.Attrs != nil {
		r.Seal = func(a resource.Attributes) resource.Attributes {
			if a == nil {
				return nil
			}
			return b.Key.sealAs(s, a, e.Attrs)
		}
	}
	if found == nil {
		return r
	}
	p := b.Key.Prints(s, found.Attrs)
	r.Config, r.Code = !samePrint(p.Config, e.Config), !samePrint(p.Code, e.Code)
	if e.Pending == nil {
		return r
	}
	r.Pending = true
	if r.Moved() {
		config, code := b.Key.foreign(s, e, found.Attrs)
		r.Config, r.Code = r.Config && config, r.Code && code
	}
	if r.Moved() && !e.recorded() {
		return Recorded{} // what is online is not what was begun
	}
	return r
}

// foreign reports whether what is online holds values that are neither those of an
// entry nor those of the change that is pending. (The cloud may have made part of it.)
func (k Key) foreign(s resource.Schema, e Entry, found resource.Attributes) (config, code bool) {
	if found == nil {
		found = resource.Attributes{}
	}
	f := k.sealAs(s, found, e.Pending)
	ofPending := s.Compare(f, e.Pending, nil)
	var ofEntry []resource.Difference
	whole := e.Attrs == nil && e.recorded() // the values of the entry are not known
	if !whole {
		f := k.sealAs(s, found, e.Attrs)
		before := e.Attrs
		if before == nil {
			before = resource.Attributes{}
		}
		// Both ways, as values that the file leaves alone count here.
		ofEntry = append(s.Compare(f, before, nil), s.Compare(before, f, nil)...)
	}
	for _, d := range ofPending {
		if whole || slices.ContainsFunc(ofEntry, func(o resource.Difference) bool { return overlap(d.Path, o.Path) }) {
			config, code = config || d.Field != codeField, code || d.Field == codeField
		}
	}
	return config, code
}

// overlap reports whether one path is the other or above it.
func overlap(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(b, a+".")
}
