package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

// lookup returns what is online under id for the session's account and region. It
// is read once in a run; what the run changes itself is remembered by changed.
func (e *Engine) lookup(ctx context.Context, s *session, id resource.ID) (*resource.Found, error) {
	key := s.key(id)
	e.mu.Lock()
	found, known := e.found[key]
	e.mu.Unlock()
	if known {
		return found, nil
	}
	t, ok := s.types[id.Kind]
	if !ok {
		return nil, fmt.Errorf("reading %s: the component does not know this kind", id)
	}
	if !e.acquire(ctx) {
		return nil, context.Cause(ctx)
	}
	defer e.release()
	found, err := t.Handler.Read(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", id, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if newer, known := e.found[key]; known { // another service changed it meanwhile
		return newer, nil
	}
	e.found[key] = found
	return found, nil
}

// changed remembers what this run made of a resource, also in the run in whose hook it
// is: its services work beside this one, with the same record.
func (e *Engine) changed(key foundKey, found *resource.Found) {
	e.mu.Lock()
	e.found[key], e.own[key] = found, true
	e.mu.Unlock()
	if e.outer != nil {
		e.outer.changed(key, found)
	}
}

// read reads all resources of the sessions side by side.
func (e *Engine) read(ctx context.Context, sessions []*session) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	failed := map[foundKey]error{}
	asked := map[foundKey]bool{}
	for _, s := range sessions {
		for _, r := range s.resources() {
			key := s.key(r.ID)
			if asked[key] {
				continue
			}
			asked[key] = true
			wg.Go(func() {
				if _, err := e.lookup(ctx, s, r.ID); err != nil {
					mu.Lock()
					failed[key] = err
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	// The file's order, whatever answered first.
	var errs []error
	for _, s := range sessions {
		for _, r := range s.resources() {
			if err := failed[s.key(r.ID)]; err != nil {
				errs = append(errs, e.explain(err, r))
				delete(failed, s.key(r.ID))
			}
		}
	}
	return errors.Join(errs...)
}

// apply does what the changes say, in the order of their dependencies, those that
// are independent side by side. An error keeps the dependents from being tried,
// nothing else.
func (e *Engine) apply(ctx context.Context, s *session, changes []*plan.Change) error {
	todo := map[resource.ID]*task{}
	for _, c := range changes {
		if c.Decision == plan.Apply {
			todo[c.Resource] = &task{change: c, done: make(chan struct{})}
		}
	}
	for _, t := range todo {
		t.waitsFor = predecessors(t.change, todo)
	}
	var wg sync.WaitGroup
	for _, c := range changes {
		t := todo[c.Resource]
		if t == nil {
			continue
		}
		wg.Go(func() {
			defer close(t.done)
			result := ResourceResult{ID: c.Resource, Status: NotTried, Action: c.Action}
			if t.err = errNotTried; t.ready(ctx) {
				result, t.err = e.inTurn(ctx, s, c)
			}
			e.note(s, result)
		})
	}
	wg.Wait()
	return failures(ctx, changes, todo)
}

// task is one change under way.
type task struct {
	change   *plan.Change
	waitsFor []*task
	done     chan struct{}
	err      error
}

var errNotTried = errors.New("not tried: something it needs failed")

// ready waits for the predecessors and reports whether all of them worked.
func (t *task) ready(ctx context.Context) bool {
	for _, p := range t.waitsFor {
		select {
		case <-p.done:
		case <-ctx.Done():
			return false
		}
		if p.err != nil {
			return false
		}
	}
	return true
}

// predecessors returns the tasks that must end before c: what it depends on, and
// for a deletion what depends on it.
func predecessors(c *plan.Change, todo map[resource.ID]*task) []*task {
	var before []*task
	if c.Action != plan.Delete {
		for _, id := range c.Want.Deps {
			if t := todo[id]; t != nil && t.change.Action != plan.Delete {
				before = append(before, t)
			}
		}
		return before
	}
	for _, t := range todo {
		if t.change.Action == plan.Delete && slices.Contains(t.change.Want.Deps, c.Resource) {
			before = append(before, t)
		}
	}
	return before
}

func failures(ctx context.Context, changes []*plan.Change, todo map[resource.ID]*task) error {
	var errs []error
	var notTried []string
	for _, c := range changes {
		t := todo[c.Resource]
		switch {
		case t == nil || t.err == nil:
		case errors.Is(t.err, errNotTried):
			notTried = append(notTried, c.Resource.String())
		default:
			errs = append(errs, t.err)
		}
	}
	switch {
	case len(notTried) == 0:
	case ctx.Err() != nil:
		errs = append(errs, interrupted(ctx))
	default:
		errs = append(errs, diag.Errorf("not tried: %s", strings.Join(notTried, ", ")).
			WithCode(diag.ExitComponent).WithHint("run the same command again once what failed is solved; what is done stays done"))
	}
	return errors.Join(errs...)
}

// inTurn makes a change when the resource is free. What another service of the run made
// of the resource meanwhile is taken over, be it a failure.
func (e *Engine) inTurn(ctx context.Context, s *session, c *plan.Change) (ResourceResult, error) {
	result := ResourceResult{ID: c.Resource, Status: NotTried, Action: c.Action}
	key := s.key(c.Resource)
	t := e.turn(ctx, s, key)
	if t == nil {
		return result, errNotTried
	}
	defer t.end()
	if t.failed {
		return result, errNotTried
	}
	if c.Action == plan.Delete && e.awaited(s, t, key) {
		return result, nil // the last one deletes it
	}
	if c = e.again(s, c); c.Action == plan.None {
		result.Status = Unchanged
		return result, nil
	}
	if !e.acquire(ctx) {
		return result, errNotTried
	}
	defer e.release()
	result.Action = c.Action
	result.Status, result.Err = e.change(ctx, s, c)
	t.failed = result.Err != nil
	return result, result.Err
}

// change applies one change.
func (e *Engine) change(ctx context.Context, s *session, c *plan.Change) (Status, error) {
	start, status := e.Now(), Done
	e.emit(ResourceStarted{Service: s.name(), Resource: c.Resource, Action: c.Action})
	err := e.recordedChange(ctx, s, c)
	if c.Action == plan.Delete && errors.Is(err, resource.ErrNotEmpty) {
		err, status = nil, Kept
	}
	if err != nil {
		err, status = e.explain(fmt.Errorf("%s %s: %w", gerund(c.Action), c.Resource, err), c.Want), Failed
	}
	e.emit(ResourceEnded{Service: s.name(), Resource: c.Resource, Action: c.Action, Took: e.Now().Sub(start), Kept: status == Kept, Err: err})
	return status, err
}

// recordedChange makes a change between the two notes in the record.
func (e *Engine) recordedChange(ctx context.Context, s *session, c *plan.Change) error {
	if err := e.beforeChange(ctx, s, c); err != nil {
		return err
	}
	found, err := e.send(ctx, s, c)
	if err == nil {
		e.changed(s.key(c.Resource), found)
	}
	return errors.Join(err, e.afterChange(ctx, s, c, found, err))
}

func (e *Engine) send(ctx context.Context, s *session, c *plan.Change) (*resource.Found, error) {
	h := s.types[c.Resource.Kind].Handler
	switch c.Action {
	case plan.Create:
		return h.Create(ctx, c.Want)
	case plan.Update:
		return h.Update(ctx, c.Want, c.Found, c.UpdateFields())
	case plan.Replace:
		if err := h.Delete(ctx, c.Resource, c.Found); err != nil {
			return nil, err
		}
		e.changed(s.key(c.Resource), nil)
		return h.Create(ctx, c.Want)
	case plan.Delete:
		return nil, h.Delete(ctx, c.Resource, c.Found)
	}
	return c.Found, nil
}

// explain gives an error of the cloud its place in the user's file.
func (e *Engine) explain(err error, r *resource.Resource) error {
	if p, ok := errors.AsType[*diag.Problem](err); ok {
		c := *p
		c.Summary = err.Error()
		if c.Pos.IsZero() {
			c.Pos = r.Pos
		} else {
			c.Summary = p.Summary
		}
		if c.Code == 0 {
			c.Code = diag.ExitComponent
		}
		c.Err = err
		return &c
	}
	p := diag.At(r.Pos, "%v", err).WithCode(diag.ExitComponent).WithCause(err)
	if _, ok := errors.AsType[*resource.Conflict](err); ok {
		return p.WithHint("look at what changed with devs plan, then deploy again")
	}
	if f, ok := errors.AsType[*resource.Forbidden](err); ok {
		return p.WithHint("allow the credential the action %s on this resource (RAM policy), or use another credential with -a", f.Action)
	}
	return p
}

func gerund(a plan.Action) string {
	return map[plan.Action]string{plan.Create: "creating", plan.Update: "updating", plan.Replace: "replacing", plan.Delete: "deleting"}[a]
}

// onlineFor returns what is known to be online of the resources of s.
func (e *Engine) onlineFor(s *session) map[resource.ID]*resource.Found {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := map[resource.ID]*resource.Found{}
	for _, r := range s.resources() {
		if found := e.found[s.key(r.ID)]; found != nil {
			all[r.ID] = found
		}
	}
	return all
}
