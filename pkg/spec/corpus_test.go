package spec_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/expr"
	"github.com/devs/deploy/pkg/spec"
)

// corpusDir returns the folder of real application files, which stands beside the
// repository: DEVS_CORPUS, or ../shared/corpus from the repository's root.
func corpusDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("DEVS_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	dir, err := filepath.Abs(filepath.Join(dir, "s-yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the folder of real files is not there: %v (set DEVS_CORPUS)", err)
	}
	return dir
}

// Every real file loads, or is refused with a place and with what to do.
func TestCorpus(t *testing.T) {
	dir := corpusDir(t)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	classes := map[string][]string{}
	loaded := 0
	for _, f := range files {
		a, err := spec.Load(spec.Options{Dir: dir, Template: f.Name()})
		if err == nil {
			loaded++
			evaluateAll(t, a)
			continue
		}
		for _, e := range diag.List(err) {
			p, ok := errors.AsType[*diag.Problem](e)
			switch {
			case !ok:
				t.Errorf("%s: %v is no diag.Problem", f.Name(), e)
			case p.Pos.File == "" || p.Pos.Line == 0 || p.Hint == "":
				t.Errorf("%s: %v has no place or no hint", f.Name(), e)
			}
		}
		if diag.ExitCode(err) != diag.ExitTool {
			t.Errorf("%s: exit code %d", f.Name(), diag.ExitCode(err))
		}
		class := classOf(err)
		classes[class] = append(classes[class], diag.List(err)[0].Error())
	}
	logClasses(t, len(files), loaded, classes)
}

// evaluateAll makes sure that evaluation of real props ends, and that each problem
// has a place. Values come from the test: the environment is full, credentials are
// there.
func evaluateAll(t *testing.T, a *app.App) {
	t.Helper()
	s := &expr.Scope{
		Edition: a.Edition, Dir: a.Dir, Root: a.Root,
		Env:          func(name string) (string, bool) { return "env-" + name, true },
		Config:       func(field string) (*app.Value, error) { return app.Text("config-" + field), nil },
		Secret:       func(key string) (*app.Value, error) { return app.Text("secret-" + key), nil },
		ServiceNames: a.ServiceNames(),
	}
	views := map[string]*expr.View{}
	for _, service := range a.Services {
		views[service.Name] = expr.ViewOf(a, service)
	}
	s.Service = func(name string) *expr.View { return views[name] }
	for _, service := range a.Services {
		s.This = views[service.Name]
		if _, _, err := expr.Evaluate(service.Props, s); err != nil {
			t.Logf("evaluating: %v", err)
			for _, e := range diag.List(err) {
				p, ok := errors.AsType[*diag.Problem](e)
				if !ok || p.Pos.Line == 0 || p.Hint == "" {
					t.Errorf("%s: %v has no place or no hint", a.File, e)
				}
			}
		}
	}
}

// classOf returns the first problem's words without names.
func classOf(err error) string {
	p, _ := errors.AsType[*diag.Problem](diag.List(err)[0])
	var words []string
	for word := range strings.FieldsSeq(p.Summary) {
		if strings.ContainsAny(word, "{}./") || word != strings.ToLower(word) {
			word = "X"
		}
		words = append(words, word)
	}
	if strings.Contains(p.Summary, "application template") {
		return "an application template"
	}
	return strings.Join(words, " ")
}

func logClasses(t *testing.T, total, loaded int, classes map[string][]string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%d files, %d load\n", total, loaded)
	names := make([]string, 0, len(classes))
	for name := range classes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int { return len(classes[y]) - len(classes[x]) })
	for _, name := range names {
		fmt.Fprintf(&b, "%4d refused: %s (for example %s)\n", len(classes[name]), name, classes[name][0])
	}
	t.Log(b.String())
}
