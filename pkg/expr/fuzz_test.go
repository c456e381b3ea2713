package expr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/expr"
)

func seeds(f *testing.F) {
	for _, text := range []string{
		"${env(X)}", "${env('X', path('../'))}", "a ${vars.a[0]['b c']} b", "${A:-${env(REGION)}}", "${", "${}", "$${x}",
		"${json(file('a.json'))}", "${this.props.x}", "${services.web.output.url}", "${env('\\'')}", "${中文.props.x}", "${a.b.}", "${env(,)}",
	} {
		f.Add(text)
	}
}

// References reads every text without evaluating it: nothing may break the parser.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, edition := range []app.Edition{one, three} {
			for _, ref := range expr.References(expr.Text(text, diag.Pos{}), edition) {
				if len(ref.Path) == 0 && ref.Kind == expr.RefRoot {
					t.Errorf("%q: a reference to nothing", text)
				}
			}
		}
	})
}

// Evaluation ends with a value that holds no expressions, or with problems; text
// without a placeholder is never changed; an environment variable arrives as it is.
func FuzzEvaluate(f *testing.F) {
	seeds(f)
	root := parse(f, document)
	f.Fuzz(func(t *testing.T, text string) {
		for _, mode := range []expr.Mode{expr.ByEdition, expr.Shell} {
			for _, edition := range []app.Edition{one, three} {
				s := scopeOf(root, edition)
				s.Mode = mode
				got, _, err := expr.Evaluate(expr.Text(text, diag.Pos{File: "s.yaml", Line: 1, Column: 1}), s)
				for _, e := range diag.List(err) {
					if p, ok := errors.AsType[*diag.Problem](e); !ok || p.Hint == "" || p.Pos.Line == 0 {
						t.Errorf("%q: %v has no place or no hint", text, e)
					}
				}
				if err != nil {
					continue
				}
				if expr.Has(got) {
					t.Errorf("%q: the result holds expressions", text)
				}
				if !strings.Contains(text, "${") && got.Str() != text {
					t.Errorf("%q became %q", text, got.Str())
				}
			}
		}
		s := scopeOf(root, three)
		s.Env = func(string) (string, bool) { return text, true }
		got, _, err := expr.Evaluate(expr.Text("<${env('X')}>", diag.Pos{}), s)
		if err != nil || got.Str() != "<"+text+">" || !got.Secret {
			t.Errorf("%q: got %q, %v", text, got.Str(), err)
		}
	})
}
