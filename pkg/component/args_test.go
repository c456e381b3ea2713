package component_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
)

var deploy = component.Command{
	Name: "deploy", Subs: []string{"", "function", "trigger"},
	Flags: []component.Flag{
		{Name: "type", Type: component.StringFlag, Choices: []string{"code", "config"}},
		{Name: "trigger-name", Type: component.StringsFlag},
		{Name: "target", Type: component.IntFlag},
	},
}

func TestParseArgs(t *testing.T) {
	extra := []component.Flag{{Name: "assume-yes", Short: "y", Type: component.BoolFlag}}
	args, err := component.ParseArgs(&deploy, extra, []string{"function", "--type", "code", "-y", "--trigger-name", "a", "--trigger-name=b", "--target", "0"})
	if err != nil {
		t.Fatal(err)
	}
	want := component.Args{Sub: "function", Rest: []string{}, Flags: map[string]any{
		"type": "code", "assume-yes": true, "trigger-name": []string{"a", "b"}, "target": 0,
	}}
	if d := cmp.Diff(want, args); d != "" {
		t.Error(d)
	}
	if n, given := args.Int("target"); n != 0 || !given {
		t.Error("a zero that was given looks like none")
	}
	if _, given := args.Int("type"); given || args.Bool("nosuch") || args.String("nosuch") != "" {
		t.Error("flags that were not given have a value")
	}
}

func TestParseArgsRefuses(t *testing.T) {
	sub := component.Command{Name: "version", Subs: []string{"list", "publish"}}
	for _, c := range []struct {
		cmd  *component.Command
		args []string
		hint string
		code int
	}{
		{&deploy, []string{"fnction"}, "did you mean function?", diag.ExitComponent},
		{&deploy, []string{"--type", "both"}, "use one of: code, config", diag.ExitComponent},
		{&deploy, []string{"--typ", "code"}, "did you mean --type?", diag.ExitTool},
		{&deploy, []string{"--target", "many"}, "see devs deploy --help", diag.ExitTool},
		{&deploy, []string{"function", "extra"}, "see devs deploy --help", diag.ExitTool},
		{&sub, nil, "use one of: list, publish", diag.ExitComponent},
	} {
		_, err := component.ParseArgs(c.cmd, nil, c.args)
		p, ok := err.(*diag.Problem)
		if !ok || diag.ExitCode(err) != c.code || p.Hint != c.hint {
			t.Errorf("%v: %v, hint %q", c.args, err, p.Hint)
		}
	}
}

func TestLookupNames(t *testing.T) {
	c := component.Catalogue{"fc": func() component.Component { return nil }}
	for _, name := range []string{"fc", "devsapp/fc", "fc@0.1.2", "devsapp/fc@dev", " fc "} {
		if _, err := c.Lookup(name, diag.Pos{}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "fcc", "other/fc", "fc3", "fc/x"} {
		if _, err := c.Lookup(name, diag.Pos{File: "s.yaml", Line: 3}); diag.ExitCode(err) != diag.ExitTool {
			t.Errorf("%q was found", name)
		}
	}
}
