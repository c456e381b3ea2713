package engine

import (
	"context"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/expr"
	"github.com/devs/deploy/pkg/hook"
)

// serviceHooks runs the hooks of a service around the command.
func (e *Engine) serviceHooks(ctx context.Context, s *session, req Request, stage app.Stage) error {
	actions, err := hook.Match(s.svc.Actions, stage, req.Command)
	if err != nil || len(actions) == 0 || req.SkipActions {
		return err
	}
	if s.props == nil {
		if err := e.evaluate(s, req); err != nil {
			return err
		}
	}
	out, err := e.hookRunner(s, req).Run(ctx, actions, hook.Input{
		Command:      req.Command,
		App:          e.App.Name,
		Service:      s.name(),
		Component:    s.svc.Component.Str(),
		Props:        s.props,
		Output:       s.result,
		AllowFailure: s.svc.AllowFailure,
	})
	if stage == app.Pre && out.Props != s.props {
		s.override = out.Props
	}
	return err
}

// globalHooks runs the hooks of the application around the command.
func (e *Engine) globalHooks(ctx context.Context, req Request, stage app.Stage) error {
	if len(req.Services) > 0 {
		return nil // some services alone: the application's hooks are for all of it
	}
	actions, err := hook.Match(e.App.Actions, stage, req.Command)
	if err != nil || len(actions) == 0 || req.SkipActions {
		return err
	}
	output := &app.Value{Kind: app.Map}
	for _, s := range e.order {
		if s.result != nil {
			output.Entries = append(output.Entries, app.Entry{Key: s.name(), Value: s.result})
		}
	}
	_, err = e.hookRunner(nil, req).Run(ctx, actions, hook.Input{Command: req.Command, Global: true, App: e.App.Name, Output: output})
	return err
}

// hookRunner makes a runner for the hooks of s, or of the application.
func (e *Engine) hookRunner(s *session, req Request) *hook.Runner {
	service := ""
	alias := e.Access
	if s != nil {
		service, alias = s.name(), s.access
	} else if alias == "" {
		alias = e.App.Access
	}
	return hook.New(hook.Config{
		Dir:      e.App.Dir,
		Env:      hook.Environ(e.Hooks.Environ, e.Hooks.BinDir, e.variables(alias)),
		Stderr:   e.Hooks.Output,
		Terminal: e.Hooks.Terminal,
		Evaluate: func(v, props *app.Value) (*app.Value, error) { return e.hookValue(s, v, props, req) },
		RunComponent: func(ctx context.Context, words []string, props *app.Value) (*app.Value, error) {
			return e.runHookComponent(ctx, s, words, props, req)
		},
		Notify: func(ev hook.Event) { e.hookEvent(service, ev) },
	})
}

// hasHooks reports whether anything runs around the command.
func hasHooks(actions []app.Action, command string) bool {
	for _, stage := range []app.Stage{app.Pre, app.Post, app.Success, app.Fail, app.Complete} {
		if matching, err := hook.Match(actions, stage, command); err != nil || len(matching) > 0 {
			return true
		}
	}
	return false
}

// variables returns what hooks get beside their environment: the credential of an
// alias, when there is one, and the locks that a deploy within a hook does not wait for.
func (e *Engine) variables(alias string) map[string]string {
	vars := map[string]string{}
	if cred, err := e.credential(alias); err == nil { // most hooks need no cloud
		vars = cred.Variables()
	}
	if held := e.shelf.held(); len(held) > 0 {
		vars[HeldLocks] = strings.Join(held, ",")
	}
	return vars
}

// hookValue evaluates a text of a hook. What is no expression of the file is left
// to the shell.
func (e *Engine) hookValue(s *session, v, props *app.Value, req Request) (*app.Value, error) {
	scope := e.scope(s, req)
	scope.Mode = expr.Shell
	if scope.This != nil && props != nil {
		scope.This.Props = props
	}
	if scope.This != nil && s.result != nil {
		scope.This.Output = s.result
	}
	return e.evaluateIn(scope, v)
}

func (e *Engine) hookEvent(service string, ev hook.Event) {
	switch ev.Kind {
	case hook.Started:
		e.emit(HookStarted{Service: service, Action: ev.Action, Text: ev.Text})
	case hook.Warning:
		e.emit(Warning{Pos: ev.Step.Pos, Text: ev.Message})
	case hook.Tolerated:
		e.emit(Warning{Pos: ev.Step.Pos, Text: "failed, which allow_failure tolerates: " + ev.Err.Error()})
	}
}

// runHookComponent runs a line such as "fc invoke -e '{}'" for the service whose
// hook it is.
func (e *Engine) runHookComponent(ctx context.Context, s *session, words []string, props *app.Value, req Request) (*app.Value, error) {
	comp, err := e.Components(words[0], s.svc.Pos)
	if err != nil {
		return nil, err
	}
	cmd := component.Find(comp, words[1])
	if cmd == nil {
		return nil, diag.Errorf("the component %s does not have the command %q", words[0], words[1])
	}
	if cmd.Run == nil {
		return e.runNested(ctx, s, words, props, req)
	}
	args, err := component.ParseArgs(cmd, Flags(cmd.Name), words[2:])
	if err != nil {
		return nil, err
	}
	call := e.newCall(s, cmd.Name, args)
	call.Component, call.Props = words[0], props
	output, err := cmd.Run(ctx, call)
	if err == nil && output != nil && output.Kind == app.String && !output.Secret {
		e.emit(Notice{Service: s.name(), Text: strings.TrimRight(output.Str(), "\n")})
	}
	return output, err
}

// runNested runs plan, deploy or remove of a component for a hook, by an engine of
// its own.
func (e *Engine) runNested(ctx context.Context, s *session, words []string, props *app.Value, req Request) (*app.Value, error) {
	one := *e.App
	svc := *s.svc
	svc.Actions, svc.Component, svc.Props = nil, app.Text(words[0]), props
	one.Services, one.Actions, one.Flow = []*app.Service{&svc}, nil, nil
	cfg := e.Config
	cfg.App = &one
	cfg.Notify = e.emitNested
	inner := New(cfg)
	inner.slots, inner.shelf, inner.outer = e.slots, e.shelf, e
	result, err := inner.Run(ctx, Request{Command: words[1], Args: words[2:], AllowUnresolved: req.AllowUnresolved})
	if err != nil || len(result.Services) == 0 {
		return nil, err
	}
	return result.Services[0].Output, nil
}

// emitNested passes on an event of the engine of a hook, but for those that are about the
// service: its turn began before, and is not over.
func (e *Engine) emitNested(ev Event) {
	switch ev.(type) {
	case ServiceStarted, ServiceEnded:
	default:
		e.emit(ev)
	}
}
