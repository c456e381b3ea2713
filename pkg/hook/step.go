package hook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plugin"
	"github.com/devs/deploy/pkg/plugin/process"
)

// maxName is how many characters of a step's text stand in a message.
const maxName = 80

// secretText is the variable that carries a shell text which holds a secret: the
// environment of a process is not in the process list, its command line is. The
// shell removes both variables before the text runs.
const (
	secretText   = "DEVS_HOOK_TEXT"
	secretScript = `unset devs_text; devs_text=$DEVS_HOOK_TEXT; unset DEVS_HOOK_TEXT; eval "unset devs_text; $devs_text"`
)

// name returns the step as it stands in messages: as written, so without the
// values of its expressions.
func (it item) name() string {
	text, _, more := strings.Cut(strings.TrimSpace(it.Do.Str()), "\n")
	if utf8.RuneCountInString(text) > maxName {
		text, more = string([]rune(text)[:maxName]), true
	}
	if more {
		text += " ..."
	}
	return fmt.Sprintf("the %s step %q of %s", it.Kind, text, it.action)
}

// tolerates reports whether err of the step may pass. exit_code means the
// program's own exit code or the one that devs would end with (101, 100).
func (it item) tolerates(command string, err error) bool {
	if diag.ExitCode(err) == diag.ExitInterrupted {
		return false
	}
	codes := []int{diag.ExitCode(err)}
	if exit, ok := errors.AsType[*process.ExitError](err); ok {
		codes = append(codes, exit.Code)
	}
	return slices.ContainsFunc(codes, func(code int) bool { return it.allow.Allows(command, code) })
}

func (r *Runner) step(ctx context.Context, it item, in Input, out *Output, tell func(Event)) error {
	do, err := r.text(it.Do, it, out.Props)
	if err != nil {
		return err
	}
	switch it.Kind {
	case app.Run:
		return r.run(ctx, it, do, out.Props, tell)
	case app.Component:
		return r.component(ctx, it, do, in, out, tell)
	case app.Plugin:
		return r.plugin(ctx, it, do, in, out)
	}
	return diag.At(it.Pos, "a step is one of run, component and plugin, not %q", it.Kind)
}

// text evaluates v to a text that is not empty.
func (r *Runner) text(v *app.Value, it item, props *app.Value) (*app.Value, error) {
	value, err := r.evaluate(v, props)
	if err != nil {
		return nil, err
	}
	switch {
	case value.IsNull() || value.Kind == app.String && strings.TrimSpace(value.Str()) == "":
		return nil, diag.At(it.Pos, "%s is empty", it.name())
	case value.Kind == app.List || value.Kind == app.Map || value.Kind == app.Unknown:
		return nil, diag.At(it.Pos, "%s must be a text, not %s", it.name(), value.Kind)
	case strings.ContainsRune(value.Str(), 0):
		return nil, diag.At(it.Pos, "%s holds a zero byte", it.name())
	}
	return value, nil
}

func (r *Runner) evaluate(v, props *app.Value) (*app.Value, error) {
	if v == nil {
		return nil, nil
	}
	return r.cfg.Evaluate(v, props)
}

// run runs text by the shell. A text that holds a secret does not appear in the
// process list; what it hands to other programs as arguments does.
func (r *Runner) run(ctx context.Context, it item, text, props *app.Value, tell func(Event)) error {
	dir, err := r.workDir(it, props)
	if err != nil {
		return err
	}
	cmd := process.Command{
		Path: r.cfg.Shell, Args: []string{"-c", text.Str()}, Dir: dir, Env: r.cfg.Env,
		Terminal: r.cfg.Terminal, Grace: r.cfg.Grace,
	}
	if text.HasSecret() {
		cmd.Args = []string{"-c", secretScript}
		cmd.Env = append(slices.Clone(cmd.Env), secretText+"="+text.Str())
	}
	if r.cfg.Terminal != nil {
		cmd.Stdout, cmd.Stderr = r.cfg.Stderr, r.cfg.Stderr
	} else {
		lines := process.NewLines(r.cfg.Stderr)
		defer func() { _ = lines.Close() }()
		cmd.Stdout, cmd.Stderr = lines, lines
	}
	err = cmd.Run(ctx)
	if errors.Is(err, process.ErrLeftRunning) {
		tell(Event{Kind: Warning, Message: it.name() + " left a process running; its output is not shown from here on"})
		return nil
	}
	return r.runProblem(ctx, it, err)
}

func (r *Runner) runProblem(ctx context.Context, it item, err error) error {
	if err == nil {
		return nil
	}
	if stopped := process.Stopped(ctx, it.Pos, it.name()); stopped != nil {
		return stopped
	}
	if exit, ok := errors.AsType[*process.ExitError](err); ok {
		if exit.Signal == syscall.SIGINT || r.cfg.Terminal != nil && exit.Code == diag.ExitInterrupted {
			return diag.At(it.Pos, "%s was interrupted", it.name()).WithCode(diag.ExitInterrupted).WithCause(exit)
		}
		p := diag.At(it.Pos, "%s failed with %v", it.name(), exit).
			WithCode(diag.ExitComponent).WithCause(exit)
		if exit.Code == 127 {
			return p.WithHint("127 mostly means that a program is not installed here; the output is above")
		}
		return p.WithHint("its output is above")
	}
	p := diag.At(it.Pos, "%s cannot be started by %s", it.name(), r.cfg.Shell).WithCause(err)
	if errors.Is(err, syscall.E2BIG) {
		return p.WithHint("the text is too long for a command line: put it into a script file")
	}
	return p.WithDetail(err.Error())
}

// workDir returns the folder in which the step runs.
func (r *Runner) workDir(it item, props *app.Value) (string, error) {
	path, err := r.evaluate(it.Path, props)
	if err != nil || path.IsNull() || path.Str() == "" && path.Kind == app.String {
		return r.cfg.Dir, err
	}
	pos := path.Pos
	if pos.IsZero() {
		pos = it.Pos
	}
	if path.Kind != app.String {
		return "", diag.At(pos, "the path of %s must be a text, not %s", it.name(), path.Kind)
	}
	shown := path.Str()
	if path.HasSecret() {
		shown = it.Path.Str()
	}
	dir := process.Abs(r.cfg.Dir, path.Str())
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", diag.At(pos, "the folder %q of %s does not exist", shown, it.name()).
			WithHint("paths are relative to the folder of the application file")
	case err != nil:
		return "", diag.At(pos, "the folder %q of %s cannot be read", shown, it.name()).WithCause(err)
	case !info.IsDir():
		return "", diag.At(pos, "the path %q of %s is not a folder", shown, it.name())
	}
	return dir, nil
}

func (r *Runner) component(ctx context.Context, it item, line *app.Value, in Input, out *Output, tell func(Event)) error {
	if in.Global {
		return diag.At(it.Pos, "%s: a global action has no service to run a component for", it.name()).
			WithHint("use run or plugin, or move the step to the actions of a service")
	}
	if r.cfg.RunComponent == nil {
		return diag.At(it.Pos, "%s: components cannot be run here", it.name())
	}
	words, err := Split(line.Str())
	if err != nil {
		return diag.At(it.Pos, "%s cannot be split into words: %v", it.name(), err).WithCause(err)
	}
	if len(words) < 2 {
		tell(Event{Kind: Warning, Message: it.name() + " names no command of the component: nothing to run"})
		return nil
	}
	result, err := r.cfg.RunComponent(ctx, words, out.Props)
	if err != nil {
		if stopped := process.Stopped(ctx, it.Pos, it.name()); stopped != nil {
			return stopped
		}
		return err
	}
	if !result.IsNull() {
		out.Result = result
	}
	return nil
}

// plugin runs a plugin and takes over what it answers: {"props": …} replaces the
// inputs of the service (in pre- actions), {"output": …} is for the plugins behind
// it. So a plugin may print its own input back with changes, or nothing.
func (r *Runner) plugin(ctx context.Context, it item, path *app.Value, in Input, out *Output) error {
	args, err := r.evaluate(it.Args, out.Props)
	if err != nil {
		return err
	}
	answer, err := plugin.Run(ctx, plugin.Options{
		Path: path.Str(), Name: strings.TrimSpace(it.Do.Str()), Pos: it.Pos, Dir: r.cfg.Dir, Env: r.cfg.Env, Stderr: r.cfg.Stderr, Grace: r.cfg.Grace,
	}, r.pluginInput(it, in, *out, args))
	if err != nil {
		return err
	}
	return take(it, answer, out)
}

func (r *Runner) pluginInput(it item, in Input, now Output, args *app.Value) *app.Value {
	v := &app.Value{Kind: app.Map}
	add := func(key string, value *app.Value) {
		if value != nil {
			v.Entries = append(v.Entries, app.Entry{Key: key, Value: value})
		}
	}
	add("stage", app.Text(string(it.stage)))
	add("command", app.Text(in.Command))
	add("app", app.Text(in.App))
	if !in.Global {
		add("service", app.Text(in.Service))
		add("component", app.Text(in.Component))
	}
	add("dir", app.Text(r.cfg.Dir))
	add("props", now.Props)
	add("args", args)
	add("output", now.Result)
	return v
}

func take(it item, answer *app.Value, out *Output) error {
	if answer == nil {
		return nil
	}
	props, output := answer.Get("props"), answer.Get("output")
	switch {
	case answer.Kind != app.Map || len(answer.Entries) > 0 && props == nil && output == nil:
		return shapeProblem(it, `it is no object with "props" or "output"`)
	case !props.IsNull() && props.Kind != app.Map:
		return shapeProblem(it, `its "props" is not an object`)
	}
	if it.stage == app.Pre && !props.IsNull() {
		out.Props = props
	}
	if !output.IsNull() {
		out.Result = output
	}
	return nil
}

func shapeProblem(it item, what string) error {
	return diag.At(it.Pos, "the answer of %s is not usable: %s", it.name(), what).WithCode(diag.ExitComponent).
		WithHint(`print {"props": {...}} to replace the inputs, {"output": ...} for later plugins, or nothing`)
}
