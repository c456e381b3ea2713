package publish

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/component"
)

// Images whose names look alike as folders are kept apart.
func TestFolder(t *testing.T) {
	p := &Publisher{Config: Config{Dir: "app"}}
	seen := map[string]string{}
	for _, name := range []string{
		"r.example.com/a/b:v1", "r.example.com/a_b:v1", "r.example.com/a/b_v1", "r.example.com/a/b:v2",
		"r.example.com/" + strings.Repeat("x/", 110) + "a:v1", "r.example.com/" + strings.Repeat("x/", 110) + "b:v1",
	} {
		dir := p.folder(component.ImageRef{Name: name})
		if other, ok := seen[dir]; ok {
			t.Errorf("%s and %s share %s", name, other, dir)
		}
		seen[dir] = name
		if base := filepath.Base(dir); len(base) > 200 || filepath.Dir(dir) != filepath.Join("app", ".s", "build", "images") {
			t.Errorf("the folder of %s is %s", name, dir)
		}
	}
}

// Two functions with one image are built from one Dockerfile: the second would take the
// place of the first.
func TestClaim(t *testing.T) {
	p := &Publisher{}
	build := func(name, dir string) component.ImageBuild {
		return component.ImageBuild{ImageRef: component.ImageRef{Name: name}, Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile")}
	}
	for _, b := range []component.ImageBuild{build("r/a:v1", "one"), build("r/a:v1", "one"), build("r/a:v2", "two")} {
		if err := p.claim(b); err != nil {
			t.Errorf("%s from %s: %v", b.Name, b.Context, err)
		}
	}
	if err := p.claim(build("r/a:v1", "two")); err == nil || !strings.Contains(err.Error(), "is built from one/Dockerfile as well") {
		t.Errorf("another Dockerfile gave %v", err)
	}
}
