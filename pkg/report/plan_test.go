package report_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/report"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (run the test with -update when it should be so): %s", name, d)
	}
}

func id(kind, name string) resource.ID { return resource.ID{Kind: resource.Kind(kind), Name: name} }

func field(path string, old, new any, origin plan.Origin) plan.Field {
	top, _, _ := strings.Cut(path, ".")
	return plan.Field{Difference: resource.Difference{Path: path, Field: top, Old: old, New: new}, Origin: origin}
}

// sample is a plan with everything that a plan can say.
func sample() *plan.Plan {
	found := &resource.Found{}
	var many []string
	for _, r := range "abcdefghijkl" {
		many = append(many, "lib/"+string(r)+".py")
	}
	return &plan.Plan{App: "shop", Command: "deploy", Policy: plan.Fail, Services: []*plan.Service{{
		Name: "api", Region: "cn-hangzhou",
		Changes: []*plan.Change{
			{Resource: id("service", "shop"), Action: plan.None, Decision: plan.Nothing, Drift: plan.Same, Found: found},
			{Resource: id("asyncConfig", "shop/api"), Action: plan.None, Decision: plan.Nothing, Drift: plan.Unrecorded},
			{Resource: id("function", "shop/api"), Action: plan.Update, Decision: plan.Refuse, Drift: plan.Moved, ConfigMoved: true, Found: found, Pos: diag.Pos{File: "s.yaml", Line: 9, Column: 7}, Fields: []plan.Field{
				field("code.checksum", "111", "222", plan.Ours),
				field("environmentVariables.GONE", secret.New("canary-gone"), nil, plan.Ours),
				field("environmentVariables.TOKEN", secret.New("canary-old"), secret.New("canary-new"), plan.Both),
				field("environmentVariables.URL", nil, app.UnknownValue{Expr: "${db.output.url}"}, plan.Ours),
				field("initializer", "index.init", nil, plan.Ours),
				field("memorySize", int64(128), int64(256), plan.Ours),
				field("timeout", int64(30), int64(3), plan.Drifted),
			}, Converged: []string{"description"},
				Code:  &plan.CodeChange{OldSize: 512, OldSum: "111", NewSize: 3 << 20, NewSum: "222"},
				Files: &plan.FileChanges{Added: many, Removed: []string{"old.py"}, Changed: []string{"index.py"}}},
			{Resource: id("trigger", "shop/api/http"), Action: plan.Create, Decision: plan.Apply, Drift: plan.Unrecorded, Fields: []plan.Field{
				field("triggerConfig.methods", nil, []any{"GET"}, ""),
			}},
			{Resource: id("trigger", "shop/api/oss"), Action: plan.Replace, Decision: plan.Leave, Drift: plan.Unrecorded, Found: found, Fields: []plan.Field{
				{Difference: resource.Difference{Path: "sourceArn", Field: "sourceArn", Old: "a", New: "b", Immutable: true}, Origin: plan.Unknown},
			}},
			{Resource: id("vpcBinding", "shop"), Action: plan.Delete, Decision: plan.Refuse, Drift: plan.Moved, ConfigMoved: true, Found: found, Fields: []plan.Field{
				field("vpcIds", []any{"vpc-1", "vpc-2"}, nil, plan.Both),
			}},
		},
	}, {
		Name: "jobs", Region: "cn-beijing",
		Changes: []*plan.Change{
			{Resource: id("function", "jobs/a"), Action: plan.Create, Decision: plan.Apply, Drift: plan.Gone, Fields: []plan.Field{
				field("code.checksum", nil, "333", ""), field("runtime", nil, "python3", ""),
			}, Code: &plan.CodeChange{NewSize: 2048, NewSum: "333"}},
			{Resource: id("function", "jobs/b"), Action: plan.Update, Decision: plan.Apply, Drift: plan.Same, Found: found, Fields: []plan.Field{
				field("description", "old", "\x1b[31mred\u202e``` and ```` <script>", plan.Ours),
			}},
			{Resource: id("function", "jobs/c"), Action: plan.None, Decision: plan.Nothing, Drift: plan.Moved, ConfigMoved: true, Found: found, Converged: []string{"memorySize"}},
			{Resource: id("function", "jobs/d"), Action: plan.Update, Decision: plan.Refuse, Drift: plan.Unrecorded, Found: found, Fields: []plan.Field{
				field("memorySize", int64(128), int64(512), plan.Unknown),
			}},
			{Resource: id("function", "jobs/old"), Action: plan.Delete, Decision: plan.Apply, Drift: plan.Same, Pruned: true, Found: found, Fields: []plan.Field{field("runtime", "python3", nil, plan.Ours)}},
		},
	}}, Dropped: []plan.Dropped{{Service: "api", ID: id("trigger", "shop/api/timer")}}, Forgotten: 2}
}

func TestGolden(t *testing.T) {
	data, err := report.PlanJSON(sample())
	if err != nil {
		t.Fatal(err)
	}
	nothing := &plan.Plan{App: "shop", Command: "deploy", Services: []*plan.Service{{Name: "api", Region: "cn-hangzhou",
		Changes: []*plan.Change{{Resource: id("service", "shop"), Action: plan.None, Decision: plan.Nothing, Drift: plan.Unrecorded, Found: &resource.Found{}}}}}}
	for name, got := range map[string]string{
		"plan.txt": report.PlanText(sample()), "plan.md": report.PlanMarkdown(sample()), "plan.json": string(data) + "\n",
		"nothing.txt": report.PlanText(nothing), "nothing.md": report.PlanMarkdown(nothing),
	} {
		golden(t, name, got)
		for _, bad := range []string{"canary", "\x1b", "\u202e"} {
			if strings.Contains(got, bad) && name != "plan.json" {
				t.Errorf("%s holds %q", name, bad)
			}
		}
		if strings.Contains(got, "canary") || strings.Contains(got, "\x1b") {
			t.Errorf("%s holds a secret or a terminal code", name)
		}
	}
}

// TestPlanJSONNames checks the names that others rely on.
func TestPlanJSONNames(t *testing.T) {
	data, err := report.PlanJSON(sample())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Counts   map[string]int
		Services []struct {
			Changes []struct {
				Kind, Name, Action, Decision, Place, Drift string
				Fields                                     []map[string]any
			}
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"create": 2, "update": 3, "replace": 0, "delete": 2, "left": 1, "unchanged": 2}, got.Counts); d != "" {
		t.Error(d)
	}
	fn := got.Services[0].Changes[1]
	if fn.Place != "s.yaml:9:7" || fn.Action != "update" || fn.Decision != "refuse" || fn.Drift != "drifted" {
		t.Errorf("got %+v", fn)
	}
	if d := cmp.Diff(map[string]any{"path": "memorySize", "old": 128.0, "new": 256.0, "origin": "ours"}, fn.Fields[5]); d != "" {
		t.Error(d)
	}
}

// TestFencesHold checks that nothing in a value ends the block that it stands in.
func TestFencesHold(t *testing.T) {
	for _, value := range []string{"```", "``````", "a\n```\n# heading", "`", "~~~"} {
		p := &plan.Plan{App: value, Command: "deploy", Services: []*plan.Service{{Name: value, Region: "r", Changes: []*plan.Change{
			{Resource: id("function", value), Action: plan.Create, Decision: plan.Apply, Fields: []plan.Field{field("p."+value, nil, value, "")}},
		}}}}
		text := report.PlanMarkdown(p)
		fence := ""
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
			switch {
			case fence == "" && strings.HasSuffix(line, "diff") && len(ticks) >= 3:
				fence = ticks
			case fence != "" && line == fence:
				fence = ""
			case fence != "" && strings.Contains(line, fence):
				t.Errorf("%q: the fence %q is in the line %q", value, fence, line)
			case fence == "" && strings.HasPrefix(line, "# "):
				t.Errorf("%q: %q left its block", value, line)
			}
		}
		if fence != "" {
			t.Errorf("%q: a block has no end:\n%s", value, text)
		}
	}
}
