package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long killed processes may take to go.
const patience = 20 * time.Second

// family is the command and what it started.
type family struct {
	main int
	kin  *kin // nil in an own process namespace, whose end is the end of all

	mu    sync.Mutex
	ended bool // the main process was reaped, its number may be another's
}

// kill ends the main process; wait does the rest.
func (f *family) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		_ = unix.Kill(f.main, unix.SIGKILL)
	}
}

// wait reaps until the main process has ended, then kills what it left.
func (f *family) wait() status {
	for {
		// Look without reaping, and reap under the lock: kill never meets a number that
		// is free again.
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return status{Error: fmt.Sprintf("waiting for the command: %v", err)}
		}
		if s, ended := f.reap(); ended {
			if err := f.killRest(); err != nil {
				return status{Error: err.Error()}
			}
			return s
		}
	}
}

func (f *family) reap() (s status, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		var w unix.WaitStatus
		pid, err := unix.Wait4(-1, &w, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return status{}, false
		}
		if pid != f.main {
			continue
		}
		f.ended = true
		if w.Signaled() {
			return status{Code: 128 + int(w.Signal()), Signal: int(w.Signal())}, true
		}
		return status{Code: w.ExitStatus()}, true
	}
}

// killRest kills until nothing is left: killing a process gives us its children.
func (f *family) killRest() error {
	if f.kin == nil {
		return nil
	}
	deadline := time.Now().Add(patience)
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if errors.Is(err, unix.ECHILD) {
			return nil
		}
		if pid > 0 {
			continue
		}
		children, err := f.kin.children()
		if err != nil {
			return err
		}
		for _, pid := range children {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes that the command left running cannot be killed", len(children))
		}
		time.Sleep(time.Millisecond)
	}
}

// kin finds the children of this process; it works after a chroot.
type kin struct{ proc *os.Root }

func openKin() (*kin, error) {
	proc, err := os.OpenRoot("/proc")
	if err != nil {
		return nil, fmt.Errorf("opening /proc: %w", err)
	}
	return &kin{proc}, nil
}

func (k *kin) children() ([]int, error) {
	dir, err := k.proc.Open(".")
	if err != nil {
		return nil, fmt.Errorf("opening /proc: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("reading /proc: %w", err)
	}
	var found []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err == nil && k.parent(name) == os.Getpid() {
			found = append(found, pid)
		}
	}
	return found, nil
}

// parent returns the parent of a process, or 0 when it is gone.
func (k *kin) parent(pid string) int {
	file, err := k.proc.Open(pid + "/stat")
	if err != nil {
		return 0
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 4096))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold anything: "pid (name) state ppid ...".
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return parent
}
