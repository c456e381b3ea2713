package engine

import (
	"regexp"
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/graph"
)

// arrange makes a session for each service that the request is about, and for
// those whose outputs these use, in the order of their dependencies.
func (e *Engine) arrange(req Request) error {
	nodes := graph.Nodes(e.App)
	levels, err := graph.Levels(nodes)
	if err != nil {
		return err
	}
	e.refs = map[string][]string{}
	for i, svc := range e.App.Services {
		s := &session{svc: svc}
		for _, d := range nodes[i].Deps {
			e.refs[svc.Name] = append(e.refs[svc.Name], d.Name)
			if !d.Soft {
				s.deps = append(s.deps, d.Name)
			}
		}
		e.sessions[svc.Name] = s
	}
	e.selectServices(req)
	wanted := e.wanted()
	for _, level := range levels {
		for _, name := range level {
			if wanted[name] {
				e.order = append(e.order, e.sessions[name])
			}
		}
	}
	e.followFlow(req)
	return nil
}

// followFlow puts the services into the order of the groups of the flow; those that
// are only looked at come first.
func (e *Engine) followFlow(req Request) {
	flow := flowOf(e.App.Flow, req.Command)
	if flow == nil || len(req.Services) > 0 {
		return
	}
	slices.SortStableFunc(e.order, func(a, b *session) int { return groupOf(flow, a) - groupOf(flow, b) })
}

// groupOf returns the number of the group of a flow in which s is, -1 for none.
func groupOf(flow *app.Flow, s *session) int {
	return slices.IndexFunc(flow.Groups, func(g []string) bool { return slices.Contains(g, s.name()) })
}

// before returns for each session, by number, those that must have ended when it
// begins: those of earlier groups of the flow, those of which one refers to the other,
// and, when nothing may be beside it but plain deploys, the last one like it.
func (e *Engine) before(sessions []*session, req Request) [][]int {
	flow := flowOf(e.App.Flow, req.Command)
	if len(req.Services) > 0 {
		flow = nil
	}
	before := make([][]int, len(sessions))
	last := -1
	for i, s := range sessions {
		for j, other := range sessions[:i] {
			if flow != nil && groupOf(flow, other) < groupOf(flow, s) || e.related(s, other) {
				before[i] = append(before[i], j)
			}
		}
		if e.inLine(s, req) {
			if last >= 0 {
				before[i] = append(before[i], last)
			}
			last = i
		}
	}
	return before
}

// related reports whether one of two services refers to the other.
func (e *Engine) related(a, b *session) bool {
	return slices.Contains(e.refs[a.name()], b.name()) || slices.Contains(e.refs[b.name()], a.name())
}

// inLine reports whether s runs one after the other with those like it: services with
// hooks, which are the user's programs, those whose component does the command itself
// and may ask or print, and all when only one request may be under way.
func (e *Engine) inLine(s *session, req Request) bool {
	return cap(e.slots) == 1 || s.cmd.Run != nil || !req.SkipActions && hasHooks(s.svc.Actions, req.Command)
}

// selectServices marks the services that the command runs on: the one asked for,
// those of the flow of the command, or all.
func (e *Engine) selectServices(req Request) {
	flow := flowOf(e.App.Flow, req.Command)
	for name, s := range e.sessions {
		switch {
		case len(req.Services) > 0:
			s.selected = slices.Contains(req.Services, name)
		case flow != nil:
			s.selected = slices.ContainsFunc(flow.Groups, func(g []string) bool { return slices.Contains(g, name) })
		default:
			s.selected = true
		}
	}
}

func flowOf(flows []app.Flow, command string) *app.Flow {
	for i, f := range flows {
		if f.Command == command {
			return &flows[i]
		}
	}
	for i, f := range flows {
		if f.Command != "" {
			continue
		}
		if matched, err := regexp.MatchString(f.Pattern, command); err == nil && matched {
			return &flows[i]
		}
	}
	return nil
}

// wanted returns the selected services and what they depend on.
func (e *Engine) wanted() map[string]bool {
	wanted := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if wanted[name] {
			return
		}
		wanted[name] = true
		for _, d := range e.sessions[name].deps {
			add(d)
		}
	}
	for name, s := range e.sessions {
		if s.selected {
			add(name)
		}
	}
	return wanted
}
