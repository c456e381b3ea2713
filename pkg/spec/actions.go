package spec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// actions reads `actions:` of a service, or the global ones.
func (b *builder) actions(v *app.Value, global bool) []app.Action {
	if v.IsNull() {
		return nil
	}
	if v.Kind != app.Map {
		b.report(diag.At(v.Pos, "actions is %s, not a mapping", v.Kind).
			WithHint("write actions: and below it, indented, pre-deploy: with a list of steps"))
		return nil
	}
	shared := b.allowFailure(v.Get("allow_failure"))
	var all []app.Action
	for _, e := range v.Entries {
		if e.Key == "allow_failure" {
			continue
		}
		action, ok := b.actionKey(e)
		if !ok {
			continue
		}
		action.AllowFailure = shared
		action.Steps = b.steps(e, global)
		all = append(all, action)
	}
	return all
}

// actionKey reads pre-deploy, or pre-${regex('^(deploy|remove)$')}. The command is
// everything behind the first dash, so it may hold dashes.
func (b *builder) actionKey(e app.Entry) (app.Action, bool) {
	stage, command, ok := strings.Cut(e.Key, "-")
	stages := []string{"pre", "post", "success", "fail", "complete"}
	if !ok || !slices.Contains(stages, stage) || command == "" {
		hint := "write pre-, post-, success-, fail- or complete- and the command, for example pre-deploy"
		if near := diag.Suggest(stage, stages); near != "" && command != "" {
			hint = "did you mean " + near + "-" + command + "?"
		}
		b.report(diag.At(e.KeyPos, "%s is no action", e.Key).WithHint("%s", hint))
		return app.Action{}, false
	}
	action := app.Action{Stage: app.Stage(stage), Command: command, Pos: e.KeyPos}
	if action.Stage == app.Post && b.app.Edition == app.Edition3 {
		action.Stage = app.Complete
		b.warn(e.KeyPos, "%s runs after failure too in edition 3.0.0; write complete-%s, or success-%s to run it after success only", e.Key, command, command)
	}
	pattern, isPattern, ok := b.pattern(command, e.KeyPos)
	if isPattern {
		action.Command, action.Pattern = "", pattern
	}
	return action, ok
}

// pattern reads ${regex('…')}, with or without quotes.
func (b *builder) pattern(text string, pos diag.Pos) (pattern string, isPattern, ok bool) {
	if !strings.Contains(text, "${") {
		return "", false, true
	}
	m := regexp.MustCompile(`^\$\{\s*regex\(\s*(.*?)\s*\)\s*\}$`).FindStringSubmatch(text)
	if m == nil {
		b.report(diag.At(pos, "%s cannot stand in a key", text).WithHint("the one expression that a key may hold is ${regex('...')}"))
		return "", true, false
	}
	pattern = m[1]
	if n := len(pattern); n >= 2 && (pattern[0] == '\'' || pattern[0] == '"') && pattern[n-1] == pattern[0] {
		pattern = pattern[1 : n-1]
	}
	if pattern == "" {
		b.report(diag.At(pos, "the pattern of regex() is empty").WithHint("write ${regex('.')} to match every command"))
		return "", true, false
	}
	if _, err := regexp.Compile(pattern); err != nil {
		b.report(diag.At(pos, "the pattern %s is no regular expression", pattern).WithCause(err).
			WithHint("use RE2 syntax, which has no look-ahead and no back references, for example ^(deploy|remove)$"))
		return "", true, false
	}
	return pattern, true, true
}

func (b *builder) steps(e app.Entry, global bool) []app.Step {
	if e.Value.IsNull() {
		return nil
	}
	if e.Value.Kind != app.List {
		b.report(diag.At(e.Value.Pos, "%s is %s, not a list", e.Key, e.Value.Kind).WithHint("write - run: command below it"))
		return nil
	}
	var steps []app.Step
	for _, item := range e.Value.Items {
		if step, ok := b.step(item, e, global); ok {
			steps = append(steps, step)
		}
	}
	return steps
}

func stepKeys() []string {
	return []string{"run", "component", "plugin", "path", "args", "allow_failure"}
}

func (b *builder) step(v *app.Value, action app.Entry, global bool) (app.Step, bool) {
	pos := v.Pos
	if v.IsNull() {
		pos = action.KeyPos
	}
	if v.Kind != app.Map {
		b.report(diag.At(pos, "a step of %s is %s, not a mapping", action.Key, emptyOr(v)).WithHint("write - run: command"))
		return app.Step{}, false
	}
	step := app.Step{Pos: pos, Path: v.Get("path"), Args: v.Get("args"), AllowFailure: b.allowFailure(v.Get("allow_failure"))}
	var kinds []string
	for _, e := range v.Entries {
		switch {
		case slices.Contains(stepKeys()[:3], e.Key):
			kinds = append(kinds, e.Key)
			step.Kind, step.Do = app.StepKind(e.Key), e.Value
			pos = placeOf(e)
		case !slices.Contains(stepKeys(), e.Key):
			b.warn(e.KeyPos, "the key %s of a step has no meaning; %s", e.Key, diag.DidYouMean(e.Key, stepKeys()))
		}
	}
	if len(kinds) != 1 {
		b.report(wrongKinds(v, action.Key, kinds))
		return app.Step{}, false
	}
	if step.Path.IsNull() {
		step.Path = nil
	}
	return step, b.checkStep(&step, pos, action.Key, global)
}

func wrongKinds(v *app.Value, action string, kinds []string) *diag.Problem {
	if len(kinds) > 1 {
		return diag.At(v.Pos, "a step of %s has %s", action, strings.Join(kinds, " and ")).
			WithHint("make a step of its own of each: - run: ..., - component: ..., - plugin: ...")
	}
	hint := "write exactly one of run, component or plugin"
	for _, key := range v.Keys() {
		if near := diag.Suggest(key, stepKeys()[:3]); near != "" {
			hint = "did you mean " + near + " for " + key + "?"
		}
	}
	return diag.At(v.Pos, "a step of %s has no run, component or plugin", action).WithHint("%s", hint)
}

func (b *builder) checkStep(step *app.Step, pos diag.Pos, action string, global bool) bool {
	switch {
	case step.Do.IsNull() || step.Do.Kind == app.String && strings.TrimSpace(step.Do.Str()) == "":
		b.report(diag.At(pos, "%s in %s is empty", step.Kind, action).WithHint("write what to do, or remove the step"))
	case step.Do.Kind == app.List || step.Do.Kind == app.Map:
		b.report(diag.At(pos, "%s in %s is %s, not a text", step.Kind, action, step.Do.Kind).
			WithHint("write one command, several lines with |; put a text that holds \": \" in quotes"))
	case global && step.Kind == app.Component:
		b.report(diag.At(pos, "a global action has a component step").
			WithHint("move it into actions of a service, or use run"))
	case step.Path != nil && (step.Path.Kind == app.List || step.Path.Kind == app.Map):
		b.report(diag.At(step.Path.Pos, "path is %s", step.Path.Kind).WithHint("write the folder to run in, for example path: ./code"))
	default:
		return true
	}
	return false
}

// allowFailure reads true, false or {exit_code, command}.
func (b *builder) allowFailure(v *app.Value) *app.AllowFailure {
	if v.IsNull() {
		return nil
	}
	const hint = "write allow_failure: true, or { exit_code: [1], command: [deploy] }"
	switch v.Kind {
	case app.Bool:
		all, _ := v.Scalar.(bool)
		return &app.AllowFailure{All: all}
	case app.Map:
	default:
		b.report(diag.At(v.Pos, "allow_failure is %s", v.Kind).WithHint(hint))
		return nil
	}
	out := &app.AllowFailure{}
	for _, e := range v.Entries {
		ok := true
		switch e.Key {
		case "exit_code":
			out.ExitCodes, ok = numbers(e.Value)
		case "command":
			out.Commands, ok = texts(e.Value)
		default:
			ok = false
		}
		if !ok {
			b.report(diag.At(e.KeyPos, "%s in allow_failure is not understood", e.Key).WithHint(hint))
		}
	}
	return out
}

// numbers reads a whole number or a list of them.
func numbers(v *app.Value) ([]int, bool) {
	items := v.Items
	if v.Kind == app.Int {
		items = []*app.Value{v}
	} else if v.Kind != app.List {
		return nil, v.IsNull()
	}
	var all []int
	for _, item := range items {
		n, ok := item.Scalar.(int64)
		if !ok {
			return nil, false
		}
		all = append(all, int(n))
	}
	return all, true
}
