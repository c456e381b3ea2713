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

// Config is what an Engine works with. All fields but In and AutoDomain are
// required.
type Config struct {
	App        *app.App
	Components func(name string, pos diag.Pos) (component.Component, error)
	Credential func(alias string) (*credential.Credential, error)
	Access     string // the alias that beats every one in the file, "" for none
	Env        func(name string) (string, bool)
	ReadFile   func(path string) ([]byte, error)
	Exists     func(path string) bool
	Hooks      Hooks
	Notify     func(Event)
	Redactor   *secret.Redactor
	Now        func() time.Time
	In         io.Reader         // standard input for commands that ask for it
	AutoDomain string            // see component.Call
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
	Service         string   // one service; "" for all
	Args            []string // as given, behind the command
	SkipActions     bool
	AllowUnresolved bool
	// Confirm is asked before a removal; nil means yes.
	Confirm func(*plan.Plan) (bool, error)
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
}

// Engine runs commands on one application. It is made for one Run.
type Engine struct {
	Config

	sessions   map[string]*session
	neighbours []*session // of a service that runs alone; only looked at
	order      []*session

	mu     sync.Mutex                      // guards the events and the maps below
	found  map[foundKey]*resource.Found    // nil: known to be absent
	own    map[foundKey]bool               // changed by this run
	united map[foundKey]*resource.Resource // what several services declare, as one
	warned map[Warning]bool
	creds  map[string]func() (*credential.Credential, error)
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
		found:    map[foundKey]*resource.Found{},
		own:      map[foundKey]bool{},
		warned:   map[Warning]bool{},
		creds:    map[string]func() (*credential.Credential, error){},
	}
}

// Run runs the command of req. The Result is not nil even when there is an error:
// it tells what was done until then. The error joins what went wrong in the
// services that could be tried.
func (e *Engine) Run(ctx context.Context, req Request) (*Result, error) {
	if err := e.prepare(req); err != nil {
		return &Result{Plan: &plan.Plan{}}, err
	}
	defer e.close()
	if err := e.survey(ctx, req); ctx.Err() != nil {
		return &Result{Plan: &plan.Plan{}}, interrupted(ctx)
	} else if err != nil {
		return &Result{Plan: &plan.Plan{}}, err
	}
	result := &Result{Plan: e.plan(req)}
	if req.Command != "plan" {
		if err := e.refused(result.Plan, false); err != nil {
			return result, err
		}
	}
	if req.Confirm != nil && !e.confirmed() && result.Plan.Counts().Pending() > 0 {
		if ok, err := req.Confirm(result.Plan); err != nil || !ok {
			return result, err
		}
	}
	err := e.walk(ctx, req)
	return &Result{Plan: e.plan(req), Services: e.results()}, err
}

// confirmed reports whether the arguments say yes to every question.
func (e *Engine) confirmed() bool {
	return slices.ContainsFunc(e.selected(), func(s *session) bool { return s.args.Bool(flagYes) })
}

func (e *Engine) close() {
	for _, s := range append(e.neighbours, e.order...) {
		s.release()
	}
}
