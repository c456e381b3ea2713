package resource_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// diff decodes two states from JSON and returns the paths that differ.
func diff(t *testing.T, s resource.Schema, found, want string, managed []string) []string {
	t.Helper()
	var f, w resource.Attributes
	for into, text := range map[*resource.Attributes]string{&f: found, &w: want} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	var paths []string
	for _, d := range s.Compare(f, w, managed) {
		paths = append(paths, d.Path)
	}
	return paths
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name        string
		schema      resource.Schema
		found, want string
		paths       []string
	}{
		{"empty equals absent", nil, `{"a":"","b":[],"c":{},"d":null}`, `{}`, nil},
		{"false and zero are values", nil, `{"a":false,"b":0}`, `{}`, []string{"a", "b"}},
		{"nested leaf", nil, `{"a":{"b":1,"c":2}}`, `{"a":{"b":1,"c":3}}`, []string{"a.c"}},
		{"removed block", nil, `{"a":{"b":1}}`, `{}`, []string{"a.b"}},
		{"list as a whole", nil, `{"a":[1,2]}`, `{"a":[2,1]}`, []string{"a"}},
		{"set", resource.Schema{"a": {Set: true}}, `{"a":["x","y"]}`, `{"a":["y","x","x"]}`, nil},
		{"default on the file's side", resource.Schema{"t": {Default: int64(3)}}, `{"t":3}`, `{}`, nil},
		{"default against another value", resource.Schema{"t": {Default: int64(3)}}, `{"t":4}`, `{}`, []string{"t"}},
		{"nested default only where the parent is", resource.Schema{"h.p": {Default: int64(3)}}, `{"h":{"u":"/","p":3}}`, `{"h":{"u":"/"}}`, nil},
		{"nested default without a parent", resource.Schema{"h.p": {Default: int64(3)}}, `{}`, `{}`, nil},
		{"default in list elements", resource.Schema{"r[].q": {Default: "LATEST"}}, `{"r":[{"p":"/","q":"LATEST"}]}`, `{"r":[{"p":"/"}]}`, nil},
		{"case", resource.Schema{"role": {Fold: true}}, `{"role":"acs:ram::1:Role/X"}`, `{"role":"acs:ram::1:role/x"}`, nil},
		{"number as text", resource.Schema{"n": {Number: true}}, `{"n":128}`, `{"n":"128"}`, nil},
		{"text as number", resource.Schema{"n.*": {Text: true}}, `{"n":{"a":"1","b":"true"}}`, `{"n":{"a":1,"b":true}}`, nil},
		{"unset stays", resource.Schema{"i": {KeepUnset: true}}, `{"i":true}`, `{}`, nil},
		{"unset stays, nested", resource.Schema{"r[].m": {KeepUnset: true}, "h.m": {KeepUnset: true}}, `{"h":{"m":1,"n":2}}`, `{"h":{"n":2}}`, nil},
		{"ignored", resource.Schema{"id": {Ignore: true}}, `{"id":"x"}`, `{"id":"y"}`, nil},
		{"ignored in elements", resource.Schema{"l[].id": {Ignore: true}}, `{"l":[{"id":1,"a":1}]}`, `{"l":[{"a":1}]}`, nil},
	} {
		if d := cmp.Diff(c.paths, diff(t, c.schema, c.found, c.want, nil)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestManagedRestricts(t *testing.T) {
	got := diff(t, nil, `{"a":1,"b":1}`, `{"a":2,"b":2}`, []string{"b"})
	if d := cmp.Diff([]string{"b"}, got); d != "" {
		t.Error(d)
	}
}

func TestSecretsCompareByValue(t *testing.T) {
	s := resource.Schema{"env.*": {Secret: true}}
	found := resource.Attributes{"env": map[string]any{"A": "1", "B": "2", "C": secret.New("3")}}
	want := resource.Attributes{"env": map[string]any{"A": secret.New("1"), "B": secret.New("other"), "C": "3"}}
	diffs := s.Compare(found, want, nil)
	if len(diffs) != 1 || diffs[0].Path != "env.B" {
		t.Fatalf("got %v", diffs)
	}
	if _, ok := diffs[0].Old.(secret.String); !ok {
		t.Error("the old value is not secret")
	}
}

func TestSecretOnOneSideHidesTheOther(t *testing.T) {
	found := resource.Attributes{"args": []any{"--token", "canary-old"}, "payload": "canary-old", "n": int64(4711)}
	want := resource.Attributes{"args": []any{"--token", secret.New("canary-new")}, "payload": secret.New("canary-new"), "n": secret.New("x")}
	diffs := (resource.Schema{}).Compare(found, want, nil)
	if text := fmt.Sprintf("%+v", diffs); len(diffs) != 3 || strings.Contains(text, "canary") || strings.Contains(text, "4711") {
		t.Errorf("got %s", text)
	}
}

func TestUnknownDiffersFromEverything(t *testing.T) {
	u := resource.Attributes{"a": app.UnknownValue{Expr: "${x.output.y}"}}
	if got := (resource.Schema{}).Compare(u, u, nil); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestImmutable(t *testing.T) {
	s := resource.Schema{"type": {Immutable: true}, "cfg.event": {Immutable: true}}
	for _, d := range s.Compare(
		resource.Attributes{"type": "a", "cfg": map[string]any{"event": "x", "n": "1"}},
		resource.Attributes{"type": "b", "cfg": map[string]any{"event": "y", "n": "2"}}, nil) {
		if want := d.Path != "cfg.n"; d.Immutable != want {
			t.Errorf("%s: immutable %v", d.Path, d.Immutable)
		}
	}
}

// TestDiffering checks that two states that are not a file compare as they are: nothing
// is kept, and texts that stand for secrets compare with each other.
func TestDiffering(t *testing.T) {
	s := resource.Schema{"i": {KeepUnset: true}, "n": {Default: int64(3), Number: true}, "set": {Set: true}, "id": {Ignore: true}, "env.*": {Secret: true}}
	a := resource.Attributes{"i": true, "n": 3, "set": []any{"b", "a"}, "id": "1", "env": map[string]any{"A": "sealed:1", "B": "sealed:2"}}
	b := resource.Attributes{"set": []any{"a", "b"}, "id": "2", "env": map[string]any{"A": "sealed:1", "B": "sealed:3"}}
	for _, got := range [][]string{s.Differing(a, b), s.Differing(b, a)} {
		if d := cmp.Diff([]string{"env.B", "i"}, got); d != "" {
			t.Error(d)
		}
	}
	if got := s.Differing(nil, a); len(got) != 4 {
		t.Errorf("against nothing: %v", got)
	}
	if got := fmt.Sprint(resource.Conceal([]any{"canary", nil, map[string]any{"a": 4711}})); strings.Contains(got, "canary") || strings.Contains(got, "4711") {
		t.Error(got)
	}
}
