package engine

import (
	"context"
	"sync"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// flagParallelism is the flag for how many requests are under way at once.
const flagParallelism = "parallelism"

// maxParallelism is more than one account may do (100 requests a second by default).
const maxParallelism = 64

// flight is what the services of a run share while they run side by side.
type flight struct {
	slots chan struct{}       // holds one element for each request that is under way
	refs  map[string][]string // by service: those that its texts refer to

	declared sync.Mutex // guards what services want against each other: desired, swept, types, and united

	sharing sync.Mutex // guards what is below
	turns   map[foundKey]*turn
	ends    map[*session]bool
	became  map[*session]map[resource.ID]ResourceResult
}

// turn is the right to change one resource, which several services may have.
type turn struct {
	free    chan struct{} // holds one element when nobody has it
	failed  bool          // a service tried and failed
	reached map[*session]bool
}

// limit makes the slots: as many as --parallelism says.
func (e *Engine) limit() error {
	n := Parallelism
	for _, s := range e.selected() {
		given, ok := s.args.Int(flagParallelism)
		if !ok {
			continue
		}
		if given < 1 || given > maxParallelism {
			return diag.Errorf("--%s %d is not possible", flagParallelism, given).WithHint("give a number from 1 to %d", maxParallelism)
		}
		n = given
	}
	if e.slots == nil { // else they are those of the run whose hook this is
		e.slots = make(chan struct{}, n)
	}
	return nil
}

// acquire waits for a slot, which release gives back. It reports false when ctx ended.
func (f *flight) acquire(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	if ctx.Err() != nil { // both were possible
		f.release()
		return false
	}
	return true
}

func (f *flight) release() { <-f.slots }

// declare makes known what s wants, in place of what it wanted before.
func (f *flight) declare(s *session, desired *component.Desired, types map[resource.Kind]resource.Type) {
	f.declared.Lock()
	defer f.declared.Unlock()
	s.release()
	s.desired, s.types = desired, types
}

// unitedAs returns what the services that declare a resource want of it together, nil
// when only one of them does.
func (e *Engine) unitedAs(key foundKey) *resource.Resource {
	e.declared.Lock()
	defer e.declared.Unlock()
	return e.united[key]
}

// turn waits until no other service changes the resource, and remembers that s came.
// It returns nil when ctx ended.
func (f *flight) turn(ctx context.Context, s *session, key foundKey) *turn {
	f.sharing.Lock()
	t := f.turns[key]
	if t == nil {
		t = &turn{free: make(chan struct{}, 1), reached: map[*session]bool{}}
		t.free <- struct{}{}
		if f.turns == nil {
			f.turns = map[foundKey]*turn{}
		}
		f.turns[key] = t
	}
	f.sharing.Unlock()
	select {
	case <-t.free:
	case <-ctx.Done():
		return nil
	}
	f.sharing.Lock()
	defer f.sharing.Unlock()
	t.reached[s] = true
	return t
}

func (t *turn) end() { t.free <- struct{}{} }

// ended remembers that nothing more comes from s.
func (f *flight) ended(s *session) {
	f.sharing.Lock()
	defer f.sharing.Unlock()
	if f.ends == nil {
		f.ends = map[*session]bool{}
	}
	f.ends[s] = true
}

// awaited reports whether another service that is removed in this run and has the same
// resource has not come to it yet: until then it is not empty.
func (e *Engine) awaited(s *session, t *turn, key foundKey) bool {
	if s.call.Command != "remove" {
		return false
	}
	e.declared.Lock()
	defer e.declared.Unlock()
	e.sharing.Lock()
	defer e.sharing.Unlock()
	for _, other := range e.selected() {
		if other == s || other.cmd.Run != nil || e.ends[other] || t.reached[other] {
			continue
		}
		for _, r := range other.resources() {
			if other.key(r.ID) == key {
				return true
			}
		}
	}
	return false
}

// again returns what is left to do of a change after other services of this run
// changed the resource too.
func (e *Engine) again(s *session, c *plan.Change) *plan.Change {
	key := s.key(c.Resource)
	e.mu.Lock()
	found, own := e.found[key], e.own[key]
	e.mu.Unlock()
	if !own || found == c.Found {
		return c
	}
	want := c.Want
	if one := e.unitedAs(key); one != nil && !want.Absent && s.call.Command != rollback {
		want = one
	}
	left := plan.New(s.types[c.Resource.Kind].Schema, state.Recorded{}, found, want)
	left.Decision = plan.Apply
	return left
}
