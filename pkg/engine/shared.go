package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/plugin"
	"github.com/devs/deploy/pkg/resource"
)

// unite makes one resource of what several services declare under one name, such as
// a service that their functions share: else each would undo what the other did.
// When one service runs alone, what its neighbours in the file declare counts too.
func (e *Engine) unite() {
	e.declared.Lock()
	defer e.declared.Unlock()
	first := map[foundKey]*resource.Resource{}
	e.united = map[foundKey]*resource.Resource{}
	for _, s := range append(slices.Clone(e.neighbours), e.order...) {
		if s.desired == nil {
			continue
		}
		for _, r := range s.desired.Resources {
			key := s.key(r.ID)
			other := first[key]
			if other == nil {
				first[key] = r
				continue
			}
			one, conflicts := resource.Unite(s.types[r.Kind].Schema, other, r)
			for _, field := range conflicts {
				e.warnOnce(Warning{Pos: r.Pos, Text: fmt.Sprintf("%s is declared at %s too, with another %s: the one here counts", r.ID, other.Pos, field)})
			}
			first[key], e.united[key] = one, one
		}
	}
}

// meetNeighbours looks at the services of the file that do not take part, as far as
// that is possible without them: they may share resources with those that do.
func (e *Engine) meetNeighbours(ctx context.Context, req Request) {
	accesses := map[string]bool{}
	for _, s := range e.selected() {
		accesses[s.access] = s.cmd.Run == nil
	}
	for _, svc := range e.App.Services {
		s := e.sessions[svc.Name]
		if slices.Contains(e.order, s) || plugin.IsPath(svc.Component.Str()) {
			continue // a program is not asked unless it takes part
		}
		if e.open(s, req) != nil || s.cmd == nil || s.cmd.Run != nil || !accesses[s.access] {
			continue
		}
		if err := e.want(ctx, s, req); err == nil {
			e.neighbours = append(e.neighbours, s)
		}
	}
}

// sweep finds what lives in the resources of s but is nowhere in the file, when all
// of it shall be removed. It goes first, one after the other, in the order in which
// the component says that it can.
func (e *Engine) sweep(ctx context.Context, s *session, req Request) error {
	sweeper, ok := s.comp.(component.Sweeper)
	command, args := s.command(req)
	if !ok || command != "remove" || !args.Bool(flagAll) {
		return nil
	}
	ids, err := sweeper.Under(ctx, s.call)
	if err != nil {
		return err
	}
	e.declared.Lock()
	defer e.declared.Unlock()
	known := map[foundKey]bool{}
	for _, other := range append(slices.Clone(e.order), e.neighbours...) {
		for _, r := range other.resources() {
			known[other.key(r.ID)] = true
		}
	}
	var behind []resource.ID
	for _, r := range s.desired.Resources {
		behind = append(behind, r.ID)
	}
	for _, id := range slices.Backward(ids) {
		if known[s.key(id)] {
			continue
		}
		s.swept = append(s.swept, &resource.Resource{ID: id, Pos: s.svc.Pos, Deps: slices.Clone(behind)})
		behind = append(behind, id)
	}
	return nil
}
