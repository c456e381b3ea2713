// Command devs deploys serverless applications from CI. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/devs/deploy/pkg/cli"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/stream"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(run()) }

func run() int {
	if sandbox.Main(os.Args) { // this process is the helper of a sandbox
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	stdout := os.Stdout
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		// The cloud's SDK prints requests with their keys to os.Stdout when the
		// environment has DEBUG=tea.
		os.Stdout = null
	}
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: finding the working directory:", err)
		return 100
	}
	executable, err := os.Executable()
	if err != nil {
		executable = os.Args[0]
	}
	_, noColor := os.LookupEnv("NO_COLOR")
	tty := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	env := &cli.Env{
		Args: os.Args[1:],
		IO: &stream.IO{
			In: os.Stdin, Out: stdout, Err: os.Stderr,
			InTTY: tty(os.Stdin), OutTTY: tty(stdout), ErrTTY: tty(os.Stderr),
			Color: tty(os.Stderr) && !noColor,
		},
		Environ:    os.Environ(),
		Dir:        dir,
		Executable: executable,
		Version:    version,
		Now:        time.Now,
	}
	if filepath.Base(os.Args[0]) == cli.EntrypointName {
		if program := cli.Entrypoint(env, exec.LookPath); program != "" {
			return become(program, env)
		}
	}
	if temp := cli.TempDir(env, os.TempDir(), "/tmp"); temp != "" {
		_ = os.Setenv("TMPDIR", temp)
		env.Environ = append(env.Environ, "TMPDIR="+temp)
	}
	return cli.Main(ctx, env)
}

// become replaces this process by another program; it returns when that fails, with the
// exit code that shells give.
func become(program string, env *cli.Env) int {
	err := syscall.Exec(program, env.Args, env.Environ)
	fmt.Fprintf(os.Stderr, "error: running %s: %v\n", program, err)
	if errors.Is(err, fs.ErrNotExist) {
		return 127
	}
	return 126
}
