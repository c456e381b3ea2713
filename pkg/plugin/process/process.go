// Package process runs one program of the user, with all that it starts, as a
// unit that can be stopped. It knows processes and nothing of what they are for.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/devs/deploy/pkg/diag"
)

// DefaultGrace is how long a program may take to end after SIGTERM, and how long
// output is read that its children keep open after its own end.
const DefaultGrace = 5 * time.Second

// ErrLeftRunning says that the program itself ended well but left a process behind
// that still held its output open. That process goes on; nobody reads its output.
var ErrLeftRunning = errors.New("a process was left running in the background")

// ExitError says that a program ended with something else than exit code 0.
type ExitError struct {
	Code   int            // 1 to 255; 128 + the signal's number when a signal ended it
	Signal syscall.Signal // 0 when it ended by itself
}

// Error returns "exit code N", with the signal's name when one ended the program.
func (e *ExitError) Error() string {
	if e.Signal != 0 {
		return fmt.Sprintf("exit code %d (%s)", e.Code, e.Signal)
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// Command is one program to run.
type Command struct {
	Path   string   // the file, absolute; PATH is not searched
	Args   []string // without the program's name
	Dir    string   // working directory, absolute
	Env    []string // the complete environment; PWD is set to Dir
	Stdin  io.Reader
	Stdout io.Writer // the same as Stderr: one pipe, the order is kept
	Stderr io.Writer

	// Terminal is the standard input instead of Stdin. The program then stays in
	// our process group, so that it may read from the terminal and gets the
	// terminal's signals; a cancelled context reaches only the program itself.
	Terminal *os.File

	Grace time.Duration // 0 means DefaultGrace
}

// Run runs the program and waits for it. When ctx ends first, SIGTERM goes to the
// program's process group, SIGKILL to what is left of it after the grace, and the
// cause of ctx is returned. Otherwise the error is an *ExitError, ErrLeftRunning,
// or what kept the program from being started.
func (c Command) Run(ctx context.Context) error {
	grace := c.Grace
	if grace == 0 {
		grace = DefaultGrace
	}
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Dir = c.Dir
	cmd.Env = append(withoutPWD(c.Env), "PWD="+c.Dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.WaitDelay = grace
	group := -1 // sign of the process id that signals go to: the group's
	if c.Terminal != nil {
		cmd.Stdin, group = c.Terminal, 1
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: group < 0}
	var deadline time.Time
	cmd.Cancel = func() error {
		deadline = time.Now().Add(grace)
		err := syscall.Kill(group*cmd.Process.Pid, syscall.SIGTERM)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	err := cmd.Wait()
	if err != nil && !deadline.IsZero() {
		if group < 0 {
			endGroup(cmd.Process.Pid, deadline)
		}
		return context.Cause(ctx)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return ErrLeftRunning
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exitError(exit)
	}
	return err
}

// endGroup gives the group of pid until deadline to end, then kills it.
func endGroup(pid int, deadline time.Time) {
	for time.Now().Before(deadline) {
		if errors.Is(syscall.Kill(-pid, 0), syscall.ESRCH) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL) // ESRCH: it just ended
}

func exitError(exit *exec.ExitError) *ExitError {
	status, ok := exit.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return &ExitError{Code: 128 + int(status.Signal()), Signal: status.Signal()}
	}
	return &ExitError{Code: exit.ExitCode()}
}

func withoutPWD(env []string) []string {
	kept := make([]string, 0, len(env)+1)
	for _, e := range env {
		if !strings.HasPrefix(e, "PWD=") {
			kept = append(kept, e)
		}
	}
	return kept
}

// Stopped returns the Problem of a program that was stopped because ctx ended, or
// nil when ctx has not ended. A time limit is a failure (exit code 101), any other
// end an interruption (130).
func Stopped(ctx context.Context, pos diag.Pos, what string) *diag.Problem {
	switch {
	case ctx.Err() == nil:
		return nil
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return diag.At(pos, "%s did not end within its time limit and was stopped", what).
			WithCode(diag.ExitComponent).WithCause(context.Cause(ctx))
	}
	return diag.At(pos, "%s was interrupted", what).
		WithCode(diag.ExitInterrupted).WithCause(context.Cause(ctx))
}

// Abs returns path as it is when it is absolute, else joined to dir.
func Abs(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
