package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

// lookup returns what is online under id for the session's account and region. It
// is read once in a run; what the run changes itself is remembered by store.
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
	found, err := t.Handler.Read(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", id, err)
	}
	e.store(key, found)
	return found, nil
}

func (e *Engine) store(key foundKey, found *resource.Found) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.found[key] = found
}

// changed remembers what this run made of a resource.
func (e *Engine) changed(key foundKey, found *resource.Found) {
	e.store(key, found)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.own[key] = true
}

// read reads all resources of the sessions side by side.
func (e *Engine) read(ctx context.Context, sessions []*session) error {
	var g errgroup.Group
	g.SetLimit(Parallelism)
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
			g.Go(func() error {
				if _, err := e.lookup(ctx, s, r.ID); err != nil {
					mu.Lock()
					failed[key] = err
					mu.Unlock()
				}
				return nil
			})
		}
	}
	_ = g.Wait()
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
	slots := make(chan struct{}, Parallelism)
	var wg sync.WaitGroup
	for _, c := range changes {
		t := todo[c.Resource]
		if t == nil {
			continue
		}
		wg.Go(func() {
			defer close(t.done)
			if !t.ready(ctx) || ctx.Err() != nil {
				t.err = errNotTried
				return
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			t.err = e.change(ctx, s, t.change)
		})
	}
	wg.Wait()
	return failures(changes, todo)
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

func failures(changes []*plan.Change, todo map[resource.ID]*task) error {
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
	if len(notTried) > 0 {
		errs = append(errs, diag.Errorf("not tried: %s", strings.Join(notTried, ", ")).
			WithCode(diag.ExitComponent).WithHint("run the same command again once the problem above is solved; what is done stays done"))
	}
	return errors.Join(errs...)
}

// change applies one change.
func (e *Engine) change(ctx context.Context, s *session, c *plan.Change) error {
	start := e.Now()
	e.emit(ResourceStarted{Service: s.name(), Resource: c.Resource, Action: c.Action})
	found, err := e.send(ctx, s, c)
	kept := c.Action == plan.Delete && errors.Is(err, resource.ErrNotEmpty)
	if kept {
		err = nil
	}
	if err != nil {
		err = e.explain(fmt.Errorf("%s %s: %w", gerund(c.Action), c.Resource, err), c.Want)
	} else if !kept {
		e.changed(s.key(c.Resource), found)
	}
	e.emit(ResourceEnded{Service: s.name(), Resource: c.Resource, Action: c.Action, Took: e.Now().Sub(start), Kept: kept, Err: err})
	return err
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
