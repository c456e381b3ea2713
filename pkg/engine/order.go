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
	for i, svc := range e.App.Services {
		s := &session{svc: svc}
		for _, d := range nodes[i].Deps {
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
	if flow == nil || req.Service != "" {
		return
	}
	group := func(s *session) int {
		return slices.IndexFunc(flow.Groups, func(g []string) bool { return slices.Contains(g, s.name()) })
	}
	slices.SortStableFunc(e.order, func(a, b *session) int { return group(a) - group(b) })
}

// selectServices marks the services that the command runs on: the one asked for,
// those of the flow of the command, or all.
func (e *Engine) selectServices(req Request) {
	flow := flowOf(e.App.Flow, req.Command)
	for name, s := range e.sessions {
		switch {
		case req.Service != "":
			s.selected = name == req.Service
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
