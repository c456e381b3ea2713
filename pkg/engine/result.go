package engine

import (
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

// The statuses that only resources have.
const (
	NotTried Status = "nottried" // it was not come to
	Kept     Status = "kept"     // not deleted, because other resources live in it
)

// ResourceResult is how a resource ended: Done, Unchanged, Left, Failed, NotTried or
// Kept.
type ResourceResult struct {
	ID     resource.ID
	Status Status
	Action plan.Action // what was done, or would have been
	Err    error       // of Failed
}

// note remembers what became of a resource of s.
func (f *flight) note(s *session, r ResourceResult) {
	f.sharing.Lock()
	defer f.sharing.Unlock()
	if f.became == nil {
		f.became = map[*session]map[resource.ID]ResourceResult{}
	}
	if f.became[s] == nil {
		f.became[s] = map[resource.ID]ResourceResult{}
	}
	f.became[s][r.ID] = r
}

// wasKept reports whether a resource was not deleted because others live in it.
func (f *flight) wasKept(s *session, id resource.ID) bool {
	f.sharing.Lock()
	defer f.sharing.Unlock()
	return f.became[s][id].Status == Kept
}

// results tells how the services ended, in the order in which they ran.
func (e *Engine) results() []ServiceResult {
	var list []ServiceResult
	lists := e.listed()
	for _, s := range e.order {
		if s.selected && s.status != "" {
			list = append(list, ServiceResult{Name: s.name(), Status: s.status, Output: s.result, Resources: lists[s]})
		}
	}
	return list
}

// listed returns the results of the resources of each service. What several services
// have is listed with the first, as it ended with the one that did the most about it.
func (e *Engine) listed() map[*session][]ResourceResult {
	type place struct {
		s *session
		i int
	}
	lists := map[*session][]ResourceResult{}
	places := map[foundKey]place{}
	for _, s := range e.selected() {
		if s.changes == nil {
			continue
		}
		for _, c := range s.changes.Changes {
			r, ok := e.resultOf(s, c)
			if !ok {
				continue
			}
			key := s.key(c.Resource)
			at, again := places[key]
			if !again {
				places[key] = place{s, len(lists[s])}
				lists[s] = append(lists[s], r)
			} else if had := &lists[at.s][at.i]; rank(r.Status) > rank(had.Status) {
				*had = r
			}
		}
	}
	return lists
}

// resultOf returns how the resource of a change ended; ok is false when it is absent,
// as it should be.
func (e *Engine) resultOf(s *session, c *plan.Change) (r ResourceResult, ok bool) {
	r = ResourceResult{ID: c.Resource, Status: NotTried, Action: c.Action}
	noted, tried := e.became[s][c.Resource]
	switch {
	case tried:
		return noted, true
	case c.Action == plan.None && c.Found == nil:
		return r, false
	case c.Action == plan.None && s.final:
		r.Status = Unchanged
	case c.Decision == plan.Leave && s.status != Failed && s.status != Skipped:
		r.Status = Left
	}
	return r, true
}

// rank orders the statuses of a resource by how much happened.
func rank(s Status) int {
	switch s {
	case Failed:
		return 5
	case Done:
		return 4
	case Kept:
		return 3
	case NotTried:
		return 2
	case Left:
		return 1
	}
	return 0
}
