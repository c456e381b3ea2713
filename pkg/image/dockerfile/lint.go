package dockerfile

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/devs/deploy/pkg/diag"
)

// linter returns a linter that adds what it finds to list.
func (f *File) linter(list *[]*diag.Problem) *linter.Linter {
	config := *f.check
	config.Warn = func(rule, _, _, message string, location []parser.Range) {
		summary, hint := splitSuggestion(message)
		*list = append(*list, &diag.Problem{Summary: summary + " (" + rule + ")", Hint: hint, Pos: f.text.at(location)})
	}
	return linter.New(&config)
}

// lintError returns an error when the file asks for one ("# check=error=true") and the
// linter found something.
func (f *File) lintError(lint *linter.Linter, found []*diag.Problem) error {
	if lint.Error() == nil {
		return nil
	}
	rules := slices.Compact(slices.Sorted(slices.Values(*lint.CalledRules)))
	var detail strings.Builder
	for _, w := range found {
		detail.WriteString(w.Error() + "\n")
	}
	return diag.At(diag.Pos{File: f.text.name}, "the Dockerfile breaks the rules %s, and its check directive asks for an error", strings.Join(rules, ", ")).
		WithDetail(detail.String()).
		WithHint("mend what is warned of, or name the rules in # check=skip=%s", strings.Join(rules, ","))
}

// lintStages checks names of stages and the case of instructions.
func (f *File) lintStages(froms []*instructions.Stage, lint *linter.Linter) {
	seen := map[string]bool{}
	for _, from := range froms {
		switch {
		case from.Name == "":
			continue
		case from.Name == "context" || from.Name == "scratch":
			lint.Run(&linter.RuleReservedStageName, from.Location, linter.RuleReservedStageName.Format(from.Name))
		case seen[from.Name]:
			lint.Run(&linter.RuleDuplicateStageName, from.Location, linter.RuleDuplicateStageName.Format(from.Name))
		}
		seen[from.Name] = true
	}
	f.lintCase(lint)
}

func (f *File) lintCase(lint *linter.Linter) {
	var nodes []*parser.Node
	for _, stage := range f.all {
		nodes = append(nodes, stage.from)
		for _, c := range stage.commands {
			nodes = append(nodes, c.node)
		}
	}
	lower, upper := 0, 0
	for _, n := range nodes {
		switch n.Value {
		case strings.ToLower(n.Value):
			lower++
		case strings.ToUpper(n.Value):
			upper++
		}
	}
	want, convert := "uppercase", strings.ToUpper
	if lower > upper {
		want, convert = "lowercase", strings.ToLower
	}
	for _, n := range nodes {
		if n.Value != convert(n.Value) {
			message := linter.RuleConsistentInstructionCasing.Format(n.Value, want)
			lint.Run(&linter.RuleConsistentInstructionCasing, n.Location(), message)
		}
	}
}

// lintDefaultBase checks that FROM names an image without any --build-arg, too.
func (f *File) lintDefaultBase(from *instructions.Stage, defaults *env, lint *linter.Linter) {
	result, err := expand(shell.NewLex(f.escape), from.BaseName, defaults)
	if err != nil {
		return
	}
	if _, err := name.ParseReference(result.Result); err != nil {
		lint.Run(&linter.RuleInvalidDefaultArgInFrom, from.Location, linter.RuleInvalidDefaultArgInFrom.Format(from.BaseName))
	}
}

// lintFromArgs reports the variables of FROM that no ARG declares.
func (f *File) lintFromArgs(from *instructions.Stage, result shell.ProcessWordResult, lint *linter.Linter) {
	known := slices.Clone(f.globals.Keys())
	for _, m := range f.MetaArgs {
		known = append(known, m.Name)
	}
	for _, arg := range slices.Sorted(maps.Keys(result.Unmatched)) {
		if !slices.Contains(known, arg) {
			message := linter.RuleUndefinedArgInFrom.Format(arg, diag.Suggest(arg, known))
			lint.Run(&linter.RuleUndefinedArgInFrom, from.Location, message)
		}
	}
}

// lintPlatform reports a platform that says nothing, or too much.
func (f *File) lintPlatform(from *instructions.Stage, result shell.ProcessWordResult, p v1.Platform, lint *linter.Linter) {
	switch _, target := result.Matched["TARGETPLATFORM"]; {
	case len(result.Matched)+len(result.Unmatched) == 0:
		if !strings.Contains(from.Name, p.OS) && !strings.Contains(from.Name, p.Architecture) {
			message := linter.RuleFromPlatformFlagConstDisallowed.Format(result.Result)
			lint.Run(&linter.RuleFromPlatformFlagConstDisallowed, from.Location, message)
		}
	case target && len(result.Matched) == 1 && len(result.Unmatched) == 0 && result.Result == f.globals.values["TARGETPLATFORM"]:
		lint.Run(&linter.RuleRedundantTargetPlatform, from.Location, linter.RuleRedundantTargetPlatform.Format(from.Platform))
	}
}

// unusedArgs warns of build arguments that no ARG declares.
func (f *File) unusedArgs() {
	declared := proxyNames()
	for _, kv := range f.options.automatic("") {
		declared = append(declared, kv[0])
	}
	for _, m := range f.MetaArgs {
		declared = append(declared, m.Name)
	}
	declared = append(declared, "SOURCE_DATE_EPOCH")
	var own []string
	for _, stage := range f.all {
		for _, c := range stage.commands {
			own = append(own, declaredBy(c.node)...)
		}
	}
	for _, arg := range slices.Sorted(maps.Keys(f.options.BuildArgs)) {
		if slices.Contains(declared, arg) || slices.Contains(own, arg) || strings.HasPrefix(arg, "BUILDKIT_") {
			continue
		}
		p := diag.At(diag.Pos{File: f.text.name}, "no ARG declares the build argument %s", arg)
		if s := diag.Suggest(arg, own); s != "" {
			p.Hint = "did you mean " + s + "?"
		}
		f.Warnings = append(f.Warnings, p)
	}
}

// declaredBy returns the names that an ARG, or an ONBUILD ARG, declares.
func declaredBy(node *parser.Node) []string {
	if strings.EqualFold(node.Value, "onbuild") && node.Next != nil && len(node.Next.Children) > 0 {
		node = node.Next.Children[0]
	}
	if !strings.EqualFold(node.Value, "arg") {
		return nil
	}
	var names []string
	for n := node.Next; n != nil; n = n.Next {
		key, _, _ := strings.Cut(n.Value, "=")
		names = append(names, key)
	}
	return names
}
