package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

// prune finds what was deployed by this application and is no longer in its file. It is
// told, and with --prune it is deleted: what nobody recorded is never touched.
func (e *Engine) prune(ctx context.Context, req Request) error {
	if e.rollsBack(req) {
		return nil
	}
	wanted := slices.ContainsFunc(e.selected(), func(s *session) bool { return s.args.Bool(flagPrune) })
	if e.outer != nil || !e.seesAll(req) {
		if wanted {
			return diag.Errorf("--%s needs a look at the whole file, and this command looks at a part of it", flagPrune).
				WithHint("deploy the whole application with --%s", flagPrune)
		}
		return nil
	}
	known := map[foundKey]bool{}
	for _, s := range append(slices.Clone(e.order), e.neighbours...) {
		for _, r := range s.resources() {
			known[s.key(r.ID)] = true
		}
	}
	done := map[*ledger]bool{}
	for _, s := range e.selected() {
		l := e.ledger(s)
		if l == nil || l.book() == nil || done[l] {
			continue
		}
		done[l] = true
		if err := e.pruneOne(ctx, s, l, known, wanted); err != nil {
			return err
		}
		if len(s.swept) == 0 {
			continue
		}
		if err := e.read(ctx, []*session{s}); err != nil {
			return err
		}
		if err := e.compare(s, req); err != nil {
			return err
		}
	}
	return nil
}

// pruneOne finds what the record of one holder has too much, and sets it to be deleted
// when that is wanted.
func (e *Engine) pruneOne(ctx context.Context, s *session, l *ledger, known map[foundKey]bool, wanted bool) error {
	var here []resource.ID
	for key := range known {
		if key.account == l.at.Account && key.region == l.at.Region {
			here = append(here, key.id)
		}
	}
	s.dropped = nil
	for _, id := range l.book().Named() {
		switch en, _ := l.book().Entry(id); {
		case known[s.key(id)]:
		case en.Config == "" && !wanted:
			here = append(here, id) // it was begun: nobody knows whether it is there
		default:
			s.dropped = append(s.dropped, id)
		}
	}
	if wanted {
		ids, err := e.unnamed(ctx, s, l)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !known[s.key(id)] && !slices.Contains(s.dropped, id) {
				s.dropped = append(s.dropped, id)
			}
		}
	}
	s.forgotten = l.book().Others(append(here, s.dropped...))
	if wanted && s.forgotten > 0 {
		e.warnOnce(Warning{Pos: s.svc.Pos, Text: fmt.Sprintf("%d recorded resources cannot be deleted: only hashes of their names are recorded, and nothing in %s has such a name", s.forgotten, l.at.ID)})
	}
	if wanted {
		s.swept, s.dropped = pruned(s.dropped, s.desired.Resources), nil
	}
	return nil
}

// pruneStill keeps what was found to be deleted, but for what s declares now that its
// hooks have run.
func (e *Engine) pruneStill(s *session, swept []*resource.Resource) {
	e.declared.Lock()
	defer e.declared.Unlock()
	s.swept = slices.DeleteFunc(swept, func(r *resource.Resource) bool {
		return slices.ContainsFunc(s.desired.Resources, func(d *resource.Resource) bool { return d.ID == r.ID })
	})
}

// unnamed returns what lives in the holder and is recorded, perhaps under a name that
// the record does not tell.
func (e *Engine) unnamed(ctx context.Context, s *session, l *ledger) ([]resource.ID, error) {
	finder, ok := s.comp.(component.Finder)
	if !ok || !l.there() {
		return nil, nil
	}
	ids, err := finder.Candidates(ctx, s.call)
	return slices.DeleteFunc(ids, func(id resource.ID) bool { return !l.book().Has(id) }), err
}

// pruned makes deletions of ids: first what has the longest names, as it lives in the
// others, and before all that is kept.
func pruned(ids []resource.ID, kept []*resource.Resource) []*resource.Resource {
	var behind []resource.ID
	for _, r := range kept {
		behind = append(behind, r.ID)
	}
	slices.SortFunc(ids, func(a, b resource.ID) int {
		return cmp.Or(cmp.Compare(strings.Count(a.Name, "/"), strings.Count(b.Name, "/")), cmp.Compare(a.String(), b.String()))
	})
	var list []*resource.Resource
	for _, id := range ids {
		list = append(list, &resource.Resource{ID: id, Absent: true, Deps: slices.Clone(behind)})
		behind = append(behind, id)
	}
	return list
}

// seesAll reports whether the run is a deploy, or the plan of one, that looks at all
// that the file declares.
func (e *Engine) seesAll(req Request) bool {
	looked := func(s *session) bool {
		command, args := s.command(req)
		if command != "deploy" || args.Sub != "" && args.Sub != "all" {
			return false
		}
		for name := range args.Flags {
			if slices.Contains([]string{"type", "service-name", "function-name", "trigger-name", "domain-name", "region"}, name) {
				return false
			}
		}
		return true
	}
	for _, svc := range e.App.Services {
		s := e.sessions[svc.Name]
		seen := slices.Contains(e.order, s) || slices.Contains(e.neighbours, s)
		provided := s.cmd == nil || s.cmd.Run == nil // else it has no resources of ours
		if provided && (!seen || s.selected && s.cmd != nil && !looked(s)) {
			return false
		}
	}
	return req.Command == "deploy" || req.Command == "plan"
}

// tellDropped adds to p what is recorded and no longer in the file.
func (e *Engine) tellDropped(p *plan.Plan) {
	for _, s := range e.selected() {
		for _, id := range s.dropped {
			p.Dropped = append(p.Dropped, plan.Dropped{Service: s.name(), ID: id})
		}
		p.Forgotten += s.forgotten
	}
}
