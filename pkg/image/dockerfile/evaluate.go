package dockerfile

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/devs/deploy/pkg/diag"
)

// step is an instruction while it is evaluated.
type step struct {
	*State
	node *parser.Node
	lint *linter.Linter
}

// evaluate reads a command anew, since expansion changes what was read, expands it and
// does what it says.
func (s *State) evaluate(c command) (Op, error) {
	x := &step{State: s, node: c.node, lint: s.lint.WithMergedConfigFromComments(c.node.PrevComment)}
	var before []string // the sources of COPY as written
	parsed, err := parseCommand(c.node)
	if err != nil {
		return nil, err
	}
	switch p := parsed.(type) {
	case *instructions.CopyCommand:
		before = slices.Clone(p.SourcePaths)
	case *instructions.AddCommand:
		before = slices.Clone(p.SourcePaths)
	}
	if err := x.expandCommand(parsed); err != nil {
		return nil, err
	}
	switch p := parsed.(type) {
	case *instructions.RunCommand:
		return x.run(p)
	case *instructions.CopyCommand:
		return x.copy(p, before)
	case *instructions.AddCommand:
		return x.add(p, before)
	case *instructions.WorkdirCommand:
		return x.changeDir(p)
	}
	return nil, x.metadata(parsed)
}

// expandCommand replaces the variables in a command. ARG expands its values itself, in
// order, and RUN leaves those of its command to the shell.
func (x *step) expandCommand(c instructions.Command) error {
	if _, isArg := c.(*instructions.ArgCommand); isArg {
		return nil
	}
	if e, ok := c.(instructions.SupportsSingleWordExpansion); ok {
		if err := e.Expand(func(word string) (string, error) { return x.expandWith(x.lex, word) }); err != nil {
			return err
		}
	}
	if e, ok := c.(instructions.SupportsSingleWordExpansionRaw); ok {
		lex := shell.NewLex('\\')
		lex.SkipProcessQuotes = true
		return e.ExpandRaw(func(word string) (string, error) { return x.expandWith(lex, word) })
	}
	return nil
}

// expandWith replaces the variables of a word, and reports those that are unknown.
func (x *step) expandWith(lex *shell.Lex, word string) (string, error) {
	result, err := expand(lex, word, x.env)
	if err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(result.Unmatched)) {
		if _, declared := x.args.Get(name); !declared {
			message := linter.RuleUndefinedVar.Format(name, suggestVariable(name, x.env.Keys()))
			x.lint.Run(&linter.RuleUndefinedVar, x.node.Location(), message)
		}
	}
	return result.Result, nil
}

// maxSuggested is how many names are searched for one that is like another.
const maxSuggested = 1000

// suggestVariable returns the name that was most likely meant, only when it is near:
// variables with like names are common.
func suggestVariable(name string, known []string) string {
	if len(known) > maxSuggested {
		return ""
	}
	s := diag.Suggest(name, known)
	if d := len(s) - len(name); s == "" || d > 2 || d < -2 {
		return ""
	}
	return s
}

// metadata evaluates the commands that change the config alone.
func (x *step) metadata(c instructions.Command) error {
	switch p := c.(type) {
	case *instructions.EnvCommand:
		return x.setEnv(p)
	case *instructions.ArgCommand:
		return x.declare(p)
	case *instructions.LabelCommand:
		return x.label(p)
	case *instructions.CmdCommand:
		return x.setCmd(p)
	case *instructions.EntrypointCommand:
		return x.setEntrypoint(p)
	case *instructions.HealthCheckCommand:
		return x.healthcheck(p)
	case *instructions.ExposeCommand:
		return x.expose(p)
	case *instructions.VolumeCommand:
		return x.volume(p)
	case *instructions.StopSignalCommand:
		return x.stopSignal(p)
	case *instructions.UserCommand:
		x.config.User = p.User
		x.history = "USER " + p.User
	case *instructions.ShellCommand:
		x.config.Shell = p.Shell
		x.history = "SHELL [" + strings.Join(p.Shell, " ") + "]"
	case *instructions.MaintainerCommand:
		x.author = p.Maintainer
		x.history = "MAINTAINER " + p.Maintainer
	case *instructions.OnbuildCommand:
		x.config.OnBuild = append(x.config.OnBuild, p.Expression)
	default:
		return diag.Errorf("%s is not supported", strings.ToUpper(c.Name()))
	}
	return nil
}

// op returns the common part of an Op.
func (x *step) op() Step {
	return Step{Line: strings.TrimSpace(x.node.Original), At: x.file.text.start(x.node.StartLine)}
}

// changeDir evaluates WORKDIR. The root is always there, so it needs no Op.
func (x *step) changeDir(c *instructions.WorkdirCommand) (Op, error) {
	if !x.workdir && !path.IsAbs(c.Path) {
		x.lint.Run(&linter.RuleWorkdirRelativePath, c.Location(), linter.RuleWorkdirRelativePath.Format(c.Path))
	}
	x.workdir = true
	dir := absolute(x.config.WorkingDir, c.Path)
	x.config.WorkingDir = dir
	x.history = "WORKDIR " + dir
	if dir == "/" {
		return nil, nil
	}
	return &Workdir{Step: x.op(), Path: dir, User: x.config.User}, nil
}

// absolute joins p to the working directory dir unless it is absolute.
func absolute(dir, p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join("/", dir, p)
}
