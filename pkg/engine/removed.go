package engine

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/resource"
)

// forgets takes a resource that is gone out of the record. What a deploy deleted, a
// rollback of it can bring back.
func (e *Engine) forgets(l *ledger, s *session, id resource.ID) {
	if s.call.Command == "remove" {
		l.book().Delete(id)
		return
	}
	l.book().Remove(id, e.deployed())
}

// addUndeclared adds to what the session wants what the deploy made or deleted that is
// rolled back, and what the file does not name.
func (w *rewinder) addUndeclared(ctx context.Context) error {
	l := w.ledger(w.s)
	if l == nil || w.versions || !w.s.selected {
		return nil
	}
	removed := l.book().Removed()
	ids := slices.DeleteFunc(w.undeclared(w.s, l), func(id resource.ID) bool {
		en, ok := l.book().Entry(id)
		if !ok || en.Config == "" {
			en = removed[id]
		}
		return !w.undoes(en)
	})
	if len(ids) == 0 {
		return nil
	}
	slices.SortFunc(ids, w.inOrder)
	w.declared.Lock()
	resources := slices.Clone(w.s.desired.Resources)
	var before []resource.ID
	for _, r := range resources {
		before = append(before, r.ID)
	}
	for _, id := range ids {
		resources = append(resources, &resource.Resource{ID: id, Pos: w.s.svc.Pos, Deps: slices.Clone(before)})
		before = append(before, id)
	}
	w.s.desired.Resources = resources
	w.declared.Unlock()
	return w.read(ctx, []*session{w.s})
}

// undeclared returns what is recorded, or was until the last deploy, and is declared by
// no service, as far as it is for s to deal with: what lives in a resource of s, and for
// the first service with that record, when all take part, what lives in none.
func (e *Engine) undeclared(s *session, l *ledger) []resource.ID {
	ids := l.book().Named()
	for id := range l.book().Removed() {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	e.declared.Lock()
	defer e.declared.Unlock()
	var first, all = (*session)(nil), true
	declared := map[resource.ID]*session{}
	for _, svc := range e.App.Services {
		other := e.sessions[svc.Name]
		if !other.selected || other.cmd == nil {
			all = false
			continue
		}
		if e.ledger(other) != l {
			continue
		}
		if first == nil {
			first = other
		}
		for _, r := range other.desired.Resources {
			if declared[r.ID] == nil {
				declared[r.ID] = other
			}
		}
	}
	return slices.DeleteFunc(ids, func(id resource.ID) bool {
		if _, known := s.types[id.Kind]; !known || declared[id] != nil {
			return true
		}
		for r, home := range declared {
			if strings.Contains(r.Name, "/") && strings.HasPrefix(id.Name, r.Name+"/") {
				return home != s
			}
		}
		return !all || first != s
	})
}

// inOrder compares in which order resources are made: kinds as in the file, then what
// has shorter names first, as others live in it.
func (w *rewinder) inOrder(a, b resource.ID) int {
	rank := func(id resource.ID) int {
		i := slices.IndexFunc(w.s.desired.Resources, func(r *resource.Resource) bool { return r.Kind == id.Kind })
		if i < 0 {
			return math.MaxInt
		}
		return i
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(strings.Count(a.Name, "/"), strings.Count(b.Name, "/")), cmp.Compare(a.String(), b.String()))
}
