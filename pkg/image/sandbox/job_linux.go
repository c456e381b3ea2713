package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// helperName is argument 0 of the helper: the product, started by itself.
const helperName = "devs-sandbox"

// The files that the helper finds open beside its standard ones.
const (
	jobFD    = 3 // a job as JSON; its end of file means: kill everything
	statusFD = 4 // takes one status as JSON
)

// job is what the helper has to do.
type job struct {
	Level  Level
	Probe  bool   // only prepare, start nothing
	Root   string // folder that becomes the root of the command; "/" stays as it is
	Mounts []Mount
	Keep   uint64 // capabilities that commands may have, as a bit set
	Args   []string
	Env    []string
	Dir    string
	UID    int
	GID    int
	Groups []int
	NoNet  bool // bring up the loopback device of an own network

	wrap []string // the program and arguments that start the helper in the image (proot)
}

// status is the end of a job.
type status struct {
	Error  string // the helper failed before the command was started
	Code   int
	Signal int
	Reason string // why the command did not start
}

func (s status) err() error {
	switch {
	case s.Error != "":
		return errors.New(s.Error)
	case s.Code != 0:
		return &ExitError{Code: s.Code, Signal: s.Signal, Reason: s.Reason}
	}
	return nil
}

// Process is a command that runs.
type Process struct {
	cmd      *exec.Cmd
	lifeline *os.File
	once     sync.Once
	done     chan struct{}
	err      error             // valid when done is closed
	finish   func(error) error // tidies up; takes and returns the result
}

// Wait waits for the end of the command and of all that it started. The error is an
// *ExitError when the command itself failed.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Done is closed when the command and all that it started have ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the command and all that it started; Wait returns afterwards.
func (p *Process) Kill() { p.once.Do(func() { p.lifeline.Close() }) }

// launch starts the helper with a job and the input and output of a command. The helper
// holds the file held, if any, to its end. At the end finish, when there is one, turns
// the result into that of Wait.
func launch(j job, c Command, held *os.File, finish func(error) error) (*Process, error) {
	jobRead, jobWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	defer jobRead.Close()
	statusRead, statusWrite, err := os.Pipe()
	if err != nil {
		jobWrite.Close()
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	defer statusWrite.Close()
	cmd := &exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        []string{helperName},
		Env:         []string{},
		Dir:         "/",
		Stdout:      c.Stdout,
		Stderr:      c.Stderr,
		ExtraFiles:  []*os.File{jobRead, statusWrite},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
		WaitDelay:   time.Minute,
	}
	if j.wrap != nil {
		cmd.Path, cmd.Args = j.wrap[0], j.wrap
	}
	if held != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, held)
	}
	if j.Level == Namespaces {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
		if j.NoNet {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWNET
		}
	}
	closeInput, err := feed(cmd, c.Stdin)
	if err == nil {
		err = cmd.Start()
		closeInput()
	}
	if err != nil {
		jobWrite.Close()
		statusRead.Close()
		return nil, fmt.Errorf("starting the sandbox: %w", err)
	}
	p := &Process{cmd: cmd, lifeline: jobWrite, done: make(chan struct{}), finish: finish}
	go p.serve(j, statusRead)
	return p, nil
}

// feed gives the command its standard input. Unlike that of package exec, its copying
// does not hold up the end: a reader may never return.
func feed(cmd *exec.Cmd, stdin io.Reader) (closeInput func(), err error) {
	if stdin == nil {
		return func() {}, nil
	}
	if file, ok := stdin.(*os.File); ok {
		cmd.Stdin = file
		return func() {}, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	cmd.Stdin = r
	go func() {
		_, _ = io.Copy(w, stdin)
		w.Close()
	}()
	return func() { r.Close() }, nil
}

// serve gives the helper its job and waits for both ends: the status and the process.
func (p *Process) serve(j job, statusRead *os.File) {
	defer close(p.done)
	encoded := json.NewEncoder(p.lifeline).Encode(j)
	var s status
	decoded := json.NewDecoder(statusRead).Decode(&s)
	statusRead.Close()
	waited := p.cmd.Wait()
	p.Kill()
	switch {
	case decoded == nil:
		p.err = s.err()
	case encoded != nil:
		p.err = fmt.Errorf("telling the sandbox what to do: %w", encoded)
	case waited != nil:
		p.err = fmt.Errorf("the sandbox was killed: %w", waited)
	default:
		p.err = fmt.Errorf("reading the end of the command: %w", decoded)
	}
	if p.finish != nil {
		p.err = p.finish(p.err)
	}
}
