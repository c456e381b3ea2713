package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// shelf holds the ledgers of a run.
type shelf struct {
	mu      sync.Mutex
	ledgers map[foundKey]*ledger
}

// close waits for the records to be written and gives the locks back.
func (s *shelf) close(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wg sync.WaitGroup
	for _, l := range s.ledgers {
		wg.Go(func() { l.close(ctx) })
	}
	wg.Wait()
}

// HeldLocks is the variable that names, with commas between them, the locks that runs
// hold within whose hooks a process was started.
const HeldLocks = "DEVS_HELD_LOCKS"

// held returns the names of the locks that are held.
func (s *shelf) held() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, l := range s.ledgers {
		names = append(names, l.held()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// single reports whether all that the run deals with lives in one holder.
func (s *shelf) single() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ledgers) == 1
}

// forget makes the ledgers read again what they hold.
func (s *shelf) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.ledgers {
		l.books.Store(nil)
	}
}

// ledger returns the ledger of the holder of s, nil when its component has none.
func (e *Engine) ledger(s *session) *ledger {
	if s.desired == nil || s.desired.Holder == (resource.ID{}) {
		return nil
	}
	key := s.key(s.desired.Holder)
	e.shelf.mu.Lock()
	defer e.shelf.mu.Unlock()
	l := e.shelf.ledgers[key]
	if l == nil {
		l = &ledger{
			Records: e.Records,
			at:      state.Holder{Account: key.account, Region: key.region, ID: key.id, App: e.App.Name},
			notes:   s.desired.Notes,
			waiting: func(who string) {
				e.emit(Notice{Text: "another deploy of " + e.App.Name + " is under way (" + who + "): waiting for it"})
			},
			warn: func(text string) { e.warnOnce(Warning{Pos: s.svc.Pos, Text: text}) },
		}
		e.shelf.ledgers[key] = l
	}
	return l
}

// readAll reads the resources of the sessions and what the record says of them, side by
// side.
func (e *Engine) readAll(ctx context.Context, sessions []*session) error {
	var g errgroup.Group
	for _, s := range sessions {
		if l := e.ledger(s); l != nil {
			g.Go(func() error { return e.explainRecord(l.load(ctx), s) })
		}
	}
	err := e.read(ctx, sessions)
	return errors.Join(err, g.Wait())
}

// explainRecord gives an error of a record its place in the user's file.
func (e *Engine) explainRecord(err error, s *session) error {
	if err == nil {
		return nil
	}
	return e.explain(fmt.Errorf("reading the record of %s: %w", s.desired.Holder, err), &resource.Resource{ID: s.desired.Holder, Pos: s.svc.Pos})
}

// lateWait is how long a run waits for a lock when it may have others already. Two runs
// that took them in another order would wait for each other.
const lateWait = 30 * time.Second

// lockLate takes the lock of a holder that only turned out to be changed when the hooks
// had run.
func (e *Engine) lockLate(ctx context.Context, s *session) (same bool, err error) {
	l := e.ledger(s)
	if l == nil || !l.there() || !s.applies() {
		return true, nil
	}
	wait := lateWait
	if e.shelf.single() {
		wait = 0 // nobody can wait for what this run has
	}
	same, err = l.acquire(ctx, wait)
	return same, e.explainRecord(err, s)
}

// recorded is what the record says of a resource, beside what is online.
func (e *Engine) recorded(s *session, id resource.ID, found *resource.Found) state.Recorded {
	l := e.ledger(s)
	if l == nil || l.book() == nil {
		return state.Recorded{}
	}
	return l.book().Recorded(s.types[id.Kind].Schema, id, found)
}

// beforeChange notes that a change is about to be made, so that a run that is killed
// within it does not take its own work for somebody else's.
func (e *Engine) beforeChange(ctx context.Context, s *session, c *plan.Change) error {
	l := e.ledger(s)
	if l == nil {
		return nil
	}
	if err := l.lost(); err != nil {
		return err
	}
	if c.Action != plan.Delete {
		l.book().Pend(c.Resource, l.book().Key.Seal(s.types[c.Resource.Kind].Schema, c.Want.Attrs))
		l.keepWhole(ctx)
	}
	return nil
}

// afterChange records what became of a change. found is what is online now, nil after
// a deletion. An error keeps what depends on the change from being tried.
func (e *Engine) afterChange(ctx context.Context, s *session, c *plan.Change, found *resource.Found, err error) error {
	l := e.ledger(s)
	if l == nil || err != nil {
		return nil
	}
	isHolder := c.Resource == s.desired.Holder
	if c.Action == plan.Delete {
		e.forgets(l, s, c.Resource)
		if isHolder {
			l.holderGone(ctx)
		}
		l.keep(ctx)
		return nil
	}
	l.put(s.types[c.Resource.Kind].Schema, c.Want, found, e.deployed())
	if isHolder && c.Action == plan.Replace {
		l.holderGone(ctx)
	}
	if isHolder && (c.Action == plan.Create || c.Action == plan.Replace) {
		if err := e.lockNew(ctx, l); err != nil {
			return err
		}
	}
	l.keep(ctx)
	return nil
}

// lockNew takes the lock of a holder that this run has made. Whoever else found it
// before may have deployed into it.
func (e *Engine) lockNew(ctx context.Context, l *ledger) error {
	ctx, stop := linger(ctx, hurry) // what was made is recorded after an interrupt too
	defer stop()
	if _, err := l.acquire(ctx, lateWait); err != nil {
		return err
	}
	if l.hasForeign() {
		return diag.Errorf("another deploy of %s ran into %s since it was made", e.App.Name, l.at.ID).WithCode(diag.ExitComponent).
			WithCause(&resource.Conflict{ID: l.at.ID}).WithHint("deploy again")
	}
	return nil
}

// adopt records what is online as the file wants it, where the record does not say so
// yet. Like all that is recorded, it is so under the lock.
func (e *Engine) adopt(ctx context.Context, s *session) {
	l := e.ledger(s)
	if l == nil {
		return
	}
	var unrecorded []*plan.Change
	learned := false
	for _, c := range s.changes.Changes {
		switch found := e.onlineNow(s, c); {
		case !e.adoptable(s, l, c):
		case found != nil && e.isRecorded(s, c, found): // with its fingerprints alone
			l.put(s.types[c.Resource.Kind].Schema, c.Want, found, time.Time{})
			learned = true
		default:
			unrecorded = append(unrecorded, c)
		}
	}
	switch {
	case len(unrecorded) > 0 || l.unwritten.Load():
	case learned:
		l.keepWhole(ctx) // nobody else needs to know
		return
	default:
		return
	}
	if l.there() {
		if same, err := l.acquire(ctx, noWait); err != nil || !same {
			return // somebody else deploys, and records it; or the next deploy does
		}
	}
	for _, c := range unrecorded {
		if found := e.onlineNow(s, c); found != nil {
			l.put(s.types[c.Resource.Kind].Schema, c.Want, found, e.deployed())
		} else {
			e.forgets(l, s, c.Resource) // it is gone, as it shall be
		}
	}
	l.keep(ctx)
}

// isRecorded reports whether the record says that a resource is as it is online.
func (e *Engine) isRecorded(s *session, c *plan.Change, found *resource.Found) bool {
	r := e.recorded(s, c.Resource, found)
	return r.Known && !r.Moved() && !r.Pending
}

// noWait is for locks that are not worth waiting for.
const noWait = time.Nanosecond

// adoptable reports whether a resource is online as the file wants it, and the record
// does not say so. Another service of this run, with another record, may have made it so.
func (e *Engine) adoptable(s *session, l *ledger, c *plan.Change) bool {
	found, schema := e.onlineNow(s, c), s.types[c.Resource.Kind].Schema
	switch {
	case c.Action != plan.None && !e.isOwn(s.key(c.Resource)):
		return false
	case found == nil:
		return (c.Action == plan.None || c.Want.Absent) && l.book().Has(c.Resource)
	case c.Want == nil || c.Want.Absent || c.Want.Managed != nil || len(schema.Compare(found.Attrs, c.Want.Attrs, nil)) > 0:
		return false
	}
	return !e.isRecorded(s, c, found) || e.recorded(s, c.Resource, found).Attrs == nil && l.Store != nil
}

// onlineNow returns what is online of the resource of a change, which this run may have
// made since.
func (e *Engine) onlineNow(s *session, c *plan.Change) *resource.Found {
	e.mu.Lock()
	defer e.mu.Unlock()
	if key := s.key(c.Resource); e.own[key] {
		return e.found[key]
	}
	return c.Found
}

func (e *Engine) isOwn(key foundKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.own[key]
}

// lock takes the locks of all holders that this run may change, always in the same
// order. It reports whether what was read before is still so.
func (e *Engine) lock(ctx context.Context) (same bool, err error) {
	same = true
	for _, l := range e.involved() {
		s, err := l.acquire(ctx, 0)
		if err != nil {
			return false, err
		}
		same = same && s
	}
	return same, nil
}

// involved returns the ledgers of the services with something to do, of holders that
// exist, sorted.
func (e *Engine) involved() []*ledger {
	var list []*ledger
	for _, s := range e.selected() {
		l := e.ledger(s)
		if l == nil || !l.there() || slices.Contains(list, l) {
			continue
		}
		// What hooks will make of a service is not known yet. Its lock is taken now, in the
		// order of all, or late where there is no other: then a run whose hooks change
		// nothing writes nothing.
		if !s.final && !e.shelf.single() || s.final && s.applies() {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b *ledger) int { return a.at.Compare(b.at) })
	return list
}

// forget drops what was read, to look again.
func (e *Engine) forget() {
	e.mu.Lock()
	clear(e.found)
	e.mu.Unlock()
	for _, s := range e.neighbours {
		s.release()
	}
	e.neighbours, e.goal = nil, nil
	e.shelf.forget()
}

// forgetOne drops what was read for one service, but for what this run made, to look
// again.
func (e *Engine) forgetOne(s *session) {
	e.mu.Lock()
	for _, r := range s.resources() {
		if key := s.key(r.ID); !e.own[key] {
			delete(e.found, key)
		}
	}
	e.mu.Unlock()
	if l := e.ledger(s); l != nil {
		l.stale.Store(true)
	}
}

// refresh reads the holders that will be changed once more, as taking the lock may have
// changed their ETag. It reports whether they are still what they were.
func (e *Engine) refresh(ctx context.Context) (same bool, err error) {
	for _, s := range e.selected() {
		if s.changes == nil {
			continue
		}
		for _, c := range s.changes.Changes {
			if c.Resource != s.desired.Holder || c.Decision != plan.Apply || c.Found == nil {
				continue
			}
			t := s.types[c.Resource.Kind]
			found, err := t.Handler.Read(ctx, c.Resource)
			if err != nil {
				return false, e.explain(err, c.Want)
			}
			if found == nil || len(t.Schema.Compare(c.Found.Attrs, found.Attrs, nil)) > 0 {
				return false, nil
			}
			c.Found = found
			e.mu.Lock()
			e.found[s.key(c.Resource)] = found
			e.mu.Unlock()
		}
	}
	return true, nil
}
