package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/plugin"
	"github.com/devs/deploy/pkg/report"
	"github.com/devs/deploy/pkg/spec"
)

// newAppCommands returns a command for each that a component of the catalogue has.
func (t *tool) newAppCommands() []*cobra.Command {
	var list []*cobra.Command
	for _, c := range t.commands() {
		list = append(list, t.newAppCommand(c))
	}
	return list
}

// commands returns the commands for applications: those of the components that have
// resources, each name once. What else the catalogue has is used by name, as
// `devs cli <component>` or as the component of a service.
func (t *tool) commands() []component.Command {
	var list []component.Command
	for _, name := range t.components.Names() {
		comp := t.components[name]()
		if _, ok := comp.(component.Provider); !ok {
			continue
		}
		for _, c := range comp.Commands() {
			if !slices.ContainsFunc(list, func(k component.Command) bool { return k.Name == c.Name }) {
				list = append(list, c)
			}
		}
	}
	return list
}

// allCommands returns the commands of all components; a name may come again.
func (t *tool) allCommands() []component.Command {
	list := t.commands()
	for _, name := range t.components.Names() {
		list = append(list, t.components[name]().Commands()...)
	}
	return list
}

func (t *tool) newAppCommand(c component.Command) *cobra.Command {
	use := c.Name
	if subs := slices.DeleteFunc(slices.Clone(c.Subs), func(s string) bool { return s == "" }); len(subs) > 0 {
		use += " [" + strings.Join(subs, "|") + "]"
	}
	cmd := &cobra.Command{
		Use:                use,
		Short:              c.Short,
		Example:            "  " + strings.Join(c.Examples, "\n  "),
		DisableFlagParsing: true, // the component's flags are the engine's to parse
		RunE: func(cmd *cobra.Command, args []string) error {
			rest, err := t.extract(args, appFlags(&c))
			if err != nil {
				return err
			}
			if t.Help {
				return cmd.Help()
			}
			return t.runApp(cmd.Context(), c.Name, rest)
		},
	}
	cmd.Flags().AddFlagSet(component.FlagSet(c.Name, appFlags(&c)))
	cmd.Flags().SortFlags = false
	return cmd
}

// appFlags returns the flags of a command, the tool's own for commands of
// applications among them.
func appFlags(c *component.Command) []component.Flag {
	flags := append(slices.Clone(c.Flags), engine.Flags(c.Name)...)
	if c.Name == "plan" {
		flags = append(flags, detailedExitCode())
	}
	return flags
}

// detailedExitCode is the flag of plan that the command line itself understands.
func detailedExitCode() component.Flag {
	return component.Flag{Name: "detailed-exitcode", Type: component.BoolFlag, Usage: "exit with 2 when there are changes"}
}

func (t *tool) allFlags() []component.Flag {
	var flags []component.Flag
	for _, c := range t.allCommands() {
		flags = union(flags, appFlags(&c)...)
	}
	return flags
}

// union adds flags whose name and letter are not there yet.
func union(flags []component.Flag, more ...component.Flag) []component.Flag {
	for _, f := range more {
		if !slices.ContainsFunc(flags, func(k component.Flag) bool { return k.Name == f.Name || k.Short != "" && k.Short == f.Short }) {
			flags = append(flags, f)
		}
	}
	return flags
}

// runWords runs `<service> <command> …` or `<command> …` for words whose first is
// no command of the tool.
func (t *tool) runWords(ctx context.Context, words []string) error {
	a, err := t.load()
	if err != nil {
		return err
	}
	if a.Service(words[0]) == nil {
		isCommand := func(c component.Command) bool { return len(words) > 1 && c.Name == words[1] }
		if slices.ContainsFunc(t.commands(), isCommand) {
			return diag.Errorf("there is no service %q in %s", words[0], a.File).
				WithHint("%s", diag.DidYouMean(words[0], a.ServiceNames()))
		}
		return t.runLoaded(ctx, a, nil, words[0], words[1:])
	}
	if len(words) == 1 {
		return diag.Errorf("%s is a service: what shall be done with it?", words[0]).
			WithHint("write devs %s deploy, for example", words[0])
	}
	return t.runLoaded(ctx, a, words[:1], words[1], words[2:])
}

// runApp runs a command on the application of the working directory.
func (t *tool) runApp(ctx context.Context, command string, args []string) error {
	a, err := t.load()
	if err != nil {
		return err
	}
	if a.Service(command) != nil {
		return diag.At(a.Service(command).Pos, "%q is both a service and a command", command).
			WithHint("rename the service")
	}
	return t.runLoaded(ctx, a, nil, command, args)
}

// toolCommands are the commands that are no component's.
func toolCommands() []string { return []string{"config", "cli", "emulator", "version", "help"} }

// load reads the application file and the .env beside it.
func (t *tool) load() (*app.App, error) {
	a, err := spec.Load(spec.Options{Dir: t.Dir, Template: t.Template, ReadFile: t.readFile(t.Dir)})
	if err != nil {
		return nil, err
	}
	for _, w := range a.Warnings {
		t.warn("%s", w)
	}
	for _, s := range a.Services {
		if slices.Contains(toolCommands(), s.Name) {
			t.warn("%s: devs %s is a command of devs, so this service can only be run with the others; rename it", s.Pos, s.Name)
		}
	}
	return a, nil
}

func (t *tool) warn(format string, args ...any) { t.note("warning: "+format, args...) }

// note tells the user something on standard error.
func (t *tool) note(format string, args ...any) {
	if !t.Silent {
		fmt.Fprintf(t.IO.Err, format+"\n", args...)
	}
}

// runLoaded runs a command on some services of an application, nil for all.
func (t *tool) runLoaded(ctx context.Context, a *app.App, services []string, command string, args []string) error {
	if t.OutputFile != "" { // found out before anything is changed
		if err := os.WriteFile(t.path(t.OutputFile), nil, 0o644); err != nil {
			return diag.Errorf("the result cannot be written: %v", err).WithHint("check --output-file %s", t.OutputFile)
		}
	}
	if t.PlanFile != "" && command != "plan" {
		return diag.Errorf("-o %s: only plan writes a plan", t.PlanFile).WithHint("write devs plan -o %s, then devs deploy %s", t.PlanFile, t.PlanFile)
	}
	if t.Output == string(report.Markdown) && command != "plan" { // before anything is changed
		_, err := report.Output(nil, report.Markdown)
		return err
	}
	w, err := t.open(ctx, a)
	if err != nil {
		return err
	}
	defer w.close()
	own := component.FlagSet(command, []component.Flag{detailedExitCode()})
	if command == "plan" {
		others := slices.DeleteFunc(t.allFlags(), func(f component.Flag) bool { return f.Name == detailedExitCode().Name })
		if args, err = take(own, component.FlagSet(command, others), args); err != nil {
			return err
		}
	}
	detailed, _ := own.GetBool(detailedExitCode().Name)
	req := engine.Request{Command: command, Services: services, Args: args, SkipActions: t.SkipActions, AllowUnresolved: t.AllowUnresolved, Kept: t.PlanFile != ""}
	if err := t.planned(command, &req); err != nil {
		return err
	}
	if command == "remove" {
		req.Confirm = func(p *plan.Plan) (bool, error) { return t.confirm(ctx, p) }
	}
	if t.IO.Interactive() && !t.inCI() && command != "rollback" {
		req.Ask = t.ask
	}
	result, err := w.engine.Run(ctx, req)
	w.printer.stop()
	if t.watcher.result != nil {
		t.watcher.result(&outcome{command: command, app: a, services: services, args: args, result: result, extra: w.stateKey})
	}
	if err != nil {
		t.printSummary(result)
		return err
	}
	if t.PlanFile != "" {
		if err := t.writePlanFile(result.Plan, services, args, w.stateKey); err != nil {
			return err
		}
	}
	return t.printOutcome(a, command, result, detailed)
}

// printOutcome writes the result of a command that worked.
func (t *tool) printOutcome(a *app.App, command string, result *engine.Result, detailed bool) error {
	if command == "plan" {
		if err := t.printPlan(result.Plan); err != nil {
			return err
		}
		if detailed && result.Plan.Counts().Pending() > 0 {
			return exitCode(diag.ExitChanges)
		}
		return nil
	}
	t.printSummary(result)
	v := outputs(a, result)
	if v == nil {
		return nil
	}
	data, err := report.Output(v, report.Format(t.Output))
	if err != nil {
		return err
	}
	return t.writeResult(data)
}

func (t *tool) printPlan(p *plan.Plan) error {
	switch report.Format(t.Output) {
	case report.Default:
		return t.writeResult([]byte(report.PlanText(p)))
	case report.Markdown:
		return t.writeResult([]byte(report.PlanMarkdown(p)))
	}
	data, err := report.PlanJSON(p)
	if err != nil {
		return err
	}
	if t.Output != string(report.JSON) {
		v, err := app.ParseJSON(data)
		if err != nil {
			return err
		}
		if data, err = report.Output(v, report.Format(t.Output)); err != nil {
			return err
		}
		return t.writeResult(data)
	}
	return t.writeResult(append(data, '\n'))
}

// outputs puts the results of the services together: by the name of the service,
// and alone when a command of one service yields one text, or when a 3.0.0 file has
// one resource.
func outputs(a *app.App, result *engine.Result) *app.Value {
	v := &app.Value{Kind: app.Map}
	for _, s := range result.Services {
		if s.Output != nil {
			v.Entries = append(v.Entries, app.Entry{Key: s.Name, Value: s.Output})
		}
	}
	switch {
	case len(v.Entries) == 0:
		return nil
	case len(v.Entries) == 1 && (v.Entries[0].Value.Kind == app.String || a.Edition == app.Edition3 || v.Entries[0].Key == ""):
		return v.Entries[0].Value
	}
	return v
}

// path returns a path of the user relative to the working directory.
func (t *tool) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(t.Dir, name)
}

// finder finds the components that an application names: those of the catalogue,
// and local programs.
func (t *tool) finder(ctx context.Context, a *app.App, environ []string) func(name string, pos diag.Pos) (component.Component, error) {
	return func(name string, pos diag.Pos) (component.Component, error) {
		if plugin.IsPath(name) {
			if t.distrust {
				return nil, distrusted(pos, "the component "+name)
			}
			return plugin.Component(ctx, plugin.Options{Path: name, Pos: pos, Dir: a.Dir, Env: environ, Stderr: t.IO.Err})
		}
		return t.components.Lookup(name, pos)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
