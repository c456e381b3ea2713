package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

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
	output, err := e.runOnce(ctx, s)
	if err != nil {
		return err
	}
	if _, ok := s.comp.(component.Provider); !ok {
		s.output = output // of a provider, others use what its deploy yields
	}
	s.result, s.status = output, Done
	return nil
}

// ran is what a command gave that is about something which several services share.
type ran struct {
	service string // for which it was run
	output  *app.Value
	err     error
}

// runOnce runs the command of a service, unless it was run for another one with which it
// shares what the command is about. Such commands run one after the other.
func (e *Engine) runOnce(ctx context.Context, s *session) (*app.Value, error) {
	about := ""
	if s.cmd.Once != nil {
		about = s.cmd.Once(s.call)
	}
	if about == "" {
		return s.cmd.Run(ctx, s.call)
	}
	about = s.access + " " + about
	r := e.ran[about]
	if r == nil {
		r = &ran{service: s.name()}
		r.output, r.err = s.cmd.Run(ctx, s.call)
		e.ran[about] = r
		return r.output, r.err
	}
	if r.err != nil {
		return nil, diag.At(s.svc.Pos, "%s failed for %s, and is the same for %s", s.cmd.Name, r.service, s.name()).WithCode(diag.ExitComponent)
	}
	return r.output, nil
}

// walk runs the global hooks around the services, and each service with its own.
// A service that fails does not hide the others: those that do not need it go on.
func (e *Engine) walk(ctx context.Context, req Request) error {
	after, stop := linger(ctx, lingering)
	defer stop()
	if err := e.globalHooks(ctx, req, app.Pre); err != nil {
		return errors.Join(err, e.globalHooks(after, req, app.Fail), e.globalHooks(after, req, app.Complete))
	}
	errs := e.services(ctx, after, req)
	if ctx.Err() != nil {
		errs = append(errs, interrupted(ctx))
	}
	stage := app.Success
	if len(errs) > 0 {
		stage = app.Fail
	}
	errs = append(errs, e.globalHooks(after, req, stage), e.globalHooks(after, req, app.Complete))
	return errors.Join(errs...)
}

// services runs the services side by side, as far as their order allows. The errors are
// in that order.
func (e *Engine) services(ctx, after context.Context, req Request) []error {
	sessions := e.selected()
	before := e.before(sessions, req)
	errs := make([]error, len(sessions))
	ends := make([]chan struct{}, len(sessions))
	for i := range ends {
		ends[i] = make(chan struct{})
	}
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() {
			defer close(ends[i])
			defer e.ended(s)
			for _, j := range before[i] {
				<-ends[j]
			}
			if ctx.Err() != nil {
				s.status = Skipped
				return
			}
			errs[i] = e.service(ctx, after, s, req)
		})
	}
	wg.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// service runs one service: pre hooks, the command, and the hooks after it.
func (e *Engine) service(ctx, after context.Context, s *session, req Request) error {
	start := e.Now()
	e.emit(ServiceStarted{Service: s.name(), Component: s.svc.Component.Str(), Of: len(e.selected())})
	err := e.around(ctx, after, s, req)
	if err != nil && s.svc.AllowFailure.Allows(req.Command, diag.ExitCode(err)) {
		s.tolerated = true
		e.emit(Warning{Pos: s.svc.Pos, Text: s.name() + " failed, which allow_failure tolerates: " + err.Error()})
		err = nil
	}
	e.emit(ServiceEnded{Service: s.name(), Status: s.status, Took: e.Now().Sub(start), Err: err})
	return err
}

// around runs the command of one service between its hooks. Those that tell of the end
// run also after an interrupt, as long as the context after lasts.
func (e *Engine) around(ctx, after context.Context, s *session, req Request) error {
	if failed := e.failedDeps(s); len(failed) > 0 {
		s.status = Skipped
		return diag.At(s.svc.Pos, "%s was not tried: it needs %s", s.name(), strings.Join(failed, ", ")).WithCode(diag.ExitComponent)
	}
	err := e.serviceHooks(ctx, s, req, app.Pre)
	if err == nil {
		err = e.act(ctx, s, req)
	}
	if err == nil {
		err = e.serviceHooks(ctx, s, req, app.Post)
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

// lingering is how long the hooks behind a command may go on after an interrupt.
const lingering = 7 * time.Second

// linger returns a context that ends some time after ctx does.
func linger(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	after, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(context.Cause(ctx))
		case <-after.Done():
		}
	})
	return after, func() { stop(); cancel(nil) }
}

func interrupted(ctx context.Context) error {
	return diag.Errorf("interrupted: what was under way is finished, nothing more was begun").
		WithCode(diag.ExitInterrupted).WithCause(context.Cause(ctx)).
		WithHint("run the same command again to go on")
}
