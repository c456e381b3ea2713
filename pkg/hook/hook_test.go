package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// bench is a runner with everything it says and prints.
type bench struct {
	Config
	out    bytes.Buffer
	events []Event
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{}
	b.Config = Config{Dir: t.TempDir(), Env: os.Environ(), Stderr: &b.out, Grace: 200 * time.Millisecond,
		Notify: func(e Event) { b.events = append(b.events, e) }}
	return b
}

func (b *bench) file(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.Dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) run(stage app.Stage, in Input, steps ...app.Step) (Output, error) {
	in.Command = "deploy"
	return New(b.Config).Run(context.Background(), []app.Action{{Stage: stage, Command: "deploy", Steps: steps}}, in)
}

func (b *bench) kinds() string {
	var kinds []string
	for _, e := range b.events {
		kinds = append(kinds, string(e.Kind))
	}
	return strings.Join(kinds, " ")
}

func step(kind app.StepKind, do string) app.Step {
	return app.Step{Kind: kind, Do: app.Text(do), Pos: diag.Pos{File: "s.yaml", Line: 9, Column: 5}}
}

func props(pairs ...any) *app.Value {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return app.From(m, diag.Pos{})
}

func TestMatch(t *testing.T) {
	actions := []app.Action{
		{Stage: app.Pre, Command: "deploy", Pattern: ""},
		{Stage: app.Pre, Pattern: "^(deploy|remove)$"},
		{Stage: app.Post, Command: "deploy"},
		{Stage: app.Pre, Command: "build"},
		{Stage: app.Pre, Pattern: "."},
		{Stage: app.Pre, Command: "deploy-canary"},
	}
	for _, tc := range []struct {
		stage   app.Stage
		command string
		want    []int
	}{
		{app.Pre, "deploy", []int{0, 1, 4}}, {app.Pre, "remove", []int{1, 4}}, {app.Post, "deploy", []int{2}},
		{app.Pre, "deploy-canary", []int{4, 5}}, {app.Fail, "deploy", nil}, {app.Pre, "redeploy", []int{4}},
	} {
		got, err := Match(actions, tc.stage, tc.command)
		if err != nil || len(got) != len(tc.want) {
			t.Errorf("%s-%s: %v, %v", tc.stage, tc.command, got, err)
			continue
		}
		for i, n := range tc.want {
			if got[i].Command != actions[n].Command || got[i].Pattern != actions[n].Pattern {
				t.Errorf("%s-%s: %v at %d", tc.stage, tc.command, got[i], i)
			}
		}
	}
	if _, err := Match([]app.Action{{Stage: app.Pre, Pattern: "(?!x)"}}, app.Pre, "x"); diag.ExitCode(err) != diag.ExitTool {
		t.Errorf("a wrong pattern passed: %v", err)
	}
}

func TestStepsRunInOrderWithTheirOutput(t *testing.T) {
	b := newBench(t)
	if err := os.Mkdir(filepath.Join(b.Dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	inSub := step(app.Run, "basename $(pwd); echo err >&2; printf tail")
	inSub.Path = app.Text("./sub")
	_, err := b.run(app.Pre, Input{}, step(app.Run, "echo one; cat; test -z \"$(cat)\""), inSub, step(app.Run, `test "$PWD" = "$(pwd)"`))
	if err != nil || b.out.String() != "one\nsub\nerr\ntail\n" {
		t.Errorf("%v, output %q", err, b.out.String())
	}
	if b.kinds() != "started done started done started done" || b.events[2].Number != 2 || b.events[2].Of != 3 || b.events[2].Action != "pre-deploy" {
		t.Errorf("events %+v", b.events)
	}
}

func TestFailureStops(t *testing.T) {
	b := newBench(t)
	_, err := b.run(app.Complete, Input{Global: true}, step(app.Run, "exit 3"), step(app.Run, "echo never"), step(app.Run, "echo never"))
	want := `s.yaml:9:5: the run step "exit 3" of complete-deploy failed with exit code 3`
	if err == nil || err.Error() != want || diag.ExitCode(err) != diag.ExitComponent {
		t.Errorf("got %v", err)
	}
	if b.kinds() != "started failed skipped skipped" || b.out.Len() > 0 {
		t.Errorf("%s, output %q", b.kinds(), b.out.String())
	}
}

func TestAllowFailurePrecedence(t *testing.T) {
	all, none := &app.AllowFailure{All: true}, &app.AllowFailure{}
	codes := func(c ...int) *app.AllowFailure { return &app.AllowFailure{ExitCodes: c} }
	commands := func(c ...string) *app.AllowFailure { return &app.AllowFailure{Commands: c} }
	for name, tc := range map[string]struct {
		step, action, service *app.AllowFailure
		passes                bool
	}{
		"nothing":                     {nil, nil, nil, false},
		"service":                     {nil, nil, all, true},
		"action":                      {nil, all, nil, true},
		"step":                        {all, nil, nil, true},
		"action beats service":        {nil, none, all, false},
		"step beats action":           {none, all, all, false},
		"step beats action, allowing": {all, none, none, true},
		"own exit code":               {codes(3), nil, nil, true},
		"exit code of devs":           {codes(101), nil, nil, true},
		"other exit code":             {codes(4), nil, nil, false},
		"command":                     {commands("deploy"), nil, nil, true},
		"other command":               {commands("remove"), nil, nil, false},
		"both, one fits":              {&app.AllowFailure{ExitCodes: []int{3}, Commands: []string{"remove"}}, nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			failing := step(app.Run, "exit 3")
			failing.AllowFailure = tc.step
			out, err := New(b.Config).Run(context.Background(), []app.Action{{Stage: app.Pre, AllowFailure: tc.action,
				Steps: []app.Step{failing, step(app.Run, "echo went on")}}}, Input{Command: "deploy", AllowFailure: tc.service})
			if (err == nil) != tc.passes || (len(out.Tolerated) == 1) != tc.passes || (b.out.String() == "went on\n") != tc.passes {
				t.Errorf("err %v, tolerated %v, output %q", err, out.Tolerated, b.out.String())
			}
			if tc.passes && b.kinds() != "started tolerated started done" {
				t.Error(b.kinds())
			}
		})
	}
}

func TestWorkingDirectory(t *testing.T) {
	b := newBench(t)
	b.file(t, "file", "")
	for path, want := range map[string]string{"./gone": "does not exist", "file": "not a folder", "file/x": "cannot be read"} {
		s := step(app.Run, "echo ran")
		s.Path = &app.Value{Kind: app.String, Scalar: path, Pos: diag.Pos{File: "s.yaml", Line: 10, Column: 11}}
		_, err := b.run(app.Pre, Input{}, s)
		if err == nil || !strings.HasPrefix(err.Error(), "s.yaml:10:11: ") || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), path) || diag.ExitCode(err) != diag.ExitTool {
			t.Errorf("%s: %v", path, err)
		}
	}
	s := step(app.Run, "echo ran")
	s.Path = app.From([]any{}, diag.Pos{})
	if _, err := b.run(app.Pre, Input{}, s); diag.ExitCode(err) != diag.ExitTool {
		t.Errorf("a list as path: %v", err)
	}
	if b.out.Len() > 0 {
		t.Errorf("something ran: %q", b.out.String())
	}
	for _, path := range []*app.Value{nil, app.Text(""), {Kind: app.Null}, app.Text("./"), app.Text(b.Dir)} {
		s.Path = path
		if _, err := b.run(app.Pre, Input{}, s); err != nil {
			t.Error(err)
		}
	}
}

func TestWrongSteps(t *testing.T) {
	for name, s := range map[string]app.Step{
		"empty":       step(app.Run, " "),
		"no text":     {Kind: app.Run},
		"list":        {Kind: app.Run, Do: app.From([]any{"a"}, diag.Pos{})},
		"zero byte":   step(app.Run, "a\x00b"),
		"kind":        step("magic", "x"),
		"quote":       step(app.Component, "fc invoke 'x"),
		"npm plugin":  step(app.Plugin, "website-fc"),
		"unknown":     {Kind: app.Run, Do: app.From(app.UnknownValue{Expr: "x"}, diag.Pos{})},
		"bad program": step(app.Run, "echo "+strings.Repeat("x", 200_000)),
	} {
		b := newBench(t)
		b.RunComponent = func(context.Context, []string, *app.Value) (*app.Value, error) { return nil, nil }
		if _, err := b.run(app.Pre, Input{}, s); diag.ExitCode(err) != diag.ExitTool {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestComponentStep(t *testing.T) {
	b := newBench(t)
	var got []string
	b.RunComponent = func(_ context.Context, words []string, p *app.Value) (*app.Value, error) {
		got = append(got, fmt.Sprintf("%q %s", words, p.Get("region").Str()))
		return app.Text("result"), nil
	}
	b.file(t, "p", `cat > seen; echo '{"props":{"region":"second"}}'`)
	in := Input{Props: props("region", "first"), Output: app.Text("before")}
	out, err := b.run(app.Pre, in, step(app.Component, `fc invoke -e '{"a": "b c"}' ""`), step(app.Component, "fc"),
		step(app.Plugin, "./p"), step(app.Component, "fc info"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{`["fc" "invoke" "-e" "{\"a\": \"b c\"}" ""] first`, `["fc" "info"] second`}) {
		t.Errorf("got %v", got)
	}
	if out.Result.Str() != "result" || out.Props.Get("region").Str() != "second" {
		t.Errorf("out %+v", out)
	}
	seen, _ := os.ReadFile(filepath.Join(b.Dir, "seen"))
	if !strings.Contains(string(seen), `"output":"result"`) {
		t.Errorf("the plugin saw %s", seen)
	}
	if !strings.Contains(b.kinds(), "started warning done") {
		t.Errorf("no warning about a missing command: %s", b.kinds())
	}
	if _, err := b.run(app.Pre, Input{Global: true}, step(app.Component, "fc info")); diag.ExitCode(err) != diag.ExitTool || len(got) != 2 {
		t.Errorf("a global component step ran: %v", err)
	}
}

func TestComponentFailure(t *testing.T) {
	b := newBench(t)
	failure := diag.Errorf("no such function").WithCode(diag.ExitComponent)
	b.RunComponent = func(context.Context, []string, *app.Value) (*app.Value, error) { return nil, failure }
	if _, err := b.run(app.Post, Input{}, step(app.Component, "fc invoke")); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	s := step(app.Component, "fc invoke")
	s.AllowFailure = &app.AllowFailure{ExitCodes: []int{101}}
	if out, err := b.run(app.Post, Input{}, s); err != nil || len(out.Tolerated) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestPluginsChainInPreHooks(t *testing.T) {
	b := newBench(t)
	b.file(t, "first", `cat > first.json; echo '{"props":{"n":1},"output":"from first"}'`)
	b.file(t, "second", `cat > second.json; echo '{}'`)
	b.file(t, "third", `cat > third.json`)
	withArgs := step(app.Plugin, "./first")
	withArgs.Args = props("k", "v")
	in := Input{App: "shop", Service: "web", Component: "fc", Props: props("n", 0)}
	out, err := b.run(app.Pre, in, withArgs, step(app.Plugin, "second"), step(app.Plugin, "./third"))
	if err != nil || out.Props.Get("n").Str() != "1" || out.Result.Str() != "from first" {
		t.Fatalf("%v, %+v", err, out)
	}
	for name, want := range map[string]string{
		"first":  `{"stage":"pre","command":"deploy","app":"shop","service":"web","component":"fc","dir":"` + b.Dir + `","props":{"n":0},"args":{"k":"v"}}`,
		"second": `{"stage":"pre","command":"deploy","app":"shop","service":"web","component":"fc","dir":"` + b.Dir + `","props":{"n":1},"output":"from first"}`,
		"third":  `{"stage":"pre","command":"deploy","app":"shop","service":"web","component":"fc","dir":"` + b.Dir + `","props":{"n":1},"output":"from first"}`,
	} {
		if got, _ := os.ReadFile(filepath.Join(b.Dir, name+".json")); string(got) != want {
			t.Errorf("%s got %s, want %s", name, got, want)
		}
	}
	out, err = b.run(app.Post, in, step(app.Plugin, "./first"))
	if err != nil || out.Props.Get("n").Str() != "0" {
		t.Errorf("a post plugin changed the inputs: %v, %v", out.Props, err)
	}
}

func TestPluginAnswersOfOtherShape(t *testing.T) {
	b := newBench(t)
	for _, answer := range []string{`{"region":"x"}`, `[1]`, `"x"`, `{"props":[]}`} {
		b.file(t, "p", "echo '"+answer+"'")
		if _, err := b.run(app.Pre, Input{}, step(app.Plugin, "./p")); diag.ExitCode(err) != diag.ExitComponent {
			t.Errorf("%s: %v", answer, err)
		}
	}
	for _, answer := range []string{`null`, `{}`, ``, `{"props":null}`} {
		b.file(t, "p", "echo '"+answer+"'")
		out, err := b.run(app.Pre, Input{Props: props("a", 1)}, step(app.Plugin, "./p"))
		if err != nil || out.Props.Get("a").Str() != "1" {
			t.Errorf("%q: %v, %v", answer, out.Props, err)
		}
	}
	b.file(t, "p", "exit 4")
	s := step(app.Plugin, "./p")
	s.AllowFailure = &app.AllowFailure{ExitCodes: []int{4}}
	if _, err := b.run(app.Pre, Input{}, s); err != nil {
		t.Error(err)
	}
}

func TestInterruption(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			if _, err := os.Stat(filepath.Join(b.Dir, "started")); err == nil {
				cancel()
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	s := step(app.Run, "sleep 300 & echo > started; wait")
	s.AllowFailure = &app.AllowFailure{All: true}
	actions := []app.Action{{Stage: app.Pre, Steps: []app.Step{s, step(app.Run, "echo never")}}}
	_, err := New(b.Config).Run(ctx, actions, Input{Command: "deploy"})
	if diag.ExitCode(err) != diag.ExitInterrupted || b.kinds() != "started failed skipped" {
		t.Errorf("%v, %s", err, b.kinds())
	}
	b.events = nil
	_, err = New(b.Config).Run(ctx, actions, Input{Command: "deploy"})
	if diag.ExitCode(err) != diag.ExitInterrupted || b.kinds() != "skipped skipped" || b.out.Len() > 0 {
		t.Errorf("%v, %s, %q", err, b.kinds(), b.out.String())
	}
}

func TestProgramEndedBySIGINTIsAnInterruption(t *testing.T) {
	b := newBench(t)
	if _, err := b.run(app.Pre, Input{AllowFailure: &app.AllowFailure{All: true}}, step(app.Run, "kill -INT $$")); diag.ExitCode(err) != diag.ExitInterrupted {
		t.Errorf("got %v", err)
	}
}

func TestBackgroundProcessIsToldOf(t *testing.T) {
	b := newBench(t)
	if _, err := b.run(app.Pre, Input{}, step(app.Run, "sleep 20 & echo $! > pid")); err != nil {
		t.Fatal(err)
	}
	if b.kinds() != "started warning done" {
		t.Error(b.kinds())
	}
	_, err := b.run(app.Pre, Input{}, step(app.Run, "kill $(cat pid)"))
	if err != nil {
		t.Error(err)
	}
}

// TestCanary lets a secret through every kind of step and looks for it everywhere
// but in the programs.
func TestCanary(t *testing.T) {
	const canary = "CANARY-4711"
	b := newBench(t)
	b.Evaluate = func(v, _ *app.Value) (*app.Value, error) {
		if !strings.Contains(v.Str(), "${env(KEY)}") {
			return v, nil
		}
		return app.Text(strings.ReplaceAll(v.Str(), "${env(KEY)}", canary)).AsSecret(), nil
	}
	b.RunComponent = func(_ context.Context, words []string, _ *app.Value) (*app.Value, error) {
		if words[2] != canary {
			t.Errorf("the component got %q", words)
		}
		return nil, nil
	}
	b.file(t, "p", `cat > plugin.json; exit 5`)
	withArgs := step(app.Plugin, "./p")
	withArgs.Args = app.Text("${env(KEY)}")
	inDir := step(app.Run, "true")
	inDir.Path = app.Text("./${env(KEY)}")
	text := `test ${env(KEY)} = CANARY-$((4700+11)) && env > env.txt && set > set.txt && tr '\0' ' ' < /proc/$$/cmdline > cmdline.txt; exit 6`
	var failures []error
	for _, s := range []app.Step{step(app.Run, text), step(app.Component, "fc x ${env(KEY)}"), withArgs, inDir, step(app.Plugin, "./${env(KEY)}")} {
		_, err := b.run(app.Pre, Input{Props: props("k", secret.New(canary))}, s)
		failures = append(failures, err)
	}
	if diag.ExitCode(failures[0]) != 101 || !strings.Contains(failures[0].Error(), "exit code 6") || failures[1] != nil ||
		failures[2] == nil || failures[3] == nil || failures[4] == nil {
		t.Fatalf("failures %v", failures)
	}
	said := diag.Render(errors.Join(failures...)) + fmt.Sprintf("%+v", b.events) + b.out.String()
	for _, e := range b.events {
		said += e.Text + e.Message + fmt.Sprint(e.Err)
	}
	if strings.Contains(said, canary) {
		t.Errorf("the secret is in %s", said)
	}
	for file, want := range map[string]bool{"plugin.json": true, "env.txt": false, "set.txt": false, "cmdline.txt": false} {
		data, err := os.ReadFile(filepath.Join(b.Dir, file))
		if err != nil || strings.Contains(string(data), canary) != want {
			t.Errorf("%s: %v %.300q", file, err, data)
		}
	}
}

func TestEvaluateErrorFailsTheStep(t *testing.T) {
	b := newBench(t)
	missing := diag.Errorf("X is not set")
	b.Evaluate = func(v, _ *app.Value) (*app.Value, error) { return nil, missing }
	if _, err := b.run(app.Pre, Input{}, step(app.Run, "true")); !errors.Is(err, missing) {
		t.Errorf("got %v", err)
	}
}
