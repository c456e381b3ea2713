package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plugin/process"
)

const (
	listArg     = "commands" // the argument on which a program lists what it can do
	maxCommands = 1000

	// unsupportedExit is the exit code by which a program says that it lacks a
	// command that it listed.
	unsupportedExit = 100
)

// Executable is a component that is a local program (`component: ./path/to/file`).
//
// `file commands` prints a JSON list of the names of its commands. For each use of
// a command, `file <command>` gets an object on standard input:
//
//	{"command", "args", "app", "service", "component", "dir", "props"}
//
// and prints the command's result as JSON, or nothing. Exit code 100, or the
// answer {"unsupported": true}, says that it lacks the command. The keys of the
// service's credential are in its environment, as for hooks.
type Executable struct {
	options Options
	names   []string
}

// Component asks the program which commands it has and returns it as a component.
// A program that cannot tell is a Problem. o.Args is not used.
func Component(ctx context.Context, o Options) (component.Component, error) {
	o.Args = []string{listArg}
	answer, err := Run(ctx, o, nil)
	if err != nil {
		if p, ok := errors.AsType[*diag.Problem](err); ok && p.Code == diag.ExitComponent {
			p.Hint = fmt.Sprintf("%s: %s", o.name(), protocolHint)
		}
		return nil, err
	}
	names, err := commandNames(answer)
	if err != nil {
		return nil, diag.At(o.Pos, "%s cannot be used as a component: %v", o.name(), err).
			WithCode(diag.ExitComponent).WithHint("%s", protocolHint)
	}
	return &Executable{options: o, names: names}, nil
}

const protocolHint = `a program used as a component, called with the argument "commands", prints a JSON list of the commands that it has, such as ["deploy", "remove"]`

func commandNames(answer *app.Value) ([]string, error) {
	if answer == nil || answer.Kind != app.List || len(answer.Items) == 0 {
		return nil, errors.New("it lists no commands")
	}
	if len(answer.Items) > maxCommands {
		return nil, fmt.Errorf("it lists more than %d commands", maxCommands)
	}
	valid := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$`)
	var names []string
	for _, item := range answer.Items {
		name := item.Str()
		if item.Kind != app.String || !valid.MatchString(name) || name == listArg {
			return nil, errors.New("its list holds something that is no name of a command")
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Commands returns what the program listed. Each counts as changing something
// online: nothing is known of what it does.
func (e *Executable) Commands() []component.Command {
	commands := make([]component.Command, len(e.names))
	for i, name := range e.names {
		commands[i] = component.Command{
			Name: name, Short: "Run by " + e.options.name(), Mutates: true, Run: e.run,
		}
	}
	return commands
}

// RawArgs says that the program parses its own flags: the caller puts everything
// behind the command's name into Args.Rest instead of using component.ParseArgs.
func (e *Executable) RawArgs() bool { return true }

func (e *Executable) run(ctx context.Context, call *component.Call) (*app.Value, error) {
	o := e.options
	o.Args = []string{call.Command}
	if cred, err := call.Credential(); err == nil { // most programs need no cloud
		for name, value := range cred.Variables() {
			o.Env = append(o.Env[:len(o.Env):len(o.Env)], name+"="+value)
		}
	}
	answer, err := Run(ctx, o, callInput(call))
	exit, failed := errors.AsType[*process.ExitError](err)
	if failed && exit.Code == unsupportedExit && exit.Signal == 0 || isUnsupported(answer) {
		return nil, diag.At(o.Pos, "%s does not have the command %q", o.name(), call.Command).
			WithCode(diag.ExitTool).WithCause(errors.ErrUnsupported)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func isUnsupported(answer *app.Value) bool {
	v := answer.Get("unsupported")
	return v != nil && v.Kind == app.Bool && v.Scalar == true
}

func callInput(call *component.Call) *app.Value {
	args := []string{}
	if call.Args.Sub != "" {
		args = append(args, call.Args.Sub)
	}
	for _, name := range slices.Sorted(maps.Keys(call.Args.Flags)) {
		args = append(args, flagArgs(name, call.Args.Flags[name])...)
	}
	args = append(args, call.Args.Rest...)
	props := call.Props
	if props == nil {
		props = &app.Value{Kind: app.Map}
	}
	return app.From(map[string]any{
		"command": call.Command, "args": args, "app": call.AppName, "service": call.Service,
		"component": call.Component, "dir": call.Dir, "props": props,
	}, diag.Pos{})
}

// flagArgs writes a flag that the caller parsed as the command line had it.
func flagArgs(name string, value any) []string {
	values, ok := value.([]string)
	if !ok {
		values = []string{fmt.Sprint(value)}
	}
	args := make([]string, len(values))
	for i, v := range values {
		args[i] = "--" + name + "=" + v
	}
	return args
}
