package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
)

// act does what the command is for one service.
func (e *Engine) act(ctx context.Context, s *session, req Request) error {
	switch {
	case s.cmd.Run == nil && req.Command == "plan":
		return nil // the survey is the plan
	case s.cmd.Run == nil:
		return e.provide(ctx, s, req)
	}
	if err := e.evaluate(s, req); err != nil {
		return err
	}
	if s.override != nil {
		s.props = s.override
	}
	s.call = e.newCall(s, req.Command, s.args)
	e.allowNames(s)
	output, err := s.cmd.Run(ctx, s.call)
	if err != nil {
		return err
	}
	if _, ok := s.comp.(component.Provider); !ok {
		s.output = output // of a provider, others use what its deploy yields
	}
	s.result, s.status = output, Done
	return nil
}

// walk runs the global hooks around the services, and each service with its own.
// A service that fails does not hide the others: those that do not need it go on.
func (e *Engine) walk(ctx context.Context, req Request) error {
	if err := e.globalHooks(ctx, req, app.Pre); err != nil {
		after := context.WithoutCancel(ctx)
		return errors.Join(err, e.globalHooks(after, req, app.Fail), e.globalHooks(after, req, app.Complete))
	}
	var errs []error
	for _, s := range e.selected() {
		if ctx.Err() != nil {
			s.status = Skipped
			continue
		}
		if err := e.turn(ctx, s, req); err != nil {
			errs = append(errs, err)
		}
	}
	if ctx.Err() != nil {
		errs = append(errs, interrupted(ctx))
	}
	stage := app.Success
	if len(errs) > 0 {
		stage = app.Fail
	}
	after := context.WithoutCancel(ctx)
	errs = append(errs, e.globalHooks(after, req, stage), e.globalHooks(after, req, app.Complete))
	return errors.Join(errs...)
}

// turn runs one service: pre hooks, the command, and the hooks after it.
func (e *Engine) turn(ctx context.Context, s *session, req Request) error {
	start := e.Now()
	e.emit(ServiceStarted{Service: s.name(), Component: s.svc.Component.Str()})
	err := e.around(ctx, s, req)
	if err != nil && s.svc.AllowFailure.Allows(req.Command, diag.ExitCode(err)) {
		s.tolerated = true
		e.emit(Warning{Pos: s.svc.Pos, Text: s.name() + " failed, which allow_failure tolerates: " + err.Error()})
		err = nil
	}
	e.emit(ServiceEnded{Service: s.name(), Status: s.status, Took: e.Now().Sub(start), Err: err})
	return err
}

// around runs the command of one service between its hooks.
func (e *Engine) around(ctx context.Context, s *session, req Request) error {
	if failed := e.failedDeps(s); len(failed) > 0 {
		s.status = Skipped
		return diag.At(s.svc.Pos, "%s was not tried: it needs %s", s.name(), strings.Join(failed, ", ")).WithCode(diag.ExitComponent)
	}
	err := e.serviceHooks(ctx, s, req, app.Pre)
	if err == nil {
		err = e.act(ctx, s, req)
	}
	after := context.WithoutCancel(ctx)
	if err == nil {
		err = e.serviceHooks(after, s, req, app.Post)
	}
	stage := app.Success
	if err != nil {
		stage = app.Fail
	}
	err = errors.Join(err, e.serviceHooks(after, s, req, stage), e.serviceHooks(after, s, req, app.Complete))
	if err != nil {
		s.status = Failed
	}
	return err
}

// failedDeps returns the services that s needs and that did not work in this run.
func (e *Engine) failedDeps(s *session) []string {
	var failed []string
	for _, name := range s.deps {
		d := e.sessions[name]
		if d != nil && !d.tolerated && (d.status == Failed || d.status == Skipped) && !slices.Contains(failed, name) {
			failed = append(failed, name)
		}
	}
	return failed
}

// results tells how the services ended, in the order in which they ran.
func (e *Engine) results() []ServiceResult {
	var list []ServiceResult
	for _, s := range e.order {
		if s.selected && s.status != "" {
			list = append(list, ServiceResult{Name: s.name(), Status: s.status, Output: s.result})
		}
	}
	return list
}

func interrupted(ctx context.Context) error {
	return diag.Errorf("interrupted: what was under way is finished, nothing more was begun").
		WithCode(diag.ExitInterrupted).WithCause(context.Cause(ctx)).
		WithHint("run the same command again to go on")
}
