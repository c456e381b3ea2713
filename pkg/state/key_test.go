package state_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

func TestKeysOpenWithTheSameSecretOnly(t *testing.T) {
	for _, c := range []struct {
		made, opened string
		ok           bool
	}{{"", "", true}, {"s3cret", "s3cret", true}, {"s3cret", "", false}, {"", "s3cret", false}, {"s3cret", "other", false}} {
		k := state.NewKey(nil, c.made)
		got, err := state.OpenKey(k.Public(), c.opened)
		if c.ok != (err == nil) || c.ok && got != k {
			t.Errorf("made with %q, opened with %q: %v", c.made, c.opened, err)
		}
		if p, ok := errors.AsType[*diag.Problem](err); !c.ok && (!ok || !strings.Contains(p.Hint, "DEVS_STATE_KEY") || strings.Contains(p.Summary+p.Hint, "s3cret")) {
			t.Errorf("got %v", err)
		}
	}
	for _, public := range []string{"", "x", strings.Repeat("A", 24), strings.Repeat("=", 24), state.NewKey(nil, "").Public() + "A"} {
		if _, err := state.OpenKey(public, ""); err == nil {
			t.Errorf("opened %q", public)
		}
	}
	first, second, third := state.NewKey(nil, ""), state.NewKey(nil, ""), state.NewKey(iotest.ErrReader(errors.New("x")), "")
	if first == second || first == third {
		t.Error("two new keys are the same")
	}
}

func TestTheSecretOfTheUserChangesEveryPrint(t *testing.T) {
	a := resource.Attributes{"env": map[string]any{"A": "1"}}
	random := strings.Repeat("r", 16)
	plain, keyed := state.NewKey(strings.NewReader(random), ""), state.NewKey(strings.NewReader(random), "s3cret")
	if plain.Prints(schema, a) == keyed.Prints(schema, a) || asJSON(t, plain.Seal(schema, a)) == asJSON(t, keyed.Seal(schema, a)) {
		t.Error("DEVS_STATE_KEY is not mixed in")
	}
}

// The values are those of the first release: records that exist depend on them.
func TestPrintsStayTheSameInLaterVersions(t *testing.T) {
	a := resource.Attributes{"env": map[string]any{"A": "1"}, "n": int64(1), "f": 1.5, "b": true, "l": []any{"x"}, "code": map[string]any{"checksum": "5"}}
	for _, c := range []struct{ extra, config, code, sealed string }{
		{"", "skkyOel4V1Wgks_t2BRcDLTBlj1QIEEPq_CFHcGfEh4", "7_6Vie2uC3rcQuW5narnC8alri441_Or13PZe42WW9c", "sealed:80305abfa81776feb7da0b1b83d75196"},
		{"s3cret", "JuM2KH0T_Mb4QAazMLLWNBksOqN2tUTaKJ-vuRh_kjg", "JaXhLNOLOl52ByRnWc6CAK4_lIutmWT7LWi98LGH2I0", "sealed:c9ef99dd2c5145dc09404e3d3c199406"},
	} {
		k := state.NewKey(strings.NewReader("0123456789abcdef"), c.extra)
		p := k.Prints(schema, a)
		env := k.Seal(schema, a)["env"].(map[string]any)["A"].(string)
		if p.Config != c.config || p.Code != c.code || env != c.sealed {
			t.Errorf("{%q, %q, %q, %q},", c.extra, p.Config, p.Code, env)
		}
	}
}

func TestPrintsOfEqualAndDifferentStates(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b resource.Attributes
		same bool
	}{
		{"int and float", resource.Attributes{"n": 1}, resource.Attributes{"n": 1.0}, true},
		{"number as text by the schema", resource.Attributes{"memory": "256"}, resource.Attributes{"memory": int64(256)}, true},
		{"number as text without a rule", resource.Attributes{"n": "256"}, resource.Attributes{"n": int64(256)}, false},
		{"text of a number", resource.Attributes{"env": map[string]any{"A": 1}}, resource.Attributes{"env": map[string]any{"A": "1"}}, true},
		{"default", resource.Attributes{"memory": 128}, resource.Attributes{}, true},
		{"secret", resource.Attributes{"d": hidden("x")}, resource.Attributes{"d": "x"}, true},
		{"secret and the case", resource.Attributes{"role": hidden("A:B")}, resource.Attributes{"role": "a:b"}, true},
		{"secret number", resource.Attributes{"memory": hidden("256")}, resource.Attributes{"memory": int64(256)}, true},
		{"set", resource.Attributes{"zones": []any{"a", hidden("b"), "c"}}, resource.Attributes{"zones": []any{"c", "b", "a", "a"}}, true},
		{"list", resource.Attributes{"l": []any{"a", "b"}}, resource.Attributes{"l": []any{"b", "a"}}, false},
		{"ignored", resource.Attributes{"made": 1}, resource.Attributes{"made": 2}, true},
		{"nested attributes", resource.Attributes{"v": resource.Attributes{"a": 1}}, resource.Attributes{"v": map[string]any{"a": 1}}, true},
		{"list of texts", resource.Attributes{"l": []string{"a"}}, resource.Attributes{"l": []any{"a"}}, true},
		{"other key", resource.Attributes{"a": "x"}, resource.Attributes{"b": "x"}, false},
		{"border of texts", resource.Attributes{"l": []any{"ab", "c"}}, resource.Attributes{"l": []any{"a", "bc"}}, false},
		{"border of lists", resource.Attributes{"l": []any{[]any{"a"}, "b"}}, resource.Attributes{"l": []any{[]any{"a", "b"}}}, false},
		{"list and map", resource.Attributes{"l": []any{"a", "b"}}, resource.Attributes{"l": map[string]any{"a": "b"}}, false},
		{"false and absent", resource.Attributes{"b": false}, resource.Attributes{}, false},
		{"unknown", resource.Attributes{"u": app.UnknownValue{Expr: "x"}}, resource.Attributes{"u": "x"}, false},
		{"code", resource.Attributes{"code": map[string]any{"checksum": "1", "size": 1}}, resource.Attributes{"code": map[string]any{"checksum": "1", "size": 2}}, true},
		{"other code", resource.Attributes{"code": map[string]any{"checksum": "1"}}, resource.Attributes{"code": map[string]any{"checksum": "2"}}, false},
	} {
		k := testKey(1)
		if same := k.Prints(schema, c.a) == k.Prints(schema, c.b); same != c.same {
			t.Errorf("%s: same is %v", c.name, same)
		}
		for field := range c.a {
			if same := k.Field(schema, c.a, field) == k.Field(schema, c.b, field); same != c.same {
				t.Errorf("%s: field %s: same is %v", c.name, field, same)
			}
		}
		if other := testKey(2); other.Prints(schema, c.a).Config == k.Prints(schema, c.a).Config {
			t.Errorf("%s: two keys give the same print", c.name)
		}
	}
	k := testKey(1)
	p := k.Prints(schema, resource.Attributes{"a": 1, "code": map[string]any{"checksum": "1"}})
	q := k.Prints(schema, resource.Attributes{"a": 2, "code": map[string]any{"checksum": "1"}})
	if p.Config == q.Config || p.Code != q.Code || len(p.Config) != 43 {
		t.Errorf("got %v and %v", p, q)
	}
	if (k.Prints(schema, nil) != state.Prints{}) || k.Field(schema, nil, "a") != "" || k.Field(schema, resource.Attributes{"b": 1}, "a") != "" {
		t.Error("nothing has a print")
	}
}

func TestSealedStatesHoldNoSecret(t *testing.T) {
	a := resource.Attributes{
		"env":    map[string]any{"A": "canary-1", "B": hidden("canary-2"), "N": 4711},
		"role":   hidden("canary-3"),
		"list":   []any{"plain", hidden("canary-4")},
		"nested": map[string]any{"deep": []any{map[string]any{"x": hidden("canary-5")}}},
		"empty":  hidden(""),
		"plain":  "seen",
	}
	k := testKey(1)
	sealed := k.Seal(schema, a)
	text := asJSON(t, sealed) + fmt.Sprint(sealed)
	if strings.Contains(text, "canary") || strings.Contains(text, "4711") || !strings.Contains(text, "seen") {
		t.Errorf("got %s", text)
	}
	if k.Seal(schema, nil) != nil || k.Seal(schema, resource.Attributes{}) == nil {
		t.Error("nil stays nil, and nothing else is nil")
	}
	// It is canonical: sealing and encoding once more change nothing.
	var read resource.Attributes
	if err := json.Unmarshal([]byte(asJSON(t, sealed)), &read); err != nil {
		t.Fatal(err)
	}
	if diffs := schema.Compare(sealed, read, nil); len(diffs) != 0 {
		t.Errorf("got %v", diffs)
	}
	b := resource.Attributes{"env": map[string]any{"A": "canary-1", "B": "other", "N": "4711"}, "role": hidden("CANARY-3"), "list": a["list"], "nested": a["nested"], "plain": "seen"}
	diffs := schema.Compare(sealed, k.Seal(schema, b), nil)
	if len(diffs) != 1 || diffs[0].Path != "env.B" {
		t.Errorf("got %v", diffs)
	}
	if env := sealed["env"].(map[string]any); k.Seal(schema, resource.Attributes{"env": map[string]any{"A": "x", "B": "x"}})["env"].(map[string]any)["A"] == env["B"] {
		t.Error("the same secret at two places looks the same")
	}
}

func TestConcealMarksWhatTheFileHasAsSecret(t *testing.T) {
	online := resource.Attributes{
		"description": "canary-1", "args": []any{"-t", "canary-2"}, "block": map[string]any{"key": "canary-3", "size": 2.0},
		"other": "seen", "instead": "canary-4", "attributes": resource.Attributes{"a": "canary-5", "b": "seen too"},
	}
	file := resource.Attributes{
		"description": hidden("x"), "args": []any{"-t", "-v", hidden("x")}, "block": map[string]any{"key": hidden("x"), "size": 3},
		"absent": hidden("x"), "instead": map[string]any{"x": hidden("x")}, "other": hidden(""), "attributes": map[string]any{"a": hidden("x")},
	}
	sealed := asJSON(t, testKey(1).Seal(nil, state.Conceal(online, file)))
	if strings.Contains(sealed, "canary") || !strings.Contains(sealed, `"seen"`) || !strings.Contains(sealed, `"seen too"`) || !strings.Contains(sealed, `"size":2`) {
		t.Errorf("got %s", sealed)
	}
	if fmt.Sprint(online["description"]) != "canary-1" {
		t.Error("what is online was changed")
	}
	if state.Conceal(nil, file) != nil || len(state.Conceal(online, nil)) != len(online) {
		t.Error("nothing is to be concealed")
	}
}
