// Package plugin runs programs that extend devs: local executable files that get
// one JSON value on standard input and answer one on standard output. Nothing is
// ever downloaded, and PATH is not searched. A whole component can be such a
// program too. The package knows no application file and no cloud.
package plugin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plugin/process"
)

// MaxAnswer is the most that a program may answer, in bytes.
const MaxAnswer = 16 << 20

// Options says which program to run and how.
type Options struct {
	Path   string        // as the user wrote it, relative to Dir or absolute
	Name   string        // how messages call the program; "" means Path
	Pos    diag.Pos      // where; it is the place of problems and of the answer's values
	Args   []string      // command line, usually none
	Dir    string        // absolute: the application's folder, the working directory
	Env    []string      // complete environment
	Stderr io.Writer     // gets the program's standard error line by line; nil discards
	Grace  time.Duration // between SIGTERM and SIGKILL; 0 means process.DefaultGrace
}

// Run hands input to the program as JSON, with secrets in plain, and returns its
// answer, or nil for an empty or null answer. What is secret in input is secret in
// the answer. A program that fails is a Problem with exit code 101 whose cause is
// a *process.ExitError; a wrong path is one with exit code 100.
func Run(ctx context.Context, o Options, input *app.Value) (*app.Value, error) {
	file, err := resolve(o)
	if err != nil {
		return nil, err
	}
	stdin, err := encode(input)
	if err != nil {
		return nil, err
	}
	stdout, err := execute(ctx, o, file, stdin)
	if err != nil {
		return nil, err
	}
	answer, err := decode(stdout, o.Pos)
	if err != nil {
		return nil, diag.At(o.Pos, "the answer of %s is not usable: %v", o.name(), err).WithCode(diag.ExitComponent).
			WithHint("standard output is for one JSON value alone, or nothing; write messages to standard error")
	}
	return settle(answer, input), nil
}

func execute(ctx context.Context, o Options, file string, stdin []byte) ([]byte, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	stdout := &limited{max: MaxAnswer, full: cancel}
	stderr := process.NewLines(o.Stderr)
	err := process.Command{
		Path: file, Args: o.Args, Dir: o.Dir, Env: o.Env, Grace: o.Grace,
		Stdin: bytes.NewReader(stdin), Stdout: stdout, Stderr: stderr,
	}.Run(inner)
	_ = stderr.Close()
	switch {
	case err == nil, errors.Is(err, process.ErrLeftRunning):
		if !stdout.over {
			return stdout.data, nil
		}
	case ctx.Err() != nil:
		return nil, process.Stopped(ctx, o.Pos, o.name())
	}
	if stdout.over {
		return nil, diag.At(o.Pos, "the answer of %s is larger than %d MiB", o.name(), MaxAnswer>>20).
			WithCode(diag.ExitComponent)
	}
	if exit, ok := errors.AsType[*process.ExitError](err); ok {
		return nil, diag.At(o.Pos, "%s failed with %v", o.name(), exit).WithCode(diag.ExitComponent).
			WithCause(exit).WithHint("%s", exitHint(exit.Code))
	}
	return nil, startProblem(o, file, err)
}

func exitHint(code int) string {
	if code == 127 {
		return "127 mostly means that a program it needs is not installed; its own messages are above"
	}
	return "its own messages are above"
}

// startProblem explains why the system did not start a file that is there and
// executable.
func startProblem(o Options, file string, err error) *diag.Problem {
	p := diag.At(o.Pos, "%s cannot be started: %v", o.name(), cause(err)).WithCause(err)
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return p.WithHint("its first line must name its interpreter, for example #!/usr/bin/env node or #!/bin/sh;%s",
			moduleHint(file))
	case errors.Is(err, fs.ErrNotExist):
		return p.WithHint("the interpreter that its first line names is not installed here, or the line ends in CR LF")
	case errors.Is(err, fs.ErrPermission):
		return p.WithHint("this user may not run the file or its interpreter, or its file system is mounted noexec")
	}
	return p
}

// cause returns the error without path and operation, which the summary names.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

func moduleHint(file string) string {
	if slices.Contains([]string{".js", ".cjs", ".mjs", ".ts"}, filepath.Ext(file)) {
		return " a plugin is a program that reads JSON from standard input and prints its answer, not a module that exports a function"
	}
	return " or build it for this system"
}

// resolve returns the file that o.Path names. A name without a slash is a file in
// o.Dir too: PATH is not searched, so that a plugin never becomes a program of the
// system that happens to have its name.
func resolve(o Options) (string, error) {
	if strings.TrimSpace(o.Path) == "" || strings.ContainsRune(o.Path, 0) {
		return "", diag.At(o.Pos, "the name of the program is empty or not a file name").
			WithHint("write the path of an executable file, for example ./plugins/tag")
	}
	file := process.Abs(o.Dir, o.Path)
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return "", diag.At(o.Pos, "there is no file %s", o.name()).WithCause(err).WithHint(
			"devs runs local executable files and downloads no plugins or components: write the path of the file, relative to the application's folder, for example ./plugins/%s", filepath.Base(o.name()))
	case err != nil:
		return "", diag.At(o.Pos, "%s cannot be read: %v", o.name(), cause(err)).WithCause(err)
	case info.IsDir():
		return "", diag.At(o.Pos, "%s is a folder", o.name()).WithHint(
			"devs runs one executable file: write its path, for example %s/main", strings.TrimRight(o.name(), "/"))
	case !info.Mode().IsRegular():
		return "", diag.At(o.Pos, "%s is not a regular file", o.name()).WithHint("write the path of an executable file")
	case info.Mode()&0o111 == 0:
		return "", diag.At(o.Pos, "%s is not executable", o.name()).WithHint(
			"run chmod +x %s (and git update-index --chmod=+x, so that checkouts keep it); a script needs a first line such as #!/usr/bin/env node", o.name())
	}
	return file, nil
}

// name returns the program as messages call it.
func (o Options) name() string {
	if o.Name != "" {
		return o.Name
	}
	return o.Path
}

// IsPath reports whether the name of a component means a local file: it begins
// with ./, ../ or /.
func IsPath(name string) bool {
	return strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") || filepath.IsAbs(name)
}

// limited keeps up to max bytes; when there are more it drops all and calls full.
type limited struct {
	data []byte
	max  int
	over bool
	full func()
}

// Write never fails; what is too much is dropped.
func (l *limited) Write(p []byte) (int, error) {
	if l.over {
		return len(p), nil
	}
	if len(l.data)+len(p) > l.max {
		l.over, l.data = true, nil
		l.full()
		return len(p), nil
	}
	l.data = append(l.data, p...)
	return len(p), nil
}
