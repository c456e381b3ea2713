package report_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/report"
)

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
