package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/devs/deploy/pkg/diag"
)

// Custom runtimes are servers with a port of their own choice, often the same
// 9000. One instance, with as many requests at a time as come, serves a function;
// functions that want the same port take turns: an idle holder is stopped, a busy
// one is waited for. A network namespace for each would need privileges and would
// cut functions off from the network.

// port returns the port of a custom runtime.
func (f Function) port() int {
	if f.CAPort == 0 {
		return 9000
	}
	return f.CAPort
}

func localAddr(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// checkPort reports a port that cannot be listened on, because some program that
// is not ours holds it or because this user may not.
func checkPort(fn Function, port int) error {
	if port < 1 || port > 65535 {
		return diag.Errorf("function %s has caPort %d, which is not a port", fn.FuncName, port)
	}
	l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return diag.Errorf("function %s needs port %d, which another program on this machine is using", fn.FuncName, port).
			WithHint("stop that program, or give the function another caPort").WithCause(err)
	}
	return diag.Errorf("function %s cannot listen on port %d: %v", fn.FuncName, port, err).
		WithHint("give the function a caPort of 1024 or more").WithCause(err)
}

// awaitPort returns nil when the instance's port answers. A process that ends
// first, or does not listen in time, is a failure of the function.
func (p *Pool) awaitPort(ctx context.Context, inst *instance) (*Result, error) {
	start := p.cfg.Now()
	bounded, cancel := context.WithTimeoutCause(ctx, p.cfg.StartTimeout, errTimeout)
	defer cancel()
	dial := dialLocal(inst.port)
	for {
		if conn, err := dial(bounded, "tcp", ""); err == nil {
			return nil, conn.Close()
		}
		message := ""
		select {
		case <-inst.proc.over():
			message = fmt.Sprintf("Process exited unexpectedly before it listened on port %d (%s)", inst.port, inst.proc.how())
		case <-bounded.Done():
			p.discard(inst)
			if ctx.Err() != nil {
				return nil, fmt.Errorf("starting function %s: %w", inst.fn.FuncName, context.Cause(ctx))
			}
			message = fmt.Sprintf("Function instance did not listen on port %d in %d seconds", inst.port, seconds(p.cfg.StartTimeout))
		case <-time.After(10 * time.Millisecond):
			continue
		}
		inst.log.sync()
		return &Result{InstanceID: inst.id, ErrorType: Unhandled, Body: errorBody(message), Log: tail(inst.log.since(0)),
			Duration: p.cfg.Now().Sub(start), MemoryMB: int(inst.peak() >> 20)}, nil
	}
}

// customCommand returns the command of a custom runtime: the configured one, or
// the file bootstrap of the code. Paths below /code mean the code folder.
func (p *Pool) customCommand(inst *instance) ([]string, error) {
	fn := inst.fn
	if len(fn.Command) > 0 && fn.Command[0] != "" {
		argv := make([]string, len(fn.Command))
		for i, arg := range fn.Command {
			argv[i] = localPath(arg, fn.CodeDir)
		}
		return p.program(inst, argv)
	}
	path := filepath.Join(fn.CodeDir, "bootstrap")
	if _, err := os.Stat(path); err != nil {
		return nil, diag.Errorf("function %s has no file bootstrap in its code", fn.FuncName).
			WithHint("add an executable bootstrap that starts the server on port %d, or set customRuntimeConfig.command", inst.port)
	}
	return p.program(inst, []string{path})
}

// program completes a command line: names without a slash are files of the code or
// on PATH; a file that is not executable is run nevertheless, without touching the
// code: a script by its interpreter, anything else from a copy.
func (p *Pool) program(inst *instance, argv []string) ([]string, error) {
	path := argv[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(inst.fn.CodeDir, path)
	}
	info, err := os.Stat(path)
	if err != nil && !strings.Contains(argv[0], "/") {
		if path, err = p.cfg.LookPath(argv[0]); err == nil {
			return append([]string{path}, argv[1:]...), nil
		}
	}
	if err != nil || !info.Mode().IsRegular() {
		return nil, diag.Errorf("function %s has the command %s, and there is no such program", inst.fn.FuncName, argv[0]).
			WithHint("check customRuntimeConfig.command; the code is at %s in the cloud", codeRoot)
	}
	shebang, err := shebangOf(path)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(shebang, "\r") {
		return nil, diag.Errorf("%s of function %s has Windows line ends, which its interpreter does not find", filepath.Base(path), inst.fn.FuncName).
			WithHint("save it with line feeds only")
	}
	argv = append([]string{path}, argv[1:]...)
	if info.Mode()&0o111 != 0 {
		return argv, nil
	}
	p.note("%s of function %s is not executable: in the cloud it would not start", filepath.Base(path), inst.fn.FuncName)
	if fields := strings.SplitN(strings.TrimSpace(shebang), " ", 2); fields[0] != "" {
		return append(fields, argv...), nil
	}
	argv[0] = filepath.Join(inst.dir, filepath.Base(path))
	return argv, copyProgram(argv[0], path)
}

// shebangOf returns what stands after #! in the first line of a file, at most 255
// bytes as in the kernel.
func shebangOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the program of a function: %w", err)
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 257))
	if err != nil {
		return "", fmt.Errorf("reading the program of a function: %w", err)
	}
	line, ok := bytes.CutPrefix(head, []byte("#!"))
	if !ok {
		return "", nil
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	return string(line), nil
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying the program of a function: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return fmt.Errorf("copying the program of a function: %w", err)
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copying the program of a function: %w", err)
	}
	return out.Close()
}
