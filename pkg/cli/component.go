package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
)

// newCLI is `devs cli <component> <method>`: a component without an application
// file.
func (t *tool) newCLI() *cobra.Command {
	return &cobra.Command{
		Use:   "cli <component> <command> [-p '{...}'] [flags]",
		Short: "Use a component without an application file",
		Long: `Runs a command of a component on what its flags and --props say, without an
s.yaml.`,
		Example: `  devs cli fc invoke --region cn-hangzhou --service-name demo --function-name hello -e '{}'
  devs cli fc deploy -p '{"region":"cn-hangzhou","service":{"name":"demo"}}'`,
		DisableFlagParsing: true,
		RunE:               t.runCLI,
	}
}

func (t *tool) runCLI(cmd *cobra.Command, args []string) error {
	props := component.Flag{Name: "props", Short: "p", Type: component.StringFlag, Usage: "props as JSON"}
	old := component.Flag{Name: "prop", Type: component.StringFlag, Usage: "the same as --props"}
	rest, err := t.extract(args, union(t.allFlags(), props, old))
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return helpFor(cmd, nil)
	}
	comp, err := t.components.Lookup(rest[0], diag.Pos{})
	if err != nil {
		return err
	}
	if t.Help {
		return t.helpCLI(cmd, comp, rest)
	}
	if len(rest) < 2 || strings.HasPrefix(rest[1], "-") {
		return diag.Errorf("%s needs a command", rest[0]).WithHint("use one of: %s", strings.Join(commandNames(comp), ", "))
	}
	c := component.Find(comp, rest[1])
	if c == nil {
		return diag.Errorf("the component %s does not have the command %q", rest[0], rest[1]).
			WithHint("%s", diag.DidYouMean(rest[1], commandNames(comp)))
	}
	set := component.FlagSet("cli", []component.Flag{props, old})
	tail, err := take(set, component.FlagSet(c.Name, appFlags(c)), rest[2:])
	if err != nil {
		return err
	}
	value := &app.Value{Kind: app.Map}
	if text := set.Lookup("props").Value.String() + set.Lookup("prop").Value.String(); text != "" {
		if value, err = app.ParseJSON([]byte(text)); err != nil || value.Kind != app.Map {
			return diag.Errorf("-p/--props is not a JSON object").WithCause(err).WithHint(`write -p '{"region": "cn-hangzhou"}'`)
		}
	}
	a := &app.App{
		Edition:  app.Edition1,
		File:     "--props",
		Dir:      t.Dir,
		Root:     &app.Value{Kind: app.Map},
		Services: []*app.Service{{Component: app.Text(rest[0]), Props: value}},
	}
	return t.runLoaded(cmd.Context(), a, nil, c.Name, tail)
}

// helpCLI shows what a component can do, or what its command takes: words are the name
// of the component, and perhaps that of the command.
func (t *tool) helpCLI(cmd *cobra.Command, comp component.Component, words []string) error {
	if len(words) == 1 {
		fmt.Fprintf(t.IO.Out, "Commands of %s:\n", words[0])
		for _, c := range comp.Commands() {
			fmt.Fprintf(t.IO.Out, "  %-16s %s\n", c.Name, c.Short)
		}
		return nil
	}
	c := component.Find(comp, words[1])
	if _, ok := comp.(component.Provider); ok || c == nil {
		return helpFor(cmd, words[1:])
	}
	fmt.Fprintf(t.IO.Out, "%s\n\nUsage:\n  devs cli %s %s [flags]\n", c.Short, words[0], c.Name)
	if len(c.Examples) > 0 {
		fmt.Fprintf(t.IO.Out, "\nExamples:\n  %s\n", strings.Join(c.Examples, "\n  "))
	}
	fmt.Fprintf(t.IO.Out, "\nFlags:\n%s", component.FlagSet(c.Name, appFlags(c)).FlagUsages())
	return nil
}

func commandNames(c component.Component) []string {
	var names []string
	for _, cmd := range c.Commands() {
		names = append(names, cmd.Name)
	}
	return names
}
