package fcapi

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/emulator"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/runner"
	"github.com/devs/deploy/pkg/secret"
)

// canary is the access key secret of all tests: it may appear nowhere.
const canary = "canary-5b21-secret"

// idle answers invocations with their event, without processes.
type idle struct{}

func (idle) Invoke(_ context.Context, _ runner.Function, _ string, event []byte) (*runner.Result, error) {
	return &runner.Result{Body: event}, nil
}

func (idle) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ runner.Function, _, _ string) {
	w.WriteHeader(http.StatusNoContent)
}

func (idle) Stop(string)               {}
func (idle) Instances(string) []string { return nil }
func (idle) Close() error              { return nil }

// sent is one call as the cloud saw it.
type sent struct {
	call   string // "METHOD path"
	header http.Header
	body   map[string]any
}

// world is the embedded cloud with one function, behind a server that records calls.
type world struct {
	t     *testing.T
	url   string
	dir   string
	sent  []sent
	meet  func(next http.Handler, r *http.Request) // before a call is answered
	notes []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	cloud, err := emulator.Open(emulator.Config{Dir: t.TempDir(), Runner: idle{}, Keys: map[string]string{"canary-id": canary}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(data))
		v, _ := client.DecodeJSON(string(data))
		body, _ := v.(map[string]any)
		w.sent = append(w.sent, sent{r.Method + " " + strings.TrimPrefix(r.URL.Path, "/2021-04-06"), r.Header.Clone(), body})
		if w.meet != nil {
			w.meet(cloud, r)
		}
		cloud.ServeHTTP(rw, r)
	}))
	w.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	w.write("index.py", "def handler(event, context):\n    return 1\n")
	w.create()
	return w
}

// create makes a service with a function in the cloud.
func (w *world) create() {
	api := w.client()
	if _, err := api.CreateService(w.t.Context(), map[string]any{"serviceName": "demo"}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := api.CreateFunction(w.t.Context(), "demo", "", map[string]any{
		"functionName": "hello", "runtime": "python3", "handler": "index.handler", "memorySize": 128, "timeout": 5, "description": "as it was",
		"environmentVariables": map[string]any{"TOKEN": "hidden-value"}, "code": map[string]any{"zipFile": w.zip("index.py")},
	}); err != nil {
		w.t.Fatal(err)
	}
	w.sent = nil
}

func (w *world) client() *client.Client {
	api, err := client.New(client.Config{Endpoint: w.url, AccountID: "1", Region: "cn-hangzhou", AccessKeyID: secret.New("canary-id"), AccessKeySecret: secret.New(canary)})
	if err != nil {
		w.t.Fatal(err)
	}
	return api
}

// zip returns a package with one small file as Base64.
func (w *world) zip(name string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if f, err := z.Create(name); err != nil {
		w.t.Fatal(err)
	} else if _, err := io.WriteString(f, "pass\n"); err != nil {
		w.t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		w.t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func (w *world) write(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// call runs a method with props (JSON, "" for none) and arguments.
func (w *world) call(name, props string, args ...string) (*app.Value, error) {
	w.t.Helper()
	comp := NewWith(Config{TempDir: w.t.TempDir(), Retry: client.Retry{Attempts: 1}})
	cmd := component.Find(comp, name)
	if cmd == nil {
		w.t.Fatalf("no method %s", name)
	}
	parsed, err := component.ParseArgs(cmd, nil, args)
	if err != nil {
		w.t.Fatal(err)
	}
	v := &app.Value{Kind: app.Map}
	if props != "" {
		if v, err = app.ParseJSON([]byte(props)); err != nil {
			w.t.Fatal(err)
		}
	}
	return cmd.Run(w.t.Context(), &component.Call{
		Component: "fc-api", Command: name, Args: parsed, Props: v, Dir: w.dir,
		Credential: func() (*credential.Credential, error) {
			return &credential.Credential{AccountID: "1", AccessKeyID: secret.New("canary-id"), AccessKeySecret: secret.New(canary), Endpoint: w.url}, nil
		},
		Notify: func(line string) { w.notes = append(w.notes, line) },
	})
}

// want is a call that works.
func (w *world) want(name, props string, args ...string) *app.Value {
	w.t.Helper()
	v, err := w.call(name, props, args...)
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return v
}

func hello(more ...string) []string {
	return append([]string{"--region", "cn-hangzhou", "--serviceName", "demo", "--functionName", "hello"}, more...)
}

// members returns the names in a package that was sent.
func members(t *testing.T, encoded any) []string {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(encoded.(string))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	return names
}

func TestUpdateFunctionSendsWhatIsGiven(t *testing.T) {
	w := newWorld(t)
	w.write(".git/config", "not code")
	w.write(".s/record", "not code")
	w.write("big.log", "not code")
	w.write(".fcignore", "*.log\n")
	out := w.want("updateFunction", "", hello("--code", `{"zipFile":"./"}`)...)
	if len(w.sent) != 2 || w.sent[0].call != "GET /services/demo/functions/hello" || w.sent[1].call != "PUT /services/demo/functions/hello" {
		t.Fatalf("calls: %v", w.sent)
	}
	put := w.sent[1]
	if len(put.body) != 1 {
		t.Errorf("more was sent than the code: %v", put.body)
	}
	names := members(t, put.body["code"].(map[string]any)["zipFile"])
	if !slices.Contains(names, "index.py") || slices.ContainsFunc(names, func(n string) bool {
		return strings.HasPrefix(n, ".git/") || strings.HasPrefix(n, ".s/") || strings.HasSuffix(n, ".log")
	}) {
		t.Errorf("packed: %v", names)
	}
	if put.header.Get("If-Match") == "" || put.header.Get("X-Fc-Code-Checksum") != out.Get("codeChecksum").Str() {
		t.Errorf("If-Match %q, checksum %q, online %s", put.header.Get("If-Match"), put.header.Get("X-Fc-Code-Checksum"), out.Get("codeChecksum").Str())
	}
	if !out.Get("environmentVariables", "TOKEN").Secret {
		t.Error("the value of a variable is not hidden")
	}
	if out.Get("description").Str() != "as it was" || out.Get("memorySize").Str() != "128" {
		t.Errorf("what was not given changed: %v", out.Plain())
	}
}

func TestUpdateFunctionFields(t *testing.T) {
	w := newWorld(t)
	out := w.want("updateFunction", "", hello("--memorySize", "256", "--timeout", "9", "--description", "new", "--handler", "index.other",
		"--environmentVariables", `{"A":"1"}`, "--props", `{"memorySize":512,"initializationTimeout":7}`)...)
	for field, want := range map[string]string{"memorySize": "256", "timeout": "9", "description": "new", "handler": "index.other", "initializationTimeout": "7"} {
		if got := out.Get(field).Str(); got != want {
			t.Errorf("%s is %q, not %q", field, got, want)
		}
	}
	if keys := out.Get("environmentVariables").Keys(); !slices.Equal(keys, []string{"A"}) {
		t.Errorf("variables: %v", keys)
	}
}

func TestUpdateFunctionTakesPackages(t *testing.T) {
	w := newWorld(t)
	data, _ := base64.StdEncoding.DecodeString(w.zip("ready.py"))
	for _, name := range []string{"code.zip", "code.jar"} {
		w.write(name, string(data))
		w.sent = nil
		w.want("updateFunction", "", hello("--code", `{"zipFile":"`+name+`"}`)...)
		if sent := w.sent[1].body["code"].(map[string]any)["zipFile"]; sent != base64.StdEncoding.EncodeToString(data) {
			t.Errorf("%s was not sent as it is", name)
		}
	}
}

func TestUpdateFunctionMeetsAnother(t *testing.T) {
	w := newWorld(t)
	w.meet = func(next http.Handler, r *http.Request) {
		if r.Method != http.MethodPut {
			return
		}
		w.meet = nil
		if _, err := w.client().UpdateFunction(t.Context(), "demo", "hello", "*", "", map[string]any{"timeout": 33}); err != nil {
			t.Error(err)
		}
	}
	_, err := w.call("updateFunction", "", hello("--description", "mine")...)
	if err == nil || diag.ExitCode(err) != diag.ExitComponent || !strings.Contains(diag.Render(err), "run it again") {
		t.Fatalf("%v", err)
	}
	if out := w.want("getFunction", "", hello()...); out.Get("description").Str() != "as it was" || out.Get("timeout").Str() != "33" {
		t.Errorf("the change of the other was overwritten: %v", out.Plain())
	}
}

func TestVersions(t *testing.T) {
	w := newWorld(t)
	service := hello()[:4]
	if out := w.want("publishVersion", "", append(service, "--description", "v1")...); out.Get("versionId").Str() != "1" || out.Get("description").Str() != "v1" {
		t.Errorf("published: %v", out.Plain())
	}
	_, err := w.call("publishVersion", "", service...)
	if err == nil || !strings.Contains(diag.Render(err), "changed since the last one") {
		t.Errorf("a version without a change: %v", err)
	}
	if out := w.want("listVersions", "", service...); len(out.Items) != 1 {
		t.Errorf("versions: %v", out.Plain())
	}
	w.want("updateFunction", "", hello("--timeout", "8")...)
	w.want("publishVersion", "", service...)
	if out := w.want("getFunction", "", hello("--qualifier", "1")...); out.Get("timeout").Str() != "5" {
		t.Errorf("version 1 changed: %v", out.Plain())
	}
	if out := w.want("listAliases", "", service...); len(out.Items) != 0 {
		t.Errorf("aliases: %v", out.Plain())
	}
}

func TestAliases(t *testing.T) {
	w := newWorld(t)
	service := hello()[:4]
	alias := append(slices.Clone(service), "--aliasName", "live")
	w.want("publishVersion", "", service...)
	w.want("updateFunction", "", hello("--timeout", "8")...)
	w.want("publishVersion", "", service...)
	if out := w.want("createAlias", "", append(alias, "--versionId", "1", "--description", "for users")...); out.Get("versionId").Str() != "1" {
		t.Errorf("created: %v", out.Plain())
	}
	w.sent = nil
	out := w.want("updateAlias", "", append(alias, "--additionalVersionWeight", `{"2":0.1}`)...)
	if out.Get("versionId").Str() != "1" || out.Get("description").Str() != "for users" || out.Get("additionalVersionWeight", "2").Str() != "0.1" {
		t.Errorf("updated: %v", out.Plain())
	}
	if len(w.sent) != 2 || len(w.sent[1].body) != 1 || w.sent[1].header.Get("If-Match") == "" {
		t.Errorf("sent: %v", w.sent)
	}
	w.want("updateAlias", "", append(alias, "--versionId", "2", "--additionalVersionWeight", "{}")...)
	if out := w.want("getFunction", "", hello("--qualifier", "live")...); out.Get("timeout").Str() != "8" {
		t.Errorf("the alias leads to %v", out.Plain())
	}
	if out := w.want("listAliases", "", service...); len(out.Items) != 1 {
		t.Errorf("aliases: %v", out.Plain())
	}
}

func TestReads(t *testing.T) {
	w := newWorld(t)
	if out := w.want("listServices", "", "--region", "cn-hangzhou", "--prefix", "de"); len(out.Items) != 1 || out.Items[0].Get("serviceName").Str() != "demo" {
		t.Errorf("services: %v", out.Plain())
	}
	if out := w.want("listServices", "", "--region", "cn-hangzhou", "--prefix", "other"); len(out.Items) != 0 {
		t.Errorf("services: %v", out.Plain())
	}
	if out := w.want("getService", `{"region":"cn-hangzhou","serviceName":"demo"}`); out.Get("serviceName").Str() != "demo" {
		t.Errorf("service: %v", out.Plain())
	}
	if out := w.want("listFunctions", "", hello()[:4]...); len(out.Items) != 1 || !out.Items[0].Get("environmentVariables", "TOKEN").Secret {
		t.Errorf("functions: %v", out.Plain())
	}
	if out := w.want("invokeFunction", "", hello("--event", "echo")...); out.Str() != "echo" {
		t.Errorf("answer: %v", out.Plain())
	}
}

// In a hook of a service of fc, the props are those of fc.
func TestPropsOfFC(t *testing.T) {
	w := newWorld(t)
	out := w.want("updateFunction", `{"region":"cn-hangzhou","service":{"name":"demo"},"function":{"name":"hello","memorySize":"odd"},"triggers":[]}`, "--timeout", "6")
	if out.Get("timeout").Str() != "6" {
		t.Errorf("function: %v", out.Plain())
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		method, props string
		args          []string
		says          string
	}{
		{"updateFunction", "", []string{"--serviceName", "demo", "--functionName", "hello"}, "updateFunction needs --region"},
		{"updateFunction", "", []string{"--region", "cn-hangzhou", "--functionName", "hello"}, "updateFunction needs --serviceName"},
		{"updateFunction", "", hello()[:4], "updateFunction needs --functionName"},
		{"updateFunction", "", hello(), "nothing to change"},
		{"updateFunction", "", hello("--code", "./"), "--code is not a JSON object"},
		{"updateFunction", "", hello("--code", `{"zipFile":7}`), "zipFile must be the path"},
		{"updateFunction", "", hello("--code", `{"zipFile":"./missing"}`), "missing"},
		{"updateFunction", "", hello("--props", `{"memorySise":1}`), "memorySise"},
		{"updateFunction", `{"region":"cn-hangzhou","serviceName":"demo","functionName":["hello"]}`, nil, "functionName must be a text"},
		{"updateFunction", "", []string{"--region", "cn-hangzhou", "--serviceName", "demo", "--functionName", "none", "--timeout", "3"}, "check the region and the names"},
		{"publishVersion", `{"region":"cn-hangzhou","servicename":"demo"}`, nil, "did you mean serviceName"},
		{"publishVersion", "", []string{"--region", "cn-hangzhou", "--serviceName", "none"}, "ServiceNotFound"},
		{"getAlias", "", hello()[:4], "getAlias needs --aliasName"},
		{"createAlias", "", append(hello()[:4], "--aliasName", "live"), "createAlias needs --versionId"},
		{"updateAlias", "", append(hello()[:4], "--aliasName", "live"), "nothing to change"},
		{"updateAlias", "", append(hello()[:4], "--aliasName", "live", "--versionId", "1"), "AliasNotFound"},
	} {
		_, err := w.call(c.method, c.props, c.args...)
		if err == nil {
			t.Errorf("%s %v %s: no error", c.method, c.args, c.props)
			continue
		}
		text := diag.Render(err)
		if _, ok := errors.AsType[*diag.Problem](err); !ok || !strings.Contains(text, c.says) || strings.Contains(text, canary) {
			t.Errorf("%s %v: %s", c.method, c.args, text)
		}
		if code := diag.ExitCode(err); code != diag.ExitComponent && !strings.Contains(c.says, "missing") {
			t.Errorf("%s %v: exit code %d", c.method, c.args, code)
		}
	}
}
