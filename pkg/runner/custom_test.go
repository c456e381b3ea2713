package runner

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/diag"
)

// server is a custom runtime in Python, started through a shell that stays its
// parent, as bootstrap files often do.
const server = `
import http.server, json, os, socketserver, sys, threading, time
inits = []
barrier = threading.Barrier(3)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        control = self.headers.get("x-fc-control-path")
        status, extra = 200, []
        if control == "/initialize":
            inits.append(self.path)
            answer = b""
        elif body == b"status": status, answer = 500, b'{"errorMessage": "five"}'
        elif body == b"header": extra, answer = [("x-fc-status", "404")], b'{"errorMessage": "four"}'
        elif body == b"die": os._exit(5)
        elif body == b"sleep": time.sleep(60); answer = b""
        elif body == b"together": barrier.wait(20); answer = str(os.getpid()).encode()
        elif body == b"pid": answer = str(os.getpid()).encode()
        elif body == b"headers": answer = json.dumps({k.lower(): v for k, v in self.headers.items()}).encode()
        else: answer = " ".join([self.command, self.path, str(control), ",".join(inits), body.decode()]).encode()
        print("FC Invoke Start RequestId: own frame")
        sys.stdout.flush()
        self.send_response(status)
        for k, v in extra: self.send_header(k, v)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    do_GET = do_POST = do_PUT = serve
    def log_message(self, *args): pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
assert os.environ["PORT"] == os.environ["FC_SERVER_PORT"]
Server(("0.0.0.0", int(os.environ["FC_SERVER_PORT"])), Handler).serve_forever()
`

const bootstrap = "#!/bin/sh\npython3 app.py \"$@\"\nexit $?\n"

func customFunction(t *testing.T, key string, port int) Function {
	t.Helper()
	need(t, "python3")
	fn := function(t, "custom.debian10", code(t, "bootstrap", bootstrap, "app.py", server))
	fn.Key, fn.FuncName, fn.CAPort = key, key, port
	return fn
}

func TestCustomEvents(t *testing.T) {
	h := newHarness(t, nil)
	fn := customFunction(t, "a", freePort(t))
	fn.Init = "index.init"
	res := h.want(fn, "hello", "POST /invoke /invoke /initialize hello")
	h.want(fn, "again", "POST /invoke /invoke /initialize again")
	if string(res.Log) != "FC Invoke Start RequestId: own frame\n" {
		t.Errorf("log of a custom runtime: %q", res.Log)
	}
	if res.MemoryMB < 8 {
		t.Errorf("memory of shell and server is %d MB", res.MemoryMB)
	}
	h.wantError(fn, "status", Handled, "five")
	h.wantError(fn, "header", Handled, "four")
	h.wantError(fn, "die", Unhandled, "exit status 5)")
	h.want(fn, "x", "POST /invoke /invoke /initialize x")
	fn.Timeout = time.Second
	h.wantError(fn, "sleep", Unhandled, "Function timed out after 1 seconds")
	fn.Timeout = 20 * time.Second
	h.want(fn, "x", "POST /invoke /invoke /initialize x")
}

func TestCustomHeaders(t *testing.T) {
	h := newHarness(t, nil)
	fn := customFunction(t, "a", freePort(t))
	got := string(h.invoke(fn, "headers").Body)
	for _, want := range []string{`"x-fc-request-id": "req-1"`, `"x-fc-function-name": "a"`, `"x-fc-service-name": "svc"`,
		`"x-fc-function-handler": "index.handler"`, `"x-fc-region": "cn-hangzhou"`, `"x-fc-account-id": "1234567890"`,
		`"x-fc-control-path": "/invoke"`, `"x-fc-function-memory": "256"`, `"x-fc-qualifier": "prod"`,
		`"x-fc-version-id": "7"`, `"x-fc-service-logproject": "proj"`, `"x-fc-service-logstore": "store"`} {
		if !strings.Contains(got, want) {
			t.Errorf("headers lack %s: %s", want, got)
		}
	}
}

func TestCustomHTTP(t *testing.T) {
	h := newHarness(t, nil)
	fn := customFunction(t, "a", freePort(t))
	r := httptest.NewRequest(http.MethodPut, "/some%2Fpath?q=1&r=%20", strings.NewReader("body"))
	r.Header.Set("X-Fc-Control-Path", "/forged")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r, fn, "req", "/base")
	if want := "PUT /some%2Fpath?q=1&r=%20 /http-invoke  body"; w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %q, want %q", w.Code, w.Body, want)
	}
	r = httptest.NewRequest(http.MethodPost, "/", strings.NewReader("headers"))
	r.Host = "shop.example.com"
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r, fn, "req", "/base")
	for _, want := range []string{`"host": "shop.example.com"`, `"x-fc-base-path": "/base"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("headers lack %s: %s", want, w.Body)
		}
	}
}

// Protocol upgrades (WebSocket) go through to custom runtimes.
func TestCustomUpgrade(t *testing.T) {
	need(t, "python3")
	h := newHarness(t, nil)
	fn := function(t, "custom", code(t, "bootstrap", `#!/usr/bin/env python3
import os, socket
s = socket.create_server(("127.0.0.1", int(os.environ["FC_SERVER_PORT"])))
while True:
    c, _ = s.accept()
    f = c.makefile("rb")
    if not f.readline(): continue
    while f.readline().strip(): pass
    c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    c.sendall(b"echo " + f.readline())
    c.close()
`))
	fn.CAPort = freePort(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(serve(t, h, fn, ""), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("%+v %v", resp, err)
	}
	fmt.Fprintf(conn, "hello\n")
	if line, err := r.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("%q %v", line, err)
	}
}

// One instance takes all requests of a custom runtime at the same time.
func TestCustomConcurrency(t *testing.T) {
	h := newHarness(t, nil)
	fn := customFunction(t, "a", freePort(t))
	var wg sync.WaitGroup
	pids := make([]string, 3)
	for i := range pids {
		wg.Go(func() {
			res, err := h.Invoke(context.Background(), fn, "r"+strconv.Itoa(i), []byte("together"))
			if err != nil || res.ErrorType != "" {
				t.Errorf("invoke: %+v %v", res, err)
				return
			}
			pids[i] = string(res.Body)
		})
	}
	wg.Wait()
	if pids[0] != pids[1] || pids[1] != pids[2] {
		t.Errorf("several processes: %v", pids)
	}
}

func TestCustomPortIsHandedOver(t *testing.T) {
	h := newHarness(t, nil)
	port := freePort(t)
	a, b := customFunction(t, "a", port), customFunction(t, "b", port)
	first := string(h.invoke(a, "pid").Body)
	second := string(h.invoke(b, "pid").Body)
	third := string(h.invoke(a, "pid").Body)
	if first == second || second == third || first == third {
		t.Errorf("pids %s %s %s", first, second, third)
	}
	if len(h.Instances("a")) != 1 || len(h.Instances("b")) != 0 {
		t.Errorf("instances: %v %v", h.Instances("a"), h.Instances("b"))
	}
	if want := "stopping the idle instance of a, which holds port " + strconv.Itoa(port) + ", for b"; !strings.Contains(h.logged(), want) {
		t.Errorf("log %q lacks %q", h.logged(), want)
	}
}

func TestCustomPortIsBusy(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.PortWait = 50 * time.Millisecond })
	port := freePort(t)
	a, b := customFunction(t, "a", port), customFunction(t, "b", port)
	defer h.occupy(a)()
	_, err := h.Invoke(context.Background(), b, "r", []byte("pid"))
	problem, ok := errors.AsType[*diag.Problem](err)
	want := "function b needs port " + strconv.Itoa(port) + ", which function a is using on this machine"
	if !ok || problem.Summary != want || problem.Hint == "" {
		t.Errorf("error %v, want %s", err, want)
	}
}

// Functions of two processes that want the same port take turns, however they meet:
// no request fails, and none is answered by the function of the other.
func TestCustomPortOfAnotherProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("turns between processes need abstract Unix sockets")
	}
	port := freePort(t)
	var wg sync.WaitGroup
	for _, key := range []string{"a", "b"} {
		h, fn := newHarness(t, func(c *Config) { c.PortWait = 2 * time.Minute }), customFunction(t, key, port)
		wg.Go(func() {
			for range 10 {
				res, err := h.Invoke(context.Background(), fn, h.nextID(), []byte("headers"))
				if err != nil || res.ErrorType != "" || !strings.Contains(string(res.Body), `"x-fc-function-name": "`+key+`"`) {
					t.Errorf("function %s: %+v %v", key, res, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestCustomPortOfAnotherProcessIsBusy(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("turns between processes need abstract Unix sockets")
	}
	port := freePort(t)
	holder, h := newHarness(t, nil), newHarness(t, func(c *Config) { c.PortWait = 50 * time.Millisecond })
	a, b := customFunction(t, "a", port), customFunction(t, "b", port)
	defer holder.occupy(a)()
	_, err := h.Invoke(context.Background(), b, "r", []byte("pid"))
	if err == nil || !strings.Contains(err.Error(), "which a function of another devs on this machine is using") {
		t.Errorf("error: %v", err)
	}
}

func TestCustomForeignPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := newHarness(t, nil)
	fn := customFunction(t, "a", l.Addr().(*net.TCPAddr).Port)
	_, err = h.Invoke(context.Background(), fn, "r", nil)
	if err == nil || !strings.Contains(err.Error(), "which another program on this machine is using") {
		t.Errorf("error: %v", err)
	}
}

func TestCustomStartFailures(t *testing.T) {
	port := freePort(t)
	for _, tt := range []struct{ name, bootstrap, message string }{
		{"exits", "#!/bin/sh\necho no luck >&2\nexit 7\n", "before it listened on port " + strconv.Itoa(port) + " (exit status 7)"},
		{"does not listen", "#!/bin/sh\necho no luck\nsleep 60\n", "did not listen on port " + strconv.Itoa(port) + " in 3 seconds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, func(c *Config) { c.StartTimeout = 3 * time.Second })
			fn := function(t, "custom", code(t, "bootstrap", tt.bootstrap))
			fn.CAPort = port
			res, _ := h.wantError(fn, "", Unhandled, tt.message)
			if string(res.Log) != "no luck\n" {
				t.Errorf("log %q", res.Log)
			}
		})
	}
}

func TestCustomCommands(t *testing.T) {
	need(t, "python3")
	h := newHarness(t, nil)
	echo := "import os, sys\nos.environ['ARGS'] = ' '.join(sys.argv[1:])\n" +
		strings.Replace(server, "answer = str(os.getpid()).encode()\n        elif body == b\"headers\"", "answer = os.environ['ARGS'].encode()\n        elif body == b\"headers\"", 1)
	for _, tt := range []struct {
		name    string
		command []string
		want    string
	}{
		{"absolute below /code", []string{"/code/run.sh", "-c", "/code/conf", "/codex"}, "-c CODE/conf /codex"},
		{"relative", []string{"./run.sh", "a b"}, "a b"},
		{"name in the code", []string{"run.sh"}, ""},
		{"name on PATH", []string{"python3", "app.py", "x"}, "x"},
		{"script that is not executable", []string{"plain.sh", "x"}, "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fn := function(t, "custom", code(t, "run.sh", bootstrap, "plain.sh", bootstrap, "app.py", echo))
			if err := os.Chmod(filepath.Join(fn.CodeDir, "plain.sh"), 0o644); err != nil {
				t.Fatal(err)
			}
			fn.Command, fn.CAPort = tt.command, freePort(t)
			h.t = t
			h.want(fn, "pid", strings.ReplaceAll(tt.want, "CODE", fn.CodeDir))
			info, err := os.Stat(filepath.Join(fn.CodeDir, "plain.sh"))
			if err != nil || info.Mode().Perm() != 0o644 {
				t.Errorf("the code was changed: %v %v", info.Mode(), err)
			}
		})
	}
}

func TestCustomCommandProblems(t *testing.T) {
	h := newHarness(t, nil)
	for _, tt := range []struct {
		name    string
		files   []string
		command []string
		port    int
		message string
	}{
		{"no bootstrap", []string{"x", ""}, nil, 0, "has no file bootstrap in its code"},
		{"no such command", []string{"x", ""}, []string{"/code/absent"}, 0, "there is no such program"},
		{"folder", []string{"bootstrap/x", ""}, nil, 0, "there is no such program"},
		{"line ends", []string{"bootstrap", "#!/bin/sh\r\nexit 0\r\n"}, nil, 0, "Windows line ends"},
		{"port", []string{"bootstrap", "#!/bin/sh\n"}, nil, 70000, "caPort 70000, which is not a port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fn := function(t, "custom", code(t, tt.files...))
			fn.Command, fn.CAPort = tt.command, tt.port
			_, err := h.Invoke(context.Background(), fn, "r", nil)
			if _, ok := errors.AsType[*diag.Problem](err); !ok || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("error %v, want %q", err, tt.message)
			}
			if len(h.Instances(fn.Key)) != 0 {
				t.Error("an instance is left")
			}
		})
	}
}

// A program without execute permission that is no script runs from a copy.
func TestCustomProgramCopy(t *testing.T) {
	p := New(Config{Dir: t.TempDir()})
	dir := code(t, "bootstrap", "\x7fELF")
	inst := &instance{fn: Function{CodeDir: dir, FuncName: "fn"}, dir: t.TempDir(), kind: custom}
	argv, err := p.customCommand(inst)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(argv[0])
	if err != nil || info.Mode().Perm() != 0o700 || filepath.Dir(argv[0]) != inst.dir {
		t.Errorf("copy %s: %v %v", argv[0], info, err)
	}
}
