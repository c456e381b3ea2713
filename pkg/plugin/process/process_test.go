package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/diag"
)

func shell(t *testing.T, script string, out io.Writer) Command {
	t.Helper()
	return Command{Path: "/bin/sh", Args: []string{"-c", script}, Dir: t.TempDir(), Env: os.Environ(), Stdout: out, Stderr: out}
}

func TestExitCodes(t *testing.T) {
	for script, want := range map[string]ExitError{
		"exit 3":        {Code: 3},
		"exit 100":      {Code: 100},
		"kill -KILL $$": {Code: 137, Signal: syscall.SIGKILL},
	} {
		err := shell(t, script, nil).Run(context.Background())
		exit, ok := errors.AsType[*ExitError](err)
		if !ok || *exit != want {
			t.Errorf("%s: %v, want %v", script, err, want)
		}
	}
	if err := shell(t, "true", nil).Run(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestWorkingDirectoryAndEmptyInput(t *testing.T) {
	var out bytes.Buffer
	c := shell(t, `echo "$PWD"; cat; echo end`, &out)
	c.Env = []string{"PWD=/wrong", "PATH=" + os.Getenv("PATH")}
	if err := c.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if want := c.Dir + "\nend\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// waitFor polls until is reports true.
func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	for range 3000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("waited in vain")
}

func alive(pid int) bool {
	// A zombie that nobody reaps is gone for our purpose.
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !errors.Is(err, os.ErrNotExist)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func readPID(t *testing.T, file string) (pid int) {
	t.Helper()
	waitFor(t, func() bool {
		data, _ := os.ReadFile(file)
		n, _ := fmt.Sscanf(string(data), "%d\n", &pid)
		return n == 1 && strings.HasSuffix(string(data), "\n")
	})
	return pid
}

func TestCancelEndsTheWholeGroup(t *testing.T) {
	for name, script := range map[string]string{
		"grandchild":              `sleep 300 & echo $! > pid; wait`,
		"grandchild, no pipe":     `sleep 300 >/dev/null 2>&1 & echo $! > pid; wait`,
		"grandchild ignores TERM": `(trap '' TERM; echo $$ >/dev/null; exec sleep 300) & echo $! > pid; wait`,
		"deaf without pipe":       `(trap '' TERM; exec sleep 300) >/dev/null 2>&1 & echo $! > pid; wait`,
		"all ignore TERM":         `trap '' TERM; sleep 300 & echo $! > pid; wait; wait`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			var out bytes.Buffer
			c := shell(t, script, &out)
			c.Grace = 200 * time.Millisecond
			done := make(chan error, 1)
			go func() { done <- c.Run(ctx) }()
			pid := readPID(t, filepath.Join(c.Dir, "pid"))
			why := errors.New("stop")
			cancel(why)
			if err := <-done; !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
			waitFor(t, func() bool { return !alive(pid) })
		})
	}
}

func TestTermComesBeforeKill(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := shell(t, `trap 'echo tidied > tidy; exit 0' TERM; echo 1 > pid; while :; do sleep 0.05; done`, nil)
	c.Grace = time.Minute
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	readPID(t, filepath.Join(c.Dir, "pid"))
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got, _ := os.ReadFile(filepath.Join(c.Dir, "tidy")); string(got) != "tidied\n" {
		t.Errorf("the program could not tidy up: %q", got)
	}
}

func TestBackgroundProcessDoesNotHoldUs(t *testing.T) {
	var out bytes.Buffer
	c := shell(t, `sleep 300 & echo $! > pid; echo said`, &out)
	c.Grace = 100 * time.Millisecond
	if err := c.Run(context.Background()); !errors.Is(err, ErrLeftRunning) {
		t.Errorf("got %v", err)
	}
	pid := readPID(t, filepath.Join(c.Dir, "pid"))
	if out.String() != "said\n" || !alive(pid) {
		t.Errorf("output %q, alive %v", out.String(), alive(pid))
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestEndedContextStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := shell(t, "echo > started", nil)
	if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "started")); err == nil {
		t.Error("the program ran")
	}
}

func TestTerminalIsHandedOn(t *testing.T) {
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	_, _ = io.WriteString(w, "typed\n")
	_ = w.Close()
	var out bytes.Buffer
	c := shell(t, `read x; echo "got $x"; ps -o pgid= -p $$ 2>/dev/null || cut -d' ' -f5 /proc/$$/stat`, &out)
	c.Terminal = in
	if err := c.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	first, group, _ := strings.Cut(out.String(), "\n")
	if first != "got typed" || strings.TrimSpace(group) != fmt.Sprint(syscall.Getpgrp()) {
		t.Errorf("got %q, our group is %d", out.String(), syscall.Getpgrp())
	}
}

func TestStopped(t *testing.T) {
	live := context.Background()
	if p := Stopped(live, diag.Pos{}, "x"); p != nil {
		t.Error(p)
	}
	gone, cancel := context.WithCancel(live)
	cancel()
	if p := Stopped(gone, diag.Pos{}, "x"); p.Code != diag.ExitInterrupted || !errors.Is(p, context.Canceled) {
		t.Error(p)
	}
	late, cancel := context.WithTimeout(live, -1)
	defer cancel()
	if p := Stopped(late, diag.Pos{}, "x"); p.Code != diag.ExitComponent {
		t.Error(p)
	}
}

type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return 0, errors.New("nobody reads")
}

func TestLines(t *testing.T) {
	var got writes
	l := NewLines(&got)
	long := strings.Repeat("x", maxLine+10)
	for _, s := range []string{"a", "b\nc\n", "", "d" + "\n" + long, "tail"} {
		if n, err := l.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", s, n, err)
		}
	}
	_ = l.Close()
	_ = l.Close()
	want := []string{"ab\n", "c\n", "d\n", long, "tail\n"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %d writes: %.80q", len(got), got)
	}
}
