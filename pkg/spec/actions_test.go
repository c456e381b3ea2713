package spec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// brief is an action without places.
type brief struct {
	Stage            app.Stage
	Command, Pattern string
	Steps            []string
	AllowFailure     *app.AllowFailure
}

func briefs(actions []app.Action) []brief {
	var all []brief
	for _, a := range actions {
		b := brief{Stage: a.Stage, Command: a.Command, Pattern: a.Pattern, AllowFailure: a.AllowFailure}
		for _, s := range a.Steps {
			text := string(s.Kind) + " " + s.Do.Str()
			if s.Path != nil {
				text += " in " + s.Path.Str()
			}
			if s.Args != nil {
				text += " with " + strings.Join(s.Args.Keys(), ",")
			}
			if s.AllowFailure.Allows("deploy", 7) {
				text += " may fail"
			}
			b.Steps = append(b.Steps, text)
		}
		all = append(all, b)
	}
	return all
}

func TestActions(t *testing.T) {
	a := mustLoad(t, `edition: 1.0.0
name: n
actions:
  pre-${regex(.)}:
    - run: echo global
  success-deploy:
    - plugin: ./p.js
      args: {k: v}
  fail-deploy: []
  complete-deploy:
services:
  a:
    component: fc
    actions:
      pre-deploy:
        - run: |
            npm ci
            npm run build
          path: ./code
        - component: fc build --use-docker
        - plugin: dotenv
          allow_failure: true
      post-deploy-all-now: [{run: "echo ${this.output.x}"}]
      pre-${regex('^(deploy|remove-it)$')}: [{run: x, allow_failure: {exit_code: [7]}}]
      pre-${ regex("a'b") }: [{run: x}]
  b: {component: fc, actions: }
`)
	want := []brief{
		{Stage: app.Pre, Pattern: ".", Steps: []string{"run echo global"}},
		{Stage: app.Success, Command: "deploy", Steps: []string{"plugin ./p.js with k"}},
		{Stage: app.Fail, Command: "deploy"},
		{Stage: app.Complete, Command: "deploy"},
	}
	if diff := cmp.Diff(want, briefs(a.Actions)); diff != "" {
		t.Error(diff)
	}
	want = []brief{
		{Stage: app.Pre, Command: "deploy", Steps: []string{"run npm ci\nnpm run build\n in ./code", "component fc build --use-docker", "plugin dotenv may fail"}},
		{Stage: app.Post, Command: "deploy-all-now", Steps: []string{"run echo ${this.output.x}"}},
		{Stage: app.Pre, Pattern: "^(deploy|remove-it)$", Steps: []string{"run x may fail"}},
		{Stage: app.Pre, Pattern: "a'b", Steps: []string{"run x"}},
	}
	if diff := cmp.Diff(want, briefs(a.Service("a").Actions)); diff != "" {
		t.Error(diff)
	}
	if a.Service("b").Actions != nil {
		t.Error("null actions are not none")
	}
	action := a.Service("a").Actions[0]
	if action.Pos.Line != 15 || action.Steps[0].Pos.Line != 16 || action.Steps[1].Pos.Line != 20 {
		t.Errorf("places: %v %v %v", action.Pos, action.Steps[0].Pos, action.Steps[1].Pos)
	}
}

// post- runs after failure too in 3.0.0, and the author is told.
func TestPostIn3(t *testing.T) {
	a := mustLoad(t, `edition: 3.0.0
name: n
resources:
  a:
    component: fc3
    actions:
      allow_failure: {command: deploy}
      post-deploy: [{run: x}]
      success-deploy: [{run: x}]
`)
	tolerant := &app.AllowFailure{Commands: []string{"deploy"}}
	want := []brief{
		{Stage: app.Complete, Command: "deploy", Steps: []string{"run x"}, AllowFailure: tolerant},
		{Stage: app.Success, Command: "deploy", Steps: []string{"run x"}, AllowFailure: tolerant},
	}
	if diff := cmp.Diff(want, briefs(a.Service("a").Actions)); diff != "" {
		t.Error(diff)
	}
	if len(a.Warnings) != 1 || !strings.HasPrefix(a.Warnings[0], "s.yaml:8:7: post-deploy runs after failure too") {
		t.Error(a.Warnings)
	}
}

func TestActionErrors(t *testing.T) {
	tests := []struct{ in, want, hint string }{
		{"[a]", "6:14: actions is a list, not a mapping", "pre-deploy:"},
		{"{deploy: []}", "6:15: deploy is no action", "pre-deploy"},
		{"{pre-: []}", "6:15: pre- is no action", "pre-deploy"},
		{"{succes-deploy: []}", "6:15: succes-deploy is no action", "did you mean success-deploy?"},
		{"{pre-deploy: {run: x}}", "6:27: pre-deploy is a mapping, not a list", "- run:"},
		{"{pre-deploy: x}", "6:27: pre-deploy is a text, not a list", "- run:"},
		{"{pre-deploy: [x]}", "6:28: a step of pre-deploy is a text, not a mapping", "- run:"},
		{"{pre-deploy: [~]}", "6:15: a step of pre-deploy is empty, not a mapping", "- run:"},
		{"{pre-deploy: [{run: x, plugin: y}]}", "6:28: a step of pre-deploy has run and plugin", "of its own"},
		{"{pre-deploy: [{path: x}]}", "6:28: a step of pre-deploy has no run, component or plugin", "exactly one"},
		{"{pre-deploy: [{runs: x}]}", "6:28: a step of pre-deploy has no run, component or plugin", "did you mean run for runs?"},
		{"{pre-deploy: [{run: }]}", "6:29: run in pre-deploy is empty", "what to do"},
		{"{pre-deploy: [{run: [a]}]}", "6:34: run in pre-deploy is a list, not a text", "one command"},
		{"{pre-deploy: [{run: a, path: [b]}]}", "6:43: path is a list", "path: ./code"},
		{"{pre-deploy: [{run: a, allow_failure: maybe}]}", "6:52: allow_failure is a text", "allow_failure: true"},
		{"{\"pre-${regex('(')}\": [{run: a}]}", "6:15: the pattern ( is no regular expression", "RE2"},
		{"{\"pre-${regex('(?=a)')}\": [{run: a}]}", "6:15: the pattern (?=a) is no regular expression", "RE2"},
		{"{\"pre-${regex()}\": [{run: a}]}", "6:15: the pattern of regex() is empty", "every command"},
		{"{\"pre-${vars.x}\": [{run: a}]}", "6:15: ${vars.x} cannot stand in a key", "${regex('...')}"},
	}
	for _, test := range tests {
		_, err := loadText("edition: 1.0.0\nname: n\nservices:\n  a:\n    component: fc\n    actions: " + test.in + "\n")
		p, ok := errors.AsType[*diag.Problem](err)
		if !ok {
			t.Errorf("%s: %v is no Problem", test.in, err)
			continue
		}
		if got := strings.TrimPrefix(err.Error(), "s.yaml:"); got != test.want {
			t.Errorf("%s: got %s\nwant %s", test.in, got, test.want)
		}
		if !strings.Contains(p.Hint, test.hint) {
			t.Errorf("%s: hint %q, want %q", test.in, p.Hint, test.hint)
		}
	}
	_, err := loadText(minimal + "actions: {pre-deploy: [{component: fc build}]}\n")
	if err == nil || !strings.Contains(err.Error(), "s.yaml:4:36: a global action has a component step") {
		t.Errorf("got %v", err)
	}
	a := mustLoad(t, minimal+"actions: {pre-deploy: [{run: x, pth: y}]}\n")
	if len(a.Warnings) != 1 || !strings.HasSuffix(a.Warnings[0], "the key pth of a step has no meaning; did you mean path?") {
		t.Error(a.Warnings)
	}
}
