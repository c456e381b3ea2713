package dockerfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/dockerfile"
)

// corpus returns the real Dockerfiles, which lie beside the project and not in it.
func corpus(t testing.TB) []string {
	files, err := filepath.Glob("../../../../shared/corpus/dockerfiles/*")
	if err != nil || len(files) == 0 {
		t.Skip("the corpus of real Dockerfiles (shared/corpus/dockerfiles beside the project) is not there")
	}
	return files
}

// Every real Dockerfile parses, its plan prints, and its steps evaluate.
func TestCorpus(t *testing.T) {
	for _, file := range corpus(t) {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := dockerfile.Parse(filepath.Base(file), src, dockerfile.Options{})
		if err != nil {
			t.Errorf("%s", diag.Render(err))
			continue
		}
		out, err := evaluate(f)
		if err != nil {
			t.Errorf("%s", diag.Render(err))
			continue
		}
		plan := f.Describe()
		if !strings.Contains(plan, "the target: FROM ") {
			t.Errorf("%s: the plan is %q", file, plan)
		}
		if got, most := len(out.ops), out.state.Steps(); got > most {
			t.Errorf("%s: %d ops of %d steps", file, got, most)
		}
		for _, op := range out.ops {
			if op.Key() == "" || op.Text() == "" || op.Pos().Line == 0 {
				t.Errorf("%s: an op lacks something: %+v", file, op)
			}
		}
	}
}
