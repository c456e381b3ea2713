package diag_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/devs/deploy/pkg/diag"
)

func TestPos(t *testing.T) {
	for want, pos := range map[string]diag.Pos{
		"":           {},
		"s.yaml":     {File: "s.yaml"},
		"s.yaml:3":   {File: "s.yaml", Line: 3},
		"s.yaml:3:7": {File: "s.yaml", Line: 3, Column: 7},
	} {
		if got := pos.String(); got != want {
			t.Errorf("%#v: got %q, want %q", pos, got, want)
		}
	}
}

func TestExitCode(t *testing.T) {
	component := diag.Errorf("c").WithCode(diag.ExitComponent)
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"nil", nil, 0},
		{"plain error", errors.New("x"), 100},
		{"problem without a code", diag.Errorf("x"), 100},
		{"component", component, 101},
		{"wrapped", fmt.Errorf("doing: %w", component), 101},
		{"joined, component wins", errors.Join(diag.Errorf("t"), component), 101},
		{"interrupted wins", errors.Join(component, diag.Errorf("i").WithCode(diag.ExitInterrupted)), 130},
	} {
		if got := diag.ExitCode(c.err); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestRender(t *testing.T) {
	err := errors.Join(
		diag.At(diag.Pos{File: "s.yaml", Line: 2, Column: 5}, "unknown key %q", "Handler").WithHint("did you mean handler?"),
		nil,
		diag.At(diag.Pos{File: "s.yaml", Line: 2, Column: 5}, "unknown key %q", "Handler").WithHint("did you mean handler?"),
		errors.Join(diag.Errorf("second").WithDetail("a\nb\n")),
	)
	want := "error: s.yaml:2:5: unknown key \"Handler\"\nhint: did you mean handler?\nerror: second\n  a\n  b\n"
	if got := diag.Render(err); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestSuggest(t *testing.T) {
	keys := []string{"handler", "memorySize", "runtime"}
	for word, want := range map[string]string{"Handler": "handler", "memorysize": "memorySize", "memSize": "memorySize", "zzz": ""} {
		if got := diag.Suggest(word, keys); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}
