package fc

import (
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/report"
)

// marked marks the texts of v that hold "hide" as secret, as env() does.
func marked(v *app.Value) *app.Value {
	c := *v
	c.Secret = v.Kind == app.String && strings.Contains(v.Str(), "hide")
	c.Items, c.Entries = nil, nil
	for _, item := range v.Items {
		c.Items = append(c.Items, marked(item))
	}
	for _, e := range v.Entries {
		e.Value = marked(e.Value)
		c.Entries = append(c.Entries, e)
	}
	return &c
}

func TestInfoHidesWhatTheFileHides(t *testing.T) {
	w := newWorld(t)
	file := `{
		"region": "cn-hangzhou",
		"service": {"name": "demo", "description": "hide-1",
			"nasConfig": {"userId": 1, "groupId": 1, "mountPoints": [{"serverAddr": "nas.example.com", "nasDir": "/hide-2", "fcDir": "/mnt/plain"}]},
			"vpcConfig": {"vpcId": "vpc-1", "vswitchIds": ["vsw-hide-8"], "securityGroupId": "sg-1"}},
		"function": {"name": "hello", "runtime": "custom", "codeUri": "./code", "handler": "index.shown", "description": "hide-3",
			"customRuntimeConfig": {"command": ["./shown-run"], "args": ["--key", "hide-4"]},
			"instanceLifecycleConfig": {"preStop": {"handler": "hide-7", "timeout": 9}}},
		"triggers": [{"name": "tick", "type": "timer", "config": {"cronExpression": "@every 5m", "enable": true, "payload": "hide-5"}},
			{"name": "web", "type": "http", "config": {"authType": "anonymous", "methods": ["GET"]}}],
		"customDomains": [{"domainName": "www.example.com", "protocol": "HTTP", "routeConfigs": [{"path": "/hide-6"}]}]
	}`
	// What is online is an earlier state: its values are not those of the file.
	w.deploy(strings.ReplaceAll(file, "hide-", "old-hide-"))
	call := w.call("info", file)
	call.Props = marked(call.Props)
	out, err := w.runCall(call)
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	for _, format := range []report.Format{report.Default, report.JSON} {
		text, err := report.Output(out, format)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "hide") {
			t.Errorf("a secret is shown:\n%s", text)
		}
		for _, shown := range []string{"demo", "./shown-run", "index.shown", "@every 5m", "www.example.com", "sg-1", "functionId", "HTTP"} {
			if !strings.Contains(string(text), shown) {
				t.Errorf("%s is not shown:\n%s", shown, text)
			}
		}
	}
}
