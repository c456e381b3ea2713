package fc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/emulator"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/runner"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/pkg/state"
)

// canary is the access key secret of all tests: it may appear nowhere.
const canary = "canary-1f0c7d-secret"

// fakeRunner answers invocations without processes.
type fakeRunner struct {
	result runner.Result
	status int
	header http.Header
	seen   struct {
		method, uri, host, body string
		header                  http.Header
	}
}

func (f *fakeRunner) Invoke(_ context.Context, _ runner.Function, _ string, event []byte) (*runner.Result, error) {
	res := f.result
	if res.Body == nil {
		res.Body = event
	}
	return &res, nil
}

func (f *fakeRunner) ServeHTTP(w http.ResponseWriter, r *http.Request, _ runner.Function, _, _ string) {
	body, _ := io.ReadAll(r.Body)
	f.seen.method, f.seen.uri, f.seen.host, f.seen.body = r.Method, r.URL.RequestURI(), r.Host, string(body)
	f.seen.header = r.Header.Clone()
	for k, v := range f.header {
		w.Header()[k] = v
	}
	if f.status != 0 {
		w.WriteHeader(f.status)
	}
	_, _ = w.Write(f.result.Body)
}

func (*fakeRunner) Stop(string)               {}
func (*fakeRunner) Instances(string) []string { return nil }
func (*fakeRunner) Close() error              { return nil }

// world is the embedded cloud behind a server that records calls and can fail.
type world struct {
	t      *testing.T
	url    string
	dir    string
	runner *fakeRunner
	notes  []string

	mu    sync.Mutex
	calls []string // "METHOD path"
	sent  []map[string]any
	heads []http.Header
	fault func(w http.ResponseWriter, r *http.Request, next http.Handler) bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), runner: &fakeRunner{}}
	cloud, err := emulator.Open(emulator.Config{
		Dir: t.TempDir(), Runner: w.runner, Keys: map[string]string{"canary-id": canary},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(data))
		sent, _ := client.DecodeJSON(string(data))
		w.mu.Lock()
		w.calls = append(w.calls, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/2021-04-06"))
		body, _ := sent.(map[string]any)
		w.sent = append(w.sent, body)
		w.heads = append(w.heads, r.Header.Clone())
		fault := w.fault
		w.mu.Unlock()
		if fault != nil && fault(rw, r, cloud) {
			return
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
	w.write("code/index.py", "def handler(event, context):\n    return event\n")
	return w
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

// took returns the calls since the last time.
func (w *world) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls, w.sent, w.heads = nil, nil, nil
	return calls
}

// body returns what was sent with the only call of that kind since took.
func (w *world) body(call string) map[string]any {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []int
	for i, c := range w.calls {
		if c == call {
			found = append(found, i)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%s was called %d times: %v", call, len(found), w.calls)
	}
	return w.sent[found[0]]
}

func (w *world) setFault(f func(http.ResponseWriter, *http.Request, http.Handler) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

// component returns the component, which does not sleep between attempts.
func (w *world) component() *Component {
	return NewWith(Config{TempDir: w.t.TempDir(), Retry: client.Retry{
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}}).(*Component)
}

// call is one use of the component; args are flags as key, value.
func (w *world) call(command, props string, args ...any) *component.Call {
	w.t.Helper()
	value, err := app.ParseJSON([]byte(props))
	if err != nil {
		w.t.Fatal(err)
	}
	call := &component.Call{
		Service: "svc", Component: "fc", Command: command, Props: value, Dir: w.dir,
		Args: component.Args{Flags: map[string]any{}},
		Credential: func() (*credential.Credential, error) {
			return &credential.Credential{
				Source: "test", AccountID: emulator.DefaultAccountID, Endpoint: w.url,
				AccessKeyID: secret.New("canary-id"), AccessKeySecret: secret.New(canary),
			}, nil
		},
		Notify: func(line string) { w.notes = append(w.notes, line) },
	}
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "sub" {
			call.Args.Sub = args[i+1].(string)
			continue
		}
		call.Args.Flags[args[i].(string)] = args[i+1]
	}
	return call
}

// bring does what the engine does for a call, and returns the changes and output.
func (w *world) bring(call *component.Call) ([]*plan.Change, *app.Value, error) {
	w.t.Helper()
	ctx := context.Background()
	c := w.component()
	desired, err := c.Desired(ctx, call)
	if err != nil {
		return nil, nil, err
	}
	defer desired.Close()
	types, err := c.Types(ctx, call)
	if err != nil {
		return nil, nil, err
	}
	all := map[resource.ID]*resource.Found{}
	var changes []*plan.Change
	for _, r := range desired.Resources {
		if call.Command == "remove" {
			r.Absent = true
		}
		found, err := types[r.Kind].Handler.Read(ctx, r.ID)
		if err != nil {
			return nil, nil, err
		}
		all[r.ID] = found
		changes = append(changes, plan.New(types[r.Kind].Schema, state.Recorded{}, found, r))
	}
	order := slices.Clone(changes)
	if call.Command == "remove" {
		slices.Reverse(order)
	}
	for _, change := range order {
		found, err := w.apply(ctx, types[change.Resource.Kind].Handler, change)
		if err != nil {
			return changes, nil, err
		}
		all[change.Resource] = found
	}
	return changes, desired.Outputs(all), nil
}

func (w *world) apply(ctx context.Context, h resource.Handler, c *plan.Change) (*resource.Found, error) {
	switch c.Action {
	case plan.Create:
		return h.Create(ctx, c.Want)
	case plan.Update:
		return h.Update(ctx, c.Want, c.Found, c.UpdateFields())
	case plan.Replace:
		if err := h.Delete(ctx, c.Resource, c.Found); err != nil {
			return nil, err
		}
		return h.Create(ctx, c.Want)
	case plan.Delete:
		return nil, h.Delete(ctx, c.Resource, c.Found)
	}
	return c.Found, nil
}

// deploy brings props online and returns the actions that were needed, by ID.
func (w *world) deploy(props string, args ...any) (map[string]string, *app.Value) {
	w.t.Helper()
	changes, out, err := w.bring(w.call("deploy", props, args...))
	if err != nil {
		w.t.Fatalf("%v\n%s", err, diag.Render(err))
	}
	return actions(changes), out
}

// actions returns what has to be done, by ID, with the fields of an update.
func actions(changes []*plan.Change) map[string]string {
	out := map[string]string{}
	for _, c := range changes {
		if c.Action == plan.None {
			continue
		}
		out[c.Resource.String()] = string(c.Action)
		if c.Action == plan.Update {
			out[c.Resource.String()] += " " + strings.Join(c.UpdateFields(), ",")
		}
	}
	return out
}

// handler returns the handler of a kind.
func (w *world) handler(kind resource.Kind) resource.Handler {
	w.t.Helper()
	types, err := w.component().Types(context.Background(), w.call("deploy", `{"region":"cn-hangzhou"}`))
	if err != nil {
		w.t.Fatal(err)
	}
	return types[kind].Handler
}

func (w *world) read(kind resource.Kind, name string) *resource.Found {
	w.t.Helper()
	found, err := w.handler(kind).Read(context.Background(), resource.ID{Kind: kind, Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// run runs a command of the component's own.
func (w *world) run(command, props string, args ...any) (*app.Value, error) {
	w.t.Helper()
	return w.runCall(w.call(command, props, args...))
}

func (w *world) runCall(call *component.Call) (*app.Value, error) {
	w.t.Helper()
	return component.Find(w.component(), call.Command).Run(context.Background(), call)
}

// problem returns the first Problem in err, which must hold no secret.
func (w *world) problem(err error) *diag.Problem {
	w.t.Helper()
	p, ok := errors.AsType[*diag.Problem](err)
	if !ok {
		w.t.Fatalf("got %v, want a problem", err)
	}
	if text := diag.Render(err); strings.Contains(text, canary) {
		w.t.Fatalf("the secret is in the error: %s", text)
	}
	return p
}
