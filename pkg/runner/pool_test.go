package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/diag"
)

const pidFunction = `
import os, time
def handler(event, context):
    if event == b"sleep": time.sleep(60)
    if event.startswith(b"/"):
        open(event.decode() + "." + str(os.getpid()), "w").close()
        while not os.path.exists(event): time.sleep(0.01)
    return str(os.getpid())
`

func TestInstancesGrowToTheMaximum(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.MaxInstances = 2 })
	fn := pythonFunction(t, pidFunction)
	flag := filepath.Join(t.TempDir(), "flag")
	var wg sync.WaitGroup
	var mu sync.Mutex
	pids := map[string]int{}
	for i := range 4 {
		wg.Go(func() {
			res, err := h.Invoke(context.Background(), fn, fmt.Sprint("r", i), []byte(flag))
			if err != nil || res.ErrorType != "" {
				t.Errorf("%+v %v", res, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			pids[string(res.Body)]++
		})
	}
	eventually(t, "two are at work", func() bool {
		at, _ := filepath.Glob(flag + ".*")
		return len(at) == 2
	})
	if n := len(h.Instances(fn.Key)); n != 2 {
		t.Errorf("%d instances, want 2", n)
	}
	writeFile(t, flag, "")
	wg.Wait()
	if len(pids) != 2 {
		t.Errorf("processes %v, want 2 for 4 requests", pids)
	}
}

func TestIdleInstancesEnd(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.IdleTimeout = 50 * time.Millisecond })
	fn := pythonFunction(t, pidFunction)
	pid := h.invoke(fn, "").Body
	eventually(t, "the idle instance is gone", func() bool { return len(h.Instances(fn.Key)) == 0 && gone(string(pid)) })
	if again := h.invoke(fn, "").Body; string(again) == string(pid) {
		t.Error("the ended instance answered")
	}
}

func TestDeadInstanceIsReplaced(t *testing.T) {
	h := newHarness(t, nil)
	fn := pythonFunction(t, `
import os, threading, time
def end(flag):
    while not os.path.exists(flag): time.sleep(0.01)
    os._exit(1)
def handler(event, context):
    if event: threading.Thread(target=end, args=[event]).start()
    return str(os.getpid())
`)
	flag := filepath.Join(t.TempDir(), "flag")
	pid := string(h.invoke(fn, flag).Body)
	writeFile(t, flag, "")
	eventually(t, "the instance is gone", func() bool { return gone(pid) && len(h.Instances(fn.Key)) == 0 })
	if again := h.invoke(fn, ""); again.ErrorType != "" || string(again.Body) == pid {
		t.Errorf("%s %s", again.Body, again.ErrorType)
	}
}

func TestStop(t *testing.T) {
	h := newHarness(t, nil)
	fn := pythonFunction(t, pidFunction)
	idle := string(h.invoke(fn, "").Body)
	h.Stop(fn.Key)
	if !gone(idle) || len(h.Instances(fn.Key)) != 0 {
		t.Errorf("process %s is left, instances %v", idle, h.Instances(fn.Key))
	}
	flag := filepath.Join(t.TempDir(), "flag")
	answer := make(chan *Result, 1)
	go func() {
		res, _ := h.Invoke(context.Background(), fn, "r", []byte(flag))
		answer <- res
	}()
	eventually(t, "it is at work", func() bool {
		at, _ := filepath.Glob(flag + ".*")
		return len(at) == 1
	})
	h.Stop(fn.Key) // a busy instance ends with its work, and takes no more
	if n := len(h.Instances(fn.Key)); n != 0 {
		t.Errorf("%d instances after Stop", n)
	}
	other := string(h.invoke(fn, "").Body)
	writeFile(t, flag, "")
	res := <-answer
	if res == nil || res.ErrorType != "" || string(res.Body) == other {
		t.Fatalf("the busy instance answered %+v", res)
	}
	eventually(t, "the busy instance ended", func() bool { return gone(string(res.Body)) })
	h.Stop("absent")
}

func TestCancel(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.MaxInstances = 1 })
	fn := pythonFunction(t, pidFunction)
	pid := string(h.invoke(fn, "").Body)
	ctx, cancel := context.WithCancel(context.Background())
	busy := make(chan error, 1)
	go func() {
		_, err := h.Invoke(ctx, fn, "r", []byte("sleep"))
		busy <- err
	}()
	eventually(t, "it is busy", func() bool { return h.active(fn.Key) == 1 })
	waiting, stop := context.WithCancel(context.Background())
	queued := make(chan error, 1)
	go func() {
		_, err := h.Invoke(waiting, fn, "r", nil)
		queued <- err
	}()
	stop()
	if err := <-queued; !errors.Is(err, context.Canceled) {
		t.Errorf("waiting: %v", err)
	}
	cancel()
	if err := <-busy; !errors.Is(err, context.Canceled) {
		t.Errorf("busy: %v", err)
	}
	eventually(t, "the process is gone", func() bool { return gone(pid) })
	h.invoke(fn, "")
}

func (h *harness) active(key string) int {
	h.Pool.mu.Lock()
	defer h.Pool.mu.Unlock()
	n := 0
	for _, i := range h.instances[key] {
		n += i.active
	}
	return n
}

func TestClose(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.MaxInstances = 2 })
	fn := pythonFunction(t, pidFunction)
	pid := string(h.invoke(fn, "").Body)
	busy := make(chan *Result, 1)
	go func() {
		res, _ := h.Invoke(context.Background(), fn, "r", []byte("sleep"))
		busy <- res
	}()
	eventually(t, "it is busy", func() bool { return h.active(fn.Key) == 1 })
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if res := <-busy; res == nil || res.ErrorType != Unhandled {
		t.Errorf("the busy one: %+v", res)
	}
	if !gone(pid) {
		t.Errorf("process %s is left", pid)
	}
	if _, err := h.Invoke(context.Background(), fn, "r", nil); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
	if left, _ := os.ReadDir(h.cfg.Dir); len(left) != 0 {
		t.Errorf("left in the scratch folder: %v", left)
	}
	if err := h.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestCloseUnused(t *testing.T) {
	if err := New(Config{Dir: t.TempDir()}).Close(); err != nil {
		t.Error(err)
	}
}

// Whatever happens to instances, no process, descriptor or goroutine is left.
func TestNothingLeaks(t *testing.T) {
	fn := pythonFunction(t, `
import os, subprocess, sys, time
def handler(event, context):
    subprocess.Popen(["sleep", "1000"])
    if event == b"exit": os._exit(1)
    if event == b"sleep": time.sleep(60)
    return str(os.getpid())
`)
	fn.Timeout = time.Second
	round := func() {
		h := New(Config{Dir: t.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH")}})
		for _, event := range []string{"", "exit", "", "sleep", "", ""} {
			if _, err := h.Invoke(context.Background(), fn, "r", []byte(event)); err != nil {
				t.Error(err)
			}
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	round()
	goroutines, fds := runtime.NumGoroutine(), countFDs()
	round()
	eventually(t, "goroutines and descriptors are given back", func() bool {
		return runtime.NumGoroutine() <= goroutines && countFDs() <= fds
	})
	eventually(t, "no child is left", func() bool { return len(children()) == 0 })
}

func countFDs() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

// children lists the child processes of this one, zombies too.
func children() []string {
	var all []string
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, l := range lists {
		text, _ := os.ReadFile(l)
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

// gone reports whether a process has ended.
func gone(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}

func TestUnsupported(t *testing.T) {
	h := newHarness(t, nil)
	for _, rt := range []string{"java8", "java11", "php7.2", "go1", "dotnetcore3.1", "", "python", "pythonx", "nodejs/..", "customx"} {
		_, err := h.Invoke(context.Background(), function(t, rt, t.TempDir()), "r", nil)
		problem, ok := errors.AsType[*diag.Problem](err)
		if !ok || problem.Hint == "" || !strings.Contains(problem.Summary, rt) {
			t.Errorf("%q: %v", rt, err)
		}
		if Supported(rt) == nil {
			t.Errorf("%q is said to be supported", rt)
		}
	}
	for _, rt := range []string{"python3", "python3.9", "python3.10", "python2.7", "nodejs6", "nodejs4.4", "nodejs20", "custom", "custom.debian10", "custom.debian12", "custom-container"} {
		if err := Supported(rt); err != nil {
			t.Errorf("%q: %v", rt, err)
		}
	}
}

func TestRefusedFunctions(t *testing.T) {
	h := newHarness(t, nil)
	good := pythonFunction(t, pidFunction)
	for name, change := range map[string]func(*Function){
		"is not a folder":     func(f *Function) { f.CodeDir += "/absent" },
		"control character":   func(f *Function) { f.Handler = "a\r\nX: y" },
		"that no process can": func(f *Function) { f.Env = map[string]string{"A=B": ""} },
	} {
		fn := good
		change(&fn)
		if _, err := h.Invoke(context.Background(), fn, "r", nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(h.Instances(fn.Key), nil) {
			t.Error("an instance is left")
		}
	}
	if _, err := h.Invoke(context.Background(), good, "a b", nil); err == nil {
		t.Error("a request id with a blank was taken")
	}
}
