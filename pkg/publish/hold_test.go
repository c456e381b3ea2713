package publish

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/devs/deploy/pkg/component"
)

// another is another process that builds in the same folder.
func (w *world) another() *Publisher { return &Publisher{Config: w.p.Config} }

// end ends a process.
func end(t *testing.T, p *Publisher) {
	t.Helper()
	for _, lock := range p.held {
		if err := lock.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestTwoProcesses has two processes that build images of one name.
func TestTwoProcesses(t *testing.T) {
	w := newWorld(t)
	w.write("Dockerfile", "FROM scratch\nCOPY file /\n", "Other", "FROM scratch\nCOPY file /other\n", "file", "text")
	build := func(p *Publisher, dockerfile string) (string, error) {
		return p.Build(t.Context(), component.ImageBuild{ImageRef: w.ref("shop/api:v1"), Context: w.dir, Dockerfile: filepath.Join(w.dir, dockerfile)})
	}
	first, second, third := w.another(), w.another(), w.another()
	one, err := build(first, "Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := build(second, "Other"); err == nil || !strings.Contains(err.Error(), filepath.Join(w.dir, "Dockerfile")+" by another process") {
		t.Errorf("another Dockerfile at once: %v", err)
	}
	if again, err := build(third, "Dockerfile"); err != nil || again != one {
		t.Errorf("the same Dockerfile at once: %s, %v", again, err)
	}
	if kept, err := first.Built(w.ref("shop/api:v1")); err != nil || kept != one {
		t.Errorf("%s is kept (%v), want %s", kept, err, one)
	}
	end(t, first)
	if _, err := build(w.another(), "Other"); err == nil {
		t.Error("another Dockerfile while the third process lives")
	}
	end(t, third)
	if two, err := build(w.another(), "Other"); err != nil || two == one {
		t.Errorf("another Dockerfile afterwards: %s, %v", two, err)
	}
}

// TestManyProcesses lets processes begin at the same moment: what each that succeeds
// built is what is kept.
func TestManyProcesses(t *testing.T) {
	w := newWorld(t)
	w.write("Dockerfile", "FROM scratch\nCOPY file /\n", "Other", "FROM scratch\nCOPY file /other\n", "file", "text")
	for range 5 {
		var group sync.WaitGroup
		all := make([]*Publisher, 6)
		digests := make([]string, len(all))
		for i := range all {
			all[i] = w.another()
			name := []string{"Dockerfile", "Other"}[i%2]
			group.Go(func() {
				digest, err := all[i].Build(t.Context(), component.ImageBuild{ImageRef: w.ref("shop/api:v1"), Context: w.dir, Dockerfile: filepath.Join(w.dir, name)})
				if err != nil && !strings.Contains(err.Error(), "by another process") {
					t.Error(err)
				}
				digests[i] = digest
			})
		}
		group.Wait()
		kept, err := w.p.Built(w.ref("shop/api:v1"))
		if err != nil || kept == "" {
			t.Fatalf("kept %q, %v", kept, err)
		}
		for i, p := range all {
			if digests[i] != "" && digests[i] != kept {
				t.Errorf("%s was built, and %s is kept", digests[i], kept)
			}
			end(t, p)
		}
	}
}
