package dockerfile

import (
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/devs/deploy/pkg/diag"
)

// fromPlatform evaluates FROM --platform.
func (f *File) fromPlatform(from *instructions.Stage, lint *linter.Linter) (v1.Platform, error) {
	result, err := expand(shell.NewLex(f.escape), from.Platform, f.globals)
	if err != nil {
		return v1.Platform{}, err
	}
	f.lintFromArgs(from, result, lint)
	if result.Result == "" {
		return v1.Platform{}, diag.Errorf("--platform=%s is empty", from.Platform).
			WithHint("give the ARG that it names a default value before the first FROM")
	}
	p, err := ParsePlatform(result.Result, f.options.Platform)
	if err != nil {
		return p, diag.Errorf("%s", err.Error())
	}
	f.lintPlatform(from, result, p, lint)
	return p, nil
}

// inherit gives a stage what it has of the stage below: the platform, and its ONBUILD
// triggers as first commands.
func (f *File) inherit(stage, parent *Stage) error {
	stage.Platform = parent.Platform
	var triggers []command
	for _, c := range parent.commands {
		if !strings.EqualFold(c.node.Value, "onbuild") {
			continue
		}
		parsed, err := parseCommand(c.node)
		if err != nil {
			return f.text.problem(c.node, err)
		}
		onbuild, ok := parsed.(*instructions.OnbuildCommand)
		if !ok {
			continue
		}
		trigger, err := parseTrigger(onbuild.Expression, c.node)
		if err != nil {
			return f.text.problem(c.node, err)
		}
		triggers = append(triggers, trigger)
	}
	stage.commands = append(triggers, stage.commands...)
	return nil
}

// checkTrigger refuses an ONBUILD that could never be run.
func (f *File) checkTrigger(node *parser.Node, c *instructions.OnbuildCommand) error {
	if _, err := parseTrigger(c.Expression, node); err != nil {
		return f.text.problem(node, err)
	}
	return nil
}

// parseTrigger reads the instruction of an ONBUILD. Its place is that of the node at,
// which brings it into the stage.
func parseTrigger(expression string, at *parser.Node) (command, error) {
	if len(expression) > maxSource {
		return command{}, diag.Errorf("the ONBUILD trigger has %d bytes, more than %d", len(expression), maxSource)
	}
	if err := checkDepth("", []byte(expression)); err != nil {
		return command{}, err
	}
	result, err := parser.Parse(strings.NewReader(expression))
	if err != nil {
		return command{}, diag.Errorf("%s", err.Error()).WithCause(err)
	}
	if len(result.AST.Children) != 1 {
		return command{}, diag.Errorf("the ONBUILD trigger %q is not one instruction", cut(expression, 60))
	}
	node := result.AST.Children[0]
	node.StartLine, node.EndLine, node.PrevComment = at.StartLine, at.EndLine, nil
	switch name := strings.ToUpper(node.Value); name {
	case "FROM", "MAINTAINER", "ONBUILD":
		return command{}, diag.Errorf("%s cannot be an ONBUILD trigger", name)
	}
	if _, err := parseCommand(node); err != nil {
		return command{}, err
	}
	return command{node: node, trigger: true}, nil
}

// sources returns where the files of a command come from, other than the context.
func (f *File) sources(stage *Stage, c command) ([]Source, error) {
	switch strings.ToLower(c.node.Value) {
	case "copy", "run":
	default:
		return nil, nil
	}
	parsed, err := parseCommand(c.node)
	if err != nil {
		return nil, f.text.problem(c.node, err)
	}
	var names []string
	isCopy := false
	switch p := parsed.(type) {
	case *instructions.CopyCommand:
		names, isCopy = []string{p.From}, true
	case *instructions.RunCommand:
		for _, m := range instructions.GetMounts(p) {
			names = append(names, m.From)
		}
	}
	var list []Source
	for _, name := range names {
		if name == "" {
			continue
		}
		if isCopy && strings.Contains(name, "$") {
			return nil, f.text.problem(c.node, diag.At(f.text.find(c.node, "--from="), "--from=%s: variables are not allowed here", name).
				WithHint("name a stage, and write the variable into its FROM"))
		}
		s, err := f.from(stage.Index, name, isCopy)
		if err != nil {
			if p, ok := err.(*diag.Problem); ok {
				p.Pos = f.text.find(c.node, "from="+name)
			}
			return nil, f.text.problem(c.node, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// need sets Stages to what the target needs.
func (f *File) need() error {
	target, err := f.target()
	if err != nil {
		return err
	}
	needed := map[int]bool{target.Index: true}
	for _, stage := range slices.Backward(f.all[:target.Index+1]) {
		if !needed[stage.Index] {
			continue
		}
		f.Stages = append(f.Stages, stage)
		sources := []Source{stage.Base}
		for _, c := range stage.commands {
			more, err := f.sources(stage, c)
			if err != nil {
				return err
			}
			sources = append(sources, more...)
		}
		for _, s := range sources {
			if s.Kind == StageRef {
				needed[s.Stage] = true
			}
		}
	}
	slices.Reverse(f.Stages)
	return nil
}

// target returns the stage to build.
func (f *File) target() (*Stage, error) {
	if f.options.Target == "" {
		return f.all[len(f.all)-1], nil
	}
	if s := f.earlier(len(f.all), f.options.Target); s != nil {
		return s, nil
	}
	var names []string
	for _, s := range f.all {
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	p := diag.At(diag.Pos{File: f.text.name}, "the Dockerfile has no stage %q", f.options.Target)
	if len(names) == 0 {
		return nil, p.WithHint("no stage of it has a name: write FROM ... AS %s", strings.ToLower(f.options.Target))
	}
	return nil, p.WithHint("%s", diag.DidYouMean(f.options.Target, names))
}

// cut shortens s to n characters.
func cut(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n-3]) + "..."
	}
	return s
}
