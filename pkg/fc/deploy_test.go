package fc

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

const webProps = `{
	"region": "cn-hangzhou",
	"service": {"name": "demo", "description": "a demo"},
	"function": {"name": "hello", "runtime": "python3.9", "handler": "index.handler", "codeUri": "./code",
		"environmentVariables": {"MODE": "prod"}},
	"triggers": [{"name": "web", "type": "http", "config": {"authType": "anonymous", "methods": ["GET", "POST"]}}]
}`

// fullProps uses every block that a deploy can send without a real VPC.
const fullProps = `{
	"region": "cn-hangzhou",
	"service": {
		"name": "demo", "description": "full", "internetAccess": false, "role": "acs:ram::1000000000000000:role/Demo",
		"logConfig": {"project": "p", "logstore": "l", "enableRequestMetrics": true},
		"vpcConfig": {"vpcId": "vpc-1", "vswitchIds": ["vsw-2", "vsw-1"], "securityGroupId": "sg-1"},
		"nasConfig": {"userId": 10, "groupId": 10, "mountPoints": [{"serverAddr": "nas.example.com", "nasDir": "/data", "fcDir": "/mnt/data"}]},
		"ossMountConfig": {"mountPoints": [{"endpoint": "http://oss.example.com", "bucketName": "b", "mountDir": "/mnt/oss"}]},
		"vpcBinding": ["vpc-9", "vpc-8"]
	},
	"function": {
		"name": "hello", "description": "greets", "runtime": "custom", "handler": "index.handler", "codeUri": "./code",
		"caPort": 8080, "memorySize": 512, "timeout": 30, "cpu": 0.5, "diskSize": 512, "instanceConcurrency": 10,
		"instanceSoftConcurrency": 5, "initializer": "index.init", "initializationTimeout": 20,
		"environmentVariables": {"MODE": "prod", "N": 1},
		"customDNS": {"nameServers": ["1.2.3.4"], "searches": ["example.com"], "dnsOptions": [{"name": "ndots", "value": 2}]},
		"customRuntimeConfig": {"command": ["./run"], "args": ["a", "b"]},
		"customHealthCheckConfig": {"httpGetUrl": "/ready", "periodSeconds": 5},
		"instanceLifecycleConfig": {"preStop": {"handler": "index.stop", "timeout": 10}},
		"asyncConfiguration": {"destination": {"onFailure": "acs:mns:::/queues/dead/messages"}, "maxAsyncRetryAttempts": 1}
	},
	"triggers": [
		{"name": "web", "type": "http", "description": "front", "config": {"authType": "function", "methods": ["POST", "GET"]}},
		{"name": "tick", "type": "timer", "config": {"cronExpression": "@every 5m", "enable": true, "payload": "x"}},
		{"name": "bus", "type": "eventbridge", "config": {"eventSourceConfig": {"eventSourceType": "MNS",
			"eventSourceParameters": {"sourceMNSParameters": {"QueueName": "q"}}}}}
	],
	"customDomains": [{"domainName": "www.example.com", "protocol": "HTTP", "routeConfigs": [{"path": "/*", "methods": ["GET"]}]}]
}`

// bareProps is fullProps without all that can be taken back.
const bareProps = `{
	"region": "cn-hangzhou",
	"service": {"name": "demo"},
	"function": {"name": "hello", "runtime": "custom", "handler": "index.handler", "codeUri": "./code", "caPort": 8080},
	"triggers": [
		{"name": "web", "type": "http", "config": {"authType": "anonymous", "methods": ["GET"]}},
		{"name": "tick", "type": "timer", "config": {"cronExpression": "@every 5m", "enable": false}}
	],
	"customDomains": [{"domainName": "www.example.com", "protocol": "HTTP", "routeConfigs": [{"path": "/a"}]}]
}`

func TestDeployTwice(t *testing.T) {
	w := newWorld(t)
	got, out := w.deploy(webProps)
	want := map[string]string{"service demo": "create", "function demo/hello": "create", "trigger demo/hello/web": "create"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	wantOut := map[string]any{
		"region":  "cn-hangzhou",
		"service": map[string]any{"name": "demo"},
		"function": map[string]any{"name": "hello", "runtime": "python3.9", "handler": "index.handler", "memorySize": int64(128),
			"timeout": int64(3), "cpu": 0.1, "diskSize": int64(512), "instanceType": "e1"},
		"url":      map[string]any{"system_url": w.url + "/2016-08-15/proxy/demo/hello/", "system_intranet_url": w.url + "/2016-08-15/proxy/demo/hello/"},
		"triggers": []any{map[string]any{"type": "http", "name": "web"}},
	}
	if diff := cmp.Diff(wantOut, out.Plain()); diff != "" {
		t.Error(diff)
	}
	w.took()
	got, again := w.deploy(webProps)
	if len(got) != 0 {
		t.Errorf("the second deploy would change %v", got)
	}
	if diff := cmp.Diff(out.Plain(), again.Plain()); diff != "" {
		t.Errorf("the output changed: %s", diff)
	}
	for _, call := range w.took() {
		if !strings.HasPrefix(call, "GET ") {
			t.Errorf("nothing changed, but %s was called", call)
		}
	}
}

func TestEveryBlock(t *testing.T) {
	w := newWorld(t)
	first, _ := w.deploy(fullProps)
	if len(first) != 8 {
		t.Errorf("created %v", first)
	}
	if again, _ := w.deploy(fullProps); len(again) != 0 {
		t.Errorf("the second deploy would change %v", again)
	}
	w.took()
	got, _ := w.deploy(bareProps)
	want := map[string]string{
		"service demo":    "update description,logConfig,nasConfig,ossMountConfig,role,vpcConfig",
		"vpcBinding demo": "delete",
		"function demo/hello": "update customDNS,customHealthCheckConfig,customRuntimeConfig,description,environmentVariables," +
			"initializationTimeout,initializer,instanceConcurrency,instanceLifecycleConfig,instanceSoftConcurrency,memorySize,timeout",
		"asyncConfig demo/hello":       "delete",
		"trigger demo/hello/web":       "update description,triggerConfig",
		"trigger demo/hello/tick":      "update triggerConfig",
		"customDomain www.example.com": "update routeConfig",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	body := w.body("PUT /services/demo")
	wantBody := map[string]any{
		"description": "", "role": "",
		"logConfig":      map[string]any{"project": "", "logstore": "", "logBeginRule": "None", "enableRequestMetrics": false, "enableInstanceMetrics": false},
		"vpcConfig":      map[string]any{"vpcId": "", "vSwitchIds": []any{}, "securityGroupId": ""},
		"nasConfig":      map[string]any{"userId": int64(-1), "groupId": int64(-1), "mountPoints": []any{}},
		"ossMountConfig": map[string]any{"mountPoints": []any{}},
	}
	if diff := cmp.Diff(wantBody, body); diff != "" {
		t.Error(diff)
	}
	if again, _ := w.deploy(bareProps); len(again) != 0 {
		t.Errorf("after taking all back, a deploy would change %v", again)
	}
}

func TestOnlyWhatDiffersIsSent(t *testing.T) {
	w := newWorld(t)
	w.deploy(webProps)
	w.took()
	w.deploy(strings.Replace(webProps, `"prod"`, `"test"`, 1))
	want := map[string]any{"environmentVariables": map[string]any{"MODE": "test"}}
	if diff := cmp.Diff(want, w.body("PUT /services/demo/functions/hello")); diff != "" {
		t.Error(diff)
	}
	w.took()
	w.write("code/index.py", "changed")
	got, _ := w.deploy(strings.Replace(webProps, `"prod"`, `"test"`, 1))
	if diff := cmp.Diff(map[string]string{"function demo/hello": "update code"}, got); diff != "" {
		t.Error(diff)
	}
	body := w.body("PUT /services/demo/functions/hello")
	if code, _ := body["code"].(map[string]any); len(body) != 1 || code["zipFile"] == nil {
		t.Errorf("sent %v", body)
	}
}

// What the file does not set and what therefore stays is sent again inside an
// object, which the API replaces as a whole.
func TestUnsetPartsOfObjectsStay(t *testing.T) {
	w := newWorld(t)
	custom := strings.Replace(webProps, `"runtime": "python3.9"`,
		`"runtime": "custom", "customHealthCheckConfig": {"httpGetUrl": "/a", "successThreshold": 7}`, 1)
	w.deploy(custom)
	w.took()
	w.deploy(strings.Replace(custom, `"/a", "successThreshold": 7`, `"/b"`, 1))
	want := map[string]any{"customHealthCheckConfig": map[string]any{
		"httpGetUrl": "/b", "successThreshold": int64(7),
		"initialDelaySeconds": int64(0), "periodSeconds": int64(3), "timeoutSeconds": int64(1), "failureThreshold": int64(3),
	}}
	if diff := cmp.Diff(want, w.body("PUT /services/demo/functions/hello")); diff != "" {
		t.Error(diff)
	}
}

func TestPartsOfADeploy(t *testing.T) {
	w := newWorld(t)
	w.deploy(webProps)
	changed := strings.Replace(strings.Replace(webProps, `"prod"`, `"test"`, 1), `"a demo"`, `"new"`, 1)
	w.write("code/index.py", "changed")
	for _, step := range []struct {
		args []any
		want map[string]string
	}{
		{[]any{"sub", "function", "type", "code"}, map[string]string{"function demo/hello": "update code"}},
		{[]any{"sub", "function", "type", "config"}, map[string]string{"function demo/hello": "update environmentVariables"}},
		{[]any{"sub", "trigger", "trigger-name", []string{"web"}}, map[string]string{}},
		{[]any{"sub", "service"}, map[string]string{"service demo": "update description"}},
		{nil, map[string]string{}},
	} {
		got, _ := w.deploy(changed, step.args...)
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%v: %s", step.args, diff)
		}
	}
}

func TestNamesOfTheCommandLineWin(t *testing.T) {
	w := newWorld(t)
	got, _ := w.deploy(webProps, "service-name", "other", "function-name", "fn")
	want := map[string]string{"service other": "create", "function other/fn": "create", "trigger other/fn/web": "create"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRemove(t *testing.T) {
	w := newWorld(t)
	w.deploy(fullProps)
	changes, _, err := w.bring(w.call("remove", fullProps))
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	if len(actions(changes)) != 8 {
		t.Errorf("removed %v", actions(changes))
	}
	for kind, name := range map[resource.Kind]string{
		props.ServiceKind: "demo", props.FunctionKind: "demo/hello", props.TriggerKind: "demo/hello/web",
		props.AsyncConfigKind: "demo/hello", props.VPCBindingKind: "demo", props.CustomDomainKind: "www.example.com",
	} {
		if w.read(kind, name) != nil {
			t.Errorf("%s %s is still there", kind, name)
		}
	}
	if changes, _, err = w.bring(w.call("remove", fullProps)); err != nil || len(actions(changes)) != 0 {
		t.Errorf("removing again: %v, %v", actions(changes), err)
	}
}

// A removal needs names only: the code may be gone, the props unfinished.
func TestRemoveByNames(t *testing.T) {
	w := newWorld(t)
	w.deploy(webProps)
	names := `{"region": "cn-hangzhou"}`
	changes, _, err := w.bring(w.call("remove", names, "sub", "trigger", "service-name", "demo", "function-name", "hello", "trigger-name", []string{"web"}))
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	if diff := cmp.Diff(map[string]string{"trigger demo/hello/web": "delete"}, actions(changes)); diff != "" {
		t.Error(diff)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		command string
		args    []any
		want    string
	}{
		{"remove", []any{"sub", "alias"}, "remove alias is not supported yet"},
		{"remove", []any{"sub", "layer"}, "remove layer is not supported yet"},
		{"deploy", []any{"sub", "trigger", "trigger-name", []string{"wep"}}, `no trigger "wep"`},
	} {
		_, err := w.component().Desired(context.Background(), w.call(tt.command, webProps, tt.args...))
		p := w.problem(err)
		if !strings.Contains(p.Summary, tt.want) || p.Hint == "" {
			t.Errorf("%v: %q, hint %q", tt.args, p.Summary, p.Hint)
		}
	}
	if len(w.took()) != 0 {
		t.Error("the cloud was asked")
	}
}

func TestPreviewWithoutCode(t *testing.T) {
	w := newWorld(t)
	gone := strings.Replace(webProps, "./code", "./not-built-yet", 1)
	call := w.call("deploy", gone)
	if _, err := w.component().Desired(context.Background(), call); err == nil {
		t.Error("a missing folder is no error")
	}
	call.Preview = true
	d, err := w.component().Desired(context.Background(), call)
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	for _, r := range d.Resources {
		if _, unknown := r.Attrs["code"].(app.UnknownValue); r.Kind == props.FunctionKind && !unknown {
			t.Errorf("code is %v", r.Attrs["code"])
		}
	}
}

func TestAccountIsNeeded(t *testing.T) {
	w := newWorld(t)
	call := w.call("deploy", webProps)
	call.Credential = func() (*credential.Credential, error) {
		return &credential.Credential{Source: "test", AccessKeyID: secret.New("i"), AccessKeySecret: secret.New(canary)}, nil
	}
	_, err := w.component().Desired(context.Background(), call)
	if p := w.problem(err); !strings.Contains(p.Summary, "no AccountID") || p.Hint == "" || p.Code != diag.ExitComponent {
		t.Errorf("%+v", p)
	}
}

func TestPublicAddresses(t *testing.T) {
	o := outputs{config: &props.Config{Region: "cn-beijing", Service: &props.Service{Name: "s"}, Function: &props.Function{Name: "f"}}, account: "12"}
	public, internal := o.systemURLs("v1")
	if public != "https://12.cn-beijing.fc.aliyuncs.com/2016-08-15/proxy/s.v1/f/" ||
		internal != "https://12.cn-beijing-internal.fc.aliyuncs.com/2016-08-15/proxy/s.v1/f/" {
		t.Errorf("%s %s", public, internal)
	}
}

func TestOutputOfDomains(t *testing.T) {
	w := newWorld(t)
	_, out := w.deploy(fullProps)
	got := out.Get("url", "custom_domain").Plain()
	want := []any{map[string]any{"domain": "www.example.com", "path": "/*", "protocol": "HTTP"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, out = w.deploy(fullProps, "sub", "service")
	if diff := cmp.Diff([]string{"region", "service"}, out.Keys()); diff != "" {
		t.Errorf("what was left out is in the output: %s", diff)
	}
}

func TestEventBridgeHeader(t *testing.T) {
	w := newWorld(t)
	w.deploy(fullProps)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, call := range w.calls {
		if strings.Contains(call, "/triggers") && w.heads[i].Get("X-Fc-Enable-Eventbridge-Trigger") != "enable" {
			t.Errorf("%s went without the header", call)
		}
	}
}

func TestForbidden(t *testing.T) {
	w := newWorld(t)
	w.setFault(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		rw.WriteHeader(http.StatusForbidden)
		_, _ = rw.Write([]byte(`{"Code":"AccessDenied","Message":"no"}`))
		return true
	})
	_, err := w.handler(props.FunctionKind).Read(context.Background(), resource.ID{Kind: props.FunctionKind, Name: "demo/hello"})
	f, ok := errors.AsType[*resource.Forbidden](err)
	if !ok || f.Action != "fc:GetFunction" {
		t.Errorf("got %v", err)
	}
}

func TestWrongKey(t *testing.T) {
	w := newWorld(t)
	call := w.call("deploy", webProps)
	call.Credential = func() (*credential.Credential, error) {
		return &credential.Credential{AccountID: "1", Endpoint: w.url, AccessKeyID: secret.New("canary-id"), AccessKeySecret: secret.New("wrong-" + canary)}, nil
	}
	_, _, err := w.bring(call)
	if p := w.problem(err); !strings.Contains(p.Hint, "access key is wrong") || p.Code != diag.ExitComponent {
		t.Errorf("%+v", p)
	}
}

func TestCommandsAreComplete(t *testing.T) {
	for _, cmd := range New().Commands() {
		engines := cmd.Name == "plan" || cmd.Name == "deploy" || cmd.Name == "rollback" || cmd.Name == "remove"
		if (cmd.Run == nil) != engines || cmd.Short == "" {
			t.Errorf("%s: Run %v", cmd.Name, cmd.Run != nil)
		}
		args := []string{"--region", "r", "--qualifier", "q"}
		if cmd.Name == "build" || cmd.Name == "rollback" { // an image has no version of a function, and LATEST is what goes back
			args = args[:2]
		}
		if len(cmd.Subs) > 0 && cmd.Subs[0] != "" { // of a service, which has no qualifier
			args = append([]string{cmd.Subs[0]}, args[:2]...)
		}
		if cmd.Name == "publish" {
			args = args[:2]
		}
		if _, err := component.ParseArgs(&cmd, nil, args); err != nil {
			t.Errorf("%s: %v", cmd.Name, err)
		}
	}
}

// A topic trigger cannot be updated: it is made anew when its configuration changes.
func TestTopicTriggers(t *testing.T) {
	w := newWorld(t)
	with := func(config string) string {
		return strings.Replace(webProps, `"triggers": [`, `"triggers": [{"name": "topic", "type": "mns_topic",
			"role": "acs:ram::1000000000000000:role/Demo", "config": {"topicName": "t"`+config+`}}, `, 1)
	}
	for _, config := range []string{"", `, "notifyContentFormat": "JSON", "filterTag": "a"`, `, "notifyStrategy": "EXPONENTIAL_DECAY_RETRY"`, ""} {
		got, _ := w.deploy(with(config))
		if got["trigger demo/hello/topic"] == "" {
			t.Errorf("%s: %v", config, got)
		}
		if again, _ := w.deploy(with(config)); len(again) != 0 {
			t.Errorf("%s: the second deploy would change %v", config, again)
		}
	}
}
