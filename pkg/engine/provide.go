package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
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
		if err := errors.Join(append(problems, e.read(ctx, level))...); err != nil {
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
	return errors.Join(problems...)
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
	s.call.CodeLater = !s.selected || !s.final && req.Command != "plan"
	return e.desire(ctx, s, !s.final || s.call.CodeLater)
}

// command returns the command whose resources are wanted, and its arguments: plan
// looks at deploy or remove.
func (s *session) command(req Request) (string, component.Args) {
	if req.Command != "plan" {
		return req.Command, s.args
	}
	args := s.args
	args.Sub = args.String("sub-command")
	if args.String("plan-type") == "remove" {
		return "remove", args
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
	command, args := s.command(req)
	changes := &plan.Service{Name: s.name(), Region: s.desired.Region, Account: s.desired.Account}
	var problems []error
	for _, r := range s.resources() {
		key := s.key(r.ID)
		e.mu.Lock()
		found, read := e.found[key]
		own := e.own[key]
		e.mu.Unlock()
		if !read {
			return fmt.Errorf("comparing %s, which was not read", r.ID)
		}
		if one := e.united[key]; one != nil {
			r = one
		}
		if command == "remove" {
			gone := *r
			gone.Absent = true
			r = &gone
		}
		c := plan.New(s.types[r.Kind].Schema, found, r)
		if c.Action == plan.Create && r.Managed != nil {
			problems = append(problems, diag.At(r.Pos, "%s does not exist, and this command only changes what exists", r.ID).
				WithCode(diag.ExitComponent).WithHint("deploy without --type first"))
		}
		c.Decision = plan.Decide(c.Action, policy(args))
		if command == "remove" && c.Action == plan.Delete || own && c.Action != plan.None {
			c.Decision = plan.Apply
		}
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
		p.Command, _ = s.command(req)
	}
	return p
}

// refused returns the error for changes that nobody has decided on. Before the
// hooks ran (final is false for a service), only what they cannot change counts.
func (e *Engine) refused(p *plan.Plan, final bool) error {
	var ids []string
	var detail strings.Builder
	for _, svc := range p.Services {
		settled := final || e.sessions[svc.Name].final
		for _, c := range svc.Refused() {
			lines := differences(c, settled)
			if len(lines) == 0 {
				continue
			}
			ids = append(ids, c.Resource.String())
			fmt.Fprintf(&detail, "%s\n", c.Resource)
			for _, line := range lines {
				detail.WriteString("  " + line + "\n")
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return diag.Errorf("what is online differs from %s: %s", e.App.File, strings.Join(ids, ", ")).
		WithDetail(detail.String()).WithCode(diag.ExitComponent).
		WithHint("nothing was changed there; deploy with --use-local to make it as the file says, or with --use-remote to leave it as it is")
}

// differences returns a line for each field that differs; fields that the hooks or
// other services will still set count only when all is settled.
func differences(c *plan.Change, settled bool) []string {
	var lines []string
	for _, d := range c.Fields {
		_, unknown := d.New.(app.UnknownValue)
		if !settled && (unknown || d.Field == "code") {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %s => %s", d.Path, plan.Show(d.Old), plan.Show(d.New)))
	}
	return lines
}

// provide deploys or removes the resources of one service.
func (e *Engine) provide(ctx context.Context, s *session, req Request) error {
	if !s.final {
		if err := e.settle(ctx, s, req); err != nil {
			return err
		}
	}
	// Nothing is read twice, but for what a hook may have deployed by itself.
	if err := e.read(ctx, []*session{s}); err != nil {
		return err
	}
	if err := e.compare(s, req); err != nil {
		return err
	}
	if err := e.refused(&plan.Plan{Services: []*plan.Service{s.changes}}, true); err != nil {
		return err
	}
	e.emit(Planned{Plan: s.changes})
	if err := e.apply(ctx, s, s.changes.Changes); err != nil {
		return err
	}
	s.status = outcome(s.changes)
	if req.Command == "remove" {
		s.result = e.removed(s)
		return nil
	}
	s.output = e.outputs(s)
	s.result = s.output
	return nil
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
		default:
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
	if unknown := firstUnknown(s.props); unknown != nil && req.Command != "remove" {
		return diag.At(unknown.Pos, "%s is not known: the service it comes from was not deployed in this run", unknown.Str()).
			WithHint("deploy the whole application, or that service first")
	}
	s.call.Props, s.call.CodeLater = s.props, false
	s.final = true
	if err := e.desire(ctx, s, false); err != nil {
		return err
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
