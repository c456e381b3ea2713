package report_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/report"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

func sample() *plan.Plan {
	found := &resource.Found{}
	id := func(kind, name string) resource.ID { return resource.ID{Kind: resource.Kind(kind), Name: name} }
	return &plan.Plan{App: "shop", Command: "deploy", Services: []*plan.Service{{
		Name: "api", Region: "cn-hangzhou",
		Changes: []*plan.Change{
			{Resource: id("service", "shop"), Action: plan.None, Decision: plan.Nothing, Found: found},
			{Resource: id("asyncConfig", "shop/api"), Action: plan.None, Decision: plan.Nothing},
			{Resource: id("function", "shop/api"), Action: plan.Update, Decision: plan.Refuse, Found: found, Pos: diag.Pos{File: "s.yaml", Line: 9, Column: 7}, Fields: []resource.Difference{
				{Path: "environmentVariables.TOKEN", Field: "environmentVariables", Old: secret.New("canary-old"), New: secret.New("canary-new")},
				{Path: "memorySize", Field: "memorySize", Old: int64(128), New: int64(256)},
				{Path: "environmentVariables.URL", Field: "environmentVariables", New: app.UnknownValue{Expr: "${db.output.url}"}},
			}},
			{Resource: id("trigger", "shop/api/http"), Action: plan.Create, Decision: plan.Apply, Fields: []resource.Difference{
				{Path: "triggerConfig.methods", Field: "triggerConfig", New: []any{"GET"}},
			}},
			{Resource: id("trigger", "shop/api/oss"), Action: plan.Replace, Decision: plan.Leave, Found: found, Fields: []resource.Difference{
				{Path: "sourceArn", Field: "sourceArn", Old: "a", New: "b", Immutable: true},
			}},
			{Resource: id("vpcBinding", "shop"), Action: plan.Delete, Decision: plan.Apply, Found: found},
		},
	}}}
}

func TestPlanText(t *testing.T) {
	want := `api (cn-hangzhou)
  = service shop (no change)
  ~ function shop/api (differs; deploy asks for --use-local or --use-remote)
      environmentVariables.TOKEN: (secret, changed)
      memorySize: 128 => 256
      environmentVariables.URL: (none) => (known after deploy: ${db.output.url})
  + trigger shop/api/http
      triggerConfig.methods: ["GET"]
  ! trigger shop/api/oss (differs; left as it is online)
      sourceArn: "a" => "b"
  - vpcBinding shop
Plan: 1 to create, 1 to update, 1 to delete. 1 left as online.
`
	if d := cmp.Diff(want, report.PlanText(sample())); d != "" {
		t.Error(d)
	}
}

func TestPlanJSON(t *testing.T) {
	data, err := report.PlanJSON(sample())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "canary") {
		t.Error("a secret is in the plan")
	}
	var got struct {
		Counts   map[string]int
		Services []struct {
			Changes []struct {
				Kind, Name, Action, Decision, Place string
				Fields                              []map[string]any
			}
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"create": 1, "update": 1, "replace": 0, "delete": 1, "left": 1, "unchanged": 1}, got.Counts); d != "" {
		t.Error(d)
	}
	fn := got.Services[0].Changes[1]
	if fn.Place != "s.yaml:9:7" || fn.Action != "update" || fn.Decision != "refuse" {
		t.Errorf("got %+v", fn)
	}
	if d := cmp.Diff(map[string]any{"path": "memorySize", "old": 128.0, "new": 256.0}, fn.Fields[1]); d != "" {
		t.Error(d)
	}
}

func TestOutputFormats(t *testing.T) {
	v := &app.Value{Kind: app.Map, Entries: []app.Entry{
		{Key: "zone", Value: app.From("a: b\n- c", diag.Pos{})},
		{Key: "answer", Value: app.From(map[string]any{"n": 1, "f": 1.5, "yes": "yes", "list": []any{"x", nil, true}}, diag.Pos{})},
		{Key: "key", Value: app.Text("canary").AsSecret()},
	}}
	wantJSON := `{"zone":"a: b\n- c","answer":{"f":1.5,"list":["x",null,true],"n":1,"yes":"yes"},"key":"***"}` + "\n"
	raw, err := report.Output(v, report.Raw)
	if err != nil || string(raw) != wantJSON {
		t.Errorf("raw: %s, %v", raw, err)
	}
	pretty, err := report.Output(v, report.JSON)
	if err != nil || !strings.Contains(string(pretty), "\n  \"answer\": {") {
		t.Errorf("json: %s, %v", pretty, err)
	}
	for _, format := range []report.Format{report.Default, report.YAML} {
		data, err := report.Output(v, format)
		if err != nil || strings.Contains(string(data), "canary") {
			t.Fatalf("%s: %s, %v", format, data, err)
		}
		var got map[string]any
		if err := yaml.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"zone": "a: b\n- c", "key": "***", "answer": map[string]any{"n": 1, "f": 1.5, "yes": "yes", "list": []any{"x", nil, true}}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", format, d)
		}
	}
	// A text alone is given byte for byte, so that a pipe gets what the function said.
	for _, format := range []report.Format{report.Default, report.Raw} {
		data, err := report.Output(app.Text("\x00\xffbytes"), format)
		if err != nil || string(data) != "\x00\xffbytes" {
			t.Errorf("%s: %q, %v", format, data, err)
		}
	}
	data, err := report.Output(app.Text("\x00\xff"), report.JSON)
	if err != nil || string(data) != "{\n  \"base64\": \"AP8=\"\n}\n" {
		t.Errorf("bytes as JSON: %q, %v", data, err)
	}
}
