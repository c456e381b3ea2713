package emulator

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
	"strings"
	"sync"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	fc "github.com/alibabacloud-go/fc-open-20210406/v2/client"
	"github.com/alibabacloud-go/tea/tea"

	"github.com/devs/deploy/pkg/runner"
)

// fakeRunner answers without processes. What it does is told by the code: the
// file "do" of the package says "echo", "fail", "error" or "block".
type fakeRunner struct {
	mu      sync.Mutex
	calls   []runner.Function
	events  []string
	stopped []string
	running map[string]int // invocations by key
	fails   int            // how many invocations fail before the first success
	block   chan struct{}  // "block" waits for it
}

func (f *fakeRunner) Invoke(ctx context.Context, fn runner.Function, id string, event []byte) (*runner.Result, error) {
	f.mu.Lock()
	f.calls = append(f.calls, fn)
	f.events = append(f.events, string(event))
	set(&f.running, fn.Key, f.running[fn.Key]+1)
	failing := f.fails > 0
	f.fails--
	f.mu.Unlock()
	do, err := os.ReadFile(filepath.Join(fn.CodeDir, "do"))
	if err != nil {
		return nil, err
	}
	res := &runner.Result{Body: event, Log: []byte("hello\n"), InstanceID: "i-" + fn.Key[:8], Duration: 1500 * time.Microsecond, MemoryMB: 12}
	switch {
	case string(do) == "error":
		return nil, errors.New("no interpreter for " + fn.Runtime)
	case string(do) == "block":
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.block:
		}
	case string(do) == "fail" || failing:
		res.ErrorType = "UnhandledInvocationError"
		res.Body = []byte(`{"errorMessage":"boom"}`)
	case string(do) != "echo":
		res.Body = do
	}
	return res, nil
}

func (f *fakeRunner) ServeHTTP(w http.ResponseWriter, r *http.Request, fn runner.Function, id, base string) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Path", r.URL.EscapedPath())
	w.Header().Set("X-Query", r.URL.RawQuery)
	w.Header().Set("X-Host", r.Host)
	w.Header().Set("X-Base", base)
	w.Header().Set("X-Version", fn.VersionID)
	w.Header().Set("X-Function", fn.FuncName)
	w.Header().Set("X-Region", fn.Region)
	w.WriteHeader(http.StatusTeapot)
	_, _ = w.Write(body)
}

func (f *fakeRunner) Stop(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = append(f.stopped, key)
	delete(f.running, key)
}

func (f *fakeRunner) Instances(key string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running[key] == 0 {
		return nil
	}
	return []string{"i-" + key[:8]}
}

func (f *fakeRunner) Close() error { return nil }

func (f *fakeRunner) lastCall(t *testing.T) runner.Function {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		t.Fatal("the runner was not called")
	}
	return f.calls[len(f.calls)-1]
}

// world is a cloud behind a server, with the official SDK's client.
type world struct {
	*fc.Client
	t      *testing.T
	cloud  *Cloud
	server *httptest.Server
	runner *fakeRunner
	dir    string
}

func newWorld(t *testing.T) *world { return openWorld(t, t.TempDir()) }

func openWorld(t *testing.T, dir string) *world {
	t.Helper()
	w := &world{t: t, dir: dir, runner: &fakeRunner{block: make(chan struct{})}}
	cloud, err := Open(Config{Dir: dir, Runner: w.runner})
	if err != nil {
		t.Fatal(err)
	}
	cloud.retryWait = 0
	w.cloud = cloud
	w.server = httptest.NewServer(cloud)
	t.Cleanup(func() {
		w.server.Close()
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Client = w.sdk(DefaultAccessKeyID, DefaultAccessKeySecret)
	return w
}

func (w *world) sdk(id, secret string) *fc.Client {
	w.t.Helper()
	client, err := fc.NewClient(&openapi.Config{
		AccessKeyId: tea.String(id), AccessKeySecret: tea.String(secret),
		Endpoint: tea.String(strings.TrimPrefix(w.server.URL, "http://")), Protocol: tea.String("HTTP"),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

// zipOf packs files, given as name and content in turn.
func zipOf(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for i := 0; i < len(pairs); i += 2 {
		f, err := z.Create(pairs[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(pairs[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// code is a package that makes the fake runner do something.
func code(t testing.TB, do string) *fc.Code {
	return &fc.Code{ZipFile: tea.String(base64.StdEncoding.EncodeToString(zipOf(t, "do", do)))}
}

// service creates a service.
func (w *world) service(name string) {
	w.t.Helper()
	_, err := w.CreateService(&fc.CreateServiceRequest{ServiceName: &name})
	w.ok(err)
}

// function creates a function in an existing service.
func (w *world) function(service, name, do string) *fc.CreateFunctionResponseBody {
	w.t.Helper()
	out, err := w.CreateFunction(&service, &fc.CreateFunctionRequest{
		FunctionName: &name, Runtime: tea.String("python3.9"), Handler: tea.String("index.handler"), Code: code(w.t, do),
	})
	w.ok(err)
	return out.Body
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// fails checks the code and status that the SDK sees.
func (w *world) fails(err error, status int, code string) {
	w.t.Helper()
	var sdk *tea.SDKError
	if !errors.As(err, &sdk) {
		w.t.Fatalf("error is %v, want %s", err, code)
	}
	if tea.StringValue(sdk.Code) != code || tea.IntValue(sdk.StatusCode) != status {
		w.t.Fatalf("error is %d %s (%s), want %d %s", tea.IntValue(sdk.StatusCode), tea.StringValue(sdk.Code),
			tea.StringValue(sdk.Message), status, code)
	}
}

func str(s string) *string { return &s }

// serveCloud serves a cloud that was opened by hand.
func serveCloud(t *testing.T, cloud *Cloud) *legacy {
	server := httptest.NewServer(cloud)
	t.Cleanup(server.Close)
	return &legacy{t: t, base: server.URL, id: DefaultAccessKeyID, secret: DefaultAccessKeySecret}
}

// codeDirs lists the unpacked packages.
func (w *world) codeDirs() []string {
	w.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(w.dir, dirCode, "*"))
	w.ok(err)
	return dirs
}
