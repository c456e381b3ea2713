package props

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// lines are the problems as texts, with their place.
func lines(problems []*diag.Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Error())
	}
	return all
}

// full reads the props that use every property.
func full(t *testing.T) *Config {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "full.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(parseYAML(t, string(data)))
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	return c
}

func fullOptions() Options {
	return Options{
		Command: "deploy", Account: "123456", Dir: "/app", AutoDomain: "fc.localhost",
		Pack:     func(Code) (resource.Payload, error) { return payload{}, nil },
		ReadFile: func(string) ([]byte, error) { return []byte("-----BEGIN CERTIFICATE"), nil },
	}
}

func TestGolden(t *testing.T) {
	resources, warnings, err := full(t).Resources(fullOptions())
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	type view struct {
		ID, Place string
		Attrs     resource.Attributes
		Deps      []resource.ID `json:",omitempty"`
		Fields    map[string]string
	}
	var views []view
	for _, r := range resources {
		fields := map[string]string{}
		for name, pos := range r.Field {
			fields[name] = pos.String()
		}
		views = append(views, view{r.ID.String(), r.Pos.String(), r.Attrs, r.Deps, fields})
	}
	got, err := json.MarshalIndent(map[string]any{"resources": views, "warnings": lines(warnings)}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "full.golden.json")
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}
