package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/pkg/state"
)

// rollback is the command that leads back to what was there before the last deploy.
const rollback = "rollback"

// rewind makes of names, which is all that a rollback takes from the file, the states
// that these resources had before the last deploy, as far as the record or a published
// version tells them. All that is needed for the way back is at hand when it returns.
func (e *Engine) rewind(ctx context.Context, sessions []*session, req Request) error {
	var problems []error
	for _, s := range sessions {
		command, args := s.command(req)
		if command != rollback {
			continue
		}
		w, err := e.newRewinder(ctx, s, args)
		if err == nil {
			err = w.rewind(ctx)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// target is what a rollback leads to.
type target struct {
	// since is when the deploy began that is undone. Zero: each resource goes back to
	// before its own last change.
	since time.Time
	// versions is set where no record tells what was before: published versions have to.
	versions bool
	version  string // the one asked for; "" for the newest that differs from what is online
}

// destination returns what the rollback of all services leads to, which is found out
// before anything is changed.
func (e *Engine) destination(ctx context.Context, args component.Args) (target, error) {
	if e.goal != nil {
		return *e.goal, nil
	}
	t, err := e.findDestination(ctx, args)
	if err != nil {
		return target{}, err
	}
	switch {
	case t.versions:
	case t.since.IsZero():
		e.emit(Notice{Text: "rollback to what was there before the last change of each resource"})
	default:
		e.emit(Notice{Text: "rollback to what was there before the deploy of " + t.since.Format(time.RFC3339)})
	}
	e.goal = &t
	return t, nil
}

func (e *Engine) findDestination(ctx context.Context, args component.Args) (target, error) {
	if version := args.String(flagVersion); version != "" {
		return target{versions: true, version: version}, nil
	}
	entries, err := e.entries(ctx)
	if err != nil {
		return target{}, err
	}
	var since time.Time
	known, unfinished := false, false
	for _, en := range entries {
		if en.begun && (!unfinished || en.Time.After(since)) {
			since, unfinished = en.Time, true // a rollback that did not come to its end
		}
		if !unfinished && en.Time.After(since) {
			since = en.Time
		}
	}
	all := args.Bool(flagAll)
	for _, en := range entries {
		known = known || en.Previous != nil && (all || en.Time.Equal(since))
	}
	switch {
	case since.IsZero():
		return target{versions: true}, nil
	case !known && !args.Bool(flagPrune):
		return target{}, diag.Errorf("the record has nothing from before the last deploy").WithCode(diag.ExitComponent).
			WithHint("go to a published version with --%s, or check out the earlier files and deploy them", flagVersion)
	}
	if unfinished {
		e.goOn(entries, since)
	}
	if all {
		since = time.Time{}
	}
	return target{since: since}, nil
}

// entry is one of a record, and whether a rollback of it was begun.
type entry struct {
	state.Entry
	begun bool
}

// entries returns what is recorded of the resources of the services that are rolled
// back.
func (e *Engine) entries(ctx context.Context) ([]entry, error) {
	var list []entry
	for _, s := range e.selected() {
		l := e.ledger(s)
		if l == nil {
			continue
		}
		if err := e.explainRecord(l.load(ctx), s); err != nil {
			return nil, err
		}
		ids := e.undeclared(s, l)
		for _, r := range s.desired.Resources {
			ids = append(ids, r.ID)
		}
		removed := l.book().Removed()
		for _, id := range ids {
			en, ok := l.book().Entry(id)
			if before, was := removed[id]; was && en.Config == "" {
				list = append(list, entry{state.Entry{Time: before.Time, Previous: &before}, false})
			} else if ok {
				list = append(list, entry{en, isBegun(s.types[id.Kind].Schema, en)})
			}
		}
	}
	return list, nil
}

// isBegun reports whether what is pending is the way back.
func isBegun(schema resource.Schema, en state.Entry) bool {
	return en.Pending != nil && en.Previous != nil && en.Previous.Attrs != nil && !en.Time.IsZero() &&
		len(schema.Differing(en.Pending, en.Previous.Attrs)) == 0
}

// goOn makes this run a part of the rollback that did not come to its end, so that the
// next rollback takes back both.
func (e *Engine) goOn(entries []entry, since time.Time) {
	for _, en := range entries {
		if en.Time.After(since) && en.Time.After(e.continued) {
			e.continued = en.Time
		}
	}
}

// rewinder leads the resources of one service back.
type rewinder struct {
	*Engine
	target
	s     *session
	prune bool
	cloud component.Archivist // nil when its cloud keeps no versions

	listed   bool
	list     []string // versions, the newest first
	at       map[string]map[resource.ID]*resource.Found
	packages []component.Package
}

func (e *Engine) newRewinder(ctx context.Context, s *session, args component.Args) (*rewinder, error) {
	w := &rewinder{Engine: e, s: s, prune: args.Bool(flagPrune), at: map[string]map[resource.ID]*resource.Found{}}
	w.cloud, _ = s.comp.(component.Archivist)
	if !s.selected {
		return w, nil
	}
	t, err := e.destination(ctx, args)
	if err != nil {
		return nil, err
	}
	w.target = t
	if t.versions && t.version == "" {
		w.version, err = w.newest(ctx)
	}
	return w, err
}

// rewind replaces what the session wants.
func (w *rewinder) rewind(ctx context.Context) error {
	s := w.s
	s.notes = map[resource.ID]string{}
	if err := w.addUndeclared(ctx); err != nil {
		return err
	}
	var list []*resource.Resource
	var problems []error
	for _, r := range s.desired.Resources {
		w.mu.Lock()
		found := w.found[s.key(r.ID)]
		w.mu.Unlock()
		want, err := w.earlier(ctx, r, found)
		if err != nil {
			problems = append(problems, err)
		}
		if want != nil {
			list = append(list, want)
			w.conceal(map[string]any(want.Attrs))
		}
	}
	before := s.desired.Close
	packages := w.packages
	s.desired.Close = func() error {
		var errs []error
		for _, p := range packages {
			errs = append(errs, p.Close())
		}
		if before != nil {
			errs = append(errs, before())
		}
		return errors.Join(errs...)
	}
	w.declared.Lock()
	defer w.declared.Unlock()
	s.desired.Resources = list
	return errors.Join(problems...)
}

// earlier returns the resource as it shall be, nil for one that is not there and stays
// so.
func (w *rewinder) earlier(ctx context.Context, r *resource.Resource, found *resource.Found) (*resource.Resource, error) {
	if !w.s.selected || w.isOwn(w.s.key(r.ID)) {
		return w.stay(r, found, ""), nil
	}
	if w.versions {
		return w.ofVersion(ctx, r, found)
	}
	var en, removed state.Entry
	if l := w.ledger(w.s); l != nil {
		en, _ = l.book().Entry(r.ID)
		removed = l.book().Removed()[r.ID]
	}
	switch {
	case en.Config == "" && removed.Config != "" && w.undoes(removed):
		w.s.notes[r.ID] = "deleted by the last deploy"
		return w.before(ctx, r, found, removed)
	case en.Config == "":
		return w.stay(r, found, "is not in the record"), nil
	case !w.undoes(en):
		return w.stay(r, found, ""), nil // the deploy did not change it
	case en.Previous == nil && w.prune:
		gone := *r
		gone.Absent = true
		w.s.notes[r.ID] = "made by the last deploy"
		return &gone, nil
	case en.Previous == nil:
		return w.stay(r, found, "made by the last deploy; --"+flagPrune+" deletes it"), nil
	}
	return w.before(ctx, r, found, *en.Previous)
}

// undoes reports whether the rollback takes back the change that made the entry.
func (w *rewinder) undoes(en state.Entry) bool { return w.since.IsZero() || en.Time.Equal(w.since) }

// conceal hides the secrets in v in everything that is printed from now on.
func (e *Engine) conceal(v any) {
	switch x := v.(type) {
	case map[string]any:
		for _, item := range x {
			e.conceal(item)
		}
	case []any:
		for _, item := range x {
			e.conceal(item)
		}
	case secret.String:
		if len(x.Reveal()) >= learnedLength {
			e.Redactor.Add(x.Reveal())
		}
	}
}

// stay returns r as it is online, to be left alone. why is told when it is there.
func (w *rewinder) stay(r *resource.Resource, found *resource.Found, why string) *resource.Resource {
	if found == nil {
		return nil
	}
	left := *r
	left.Attrs, left.Managed, left.Absent = found.Attrs, []string{}, false
	if why != "" {
		w.s.notes[r.ID] = "stays: " + why
	}
	return &left
}

// pend notes for all resources at once what is about to become of them, so that a
// rollback that is cut off is gone on with, and not taken back, by the next one.
func (e *Engine) pend(ctx context.Context) {
	written := map[*ledger]bool{}
	for _, s := range e.selected() {
		l := e.ledger(s)
		if l == nil || l.book() == nil || s.changes == nil {
			continue
		}
		for _, c := range s.changes.Changes {
			if c.Decision == plan.Apply && c.Action != plan.Delete {
				l.book().Pend(c.Resource, l.book().Key.Seal(s.types[c.Resource.Kind].Schema, c.Want.Attrs))
				written[l] = true
			}
		}
	}
	for l := range written {
		l.keepWhole(ctx)
	}
}

// checkRollback refuses arguments of plan that no rollback has.
func checkRollback(args component.Args) error {
	if args.String("plan-type") != rollback {
		if args.String(flagVersion) != "" && args.String("plan-type") != "" {
			return diag.Errorf("--%s is for rollbacks", flagVersion).WithHint("leave it out, or write --plan-type %s", rollback)
		}
		return nil
	}
	for _, name := range []string{"sub-command", "type", flagUseRemote, flagDrift} {
		if _, given := args.Flags[name]; given {
			return diag.Errorf("--%s does not go with --plan-type %s", name, rollback).WithHint("leave it out")
		}
	}
	return nil
}

// rollsBack reports whether the request is a rollback, or the plan of one.
func (e *Engine) rollsBack(req Request) bool {
	return slices.ContainsFunc(e.selected(), func(s *session) bool {
		command, _ := s.command(req)
		return command == rollback
	})
}

// impossible is the error for a resource that cannot be led back.
func impossible(r *resource.Resource, format string, args ...any) *diag.Problem {
	return diag.At(r.Pos, "%s cannot be rolled back: %s", r.ID, fmt.Sprintf(format, args...)).WithCode(diag.ExitComponent).
		WithHint("nothing was changed; check out the earlier files and deploy them, or go to a published version with --%s", flagVersion)
}

// deployed is when the deploy began that the record is told of.
func (e *Engine) deployed() time.Time {
	if !e.continued.IsZero() {
		return e.continued
	}
	return e.begun
}

// annotate says of a change what the rollback knows of it. That it is nobody else's goes
// without saying: the file has no part in it.
func (e *Engine) annotate(s *session, c *plan.Change) {
	c.Note = s.notes[c.Resource]
	for i := range c.Fields {
		if c.Fields[i].Origin == plan.Ours && c.Action != plan.Delete {
			c.Fields[i].Origin = ""
		}
	}
}

// behind returns a time that is no earlier than at, and later than all that is recorded:
// the clocks of runners differ, and the last deploy is the one with the newest time.
func (s *shelf) behind(at time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.ledgers {
		if l.book() == nil {
			continue
		}
		if newest := l.book().Newest(); !at.After(newest) {
			at = newest.Add(time.Nanosecond)
		}
	}
	return at
}
