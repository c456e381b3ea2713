package emulator

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/runner"
)

// TestRealFunctions runs functions as processes, with the runner of the product.
func TestRealFunctions(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	s, err := Start(t.Context(), Config{
		Dir:    t.TempDir(),
		Runner: runner.New(runner.Config{Env: []string{"PATH=" + os.Getenv("PATH")}}),
	}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	l := &legacy{t: t, base: s.URL, id: DefaultAccessKeyID, secret: DefaultAccessKeySecret}
	pack := func(source string) object {
		return object{"zipFile": base64.StdEncoding.EncodeToString(zipOf(t, "index.js", source))}
	}
	l.do("POST", "/services", object{"serviceName": "s"}).want(t, 200, "")
	l.do("POST", "/services/s/functions", object{"functionName": "event", "runtime": "nodejs16", "handler": "index.handler", "timeout": 60,
		"environmentVariables": object{"GREETING": "hello"},
		"code":                 pack(`exports.handler = (e, c, cb) => { console.log("said"); cb(null, process.env.GREETING + " " + e) }`)}).want(t, 200, "")
	l.header = map[string]string{"x-fc-log-type": "Tail"}
	a := l.do("POST", "/services/s/functions/event/invocations", "world")
	l.header = nil
	log, _ := base64.StdEncoding.DecodeString(a.header.Get("X-Fc-Log-Result"))
	if a.raw != "hello world" || !strings.Contains(string(log), "said") {
		t.Errorf("%d %s, log %s", a.status, a.raw, log)
	}
	if a := l.do("GET", "/services/s/functions/event/instances", nil); len(a.body["instances"].([]any)) != 1 {
		t.Errorf("instances %s", a.raw)
	}
	l.do("PUT", "/services/s/functions/event", object{"code": pack(`exports.handler = (e, c, cb) => cb(new Error("boom"))`)}).want(t, 200, "")
	if a := l.do("GET", "/services/s/functions/event/instances", nil); len(a.body["instances"].([]any)) != 0 {
		t.Errorf("instances of the old code %s", a.raw)
	}
	a = l.do("POST", "/services/s/functions/event/invocations", "world")
	if a.status != 200 || a.header.Get("X-Fc-Error-Type") == "" || !strings.Contains(a.raw, "boom") {
		t.Errorf("%d %s %v", a.status, a.raw, a.header)
	}

	l.do("POST", "/services/s/functions", object{"functionName": "web", "runtime": "custom", "handler": "index.handler", "timeout": 60,
		"customRuntimeConfig": object{"command": []string{"node"}, "args": []string{"index.js"}},
		"code":                pack(`require("http").createServer((q, r) => r.end(q.method + " " + q.url)).listen(process.env.FC_SERVER_PORT || 9000)`)}).want(t, 200, "")
	a = l.do("POST", "/services/s/functions/web/triggers", object{"triggerName": "h", "triggerType": "http",
		"triggerConfig": object{"authType": "anonymous", "methods": []string{"GET"}}})
	a.want(t, 200, "")
	resp, err := http.Get(a.body["urlInternet"].(string) + "a/b?c=d")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "GET /a/b?c=d" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
