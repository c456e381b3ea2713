package dockerfile

import (
	"bytes"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/devs/deploy/pkg/diag"
)

// directives checks the parser directives at the top of the file, of which the parser
// itself tells the line wrongly. "# syntax=" means nothing to us.
func (f *File) directives(src []byte) error {
	directives, err := new(parser.DirectiveParser).ParseAll(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")))
	if err != nil {
		return diag.At(f.text.start(len(directives)+1), "%s", err.Error()).WithCause(err)
	}
	f.check = &linter.Config{}
	for _, d := range directives {
		switch {
		case d.Name == "escape" && d.Value != "`" && d.Value != `\`:
			return diag.At(f.text.at(d.Location), "%q cannot be the escape character", d.Value).
				WithHint("use ` or \\")
		case d.Name == "check":
			value, _, _ := strings.Cut(d.Value, " ")
			if f.check, err = linter.ParseLintOptions(value); err != nil {
				return diag.At(f.text.at(d.Location), "%s", err.Error()).WithCause(err).
					WithHint("write it as # check=skip=Rule1,Rule2;error=true")
			}
		}
	}
	return nil
}

// read turns the text into stages.
func (f *File) read(src []byte, lint *linter.Linter) error {
	result, err := parser.Parse(bytes.NewReader(src))
	if err != nil {
		return f.text.parseProblem(err)
	}
	f.escape = result.EscapeToken
	for _, w := range result.Warnings {
		if w.Location != nil {
			lint.Run(&linter.RuleNoEmptyContinuation, []parser.Range{*w.Location}, linter.RuleNoEmptyContinuation.Format())
		}
	}
	var froms []*instructions.Stage
	var meta []metaArg
	for _, node := range result.AST.Children {
		parsed, err := instructions.ParseInstructionWithLinter(node, lint)
		if err != nil {
			return f.text.problem(node, err)
		}
		switch c := parsed.(type) {
		case *instructions.Stage:
			if froms = append(froms, c); len(froms) > maxStages {
				return diag.At(f.text.start(node.StartLine), "the Dockerfile has more than %d stages", maxStages)
			}
			f.all = append(f.all, &Stage{Index: len(f.all), Name: c.Name, Pos: f.text.start(node.StartLine), from: node})
		case *instructions.ArgCommand:
			if len(f.all) == 0 {
				meta = append(meta, metaArg{node, c})
				continue
			}
			f.add(node)
		case *instructions.OnbuildCommand:
			if err := f.checkTrigger(node, c); err != nil {
				return err
			}
			f.add(node)
		default:
			if len(f.all) == 0 {
				return diag.At(f.text.start(node.StartLine), "%s stands before the first FROM", strings.ToUpper(node.Value)).
					WithHint("begin with FROM; only ARG may stand before it")
			}
			f.add(node)
		}
	}
	if len(f.all) == 0 {
		return diag.At(diag.Pos{File: f.text.name}, "the Dockerfile has no FROM").WithHint("begin with FROM and an image")
	}
	f.lintStages(froms, lint)
	return f.resolve(froms, meta, lint)
}

// add adds an instruction to the last stage.
func (f *File) add(node *parser.Node) {
	if len(f.all) == 0 {
		return
	}
	stage := f.all[len(f.all)-1]
	stage.commands = append(stage.commands, command{node: node})
}

// metaArg is an ARG before the first FROM.
type metaArg struct {
	node *parser.Node
	arg  *instructions.ArgCommand
}

// resolve gives values to the ARGs before the first FROM, and bases to the stages.
func (f *File) resolve(froms []*instructions.Stage, meta []metaArg, lint *linter.Linter) error {
	defaults, _, _ := f.metaArgs(meta, nil)
	var err error
	if f.globals, f.MetaArgs, err = f.metaArgs(meta, f.options.BuildArgs); err != nil {
		return err
	}
	for i, from := range froms {
		stage := f.all[i]
		lint := lint.WithMergedConfigFromComments(from.Comments)
		f.lintDefaultBase(from, defaults, lint)
		if err := f.resolveStage(stage, from, lint); err != nil {
			return f.text.problem(stage.from, err)
		}
	}
	return nil
}

// metaArgs evaluates the ARGs before the first FROM in the global scope.
func (f *File) metaArgs(meta []metaArg, buildArgs map[string]string) (*env, []MetaArg, error) {
	target := f.options.Target
	if target == "" {
		target = f.all[len(f.all)-1].Name
	}
	globals := newEnv(nil)
	for _, kv := range f.options.automatic(target) {
		globals.set(kv[0], kv[1])
		if v, ok := buildArgs[kv[0]]; ok {
			globals.set(kv[0], v)
		}
	}
	lex := shell.NewLex(f.escape)
	var list []MetaArg
	for _, m := range meta {
		for _, arg := range m.arg.Args {
			one := MetaArg{Name: arg.Key, Pos: f.text.find(m.node, arg.Key)}
			if v, ok := buildArgs[arg.Key]; ok {
				one.Value, one.Set, one.Given = v, true, true
			} else if arg.Value != nil {
				result, err := expand(lex, *arg.Value, globals)
				if err != nil {
					return globals, nil, f.text.problem(m.node, err)
				}
				one.Value, one.Set = result.Result, true
			}
			if one.Set {
				if err := checkVariable("ARG", one.Name, one.Value); err != nil {
					return globals, nil, f.text.problem(m.node, err)
				}
				globals.set(one.Name, one.Value)
			}
			list = append(list, one)
		}
	}
	return globals, list, nil
}

// resolveStage finds the base and platform of a stage.
func (f *File) resolveStage(stage *Stage, from *instructions.Stage, lint *linter.Linter) error {
	lex := shell.NewLex(f.escape)
	result, err := expand(lex, from.BaseName, f.globals)
	if err != nil {
		return err
	}
	f.lintFromArgs(from, result, lint)
	if result.Result == "" {
		return diag.Errorf("the base %q of the stage is empty", from.BaseName).
			WithHint("give the ARG that it names a default value before the first FROM, or use --build-arg")
	}
	stage.Platform = f.options.Platform
	if from.Platform != "" {
		if stage.Platform, err = f.fromPlatform(from, lint); err != nil {
			return err
		}
	}
	if stage.Name != "" {
		replaced, ok, err := f.named(stage.Name)
		if err != nil {
			return err
		}
		if ok {
			stage.Base, stage.commands = replaced, nil
			return nil
		}
	}
	if stage.Base, err = f.base(stage.Index, result.Result); err != nil {
		return err
	}
	if stage.Base.Kind == StageRef {
		return f.inherit(stage, f.all[stage.Base.Stage])
	}
	return nil
}

// parseCommand reads an instruction other than FROM. The linter in it says nothing, but
// must be there: without one, BuildKit panics on a "# check=" comment above it.
func parseCommand(node *parser.Node) (instructions.Command, error) {
	parsed, err := instructions.ParseInstructionWithLinter(node, linter.New(&linter.Config{}))
	if err != nil {
		return nil, err
	}
	c, ok := parsed.(instructions.Command)
	if !ok {
		return nil, diag.Errorf("%s cannot stand here", strings.ToUpper(node.Value))
	}
	return c, nil
}
