package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/diag"
)

// harness is a pool with its log.
type harness struct {
	*Pool
	t   *testing.T
	mu  sync.Mutex
	log []string
	ids atomic.Int64
}

func newHarness(t *testing.T, change func(*Config)) *harness {
	t.Helper()
	h := &harness{t: t}
	cfg := Config{
		Dir:          filepath.Join(t.TempDir(), "scratch"),
		Env:          []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"},
		KillGrace:    2 * time.Second,
		StartTimeout: 60 * time.Second,
		Log: func(line string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.log = append(h.log, line)
		},
	}
	if change != nil {
		change(&cfg)
	}
	h.Pool = New(cfg)
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

func (h *harness) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.log, "\n")
}

func (h *harness) nextID() string { return fmt.Sprintf("req-%d", h.ids.Add(1)) }

// invoke fails the test when no instance could be run.
func (h *harness) invoke(fn Function, event string) *Result {
	h.t.Helper()
	res, err := h.Invoke(context.Background(), fn, h.nextID(), []byte(event))
	if err != nil {
		h.t.Fatalf("Invoke: %s", diag.Render(err))
	}
	return res
}

// want invokes and compares the answer of a function that succeeds.
func (h *harness) want(fn Function, event, body string) *Result {
	h.t.Helper()
	res := h.invoke(fn, event)
	if res.ErrorType != "" || string(res.Body) != body {
		h.t.Fatalf("answer to %q: %q (%s), want %q\nlog: %s", event, res.Body, res.ErrorType, body, res.Log)
	}
	return res
}

// wantError invokes and returns the error that the function reports.
func (h *harness) wantError(fn Function, event, errorType, message string) (*Result, failureBody) {
	h.t.Helper()
	res := h.invoke(fn, event)
	var body failureBody
	if err := json.Unmarshal(res.Body, &body); err != nil {
		h.t.Fatalf("answer %q (%s) is not JSON: %v\nlog: %s", res.Body, res.ErrorType, err, res.Log)
	}
	if res.ErrorType != errorType || !strings.Contains(body.ErrorMessage, message) {
		h.t.Fatalf("answer %q (%s), want %s with %q\nlog: %s", res.Body, res.ErrorType, errorType, message, res.Log)
	}
	return res, body
}

// occupy keeps an instance of a custom runtime busy until free is called.
func (h *harness) occupy(fn Function) (free func()) {
	h.t.Helper()
	h.invoke(fn, "pid")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = h.Invoke(ctx, fn, "busy", []byte("sleep"))
	}()
	eventually(h.t, fn.FuncName+" is busy", func() bool {
		h.Pool.mu.Lock()
		defer h.Pool.mu.Unlock()
		return len(h.instances[fn.Key]) == 1 && h.instances[fn.Key][0].active == 1
	})
	return func() {
		cancel()
		<-done
	}
}

type failureBody struct {
	ErrorMessage string `json:"errorMessage"`
	ErrorType    string `json:"errorType"`
	StackTrace   []any  `json:"stackTrace"`
}

// code writes files (name, text, name, text, …) and returns their folder.
func code(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(files[i+1], "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(files[i+1]), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func function(t *testing.T, runtime, dir string) Function {
	return Function{
		Key: t.Name(), CodeDir: dir, Runtime: runtime, Handler: "index.handler", MemoryMB: 256,
		Timeout: 20 * time.Second, InitTimeout: 20 * time.Second, Concurrency: 1,
		AccountID: "1234567890", Region: "cn-hangzhou", ServiceName: "svc", FuncName: "fn",
		Qualifier: "prod", VersionID: "7", LogProject: "proj", LogStore: "store",
	}
}

func pythonFunction(t *testing.T, text string) Function {
	t.Helper()
	need(t, "python3")
	return function(t, "python3", code(t, "index.py", text))
}

func nodeFunction(t *testing.T, text string) Function {
	t.Helper()
	need(t, "node")
	return function(t, "nodejs16", code(t, "index.js", text))
}

// need skips a test whose interpreter is not on this machine.
func need(t *testing.T, program string) {
	t.Helper()
	if err := exec.Command(program, "--version").Run(); err != nil {
		t.Skipf("this test needs %s on PATH: %v", program, err)
	}
}

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("it did not come to be that %s", what)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
