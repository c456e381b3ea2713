package fc

import (
	"context"
	"net/http"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	fcopen "github.com/alibabacloud-go/fc-open-20210406/v2/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/runner"
	"github.com/devs/deploy/pkg/secret"
)

const eventProps = `{
	"region": "cn-hangzhou",
	"service": {"name": "demo"},
	"function": {"name": "hello", "runtime": "python3.9", "codeUri": "./code", "timeout": 10, "environmentVariables": {"KEY": "hidden-value"}}
}`

// cliProps is what `devs cli` has.
const cliProps = `{}`

func cliFlags(more ...any) []any {
	return append([]any{"region", "cn-hangzhou", "service-name", "demo", "function-name", "hello"}, more...)
}

func TestInfo(t *testing.T) {
	w := newWorld(t)
	w.deploy(fullProps)
	out, err := w.run("info", fullProps)
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	if diff := cmp.Diff([]string{"region", "service", "function", "triggers", "customDomains"}, out.Keys()); diff != "" {
		t.Error(diff)
	}
	plain := out.Plain().(map[string]any)
	function := plain["function"].(map[string]any)
	if s, ok := function["environmentVariables"].(map[string]any)["MODE"].(secret.String); !ok || s.Reveal() != "prod" {
		t.Errorf("environmentVariables: %#v", function["environmentVariables"])
	}
	web := plain["triggers"].([]any)[0].(map[string]any)
	if web["name"] != "web" || web["type"] != "http" || web["urlInternet"] == "" || web["config"].(map[string]any)["authType"] != "function" {
		t.Errorf("trigger: %v", web)
	}
	if got := out.Get("customDomains").Items[0].Get("domainName").Str(); got != "www.example.com" {
		t.Errorf("domain %s", got)
	}
	out, err = w.run("info", cliProps, cliFlags("trigger-name", []string{"tick"})...)
	if err != nil || len(out.Get("triggers").Items) != 1 {
		t.Errorf("%v, %v", out.Plain(), err)
	}
	call := w.call("info", cliProps, cliFlags()...)
	call.Service = ""
	out, err = w.component().info(context.Background(), call)
	if err != nil || len(out.Get("triggers").Items) != 3 {
		t.Errorf("%v, %v", out.Plain(), err)
	}
}

func TestInfoOfWhatIsAbsent(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		props string
		args  []any
		want  string
	}{
		{webProps, nil, "service demo does not exist"},
		{cliProps, []any{"region", "cn-hangzhou"}, "no service is given"},
		{cliProps, []any{"region", "cn-hangzhou", "service-name", "demo", "trigger-name", []string{"x"}}, "no function is given"},
	} {
		_, err := w.run("info", tt.props, tt.args...)
		if p := w.problem(err); !strings.Contains(p.Summary, tt.want) || p.Code != diag.ExitComponent {
			t.Errorf("%+v", p)
		}
	}
	w.deploy(`{"region": "cn-hangzhou", "service": {"name": "demo"}}`, "sub", "service")
	if _, err := w.run("info", webProps); err != nil || len(w.notes) == 0 {
		t.Errorf("what is declared and not deployed is an error: %v", err)
	}
	_, err := w.run("info", cliProps, cliFlags()...)
	if p := w.problem(err); !strings.Contains(p.Summary, "function demo/hello does not exist") {
		t.Errorf("%+v", p)
	}
}

func TestInvokeEvent(t *testing.T) {
	w := newWorld(t)
	w.deploy(eventProps)
	w.write("event.json", "from a file")
	binary := string([]byte{0, 0xff, '\n', 0xfe})
	for _, tt := range []struct {
		args []any
		in   string
		want string
	}{
		{nil, "", ""},
		{[]any{"event", `{"a": 1}`}, "", `{"a": 1}`},
		{[]any{"event-file", "event.json"}, "", "from a file"},
		{[]any{"event-stdin", true}, binary, binary},
	} {
		w.took()
		w.notes = nil
		w.runner.result = runner.Result{Log: []byte("hello\nworld\n"), InstanceID: "i-1"}
		call := w.call("invoke", eventProps, tt.args...)
		call.In = strings.NewReader(tt.in)
		out, err := component.Find(w.component(), "invoke").Run(context.Background(), call)
		if err != nil {
			t.Fatal(diag.Render(err))
		}
		if out.Str() != tt.want {
			t.Errorf("%v: got %q", tt.args, out.Str())
		}
		if diff := cmp.Diff([]string{"POST /services/demo/functions/hello/invocations"}, w.took()); diff != "" {
			t.Error(diff)
		}
		notes := strings.Join(w.notes, "\n")
		for _, part := range []string{"========= FC invoke Logs begin =========\n", "\nhello\nworld\n", "========= FC invoke Logs end =========", "instanceId: i-1", "Result[Code: 200]"} {
			if !strings.Contains(notes, part) {
				t.Errorf("no %q in %s", part, notes)
			}
		}
	}
}

func TestInvokeFailures(t *testing.T) {
	w := newWorld(t)
	w.deploy(eventProps)
	w.runner.result = runner.Result{
		ErrorType: "UnhandledInvocationError", Log: []byte("a clue\n"),
		Body: []byte(`{"errorMessage": "division by zero", "errorType": "ZeroDivisionError", "stackTrace": [["index.py", 3]]}`),
	}
	_, err := w.run("invoke", eventProps)
	p := w.problem(err)
	if p.Code != diag.ExitComponent || !strings.Contains(p.Summary, "division by zero (ZeroDivisionError)") ||
		!strings.Contains(p.Detail, "index.py") || !strings.Contains(strings.Join(w.notes, "\n"), "a clue") {
		t.Errorf("%+v, %v", p, w.notes)
	}
	for _, tt := range []struct {
		args []any
		want string
	}{
		{[]any{"event", "a", "event-stdin", true}, "--event and --event-stdin cannot be used together"},
		{[]any{"event-file", "none.json"}, "reading the event"},
		{[]any{"event-stdin", true}, "no standard input"},
		{[]any{"invocation-type", "asink"}, "no such choice"},
		{[]any{"timeout", 0}, "at least 1 second"},
		{[]any{"function-name", "none"}, "FunctionNotFound"},
	} {
		_, err := w.run("invoke", eventProps, tt.args...)
		if p := w.problem(err); !strings.Contains(p.Summary, tt.want) || p.Code != diag.ExitComponent {
			t.Errorf("%v: %+v", tt.args, p)
		}
	}
}

func TestInvokeAsync(t *testing.T) {
	w := newWorld(t)
	w.deploy(eventProps)
	out, err := w.run("invoke", eventProps, "invocation-type", "ASYNC")
	if err != nil || out.Str() == "" {
		t.Errorf("%v, %v", out.Str(), err)
	}
	w.deploy(webProps)
	_, err = w.run("invoke", webProps, "invocation-type", "async")
	if p := w.problem(err); p.Hint == "" {
		t.Errorf("%+v", p)
	}
}

func TestInvokeTimeouts(t *testing.T) {
	w := newWorld(t)
	for props, want := range map[string]float64{
		`{"function": {"timeout": 10, "runtime": "python3.9"}}`:        130,
		`{"function": {"timeout": "10", "runtime": "python3.9"}}`:      130,
		`{"function": {"timeout": 10, "runtime": "custom-container"}}`: 430,
		`{"function": {"timeout": 10}}`:                                430,
		`{}`:                                                           600,
	} {
		in := &invocation{session: w.component().open(w.call("invoke", props))}
		if got, err := in.clientTimeout(); err != nil || got.Seconds() != want {
			t.Errorf("%s: %v, %v", props, got, err)
		}
	}
}

func TestInvokeHTTP(t *testing.T) {
	w := newWorld(t)
	w.deploy(fullProps) // authType function: the request must be signed
	w.runner.result.Body = []byte("made")
	w.runner.status = http.StatusNotFound
	w.took()
	event := `{"method": "post", "path": "/users/a%20b?x=1", "headers": {"X-Test": "yes", "X-N": 7}, "queries": {"page": 2, "tag": ["a", "b&c"]}, "body": {"k": [1]}}`
	out, err := w.run("invoke", fullProps, "event", event)
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	if out.Str() != "made" || !strings.Contains(strings.Join(w.notes, "\n"), "Result[Code: 404]") {
		t.Errorf("%q, %v", out.Str(), w.notes)
	}
	seen := w.runner.seen
	if seen.method != "POST" || seen.uri != "/users/a%20b?page=2&tag=a&tag=b%26c&x=1" || seen.body != `{"k":[1]}` ||
		seen.header.Get("X-Test") != "yes" || seen.header.Get("X-N") != "7" || seen.header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", seen)
	}
	if len(w.took()) != 2 {
		t.Error("one call for the trigger and one for the function are enough")
	}
	out, err = w.run("invoke", cliProps, cliFlags()...)
	if err != nil || out.Str() != "made" || w.runner.seen.uri != "/" {
		t.Errorf("without a file: %v, %v", out.Str(), err)
	}
}

func TestInvokeHTTPFailures(t *testing.T) {
	w := newWorld(t)
	w.deploy(webProps)
	for _, tt := range []struct {
		name   string
		status int
		header http.Header
		event  string
		want   string
	}{
		{"500", 500, nil, "{}", "answered with status 500"},
		{"error type", 200, http.Header{"X-Fc-Error-Type": {"UnhandledInvocationError"}}, "{}", "UnhandledInvocationError"},
		{"refused by the service", 200, nil, `{"method": "DELETE"}`, "MethodNotAllowed"},
		{"event", 200, nil, "hello", "must be a JSON object"},
		{"path", 200, nil, `{"path": "%zz"}`, "not one of an address"},
	} {
		w.runner.status, w.runner.header = tt.status, tt.header
		_, err := w.run("invoke", webProps, "event", tt.event)
		if p := w.problem(err); !strings.Contains(p.Summary, tt.want) || p.Code != diag.ExitComponent {
			t.Errorf("%s: %+v", tt.name, p)
		}
	}
	_, err := w.run("invoke", strings.Replace(webProps, `"web"`, `"other"`, 1))
	if p := w.problem(err); !strings.Contains(p.Summary, "is not deployed") {
		t.Errorf("%+v", p)
	}
}

func TestInvokeByDomain(t *testing.T) {
	w := newWorld(t)
	w.deploy(bareProps)
	w.runner.result.Body = []byte("by domain")
	out, err := w.run("invoke", bareProps, "domain-name", "www.example.com", "event", `{"path": "a"}`)
	if err != nil || out.Str() != "by domain" || w.runner.seen.host != "www.example.com" {
		t.Errorf("%v, %v, %+v", out.Str(), err, w.runner.seen)
	}
}

func TestUnder(t *testing.T) {
	w := newWorld(t)
	w.deploy(fullProps)
	w.deploy(fullProps, "service-name", "demo2", "sub", "service")
	sdk, err := fcopen.NewClient(&openapi.Config{
		AccessKeyId: tea.String("canary-id"), AccessKeySecret: tea.String(canary),
		Endpoint: tea.String(strings.TrimPrefix(w.url, "http://")), Protocol: tea.String("HTTP"),
	})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	svc, fn := tea.String("demo"), tea.String("hello")
	_, err = sdk.PublishServiceVersion(svc, &fcopen.PublishServiceVersionRequest{})
	must(err)
	_, err = sdk.CreateAlias(svc, &fcopen.CreateAliasRequest{AliasName: tea.String("live"), VersionId: tea.String("1")})
	must(err)
	_, err = sdk.PutFunctionOnDemandConfig(svc, fn, &fcopen.PutFunctionOnDemandConfigRequest{Qualifier: tea.String("live"), MaximumInstanceCount: tea.Int64(3)})
	must(err)
	_, err = sdk.PutProvisionConfig(svc, fn, &fcopen.PutProvisionConfigRequest{Qualifier: tea.String("live"), Target: tea.Int64(2)})
	must(err)

	ids, err := w.component().Under(context.Background(), w.call("remove", fullProps))
	must(err)
	var got []string
	for _, id := range ids {
		got = append(got, id.String())
	}
	want := []string{
		"onDemand demo/hello/live", "provision demo/hello/live", "alias demo/live", "version demo/1",
		"trigger demo/hello/bus", "trigger demo/hello/tick", "trigger demo/hello/web", "function demo/hello",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	for _, id := range ids {
		h := w.handler(id.Kind)
		found := w.read(id.Kind, id.Name)
		if found == nil {
			t.Errorf("%s is not found", id)
		}
		if err := h.Delete(context.Background(), id, found); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if w.read(id.Kind, id.Name) != nil {
			t.Errorf("%s is still there", id)
		}
		if err := h.Delete(context.Background(), id, nil); err != nil && id.Kind != ProvisionKind {
			t.Errorf("%s, again: %v", id, err)
		}
	}
	if _, err := w.handler(AliasKind).Create(context.Background(), &resource.Resource{ID: ids[2]}); err == nil {
		t.Error("an alias was deployed")
	}
	ids, err = w.component().Under(context.Background(), w.call("remove", strings.Replace(fullProps, `"demo"`, `"gone"`, 1)))
	if err != nil || len(ids) != 0 {
		t.Errorf("a service that is gone: %v, %v", ids, err)
	}
}

func FuzzHTTPEvent(f *testing.F) {
	f.Add(`{"path": "/a", "queries": {"x": [1, null]}, "headers": {"a": {}}, "body": 1e400}`)
	f.Add(`{"path": "//evil.example.com/%2e%2e"}`)
	f.Fuzz(func(t *testing.T, text string) {
		in := &invocation{event: []byte(text)}
		event, err := in.parseHTTPEvent()
		if err != nil {
			return
		}
		got, err := fullURL("http://127.0.0.1:1/proxy/s/f/", event)
		if err == nil && !strings.HasPrefix(got, "http://127.0.0.1:1/proxy/s/f/") {
			t.Fatalf("%q leads to %s", text, got)
		}
	})
}
