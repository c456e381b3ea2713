package cli

import (
	"errors"
	"testing"

	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

func TestSummary(t *testing.T) {
	box := func(name string, status engine.Status, action plan.Action) engine.ResourceResult {
		return engine.ResourceResult{ID: resource.ID{Kind: "function", Name: name}, Status: status, Action: action}
	}
	failed := box("bad", engine.Failed, plan.Create)
	failed.Err = errors.New("said elsewhere")
	tests := []struct {
		name     string
		services []engine.ServiceResult
		want     string
	}{
		{"nothing", nil, ""},
		{"no resources", []engine.ServiceResult{{Status: engine.Done}}, "application: done\n"},
		{"nothing to do", []engine.ServiceResult{{Name: "a", Status: engine.Unchanged, Resources: []engine.ResourceResult{
			box("x", engine.Unchanged, plan.None), box("y", engine.Unchanged, plan.None),
		}}}, "a: nothing to do\nresources: 2 unchanged\n"},
		{"all kinds", []engine.ServiceResult{
			{Name: "a", Status: engine.Done, Resources: []engine.ResourceResult{
				box("new", engine.Done, plan.Create), box("same", engine.Unchanged, plan.None), box("moved", engine.Done, plan.Replace),
			}},
			{Name: "b", Status: engine.Failed, Resources: []engine.ResourceResult{failed, box("behind", engine.NotTried, plan.Update)}},
			{Name: "c", Status: engine.Skipped, Resources: []engine.ResourceResult{box("late", engine.NotTried, plan.Create)}},
			{Name: "d", Status: engine.Left, Resources: []engine.ResourceResult{box("theirs", engine.Left, plan.Update)}},
			{Name: "e", Status: engine.Done, Resources: []engine.ResourceResult{box("gone", engine.Done, plan.Delete), box("full", engine.Kept, plan.Delete)}},
			{Name: "f", Status: engine.Missing},
		}, `a: done
b: failed
c: not tried
d: left as it is online (--use-remote)
e: done
f: skipped: no such command
resources: 3 done, 1 unchanged, 1 skipped by policy, 1 kept because others live in it, 1 failed, 2 not tried
  done: created function new, replaced function moved, deleted function gone
  skipped by policy: function theirs
  kept because others live in it: function full
  failed: function bad
  not tried: function behind, function late
`},
	}
	for _, test := range tests {
		if got := summary(test.services); got != test.want {
			t.Errorf("%s: got:\n%s\nwant:\n%s", test.name, got, test.want)
		}
	}
}
