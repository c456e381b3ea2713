// Package layering holds the test of who may import whom.
package layering

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/devs/deploy/"

// layers are the packages from the lowest to the highest; a package imports only
// from lower lines. Packages of one line do not know each other.
var layers = []string{
	"pkg/diag pkg/secret pkg/stream",
	"pkg/app pkg/image/layer pkg/image/dockerfile pkg/image/sandbox pkg/image/cache pkg/registry pkg/registry/acr",
	"pkg/credential pkg/archive pkg/resource pkg/spec/yamlvalue pkg/emulator/imagepath pkg/image/tree pkg/image/rootfs pkg/image/store pkg/emulator/images",
	"pkg/runner pkg/image/copy pkg/state",
	"pkg/image pkg/credential/client pkg/registry/acr/client pkg/registry/auth pkg/plan pkg/emulator pkg/expr",
	"pkg/graph pkg/component pkg/fc/client pkg/fc/props pkg/plugin/process",
	"pkg/spec pkg/fc pkg/fcapi pkg/plugin pkg/report pkg/publish pkg/ci/workflow pkg/ci/rest",
	"pkg/ci",
	"pkg/ci/github pkg/ci/gitee pkg/ci/gitlab",
	"pkg/hook",
	"pkg/engine",
	"pkg/cli",
	"cmd/devs",
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func rank(name string) int {
	return slices.IndexFunc(layers, func(line string) bool { return slices.Contains(strings.Fields(line), name) })
}

func TestLowerNeverImportsHigher(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(name, "pkg/internal") || strings.HasPrefix(name, "test/") {
			continue
		}
		if rank(name) < 0 {
			t.Errorf("%s stands in no layer: add it to the table", name)
			continue
		}
		for _, imp := range p.Imports {
			below, ours := strings.CutPrefix(imp, module)
			if ours && rank(below) >= rank(name) && !strings.HasPrefix(below, "pkg/internal") {
				t.Errorf("%s imports %s, which is not below it", name, below)
			}
		}
	}
}

func TestWhoMayImportWhat(t *testing.T) {
	rules := []struct {
		prefix string
		only   func(pkg string) bool
	}{
		{"github.com/alibabacloud-go/", func(p string) bool { return strings.HasSuffix(p, "/client") || p == "pkg/internal/rpc" }},
		{"github.com/docker/docker/", func(string) bool { return false }},
		{"github.com/google/go-github/", func(p string) bool { return p == "pkg/ci/github" }},
		{"github.com/spf13/cobra", func(p string) bool { return p == "pkg/cli" }},
		{"github.com/rogpeppe/go-internal", func(string) bool { return false }},
	}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			for _, r := range rules {
				if strings.HasPrefix(imp, r.prefix) && !r.only(name) {
					t.Errorf("%s must not import %s", name, imp)
				}
			}
		}
	}
}
