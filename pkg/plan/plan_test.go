package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/pkg/state"
)

func TestNew(t *testing.T) {
	schema := resource.Schema{"type": {Immutable: true}}
	attrs := func(kv ...any) resource.Attributes {
		a := resource.Attributes{}
		for i := 0; i < len(kv); i += 2 {
			a[kv[i].(string)] = kv[i+1]
		}
		return a
	}
	found := func(a resource.Attributes) *resource.Found { return &resource.Found{Attrs: a} }
	for _, c := range []struct {
		name   string
		found  *resource.Found
		want   resource.Resource
		action plan.Action
		fields []string
	}{
		{"absent", nil, resource.Resource{Attrs: attrs("a", "1")}, plan.Create, []string{"a"}},
		{"absent and wanted so", nil, resource.Resource{Absent: true}, plan.None, nil},
		{"equal", found(attrs("a", int64(1))), resource.Resource{Attrs: attrs("a", 1)}, plan.None, nil},
		{"differs", found(attrs("a", "1", "b", "2")), resource.Resource{Attrs: attrs("a", "1", "b", "3", "c", "4")}, plan.Update, []string{"b", "c"}},
		{"cleared", found(attrs("a", "1")), resource.Resource{Attrs: attrs()}, plan.Update, []string{"a"}},
		{"immutable", found(attrs("type", "http")), resource.Resource{Attrs: attrs("type", "timer")}, plan.Replace, []string{"type"}},
		{"gone from the file", found(attrs("a", "1")), resource.Resource{Absent: true}, plan.Delete, []string{"a"}},
		{"only some fields", found(attrs("a", "1", "b", "2")), resource.Resource{Attrs: attrs("a", "9", "b", "9"), Managed: []string{"b"}}, plan.Update, []string{"b"}},
	} {
		got := plan.New(schema, state.Recorded{}, c.found, &c.want)
		if got.Action != c.action {
			t.Errorf("%s: got %s, want %s", c.name, got.Action, c.action)
		}
		if diff := cmp.Diff(c.fields, got.UpdateFields()); diff != "" {
			t.Errorf("%s: fields: %s", c.name, diff)
		}
	}
}

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		action              plan.Action
		fail, local, remote plan.Decision
	}{
		{plan.None, plan.Nothing, plan.Nothing, plan.Nothing},
		{plan.Create, plan.Apply, plan.Apply, plan.Apply},
		{plan.Update, plan.Refuse, plan.Apply, plan.Leave},
		{plan.Replace, plan.Refuse, plan.Apply, plan.Leave},
		{plan.Delete, plan.Refuse, plan.Apply, plan.Leave},
	} {
		for policy, want := range map[plan.Policy]plan.Decision{plan.Fail: c.fail, plan.Local: c.local, plan.Remote: c.remote} {
			if got := plan.Decide(&plan.Change{Action: c.action, Drift: plan.Unrecorded}, policy); got != want {
				t.Errorf("%s with %s: got %s, want %s", c.action, policy, got, want)
			}
		}
	}
}

func TestShow(t *testing.T) {
	for want, v := range map[string]any{
		"(none)": nil, "***": secret.New("x"), `"a\"b"`: `a"b`, `["a",1]`: []any{"a", int64(1)}, `{"k":"***"}`: map[string]any{"k": secret.New("v")},
	} {
		if got := plan.Show(v); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
