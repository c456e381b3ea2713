package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/devs/deploy/pkg/ci"
	"github.com/devs/deploy/pkg/ci/workflow"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
)

// newAction is `devs action`: a command line from the inputs of a CI.
func (t *tool) newAction() *cobra.Command {
	return &cobra.Command{
		Use:   "action",
		Short: "Run what the inputs of a GitHub Action say",
		Long: `Reads the inputs of action.yml from the environment (INPUT_COMMAND and so on), runs
the command, and tells the CI of it: outputs, annotations, a summary, and the plan
as a comment on the pull request. Without a command it plans on pull requests, and
deploys elsewhere.`,
		Example: "  INPUT_COMMAND=plan INPUT_TEMPLATE=s.yaml devs action",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return t.action(cmd.Context()) },
	}
}

// action is one run of the action.
type action struct {
	*tool   // with the environment and the streams that its commands have
	in      *ci.Inputs
	run     *ci.Run
	log     *workflow.Log
	verb    string   // the command, without the service before it
	words   []string // the command line, when it is none that the action knows more of
	args    []string // what stands behind the verb
	plain   bool     // without credentials: a plan of what a stranger's file wants
	scratch string   // the folder of the embedded cloud of such a plan
	began   time.Time
	seen    *outcome // of the last plan or deploy
	took    map[string]time.Duration
	notes   []engine.Warning
	digest  string // of the plan

	released   release
	commentURL string
}

// stateFolder is where the action leaves the plan, below the folder of the application.
const stateFolder = ".s/action"

// action runs the action and reports what came of it.
func (t *tool) action(ctx context.Context) error {
	in, err := ci.ReadInputs(t.env)
	log := workflow.New(workflow.Config{
		Runner: t.env("GITHUB_ACTIONS") == "true", Out: t.IO.Out, Raw: t.raw, Getenv: t.env, Random: rand.Reader,
		Owner: t.giveToOwner,
	})
	for _, s := range in.Secrets() {
		log.Mask(s.Reveal())
		t.redactor.Always(s.Reveal())
	}
	a := &action{in: in, log: log, run: ci.Detect(t.env, t.eventFile()), began: t.Now(), took: map[string]time.Duration{}}
	a.tool = t.child(a)
	if err == nil {
		err = a.prepare(ctx)
	}
	if err == nil {
		err = a.perform(ctx)
	}
	err = interrupted(ctx, err)
	return a.conclude(ctx, err)
}

// child returns the tool that the commands of the action run with: what they print goes
// into one stream, and the inputs are no longer in their environment.
func (t *tool) child(a *action) *tool {
	c := *t
	env := *t.Env
	c.Env = &env
	streams := *t.IO
	streams.Err, streams.In, streams.InTTY, streams.OutTTY, streams.ErrTTY = t.IO.Out, strings.NewReader(""), false, false, false
	c.IO = &streams
	c.Environ = slices.DeleteFunc(slices.Clone(t.Environ), func(v string) bool {
		return slices.ContainsFunc(ci.Prefixes(), func(p string) bool { return strings.HasPrefix(v, p) })
	})
	c.Template, c.Access = a.in.Template, a.in.Access
	c.watcher = watcher{result: a.result, event: a.event}
	return &c
}

// result remembers what came of a command that has a plan, or publishes.
func (a *action) result(o *outcome) {
	if len(o.result.Plan.Services) > 0 || o.command == "publish" {
		a.seen = o
	}
}

// event remembers what the reports need.
func (a *action) event(ev engine.Event) {
	switch ev := ev.(type) {
	case engine.ServiceEnded:
		a.took[ev.Service] += ev.Took
	case engine.Warning:
		a.notes = append(a.notes, ev)
	}
}

// eventFile returns the description of the event, nil when there is none.
func (t *tool) eventFile() []byte {
	path := t.env("GITHUB_EVENT_PATH")
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	const most = 32 << 20
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil
	}
	return data
}

// giveToOwner leaves a file to the owner of the workspace: files of root break the next
// checkout on a runner that is kept.
func (t *tool) giveToOwner(path string) {
	var at syscall.Stat_t
	if os.Getuid() != 0 || path == "" || syscall.Stat(t.env("GITHUB_WORKSPACE"), &at) != nil || at.Uid == 0 {
		return
	}
	_ = os.Lchown(path, int(at.Uid), int(at.Gid))
}

// perform runs the command.
func (a *action) perform(ctx context.Context) error {
	switch a.verb {
	case "plan":
		return a.plan(ctx)
	case "deploy":
		return a.deploy(ctx)
	case "publish":
		return a.publish(ctx)
	case "comment":
		return a.commentOfFork(ctx)
	case "":
		return a.log.Section("devs "+strings.Join(a.words, " "), func() error { return a.line(ctx) })
	}
	return a.log.Section(a.verb, func() error { return a.command(ctx, a.verb, a.args...) })
}

// line runs a command line as it is.
func (a *action) line(ctx context.Context) error {
	c := *a.tool
	env := *a.tool.Env
	c.Env = &env
	c.Args = a.words
	if a.Access != "" {
		c.Args = append([]string{"-a", a.Access}, c.Args...)
	}
	if a.Template != "" {
		c.Args = append([]string{"-t", a.Template}, c.Args...)
	}
	return c.run(ctx)
}

// command runs a command on the services of the application.
func (a *action) command(ctx context.Context, verb string, args ...string) error {
	app, err := a.load()
	if err != nil {
		return err
	}
	return a.runLoaded(ctx, app, a.in.Services, verb, args)
}

func (a *action) plan(ctx context.Context) error {
	file, err := a.planPath()
	if err != nil {
		return err
	}
	a.PlanFile = file
	defer func() { a.PlanFile = "" }()
	return a.log.Section("plan", func() error {
		err := a.command(ctx, "plan", a.args...)
		a.digest = a.digestOf(a.seen)
		return err
	})
}

// planPath returns where the plan goes that can be applied, and makes its folder.
func (a *action) planPath() (string, error) {
	path := a.in.PlanFile
	if path == "" {
		path = filepath.Join(stateFolder, "apply.json")
	}
	if !isPlanFile(path) {
		return "", diag.Errorf("the input plan-file is %q", path).WithHint("give the file a name that ends in .json")
	}
	if err := os.MkdirAll(filepath.Dir(a.path(path)), 0o755); err != nil {
		return "", diag.Errorf("making the folder of the plan: %v", err).WithHint("check plan-file")
	}
	return path, nil
}

// deploy deploys: the plan that was kept, the plan that was approved, or what the file
// says. On a release tag it publishes what it deployed.
func (a *action) deploy(ctx context.Context) error {
	args := a.args
	switch {
	case a.in.RequireApprovedPlan:
		if err := a.plan(ctx); err != nil {
			return err
		}
		if err := a.approved(ctx); err != nil {
			return err
		}
		path, err := a.planPath()
		if err != nil {
			return err
		}
		args = []string{path, "-y"}
	case a.in.PlanFile != "":
		args = append([]string{a.in.PlanFile}, args...)
	}
	finish := a.startDeployment(ctx)
	err := a.log.Section("deploy", func() error { return a.command(ctx, "deploy", args...) })
	if err == nil && a.run.Tag != "" && a.in.VersionOnTag {
		err = a.publish(ctx)
	}
	finish(err)
	return err
}

// failed is what went wrong, in a word; "" for nothing.
func (a *action) failed(err error) string {
	switch code := codeOf(err); {
	case err == nil || code == diag.ExitOK || code == diag.ExitChanges:
		return ""
	case code == diag.ExitInterrupted:
		return "interrupted"
	case errors.As(err, new(*unapproved)):
		return "approval"
	case errors.As(err, new(*noCredential)):
		return "credentials"
	case isConflict(err):
		return "conflict"
	case a.refused():
		return "drift"
	case code == diag.ExitTool:
		return "configuration"
	}
	return "cloud"
}

// conclude reports how it ended to everybody who wants to know. It returns the exit code
// alone: what went wrong has been told.
func (a *action) conclude(ctx context.Context, err error) error {
	limit := time.Minute
	if ctx.Err() != nil {
		limit = 4 * time.Second // the runner kills what is left some seconds after the interrupt
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer stop()
	if err != nil && !errors.As(err, new(exitCode)) {
		_ = a.log.Plain(func() error { _, e := fmt.Fprint(a.IO.Out, diag.Render(err)); return e })
	}
	a.log.Annotate(a.annotations(err))
	a.writePlan()
	if a.verb != "comment" {
		a.comment(ctx, err)
	}
	a.outputs(err)
	if e := a.log.Summary(a.redactor.Redact(a.summary(err))); e != nil {
		a.log.Note("warning: %v", e)
	}
	a.giveBack()
	if a.scratch != "" {
		_ = os.RemoveAll(a.scratch)
	}
	if err == nil {
		return nil
	}
	return exitCode(codeOf(err))
}

// giveBack leaves what was written below .s to the owner of the workspace.
func (a *action) giveBack() {
	_ = filepath.WalkDir(filepath.Join(a.Dir, ".s"), func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			a.giveToOwner(path)
		}
		return nil
	})
}
