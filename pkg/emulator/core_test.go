package emulator

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	fc "github.com/alibabacloud-go/fc-open-20210406/v2/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"
)

func TestServices(t *testing.T) {
	w := newWorld(t)
	out, err := w.CreateService(&fc.CreateServiceRequest{
		ServiceName: str("demo"), Description: str("d"), Role: str("acs:ram::1:role/r"),
		LogConfig: &fc.LogConfig{Project: str("p"), Logstore: str("l"), EnableRequestMetrics: tea.Bool(true)},
	})
	w.ok(err)
	created := out.Body
	if *created.ServiceName != "demo" || *created.InternetAccess != true || *created.ServiceId == "" ||
		!strings.HasSuffix(*created.CreatedTime, "Z") || *created.LogConfig.Project != "p" {
		t.Errorf("created %v", created)
	}
	if out.Headers["x-fc-request-id"] == nil || out.Headers["etag"] == nil {
		t.Errorf("headers %v", out.Headers)
	}
	_, err = w.CreateService(&fc.CreateServiceRequest{ServiceName: str("demo")})
	w.fails(err, 409, "ServiceAlreadyExists")

	// a field that is missing stays, an empty one is cleared
	up, err := w.UpdateService(str("demo"), &fc.UpdateServiceRequest{
		Role: str(""), InternetAccess: tea.Bool(false),
		LogConfig: &fc.LogConfig{Project: str(""), Logstore: str(""), LogBeginRule: str("None")},
	})
	w.ok(err)
	if *up.Body.Description != "d" || *up.Body.Role != "" || *up.Body.InternetAccess || *up.Body.LogConfig.Project != "" ||
		*up.Body.LogConfig.EnableRequestMetrics {
		t.Errorf("updated %v", up.Body)
	}
	if *up.Body.ServiceId != *created.ServiceId {
		t.Error("the id changed")
	}

	got, err := w.GetService(str("demo"), &fc.GetServiceRequest{})
	w.ok(err)
	if *got.Headers["etag"] != *up.Headers["etag"] || *got.Headers["etag"] == *out.Headers["etag"] {
		t.Error("the ETag does not follow the state")
	}
	_, err = w.GetService(str("none"), &fc.GetServiceRequest{})
	w.fails(err, 404, "ServiceNotFound")

	w.function("demo", "f", "echo")
	_, err = w.DeleteService(str("demo"))
	w.fails(err, 409, "ServiceNotEmpty")
	_, err = w.DeleteFunction(str("demo"), str("f"))
	w.ok(err)
	_, err = w.DeleteService(str("demo"))
	w.ok(err)
	_, err = w.DeleteService(str("demo"))
	w.fails(err, 404, "ServiceNotFound")
}

func TestListServicesPages(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a1", "b1", "b2", "b3", "b4", "c1"} {
		w.service(name)
	}
	var got []string
	req := &fc.ListServicesRequest{Prefix: str("b"), Limit: tea.Int32(2), StartKey: str("b2")}
	for {
		out, err := w.ListServices(req)
		w.ok(err)
		for _, s := range out.Body.Services {
			got = append(got, *s.ServiceName)
		}
		if tea.StringValue(out.Body.NextToken) == "" {
			break
		}
		req.NextToken = out.Body.NextToken
	}
	if strings.Join(got, " ") != "b2 b3 b4" {
		t.Errorf("listed %v", got)
	}
}

func TestFunctions(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	created := w.function("s", "f", "echo")
	if *created.MemorySize != 128 || *created.Timeout != 3 || *created.InstanceConcurrency != 1 ||
		*created.InstanceType != "e1" || *created.DiskSize != 512 || *created.InitializationTimeout != 3 ||
		created.Layers != nil || *created.CodeSize == 0 || *created.CodeChecksum == "" || *created.Cpu != 0.1 {
		t.Errorf("created %v", created)
	}
	_, err := w.CreateFunction(str("s"), &fc.CreateFunctionRequest{
		FunctionName: str("f"), Runtime: str("python3.9"), Handler: str("index.handler"), Code: code(t, "echo")})
	w.fails(err, 409, "FunctionAlreadyExists")

	// the generated struct spells InstanceConcurrency
	up, err := w.UpdateFunction(str("s"), str("f"), &fc.UpdateFunctionRequest{
		InstanceConcurrency: tea.Int32(7), MemorySize: tea.Int32(512),
		EnvironmentVariables: map[string]*string{"A": str("1"), "B": str("2")},
	})
	w.ok(err)
	if *up.Body.InstanceConcurrency != 7 || *up.Body.MemorySize != 512 || *up.Body.CodeChecksum != *created.CodeChecksum {
		t.Errorf("updated %v", up.Body)
	}
	up, err = w.UpdateFunction(str("s"), str("f"), &fc.UpdateFunctionRequest{
		EnvironmentVariables: map[string]*string{"B": str("3")}, Code: code(t, "other"),
	})
	w.ok(err)
	if len(up.Body.EnvironmentVariables) != 1 || *up.Body.EnvironmentVariables["B"] != "3" || *up.Body.MemorySize != 512 {
		t.Errorf("a map is replaced as a whole: %v", up.Body)
	}
	if *up.Body.CodeChecksum == *created.CodeChecksum {
		t.Error("the code did not change")
	}

	link, err := w.GetFunctionCode(str("s"), str("f"), &fc.GetFunctionCodeRequest{})
	w.ok(err)
	resp, err := http.Get(*link.Body.Url)
	w.ok(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	w.ok(err)
	if refer(data).Checksum != *link.Body.Checksum || *link.Body.Checksum != *up.Body.CodeChecksum {
		t.Error("the link leads to other code")
	}
	if resp, err := http.Get(strings.Replace(*link.Body.Url, "Signature=", "Signature=0", 1)); err != nil || resp.StatusCode != 403 {
		t.Errorf("a forged link works: %v", err)
	}
}

func TestInvoke(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "echo")
	out, err := w.InvokeFunctionWithOptions(str("s"), str("f"), &fc.InvokeFunctionRequest{Body: []byte("ping")},
		&fc.InvokeFunctionHeaders{XFcLogType: str("Tail")}, &util.RuntimeOptions{})
	w.ok(err)
	if string(out.Body) != "ping" || *out.StatusCode != 200 || out.Headers["x-fc-error-type"] != nil {
		t.Errorf("%d %s", *out.StatusCode, out.Body)
	}
	log, err := base64.StdEncoding.DecodeString(tea.StringValue(out.Headers["x-fc-log-result"]))
	w.ok(err)
	if !strings.Contains(string(log), "hello") || !strings.Contains(string(log), "Memory Size: 128 MB") {
		t.Errorf("log %q", log)
	}
	call := w.runner.lastCall(t)
	if call.FuncName != "f" || call.ServiceName != "s" || call.Qualifier != "LATEST" || call.Handler != "index.handler" ||
		call.AccountID != DefaultAccountID || call.Concurrency != 1 || call.CodeDir == "" {
		t.Errorf("called with %+v", call)
	}
	list, err := w.ListInstances(str("s"), str("f"), &fc.ListInstancesRequest{})
	w.ok(err)
	if len(list.Body.Instances) != 1 || *list.Body.Instances[0].VersionId != "0" {
		t.Errorf("instances %v", list.Body)
	}

	// a function that fails answers 200 with an error type
	_, err = w.UpdateFunction(str("s"), str("f"), &fc.UpdateFunctionRequest{Code: code(t, "fail")})
	w.ok(err)
	if got := w.runner.stopped; len(got) != 1 || got[0] != call.Key {
		t.Errorf("stopped %v, want the key of the old code", got)
	}
	out, err = w.InvokeFunction(str("s"), str("f"), &fc.InvokeFunctionRequest{})
	w.ok(err)
	if *out.Headers["x-fc-error-type"] != "UnhandledInvocationError" || !strings.Contains(string(out.Body), "boom") {
		t.Errorf("%v %s", out.Headers, out.Body)
	}
	_, err = w.UpdateFunction(str("s"), str("f"), &fc.UpdateFunctionRequest{Code: code(t, "error")})
	w.ok(err)
	_, err = w.InvokeFunction(str("s"), str("f"), &fc.InvokeFunctionRequest{})
	w.fails(err, 400, "FunctionNotStarted")
	_, err = w.InvokeFunction(str("s"), str("g"), &fc.InvokeFunctionRequest{})
	w.fails(err, 404, "FunctionNotFound")
	_, err = w.InvokeFunctionWithOptions(str("s"), str("f"), &fc.InvokeFunctionRequest{},
		&fc.InvokeFunctionHeaders{XFcLogType: str("Loud")}, &util.RuntimeOptions{})
	w.fails(err, 400, "InvalidArgument")
}

func TestTriggers(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "echo")
	out, err := w.CreateTrigger(str("s"), str("f"), &fc.CreateTriggerRequest{
		TriggerName: str("h"), TriggerType: str("http"), TriggerConfig: str(`{"authType":"anonymous","methods":["GET","POST"]}`),
	})
	w.ok(err)
	if *out.Body.UrlInternet != w.server.URL+"/2016-08-15/proxy/s/f/" || *out.Body.TriggerId == "" {
		t.Errorf("created %v", out.Body)
	}
	if want := `{"authType":"anonymous","methods":["GET","POST"],"disableURLInternet":false}`; *out.Body.TriggerConfig != want {
		t.Errorf("config %s", *out.Body.TriggerConfig)
	}
	resp, err := http.Post(*out.Body.UrlInternet+"a%2Fb/c?x=1", "text/plain", strings.NewReader("in"))
	w.ok(err)
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 418 || string(body) != "in" || resp.Header.Get("X-Path") != "/a%2Fb/c" ||
		resp.Header.Get("X-Query") != "x=1" || resp.Header.Get("X-Base") != "/2016-08-15/proxy/s/f" {
		t.Errorf("%d %s %v", resp.StatusCode, body, resp.Header)
	}
	req, _ := http.NewRequest("DELETE", *out.Body.UrlInternet, nil)
	resp, err = http.DefaultClient.Do(req)
	w.ok(err)
	if resp.StatusCode != 405 {
		t.Errorf("DELETE: %d", resp.StatusCode)
	}
	_, err = w.DeleteFunction(str("s"), str("f"))
	w.fails(err, 409, "FunctionNotEmpty")

	// with authType function only signed requests pass
	_, err = w.UpdateTrigger(str("s"), str("f"), str("h"), &fc.UpdateTriggerRequest{
		TriggerConfig: str(`{"authType":"function","methods":["POST"]}`)})
	w.ok(err)
	resp, err = http.Post(*out.Body.UrlInternet, "text/plain", strings.NewReader("in"))
	w.ok(err)
	if resp.StatusCode != 400 {
		t.Errorf("unsigned: %d", resp.StatusCode)
	}
	resp, err = w.InvokeHTTPTrigger(str(*out.Body.UrlInternet+"p?b=2&a=1"), str("POST"), []byte("in"), &http.Header{})
	w.ok(err)
	if resp.StatusCode != 418 {
		t.Errorf("signed: %d", resp.StatusCode)
	}
	_, err = w.DeleteTrigger(str("s"), str("f"), str("h"))
	w.ok(err)
	_, err = w.GetTrigger(str("s"), str("f"), str("h"))
	w.fails(err, 404, "TriggerNotFound")
	resp, err = http.Get(*out.Body.UrlInternet)
	w.ok(err)
	if resp.StatusCode != 404 {
		t.Errorf("without a trigger: %d", resp.StatusCode)
	}
}

func TestRefusedKeys(t *testing.T) {
	w := newWorld(t)
	_, err := w.sdk("nobody", "x").ListServices(&fc.ListServicesRequest{})
	w.fails(err, 403, "InvalidAccessKeyID")
	_, err = w.sdk(DefaultAccessKeyID, "wrong").ListServices(&fc.ListServicesRequest{})
	w.fails(err, 403, "SignatureNotMatch")
	var sdk *tea.SDKError
	if errors.As(err, &sdk) && !strings.Contains(*sdk.Message, "signature") {
		t.Errorf("message %q", *sdk.Message)
	}
}
