package main

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/ci"
)

// contract is what action.yml declares.
type contract struct {
	Inputs  map[string]field `yaml:"inputs"`
	Outputs map[string]field `yaml:"outputs"`
}

type field struct {
	Description string `yaml:"description"`
	Default     string `yaml:"default"`
}

func readContract(t *testing.T) *contract {
	t.Helper()
	data, err := os.ReadFile(root("action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{}
	if err := yaml.Unmarshal(data, c); err != nil {
		t.Fatal(err)
	}
	if len(c.Inputs) == 0 || len(c.Outputs) == 0 {
		t.Fatal("action.yml has no inputs or no outputs")
	}
	return c
}

// TestActionInputs: the program reads the inputs that action.yml has, and no other.
func TestActionInputs(t *testing.T) {
	have, want := slices.Sorted(maps.Keys(readContract(t).Inputs)), slices.Sorted(slices.Values(ci.InputNames()))
	if !slices.Equal(have, want) {
		t.Errorf("action.yml has the inputs %q, the program reads %q", have, want)
	}
}

// TestActionTables: docs/action.md has a row for each input and output, in the tables
// for them, and no others. Where a row has a default, it is that of action.yml.
func TestActionTables(t *testing.T) {
	c := readContract(t)
	data, err := os.ReadFile(root("docs", "action.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "\n## Inputs\n")
	inputs, rest, _ := strings.Cut(rest, "\n## Outputs\n")
	outputs, _, ok := strings.Cut(rest, "\n## ")
	if !ok {
		t.Fatal("docs/action.md has not the headings Inputs and Outputs")
	}
	rows := func(what, text string, want map[string]field) map[string]string {
		found := map[string]string{}
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (.*) \\|$").FindAllStringSubmatch(text, -1) {
			if found[m[1]] != "" {
				t.Errorf("docs/action.md has two rows for the %s %s", what, m[1])
			}
			found[m[1]] = m[2]
		}
		if have, want := slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(want)); !slices.Equal(have, want) {
			t.Errorf("docs/action.md has rows for the %ss\n%q, action.yml has\n%q", what, have, want)
		}
		return found
	}
	rows("output", outputs, c.Outputs)
	for name, row := range rows("input", inputs, c.Inputs) {
		have, _, _ := strings.Cut(row, " |")
		if want := c.Inputs[name].Default; want != "" && !strings.HasPrefix(want, "${{ strategy") && have != "`"+want+"`" {
			t.Errorf("docs/action.md says that the default of %s is %s, and action.yml %q", name, have, want)
		}
	}
}

// use is a step that uses the action.
type use struct {
	id     string
	inputs []string
}

// usesOf finds the steps with the action, wherever they stand in a document of YAML.
func usesOf(n *yaml.Node) (found []use) {
	if n.Kind == yaml.MappingNode {
		var u use
		is := false
		for i := 0; i+1 < len(n.Content); i += 2 {
			switch key, value := n.Content[i].Value, n.Content[i+1]; {
			case key == "uses":
				is = strings.HasPrefix(value.Value, "devs/deploy@") || value.Value == "./"
			case key == "id":
				u.id = value.Value
			case key == "with" && value.Kind == yaml.MappingNode:
				for j := 0; j < len(value.Content); j += 2 {
					u.inputs = append(u.inputs, value.Content[j].Value)
				}
			}
		}
		if is {
			found = append(found, u)
		}
	}
	for _, child := range n.Content {
		found = append(found, usesOf(child)...)
	}
	return found
}

// TestWorkflowsUseTheAction: what documents and workflows give to the action and read
// from it is in action.yml.
func TestWorkflowsUseTheAction(t *testing.T) {
	c := readContract(t)
	steps := 0
	for where, text := range workflows(t) {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		uses := usesOf(&doc)
		steps += len(uses)
		ids := map[string]bool{}
		for _, u := range uses {
			ids[u.id] = u.id != ""
			for _, name := range u.inputs {
				if _, ok := c.Inputs[name]; !ok {
					t.Errorf("%s: the action has no input %s", where, name)
				}
			}
		}
		for _, m := range regexp.MustCompile(`steps\.([\w-]+)\.outputs\.([\w-]+)`).FindAllStringSubmatch(text, -1) {
			if _, ok := c.Outputs[m[2]]; ids[m[1]] && !ok {
				t.Errorf("%s: the action has no output %s", where, m[2])
			}
		}
	}
	if steps < 10 {
		t.Errorf("only %d steps with the action were found", steps)
	}
}

// workflows returns the YAML that may use the action, by where it stands: blocks of
// documents, and workflows of the project and its test data.
func workflows(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range append(documents(t), root("README.zh-CN.md")) {
		for _, b := range blocksOf(t, file) {
			if b.lang == "yaml" && strings.Contains(b.text, "uses:") {
				all[b.where()] = b.text
			}
		}
	}
	for _, pattern := range []string{root(".github", "workflows", "*.yml"), root("testdata", "workflows", "*.yml")} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no workflows at %s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[file] = string(data)
		}
	}
	return all
}

// TestStamp: a release pins the action to one image; what is no image with a digest, or
// no action, is refused, and nothing is written then.
func TestStamp(t *testing.T) {
	action, err := os.ReadFile(root("action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	digest := strings.Repeat("0123456789abcdef", 4)
	stamp := func(image string, before []byte) (after []byte, err error) {
		file := filepath.Join(t.TempDir(), "action.yml")
		if err := os.WriteFile(file, before, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = exec.Command(root("build", "stamp.sh"), image, file).Output()
		after, readErr := os.ReadFile(file)
		if readErr != nil {
			t.Fatal(readErr)
		}
		return after, err
	}
	image := "ghcr.io/devs/deploy@sha256:" + digest
	got, err := stamp(image, action)
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`(?m)^  image: docker://.*$`).ReplaceAllLiteral(action, []byte("  image: docker://"+image))
	if !bytes.Equal(got, want) || bytes.Equal(got, action) {
		t.Errorf("stamped:\n%s", got)
	}
	if again, err := stamp(image, got); err != nil || !bytes.Equal(again, got) {
		t.Errorf("stamping twice: %v", err)
	}
	for _, bad := range []string{"", "ghcr.io/devs/deploy", "ghcr.io/devs/deploy:1", "ghcr.io/devs/deploy@sha256:12", "a|e date@sha256:" + digest, "a@b@sha256:" + digest, "@sha256:" + digest, image + "\nx"} {
		if got, err := stamp(bad, action); err == nil || !bytes.Equal(got, action) {
			t.Errorf("%q is stamped: %v", bad, err)
		}
	}
	for _, file := range []string{"", "runs: {}\n", string(action) + string(action)} {
		if got, err := stamp(image, []byte(file)); err == nil || string(got) != file {
			t.Errorf("a file that is no action is stamped: %v", err)
		}
	}
}
