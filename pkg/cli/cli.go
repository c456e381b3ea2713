// Package cli is the command line: it reads arguments, environment and terminal,
// wires the other packages together, and prints. It is the only package that does;
// every command has a file of its own.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/fc"
	"github.com/devs/deploy/pkg/fcapi"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/pkg/stream"
)

// Env is the world that a command runs in.
type Env struct {
	Args       []string // without the program's name
	IO         *stream.IO
	Environ    []string // NAME=value
	Dir        string   // working directory, absolute
	Executable string   // path of this binary, for nested calls of s
	Version    string
	Now        func() time.Time
}

// tool is what the commands share.
type tool struct {
	*Env
	globals
	redactor   *secret.Redactor
	components component.Catalogue
	raw        io.Writer // standard output without the redactor

	watcher  watcher // of the action that runs this command
	envFirst bool    // the variables with keys beat every other credential
	distrust bool    // the application is a stranger's: none of its code is run, no file outside it is read
}

// watcher is told of what a command does; its fields may be nil.
type watcher struct {
	result func(*outcome)
	event  func(engine.Event)
}

// outcome is what came of a command on an application.
type outcome struct {
	command  string
	app      *app.App
	services []string // those it was for, nil for all
	args     []string
	result   *engine.Result
	extra    string // DEVS_STATE_KEY
}

func newTool(env *Env) *tool {
	return &tool{Env: env, raw: env.IO.Out, redactor: &secret.Redactor{}, components: components(os.ReadFile)}
}

// components are those that are built in; read reads the files that props name.
func components(read func(name string) ([]byte, error)) component.Catalogue {
	return component.Catalogue{
		"fc":     sync.OnceValue(func() component.Component { return fc.NewWith(fc.Config{ReadFile: read}) }),
		"fc-api": sync.OnceValue(fcapi.New),
	}
}

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, env *Env) int {
	t := newTool(env)
	out, err := t.redactor.Writer(env.IO.Out), t.redactor.Writer(env.IO.Err)
	shielded := *env.IO
	shielded.Out, shielded.Err = out, err
	t.IO = &shielded
	failure := interrupted(ctx, t.run(ctx))
	if failure != nil && !errors.As(failure, new(exitCode)) {
		fmt.Fprint(t.IO.Err, diag.Render(failure))
	}
	_ = out.Flush()
	_ = err.Flush()
	return codeOf(failure)
}

// interrupted gives what a signal ended the exit code of an interrupt.
func interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || codeOf(err) == diag.ExitInterrupted {
		return err
	}
	p := diag.Errorf("interrupted: %v", context.Cause(ctx)).WithCode(diag.ExitInterrupted).WithCause(err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)) {
		return p
	}
	return errors.Join(err, p)
}

// exitCode ends the command with a code and no message.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func codeOf(err error) int {
	if c, ok := errors.AsType[exitCode](err); ok {
		return int(c)
	}
	return diag.ExitCode(err)
}

func (t *tool) run(ctx context.Context) error {
	root := t.newRoot()
	t.Debug = t.env("DEBUG") == "true" // as s has it
	root.SetArgs(t.normalize(t.Args))
	root.SetOut(t.IO.Out)
	root.SetErr(t.IO.Err)
	root.SetIn(t.IO.In)
	err := root.ExecuteContext(ctx)
	t.tellOfNPM()
	if errors.Is(err, pflag.ErrHelp) {
		return nil
	}
	return err
}

// normalize brings the spellings of config add that pflag does not know into its
// own: -kl, -il and ---AccessKeyID.
func (t *tool) normalize(args []string) []string {
	i := slices.Index(args, "add")
	if i < 1 || args[i-1] != "config" {
		return args
	}
	normal, warnings := credential.NormalizeArgs(args[i+1:])
	for _, w := range warnings {
		t.warn("%s", w)
	}
	return append(slices.Clone(args[:i+1]), normal...)
}

func (t *tool) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "devs [service] <command> [flags]",
		Short: "Deploy serverless applications from CI",
		Long: `devs deploys what an s.yaml describes: it plans, deploys, invokes and removes,
with the grammar of s (Serverless Devs). A command alone is for every service of
the file; with a service's name before it, for that one.`,
		Args:               cobra.ArbitraryArgs,
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableFlagParsing: true,
		RunE:               func(cmd *cobra.Command, args []string) error { return t.dispatch(cmd, args) },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	t.globals.register(root.PersistentFlags())
	root.AddGroup(&cobra.Group{ID: "app", Title: "Commands for an application:"}, &cobra.Group{ID: "tool", Title: "Other commands:"})
	for _, cmd := range t.newAppCommands() {
		cmd.GroupID = "app"
		if cmd.Name() == "version" {
			t.sharedVersion(cmd)
		}
		root.AddCommand(cmd)
	}
	for _, cmd := range []*cobra.Command{t.newAction(), t.newImage(), t.newConfig(), t.newCLI(), t.newEmulator()} {
		cmd.GroupID = "tool"
		root.AddCommand(cmd)
	}
	root.SetHelpCommandGroupID("tool")
	return root
}

// dispatch runs what is no command of the tool: `<service> <command>`, a command
// that only a local component has, or a mistake.
func (t *tool) dispatch(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && slices.Contains([]string{"-v", "--version"}, args[0]) {
		return t.printVersion()
	}
	rest, err := t.extract(args, t.allFlags())
	if err != nil {
		return err
	}
	if t.Help || len(rest) == 0 {
		return helpFor(cmd, rest)
	}
	if strings.HasPrefix(rest[0], "-") {
		return diag.Errorf("unknown flag %s", rest[0]).WithHint("see devs --help")
	}
	if rest[0] == "exec" { // the spelling of old pipelines: s exec -- deploy
		rest = slices.DeleteFunc(rest[1:], func(s string) bool { return s == "--" })
		if len(rest) == 0 {
			return diag.Errorf("exec needs a command").WithHint("write devs deploy instead of devs exec -- deploy")
		}
		return t.runWords(cmd.Context(), rest)
	}
	return t.runWords(cmd.Context(), rest)
}

// helpFor shows the help of the command among the words, else that of cmd.
func helpFor(cmd *cobra.Command, words []string) error {
	for _, w := range words {
		if found, _, err := cmd.Root().Find([]string{w}); err == nil && found != cmd.Root() {
			return found.Help()
		}
	}
	return cmd.Help()
}

// getenv returns a variable of the environment.
func (t *tool) getenv(name string) (string, bool) {
	for i := len(t.Environ) - 1; i >= 0; i-- {
		if key, value, ok := strings.Cut(t.Environ[i], "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

func (t *tool) env(name string) string { v, _ := t.getenv(name); return v }

// truthy reports whether a variable is set to something that means yes.
func (t *tool) truthy(name string) bool {
	switch strings.ToLower(t.env(name)) {
	case "", "0", "false", "no", "off":
		return false
	}
	return true
}

// writeResult prints a result on standard output and into --output-file.
func (t *tool) writeResult(data []byte) error {
	if _, err := t.IO.Out.Write(data); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	if n := len(data); t.IO.OutTTY && n > 0 && data[n-1] != '\n' {
		_, _ = io.WriteString(t.IO.Out, "\n")
	}
	if t.OutputFile == "" {
		return nil
	}
	if err := os.WriteFile(t.path(t.OutputFile), []byte(t.redactor.Redact(string(data))), 0o644); err != nil {
		return diag.Errorf("writing the result to a file: %v", err).WithHint("check --output-file %s", t.OutputFile)
	}
	return nil
}
