package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

// survey evaluates and checks the props of all services without a request to the
// cloud, then reads what is online and compares, level by level, so that the
// outputs of what is already there are known to the services that use them.
func (e *Engine) survey(ctx context.Context, req Request) error {
	var problems []error
	for _, s := range e.order {
		if s.cmd == nil || s.cmd.Run != nil {
			continue // the component does it itself
		}
		problems = append(problems, e.want(ctx, s, req))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	e.meetNeighbours(ctx, req)
	e.unite()
	for _, level := range e.levels() {
		for _, s := range level {
			if !s.final && e.learned(s) {
				problems = append(problems, e.want(ctx, s, req))
			}
		}
		e.unite()
		if err := errors.Join(problems...); err != nil {
			return err
		}
		for _, s := range level {
			problems = append(problems, e.sweep(ctx, s, req))
		}
		if err := errors.Join(append(problems, e.readAll(ctx, level))...); err != nil {
			return err
		}
		if err := e.rewind(ctx, level, req); err != nil {
			return err
		}
		for _, s := range level {
			if err := e.compare(s, req); err != nil {
				problems = append(problems, err)
				continue
			}
			if s.known() {
				s.output = e.outputs(s)
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return e.prune(ctx, req)
}

// learned reports whether the output of a service that s uses is known by now.
func (e *Engine) learned(s *session) bool {
	return slices.ContainsFunc(s.deps, func(name string) bool { return e.sessions[name].output != nil })
}

// settled reports whether the outputs that s uses are those of what is deployed, not
// those that are expected.
func (e *Engine) settled(s *session) bool {
	return !slices.ContainsFunc(s.deps, func(name string) bool { return e.sessions[name].output == nil })
}

// want evaluates the props of s and asks the component for its resources. Where
// hooks or other services have their say first, the result is a preview.
func (e *Engine) want(ctx context.Context, s *session, req Request) error {
	if err := e.evaluate(s, req); err != nil {
		return err
	}
	command, args := s.command(req)
	s.call = e.newCall(s, command, args)
	s.final = !s.props.HasUnknown() && !s.hooked(req, command) && e.settled(s)
	s.call.CodeLater = !s.selected || !s.final && (req.Command != "plan" || req.Kept)
	return e.desire(ctx, s, !s.final || s.call.CodeLater)
}

// command returns the command whose resources are wanted, and its arguments: plan
// looks at deploy, rollback or remove.
func (s *session) command(req Request) (string, component.Args) {
	if req.Command != "plan" {
		return req.Command, s.args
	}
	args := s.args
	args.Sub = args.String("sub-command")
	if planned := args.String("plan-type"); planned != "" {
		return planned, args
	}
	return "deploy", args
}

// levels groups the sessions with resources so that each is behind those it needs.
func (e *Engine) levels() [][]*session {
	depth := map[string]int{}
	var levels [][]*session
	for _, s := range e.order {
		if s.desired == nil {
			continue
		}
		for _, d := range s.deps {
			if at, ok := depth[d]; ok {
				depth[s.name()] = max(depth[s.name()], at+1)
			}
		}
		at := depth[s.name()]
		depth[s.name()] = at
		for len(levels) <= at {
			levels = append(levels, nil)
		}
		levels[at] = append(levels[at], s)
	}
	return levels
}

// compare makes the changes of s from what it wants and what is known to be online.
func (e *Engine) compare(s *session, req Request) error {
	command, _ := s.command(req)
	changes := &plan.Service{Name: s.name(), Region: s.desired.Region, Account: s.desired.Account}
	var problems []error
	for _, r := range s.resources() {
		key := s.key(r.ID)
		e.mu.Lock()
		found, read := e.found[key]
		e.mu.Unlock()
		if !read {
			return fmt.Errorf("comparing %s, which was not read", r.ID)
		}
		if one := e.unitedAs(key); one != nil && command != rollback {
			r = one
		}
		if command == "remove" {
			gone := *r
			gone.Absent = true
			r = &gone
		}
		c := plan.New(s.types[r.Kind].Schema, e.recorded(s, r.ID, found), found, r)
		c.Pruned = command == "deploy" && slices.Contains(s.swept, r)
		if c.Action == plan.Create && r.Managed != nil {
			problems = append(problems, diag.At(r.Pos, "%s does not exist, and this command only changes what exists", r.ID).
				WithCode(diag.ExitComponent).WithHint("deploy without --type first"))
		}
		if command == rollback {
			e.annotate(s, c)
		}
		c.Decision = e.decide(s, c, req)
		changes.Changes = append(changes.Changes, c)
	}
	s.changes = changes
	return errors.Join(problems...)
}

// known reports whether the outputs of s are what is online now: nothing will be
// changed but deleted, or for a service that is only looked at, everything is there.
func (s *session) known() bool {
	return s.final && !slices.ContainsFunc(s.changes.Changes, func(c *plan.Change) bool {
		return c.Action == plan.Create || s.selected && c.Action != plan.None && c.Action != plan.Delete
	})
}

// plan puts the changes of the selected services together. What several of them
// declare is listed with the first.
func (e *Engine) plan(req Request) *plan.Plan {
	p := &plan.Plan{App: e.App.Name, Command: "deploy"}
	listed := map[foundKey]bool{}
	for _, s := range e.selected() {
		if s.changes == nil {
			continue
		}
		once := *s.changes
		once.Changes = nil
		for _, c := range s.changes.Changes {
			if key := s.key(c.Resource); !listed[key] {
				listed[key] = true
				once.Changes = append(once.Changes, c)
			}
		}
		p.Services = append(p.Services, &once)
		var args component.Args
		p.Command, args = s.command(req)
		p.Policy = e.policyOf(args)
	}
	e.tellDropped(p)
	return p
}

// provide deploys or removes the resources of one service.
func (e *Engine) provide(ctx context.Context, s *session, req Request) error {
	hooked := !s.final
	if hooked {
		if err := e.settle(ctx, s, req); err != nil {
			return err
		}
	}
	if err := e.final(ctx, s, hooked, req); err != nil {
		return err
	}
	e.emit(Planned{Plan: s.changes})
	if err := e.keepCode(ctx, s, req); err != nil {
		return err
	}
	if err := e.apply(ctx, s, s.changes.Changes); err != nil {
		return err
	}
	s.status = outcome(s.changes)
	if req.Command == "remove" {
		s.result = e.removed(s)
		return nil
	}
	e.adopt(ctx, s)
	s.output = e.outputs(s)
	s.result = s.output
	return nil
}

// final makes the changes of s final, under the lock: what hooks deployed by themselves,
// and what somebody else did before the lock was taken, is looked at again.
func (e *Engine) final(ctx context.Context, s *session, hooked bool, req Request) error {
	for range maxLooks {
		if err := e.readAll(ctx, []*session{s}); err != nil {
			return err
		}
		if hooked {
			if err := e.rewind(ctx, []*session{s}, req); err != nil {
				return err
			}
		}
		if err := e.compare(s, req); err != nil {
			return err
		}
		if hooked {
			if err := e.stillPlanned(s, req); err != nil {
				return err
			}
		}
		if err := e.decided(ctx, &plan.Plan{Services: []*plan.Service{s.changes}}, req, true); err != nil {
			return err
		}
		if same, err := e.lockLate(ctx, s); err != nil || same {
			return err
		}
		e.forgetOne(s)
	}
	return e.explainRecord(&resource.Conflict{ID: s.desired.Holder}, s)
}

// removed is what a removal yields: the resources that are gone, and those that
// were kept because others live in them.
func (e *Engine) removed(s *session) *app.Value {
	online := e.onlineFor(s)
	deleted, kept := []any{}, []any{}
	for _, c := range s.changes.Changes {
		switch {
		case c.Decision != plan.Apply:
		case online[c.Resource] == nil:
			deleted = append(deleted, c.Resource.String())
		case e.wasKept(s, c.Resource):
			kept = append(kept, c.Resource.String())
		}
	}
	return app.From(map[string]any{"deleted": deleted, "kept": kept}, s.svc.Pos)
}

// settle makes the preview of a service final: the hooks ran, and the services it
// uses are deployed.
func (e *Engine) settle(ctx context.Context, s *session, req Request) error {
	if err := e.evaluate(s, req); err != nil {
		return err
	}
	if s.override != nil {
		s.props = s.override
		e.protect(s.props)
	}
	if unknown := firstUnknown(s.props); unknown != nil && req.Command != "remove" && req.Command != rollback {
		return diag.At(unknown.Pos, "%s is not known: the service it comes from was not deployed in this run", unknown.Str()).
			WithHint("deploy the whole application, or that service first")
	}
	s.call.Props, s.call.CodeLater = s.props, false
	s.final = true
	swept := s.swept
	if err := e.desire(ctx, s, false); err != nil {
		return err
	}
	if req.Command == "deploy" {
		e.pruneStill(s, swept)
	}
	e.unite()
	return e.sweep(ctx, s, req)
}

func firstUnknown(v *app.Value) *app.Value {
	if v == nil || v.Kind == app.Unknown {
		return v
	}
	for _, item := range v.Items {
		if u := firstUnknown(item); u != nil {
			return u
		}
	}
	for _, entry := range v.Entries {
		if u := firstUnknown(entry.Value); u != nil {
			return u
		}
	}
	return nil
}

// outcome is the status of a service whose changes were applied.
func outcome(p *plan.Service) Status {
	status := Unchanged
	for _, c := range p.Changes {
		switch c.Decision {
		case plan.Apply:
			return Done
		case plan.Leave:
			status = Left
		}
	}
	return status
}

// outputs returns what the service yields from what is online.
func (e *Engine) outputs(s *session) *app.Value {
	if s.desired == nil || s.desired.Outputs == nil {
		return nil
	}
	return s.desired.Outputs(e.onlineFor(s))
}
