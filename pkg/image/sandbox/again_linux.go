package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The two ways in which this program is in a user namespace: waiting for its ids, as
// the name of the program, and having them, as a variable of the environment.
const (
	waitingName = "devs-sandbox-ids"
	mappedMark  = "DEVS_SANDBOX_MAPPED"
)

// Again runs this program again, as root of a user namespace in which the ids that
// /etc/subuid and /etc/subgid give to this user are those from 1 on. There, files can
// get any owner, and commands run at the level Namespaces. reason tells why that is not
// possible; nothing has been done then. The error is an *ExitError when the program
// ended with another code than 0.
func Again(ctx context.Context, cfg Config, c Command) (reason string, err error) {
	want, forced, err := ParseLevel(cfg.Isolation)
	switch {
	case err != nil || forced && want != Namespaces:
		return "the isolation is " + cfg.Isolation, nil
	case os.Geteuid() == 0:
		return "root needs none", nil
	}
	ids, reason := findMapping(cfg.LookPath)
	if reason != "" {
		return reason, nil
	}
	lifeRead, lifeline, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("making a pipe: %w", err)
	}
	defer lifeline.Close()
	statusRead, statusWrite, err := os.Pipe()
	if err != nil {
		lifeRead.Close()
		return "", fmt.Errorf("making a pipe: %w", err)
	}
	defer statusRead.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{waitingName}, c.Args...), Env: c.Env, Dir: c.Dir,
		Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr,
		ExtraFiles: []*os.File{lifeRead, statusWrite}, // jobFD, statusFD
		// An own session: a signal of the terminal reaches the build once, through us.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWUSER},
		WaitDelay:   time.Minute,
	}
	err = cmd.Start()
	lifeRead.Close()
	statusWrite.Close()
	if err != nil {
		return fmt.Sprintf("user namespaces are not permitted: %v", err), nil
	}
	if err := ids.write(cmd.Process.Pid); err != nil {
		lifeline.Close()
		_ = cmd.Wait()
		return err.Error(), nil
	}
	return watch(ctx, cmd, lifeline, statusRead)
}

// watch lets the program begin, hears whether it can, and waits for its end. When ctx
// ends the program is told to end.
func watch(ctx context.Context, cmd *exec.Cmd, lifeline, statusRead *os.File) (reason string, err error) {
	err = hide() // commands are this user
	if err == nil {
		_, err = lifeline.Write([]byte{1})
	}
	if err != nil {
		lifeline.Close()
		return "", errors.Join(fmt.Errorf("starting the build in a user namespace: %w", err), cmd.Wait())
	}
	stop := context.AfterFunc(ctx, func() { lifeline.Close() })
	defer stop()
	var s status
	heard := json.NewDecoder(statusRead).Decode(&s)
	err = cmd.Wait()
	switch exit := (*exec.ExitError)(nil); {
	case ctx.Err() != nil && (err == nil || !errors.As(err, &exit) || exit.ExitCode() < 0):
		return "", context.Cause(ctx)
	case heard != nil:
		return fmt.Sprintf("the program did not start in a user namespace: %v", errors.Join(err, heard)), nil
	case s.Error != "":
		return s.Error, nil
	case errors.As(err, &exit) && exit.ExitCode() < 0:
		wait, _ := exit.Sys().(syscall.WaitStatus)
		return "", &ExitError{Code: 128 + int(wait.Signal()), Signal: int(wait.Signal())}
	case errors.As(err, &exit):
		return "", &ExitError{Code: exit.ExitCode()}
	}
	return "", err
}

// again does its part of Main for a program that is in a user namespace.
func again(args []string) (handled bool) {
	if len(args) > 1 && path.Base(args[0]) == waitingName {
		awaitIDs(args[1:])
		return true
	}
	if os.Getenv(mappedMark) == "" {
		return false
	}
	_ = os.Unsetenv(mappedMark)
	unix.CloseOnExec(jobFD)
	unix.CloseOnExec(statusFD)
	var s status
	if box := Probe(Config{Isolation: Namespaces.String()}); box.Err() != nil {
		s.Error = box.unable()
	}
	out := os.NewFile(statusFD, "status")
	_ = json.NewEncoder(out).Encode(s)
	out.Close()
	if s.Error != "" {
		return true
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(jobFD, "lifeline"))
		_ = unix.Kill(os.Getpid(), unix.SIGTERM) // who started us is gone, or wants us to go
	}()
	return false
}

// awaitIDs waits until this process has its ids and executes the program once more: a
// program that is root when it begins has all rights of the namespace.
func awaitIDs(args []string) {
	if n, err := unix.Read(jobFD, make([]byte, 1)); n != 1 || err != nil {
		return
	}
	err := unix.Exec("/proc/self/exe", args, append(os.Environ(), mappedMark+"=1"))
	_ = json.NewEncoder(os.NewFile(statusFD, "status")).Encode(status{Error: fmt.Sprintf("starting the program in a user namespace: %v", err)})
}
