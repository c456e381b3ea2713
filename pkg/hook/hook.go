// Package hook runs the steps of `actions:`: shell commands, commands of components
// and plugins, in the order of the file. It decides what a failing step means; when
// which actions run is the caller's. It knows no component and prints nothing
// itself: it reports events, and passes on what the programs print.
//
// Rules that differ from Serverless Devs: a failing step of a global success-,
// fail- or complete- action is a failure (it was swallowed), a working directory
// that is not there is one too (the step was skipped), and plugins of one run
// chain (only the last one counted).
package hook

import (
	"context"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plugin/process"
)

// Config is what a Runner needs of the world.
type Config struct {
	Dir    string    // absolute: the application's folder
	Env    []string  // complete environment of the programs, see Environ
	Shell  string    // "" means /bin/sh
	Stderr io.Writer // gets all that the programs print, line by line; nil discards

	// Terminal is the standard input of run steps when somebody sits there; output
	// then comes as it is, not by lines. Without it their input is empty.
	Terminal *os.File

	// Evaluate resolves the expressions of v; props are the inputs of the service
	// as the steps before left them. Nil: values are used as written.
	Evaluate func(v, props *app.Value) (*app.Value, error)

	// RunComponent runs words[0]'s command words[1] with the other words as its
	// arguments, for the same service. It may be nil when no step needs it.
	RunComponent func(ctx context.Context, words []string, props *app.Value) (*app.Value, error)

	// Notify is told of each step, from the calling goroutine. It may be nil.
	Notify func(Event)

	Grace time.Duration // between SIGTERM and SIGKILL; 0 means process.DefaultGrace
}

// EventKind says what happened to a step.
type EventKind string

// The kinds of events. Each step yields Started and then Done, Tolerated or Failed;
// steps behind a failed one yield Skipped only. Warning may come in between.
const (
	Started   EventKind = "started"
	Done      EventKind = "done"
	Tolerated EventKind = "tolerated" // it failed and allow_failure lets that pass
	Failed    EventKind = "failed"
	Skipped   EventKind = "skipped"
	Warning   EventKind = "warning"
)

// Event is one thing to tell the user.
type Event struct {
	Kind    EventKind
	Action  string // such as "pre-deploy"
	Step    app.Step
	Text    string // the step as the file has it, before its expressions were resolved
	Number  int    // of the step, from 1
	Of      int    // how many steps there are in this run
	Err     error  // of Tolerated and Failed
	Message string // of Warning
}

// Input says for what the actions run.
type Input struct {
	Command      string // the command around which they run, such as deploy
	Global       bool   // the application's actions: no component steps
	App          string
	Service      string // "" for global actions
	Component    string
	Props        *app.Value // evaluated inputs of the service; nil for none
	Output       *app.Value // what the command yielded; nil before it ran
	AllowFailure *app.AllowFailure
}

// Output is what the steps yielded.
type Output struct {
	Props  *app.Value // Input.Props, or what plugins of pre- actions made of it
	Result *app.Value // of the last component or plugin step that had one, else Input.Output
	// Tolerated are the failures that allow_failure let pass; each was an event.
	Tolerated []error
}

// Runner runs actions. It is safe for concurrent use when its callbacks are.
type Runner struct{ cfg Config }

// New returns a Runner.
func New(cfg Config) *Runner {
	if cfg.Shell == "" {
		cfg.Shell = "/bin/sh"
	}
	if cfg.Evaluate == nil {
		cfg.Evaluate = func(v, _ *app.Value) (*app.Value, error) { return v, nil }
	}
	if cfg.Notify == nil {
		cfg.Notify = func(Event) {}
	}
	return &Runner{cfg: cfg}
}

// Match returns the actions of the stage for the command, in the order of the file.
// A pattern is searched for anywhere in the command's name, as ${regex('…')} is.
func Match(actions []app.Action, stage app.Stage, command string) ([]app.Action, error) {
	var matching []app.Action
	for _, a := range actions {
		if a.Stage != stage {
			continue
		}
		if a.Pattern == "" {
			if a.Command == command {
				matching = append(matching, a)
			}
			continue
		}
		pattern, err := regexp.Compile(a.Pattern)
		if err != nil {
			return nil, diag.At(a.Pos, "the pattern of this action is not a regular expression: %v", err).
				WithCause(err).WithHint("the syntax is RE2's: look-around and back references do not exist")
		}
		if pattern.MatchString(command) {
			matching = append(matching, a)
		}
	}
	return matching, nil
}

// item is a step with what it takes from its action.
type item struct {
	app.Step
	stage  app.Stage
	action string
	allow  *app.AllowFailure
}

// Run runs the steps of actions in order and stops at the first failure that no
// allow_failure lets pass. The first allow_failure that is written decides: the
// step's, else the action's, else the service's. Failures are Problems: a failing
// program has exit code 101, a step that is wrong 100, an interrupted one 130,
// which nothing tolerates. Output is what there was until then.
func (r *Runner) Run(ctx context.Context, actions []app.Action, in Input) (Output, error) {
	items := flatten(actions, in)
	out := Output{Props: in.Props, Result: in.Output}
	for i, it := range items {
		tell := func(e Event) {
			e.Action, e.Step, e.Text, e.Number, e.Of = it.action, it.Step, it.Do.Str(), i+1, len(items)
			r.cfg.Notify(e)
		}
		if stopped := process.Stopped(ctx, it.Pos, it.name()); stopped != nil {
			skip(r, items, i)
			return out, stopped
		}
		tell(Event{Kind: Started})
		err := r.step(ctx, it, in, &out, tell)
		switch {
		case err == nil:
			tell(Event{Kind: Done})
		case ctx.Err() == nil && it.tolerates(in.Command, err):
			out.Tolerated = append(out.Tolerated, err)
			tell(Event{Kind: Tolerated, Err: err})
		default:
			tell(Event{Kind: Failed, Err: err})
			skip(r, items, i+1)
			return out, err
		}
	}
	return out, nil
}

func skip(r *Runner, items []item, from int) {
	for i := from; i < len(items); i++ {
		it := items[i]
		r.cfg.Notify(Event{Kind: Skipped, Action: it.action, Step: it.Step, Text: it.Do.Str(), Number: i + 1, Of: len(items)})
	}
}

func flatten(actions []app.Action, in Input) []item {
	var items []item
	for _, a := range actions {
		allow := a.AllowFailure
		if allow == nil {
			allow = in.AllowFailure
		}
		for _, s := range a.Steps {
			it := item{Step: s, stage: a.Stage, action: string(a.Stage) + "-" + in.Command, allow: allow}
			if s.AllowFailure != nil {
				it.allow = s.AllowFailure
			}
			items = append(items, it)
		}
	}
	return items
}
