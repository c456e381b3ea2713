package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/pkg/state"
)

// origins makes a change with a whole record and returns the origins of its fields.
func origins(t *testing.T, schema resource.Schema, recorded, found, want resource.Attributes) (map[string]plan.Origin, *plan.Change) {
	t.Helper()
	id := resource.ID{Kind: "function", Name: "s/f"}
	online := &resource.Found{Attrs: found}
	c := plan.New(schema, record(t, schema, id, recorded, online, true), online, &resource.Resource{ID: id, Attrs: want})
	all := map[string]plan.Origin{}
	for _, f := range c.Fields {
		all[f.Path] = f.Origin
	}
	return all, c
}

func TestOriginOfUnknownValues(t *testing.T) {
	later := app.UnknownValue{Expr: "${db.output.url}"}
	recorded := resource.Attributes{"same": "a", "moved": "a", "list": []any{"a"}}
	found := resource.Attributes{"same": "a", "moved": "b", "list": []any{"b"}}
	got, c := origins(t, nil, recorded, found, resource.Attributes{"same": later, "moved": later, "list": []any{later}})
	if d := cmp.Diff(map[string]plan.Origin{"same": plan.Ours, "moved": plan.Unknown, "list": plan.Unknown}, got); d != "" {
		t.Error(d)
	}
	if plan.Decide(c, plan.Fail) != plan.Refuse {
		t.Error("drift is not refused as long as the file is not known")
	}
}

func TestOriginOfBlocks(t *testing.T) {
	block := func(kv ...any) resource.Attributes {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return resource.Attributes{"block": m, "other": "x"}
	}
	for _, tc := range []struct {
		name                  string
		recorded, found, want resource.Attributes
		origins               map[string]plan.Origin
		converged             []string
	}{
		{"cleared by the file", block("a", "1", "b", "2"), block("a", "1", "b", "2"), resource.Attributes{"other": "x"},
			map[string]plan.Origin{"block.a": plan.Ours, "block.b": plan.Ours}, nil},
		{"cleared online", block("a", "1", "b", "2"), resource.Attributes{"other": "x"}, block("a", "1", "b", "3"),
			map[string]plan.Origin{"block.a": plan.Drifted, "block.b": plan.Both}, nil},
		{"one more online", block("a", "1"), block("a", "1", "b", "2"), block("a", "1"),
			map[string]plan.Origin{"block.b": plan.Drifted}, nil},
		{"half of it converged", block("a", "1", "b", "2"), block("a", "9", "b", "9"), block("a", "9", "b", "2"),
			map[string]plan.Origin{"block.b": plan.Drifted}, []string{"block.a"}},
		{"another shape online", block("a", "1"), resource.Attributes{"block": []any{"l"}, "other": "x"}, block("a", "1"),
			map[string]plan.Origin{"block": plan.Drifted}, nil},
	} {
		got, c := origins(t, nil, tc.recorded, tc.found, tc.want)
		if d := cmp.Diff(tc.origins, got); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
		if d := cmp.Diff(tc.converged, c.Converged); d != "" {
			t.Errorf("%s: converged: %s", tc.name, d)
		}
	}
}

// TestPending checks that what a killed change of this application left behind counts
// as its own, not as somebody else's.
func TestPending(t *testing.T) {
	id := resource.ID{Kind: "function", Name: "s/f"}
	recorded, begun := resource.Attributes{"a": "1", "b": "1"}, resource.Attributes{"a": "2", "b": "2"}
	half := &resource.Found{Attrs: resource.Attributes{"a": "2", "b": "1"}}
	book := state.NewBook("app", state.NewKey(zeros{}, ""))
	book.Put(id, state.Entry{Prints: book.Key.Prints(nil, recorded), Attrs: book.Key.Seal(nil, recorded)})
	book.Pend(id, book.Key.Seal(nil, begun))
	for _, want := range []resource.Attributes{begun, {"a": "3", "b": "3"}, recorded} {
		c := plan.New(nil, book.Recorded(nil, id, half), half, &resource.Resource{ID: id, Attrs: want})
		if c.Drift != plan.Same || plan.Decide(c, plan.Fail) != plan.Apply || c.Converged != nil {
			t.Errorf("%v: %s, %v", want, c.Drift, c.Converged)
		}
		for _, f := range c.Fields {
			if f.Origin != plan.Ours {
				t.Errorf("%v: %s is %s", want, f.Path, f.Origin)
			}
		}
	}
}

// TestConvergedManaged checks that nothing is told of what is not deployed.
func TestConvergedManaged(t *testing.T) {
	id := resource.ID{Kind: "function", Name: "s/f"}
	recorded := resource.Attributes{"a": "1", "b": "1"}
	both := resource.Attributes{"a": "2", "b": "2"}
	found := &resource.Found{Attrs: both}
	c := plan.New(nil, record(t, nil, id, recorded, found, true), found, &resource.Resource{ID: id, Attrs: both, Managed: []string{"a"}})
	if d := cmp.Diff([]string{"a"}, c.Converged); d != "" {
		t.Error(d)
	}
}

// TestLeftOpen checks that what the file leaves open and somebody changed is told, as
// it is the reason for the drift.
func TestLeftOpen(t *testing.T) {
	got, c := origins(t, props.Schemas()[props.FunctionKind], resource.Attributes{"cpu": 0.35, "memorySize": 128},
		resource.Attributes{"cpu": 0.5, "memorySize": 128}, resource.Attributes{"memorySize": 256})
	if d := cmp.Diff(map[string]plan.Origin{"memorySize": plan.Ours}, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"cpu"}, c.Converged); d != "" || c.Drift != plan.Moved {
		t.Errorf("%s %s", c.Drift, d)
	}
}

// TestSecrets checks origins between sealed values, and that what was a secret when it
// was deployed is none to show later.
func TestSecrets(t *testing.T) {
	schema := resource.Schema{"env.*": {Secret: true}}
	state1 := func(a, b, payload any) resource.Attributes {
		return resource.Attributes{"env": map[string]any{"A": a, "B": b}, "payload": payload}
	}
	got, c := origins(t, schema, state1("canary-1", "canary-2", secret.New("canary-3")),
		state1("canary-1", "canary-9", "canary-3"), state1(secret.New("canary-4"), secret.New("canary-2"), "plain"))
	if d := cmp.Diff(map[string]plan.Origin{"env.A": plan.Ours, "env.B": plan.Drifted, "payload": plan.Ours}, got); d != "" {
		t.Error(d)
	}
	if text := fmt.Sprintf("%+v", c.Fields); strings.Contains(text, "canary") {
		t.Error(text)
	}
	got, c = origins(t, schema, state1("1", "2", secret.New("canary-3")), state1("1", "2", "canary-3"), state1("1", "2", secret.New("canary-3")))
	if len(got) > 0 || c.Drift != plan.Same {
		t.Errorf("nothing changed: %s, %v", c.Drift, got)
	}
}

// code is a code package with files.
type code struct {
	resource.Payload
	files []resource.CodeFile
}

func (c code) Files() []resource.CodeFile { return c.files }
func (c code) Size() int64                { return 20 }
func (c code) Checksum() string           { return "2" }

func TestCode(t *testing.T) {
	file := func(path string, sum uint32) resource.CodeFile {
		return resource.CodeFile{Path: path, Size: 1, CRC32: sum}
	}
	schema := props.Schemas()[props.FunctionKind]
	found := &resource.Found{Attrs: resource.Attributes{"code": map[string]any{"checksum": "1", "size": 10.0}}}
	want := &resource.Resource{Attrs: resource.Attributes{"code": map[string]any{"checksum": "2", "size": int64(20)}},
		Code: code{files: []resource.CodeFile{file("a", 1), file("b", 9), file("d", 1)}}}
	old := []resource.CodeFile{file("c", 1), file("a", 1), file("b", 1)}
	files := &plan.FileChanges{Added: []string{"d"}, Removed: []string{"c"}, Changed: []string{"b"}}
	full := &plan.CodeChange{OldSize: 10, OldSum: "1", NewSize: 20, NewSum: "2"}
	bucket := &resource.Resource{Attrs: resource.Attributes{"code": map[string]any{"ossBucketName": "b", "ossObjectName": "o"}}}
	same := &resource.Resource{Attrs: resource.Attributes{"memorySize": 1, "code": map[string]any{"checksum": "1"}}, Code: want.Code}
	if c := plan.New(nil, state.Recorded{Known: true}, found, &resource.Resource{Absent: true}); c.Code != nil {
		t.Errorf("the code of what is deleted: %+v", c.Code)
	}
	for _, tc := range []struct {
		name     string
		recorded state.Recorded
		found    *resource.Found
		want     *resource.Resource
		code     *plan.CodeChange
		files    *plan.FileChanges
	}{
		{"the files are recorded", state.Recorded{Known: true, Files: old}, found, want, full, files},
		{"the configuration moved", state.Recorded{Known: true, Config: true, Files: old}, found, want, full, files},
		{"the code moved: the recorded files are not those online", state.Recorded{Known: true, Code: true, Files: old}, found, want, full, nil},
		{"no files are recorded", state.Recorded{Known: true}, found, want, full, nil},
		{"new", state.Recorded{}, nil, want, &plan.CodeChange{NewSize: 20, NewSum: "2"}, nil},
		{"in a bucket", state.Recorded{Known: true, Files: old}, found, bucket, &plan.CodeChange{OldSize: 10, OldSum: "1"}, nil},
		{"new in a bucket", state.Recorded{}, nil, bucket, nil, nil},
		{"the code stays", state.Recorded{Known: true, Files: old}, found, same, nil, nil},
		{"deleted online", state.Recorded{Known: true, Config: true, Files: old}, nil, want, &plan.CodeChange{NewSize: 20, NewSum: "2"}, nil},
		{"deleted", state.Recorded{Known: true, Files: old}, found, &resource.Resource{Absent: true}, nil, nil},
	} {
		c := plan.New(schema, tc.recorded, tc.found, tc.want)
		if d := cmp.Diff(tc.code, c.Code); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
		if d := cmp.Diff(tc.files, c.Files); d != "" {
			t.Errorf("%s: files: %s", tc.name, d)
		}
	}
}
