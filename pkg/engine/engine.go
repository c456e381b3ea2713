// Package engine runs a command on an application: it walks the services in
// order, runs their hooks, compares what is wanted with what is found, and applies
// what the policy allows. It emits events and prints nothing; it knows no
// component, no CI and no command line.
package engine

import (
	"context"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// Parallelism is how many requests to the cloud are under way at once.
const Parallelism = 8

// Config is what an Engine works with. All fields but In, AutoDomain and Images are
// required.
type Config struct {
	App        *app.App
	Components func(name string, pos diag.Pos) (component.Component, error)
	Credential func(alias string) (*credential.Credential, error)
	Access     string // the alias that beats every one in the file, "" for none
	Env        func(name string) (string, bool)
	ReadFile   func(path string) ([]byte, error)
	// Stranger says that the application is not to be trusted: env() and config() find
	// nothing for it, as what they find may be shown.
	Stranger   bool
	Exists     func(path string) bool
	Hooks      Hooks
	Notify     func(Event)
	Redactor   *secret.Redactor
	Now        func() time.Time
	In         io.Reader        // standard input for commands that ask for it
	AutoDomain string           // see component.Call
	Images     component.Images // see component.Call
	Records    Records
	Default    plan.Policy       // where no flag says what to do about a difference: Fail or Prompt; "" is Fail
	Trace      func(line string) // see component.Call; must be safe for concurrent use
}

// Hooks is the outside world of hooks.
type Hooks struct {
	Environ  []string  // of child processes, complete
	BinDir   string    // first on their PATH; holds this binary as s and devs
	Output   io.Writer // gets what they print
	Terminal *os.File  // where somebody sits; nil for nobody
}

// Request is one command.
type Request struct {
	Command         string
	Services        []string // the services it is for, nil for all
	Args            []string // as given, behind the command
	SkipActions     bool
	AllowUnresolved bool
	// Confirm is asked before a removal; nil means yes.
	Confirm func(*plan.Plan) (bool, error)
	// Ask is asked what to do about the changes that the policy Prompt refuses: Local,
	// Remote, or Fail to change nothing. Nil means Fail.
	Ask func(context.Context, *plan.Plan) (plan.Policy, error)
	// Kept is set for a plan that is kept in a file to be applied: what hooks will still
	// build is not looked at.
	Kept bool
	// File is the plan that shall be applied as it is; nil for none.
	File *plan.File
}

// Status is how a service ended.
type Status string

// The statuses.
const (
	Done      Status = "done"
	Unchanged Status = "unchanged" // nothing had to be done
	Left      Status = "left"      // differs, and was left as it is by policy
	Failed    Status = "failed"
	Skipped   Status = "skipped" // something it needs failed
	Missing   Status = "missing" // its component has no such command
)

// Result is what a command yields.
type Result struct {
	Plan     *plan.Plan // of the services whose component the engine plans for
	Services []ServiceResult
}

// ServiceResult is the result of one service.
type ServiceResult struct {
	Name   string
	Status Status
	Output *app.Value // nil for none

	Resources []ResourceResult // in the order of the plan; each stands with one service
}

// Engine runs commands on one application. It is made for one Run.
type Engine struct {
	Config

	sessions   map[string]*session
	neighbours []*session // of a service that runs alone; only looked at
	order      []*session
	shelf      *shelf
	outer      *Engine // the run in whose hook this one is, and whose ledgers it uses; nil for none
	flight

	mu     sync.Mutex                      // guards the events and what is below
	found  map[foundKey]*resource.Found    // nil: known to be absent
	own    map[foundKey]bool               // changed by this run
	united map[foundKey]*resource.Resource // what several services declare, as one
	warned map[Warning]bool
	ran    map[string]*ran // by what the command is about
	creds  map[string]func() (*credential.Credential, error)

	begun     time.Time // when the run began; the same in all that it records
	continued time.Time // when the rollback began that this one goes on with, zero for none
	goal      *target   // of a rollback, nil until it is known

	answer plan.Policy // what was said to Ask, "" for nothing yet
	asking sync.Mutex  // held while somebody is asked
}

// foundKey names a resource across accounts and regions.
type foundKey struct {
	account, region string
	id              resource.ID
}

// New returns an engine for one run.
func New(cfg Config) *Engine {
	return &Engine{
		Config:   cfg,
		sessions: map[string]*session{},
		shelf:    &shelf{ledgers: map[foundKey]*ledger{}},
		found:    map[foundKey]*resource.Found{},
		own:      map[foundKey]bool{},
		warned:   map[Warning]bool{},
		ran:      map[string]*ran{},
		creds:    map[string]func() (*credential.Credential, error){},
	}
}

// Run runs the command of req. The Result is not nil even when there is an error:
// it tells what was done until then. The error joins what went wrong in the
// services that could be tried.
func (e *Engine) Run(ctx context.Context, req Request) (*Result, error) {
	e.begun = e.Now().UTC().Round(0)
	if err := e.prepare(req); err != nil {
		return &Result{Plan: &plan.Plan{}}, err
	}
	defer e.close(ctx)
	if err := e.look(ctx, req); err != nil {
		return &Result{Plan: &plan.Plan{}}, err
	}
	if req.Command != "plan" {
		if proceed, err := e.begin(ctx, req); err != nil || !proceed {
			return &Result{Plan: e.plan(req)}, err
		}
	}
	e.begun = e.shelf.behind(e.begun)
	if req.Command == rollback {
		e.pend(ctx)
	}
	err := e.walk(ctx, req)
	return &Result{Plan: e.plan(req), Services: e.results()}, err
}

// look surveys, and holds what it sees against the plan that shall be applied.
func (e *Engine) look(ctx context.Context, req Request) error {
	if err := e.survey(ctx, req); ctx.Err() != nil {
		return interrupted(ctx)
	} else if err != nil {
		return err
	}
	return e.asPlanned(e.plan(req), req)
}

// maxLooks is how often a run looks again because somebody else changes what it is
// about to change.
const maxLooks = 5

// begin gets everything settled before the first change: what the policy refuses is
// asked for, a removal is confirmed, and the locks are taken. When somebody else
// deployed meanwhile, it begins anew with what is online then.
func (e *Engine) begin(ctx context.Context, req Request) (proceed bool, err error) {
	for range maxLooks {
		p := e.plan(req)
		if err := e.decided(ctx, p, req, false); err != nil {
			return false, err
		}
		if req.Confirm != nil && !e.confirmed() && p.Counts().Pending() > 0 {
			ok, err := req.Confirm(p)
			if ctx.Err() != nil {
				return false, interrupted(ctx)
			}
			if err != nil || !ok {
				return false, err
			}
		}
		same, err := e.lock(ctx)
		if same && err == nil {
			same, err = e.refresh(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return false, interrupted(ctx)
		case err != nil || same:
			return same, err
		}
		if e.outer != nil { // the run around it works with what would be read again
			return false, diag.Errorf("somebody else deployed %s meanwhile", e.App.Name).WithCode(diag.ExitComponent).
				WithHint("nothing was changed; deploy again")
		}
		e.emit(Notice{Text: "somebody else deployed meanwhile: looking again at what is online"})
		e.forget()
		e.setAnswer("") // it was about something else
		if err := e.look(ctx, req); err != nil {
			return false, err
		}
	}
	return false, diag.Errorf("what is online changed again and again while this run began").WithCode(diag.ExitComponent).
		WithHint("nothing was changed; deploy again when nobody else does")
}

// confirmed reports whether the arguments say yes to every question.
func (e *Engine) confirmed() bool {
	return slices.ContainsFunc(e.selected(), func(s *session) bool { return s.args.Bool(flagYes) })
}

func (e *Engine) close(ctx context.Context) {
	if e.outer == nil {
		e.shelf.close(ctx)
	}
	for _, s := range append(e.neighbours, e.order...) {
		s.release()
	}
}
