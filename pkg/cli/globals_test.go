package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
)

func TestExtractGlobals(t *testing.T) {
	known := []component.Flag{
		{Name: "event", Short: "e", Type: component.StringFlag},
		{Name: "use-local", Type: component.BoolFlag},
		{Name: "assume-yes", Short: "y", Type: component.BoolFlag},
	}
	for _, c := range []struct {
		args []string
		rest []string
		want globals
	}{
		{[]string{"deploy", "-t", "x.yaml", "--use-local"}, []string{"deploy", "--use-local"}, globals{Template: "x.yaml"}},
		{[]string{"--template=x.yaml", "deploy", "-ay"}, []string{"deploy"}, globals{Template: "x.yaml", Access: "y"}},
		{[]string{"invoke", "-e", "-a"}, []string{"invoke", "-e", "-a"}, globals{}},
		{[]string{"invoke", "-e", "--debug", "--debug"}, []string{"invoke", "-e", "--debug"}, globals{Debug: true}},
		{[]string{"invoke", "--event=-t", "-o", "json"}, []string{"invoke", "--event=-t"}, globals{Output: "json"}},
		{[]string{"deploy", "-y", "--embedded", "--", "-a", "b"}, []string{"deploy", "-y", "--", "-a", "b"}, globals{Embedded: true}},
		{[]string{"x", "--unknown", "v"}, []string{"x", "--unknown", "v"}, globals{}},
	} {
		var g globals
		rest, err := g.extract(c.args, known)
		if err != nil {
			t.Errorf("%v: %v", c.args, err)
			continue
		}
		if c.want.Output == "" {
			c.want.Output = "default"
		}
		if d := cmp.Diff(c.rest, rest); d != "" {
			t.Errorf("%v: %s", c.args, d)
		}
		if d := cmp.Diff(c.want, g, cmp.AllowUnexported(globals{})); d != "" {
			t.Errorf("%v: %s", c.args, d)
		}
	}
	for _, args := range [][]string{{"deploy", "-t"}, {"deploy", "-o", "xml"}, {"invoke", "-e"}, {"--debug=perhaps"}} {
		if _, err := new(globals).extract(args, known); diag.ExitCode(err) != diag.ExitTool {
			t.Errorf("%v: %v", args, err)
		}
	}
}
