package runner

import (
	"bytes"
	"context"
	_ "embed" // the bridge scripts
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/diag"
)

//go:embed bridge.py
var bridgePy string

//go:embed bridge.js
var bridgeJS string

// kind is a family of runtimes that are run in the same way.
type kind int

const (
	python kind = iota
	node
	custom    // a server in a package
	container // a server in an image
	job       // an image that runs once for each event
)

// bridge reports whether a bridge script loads the function.
func (k kind) bridge() bool { return k == python || k == node }

// server reports whether the function is a server with a port.
func (k kind) server() bool { return k == custom || k == container }

// contained reports whether the function is an image.
func (k kind) contained() bool { return k == container || k == job }

// Supported reports whether functions of a runtime can be run here, as far as
// this program is concerned: an interpreter may still be missing. The error is a
// diag.Problem that says what to use instead.
func Supported(runtime string) error {
	_, err := kindOf(Function{Runtime: runtime})
	return err
}

var pythonRuntime = regexp.MustCompile(`^python[23](\.[0-9]{1,2})?$`)
var nodeRuntime = regexp.MustCompile(`^nodejs[0-9.]*$`)

func kindOf(fn Function) (kind, error) {
	rt := fn.Runtime
	switch {
	case pythonRuntime.MatchString(rt):
		return python, nil
	case nodeRuntime.MatchString(rt):
		return node, nil
	case rt == "custom" || strings.HasPrefix(rt, "custom.debian"):
		return custom, nil
	case rt == "custom-container" && fn.RunOnce:
		return job, nil
	case rt == "custom-container":
		return container, nil
	}
	const hint = "supported here are python*, nodejs* and custom*; a custom runtime (a bootstrap file that serves HTTP) runs any language"
	switch {
	case strings.HasPrefix(rt, "java"), strings.HasPrefix(rt, "php"), rt == "go1", strings.HasPrefix(rt, "dotnetcore"):
		return 0, diag.Errorf("runtime %s cannot run here: its function library has no local runner", rt).WithHint(hint)
	}
	return 0, diag.Errorf("runtime %q is not known", rt).WithHint(hint)
}

// interpreter is one that was found and has answered.
type interpreter struct {
	path    string
	version string // 3.11, v20.20.2
}

// probes print the version and the program itself: wrappers such as pyenv's cost
// more than the interpreter's own start.
const (
	probePython = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
	probeNode   = "console.log(process.version); console.log(process.execPath)"
)

// interpreter returns the best interpreter for the runtime on this machine.
func (p *Pool) interpreter(ctx context.Context, runtime string) (interpreter, error) {
	p.mu.Lock()
	known, ok := p.found[runtime]
	p.mu.Unlock()
	if ok {
		return known, nil
	}
	var found interpreter
	var err error
	if strings.HasPrefix(runtime, "python") {
		found, err = p.findPython(ctx, runtime)
	} else {
		found, err = p.findNode(ctx, runtime)
	}
	if err != nil {
		return found, err
	}
	p.mu.Lock()
	p.found[runtime] = found
	p.mu.Unlock()
	return found, nil
}

func (p *Pool) findPython(ctx context.Context, runtime string) (interpreter, error) {
	names := []string{runtime}
	if major := runtime[:len("python3")]; major != runtime {
		names = append(names, major)
	}
	for _, name := range names {
		found, ok := p.probe(ctx, name, "-c", probePython)
		if !ok || !strings.HasPrefix(found.version, runtime[len("python"):len("python3")]) {
			continue
		}
		if want := strings.TrimPrefix(runtime, "python"); strings.Contains(want, ".") && want != found.version {
			p.note("there is no %s on this machine: its functions run with Python %s", runtime, found.version)
		}
		return found, nil
	}
	return interpreter{}, diag.Errorf("runtime %s needs %s on PATH, and there is none that works", runtime, strings.Join(names, " or ")).
		WithHint("install Python, or add its folder to PATH")
}

func (p *Pool) findNode(ctx context.Context, runtime string) (interpreter, error) {
	for _, name := range []string{"node", "nodejs"} {
		found, ok := p.probe(ctx, name, "-e", probeNode)
		if !ok {
			continue
		}
		if want := strings.TrimPrefix(runtime, "nodejs"); want != "" && !strings.HasPrefix(found.version, "v"+want+".") {
			p.note("there is no %s on this machine: its functions run with Node.js %s", runtime, found.version)
		}
		return found, nil
	}
	return interpreter{}, diag.Errorf("runtime %s needs node on PATH, and there is none that works", runtime).
		WithHint("install Node.js 14 or newer, or add its folder to PATH")
}

func (p *Pool) probe(ctx context.Context, name string, args ...string) (interpreter, bool) {
	path, err := p.cfg.LookPath(name)
	if err != nil {
		return interpreter{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append([]string{}, p.cfg.Env...)
	cmd.Dir = p.dir
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	lines := strings.Split(string(bytes.TrimSpace(out)), "\n")
	if err != nil || len(lines) != 2 || !filepath.IsAbs(strings.TrimSpace(lines[1])) {
		return interpreter{}, false
	}
	return interpreter{version: strings.TrimSpace(lines[0]), path: strings.TrimSpace(lines[1])}, true
}

// command returns the instance's command with its environment.
func (p *Pool) command(ctx context.Context, inst *instance) (*exec.Cmd, error) {
	if err := checkFunction(inst.fn); err != nil {
		return nil, err
	}
	var argv []string
	switch inst.kind {
	case custom:
		var err error
		if argv, err = p.customCommand(inst); err != nil {
			return nil, err
		}
		if err := p.takePort(ctx, inst); err != nil {
			return nil, err
		}
	default:
		found, err := p.interpreter(ctx, inst.fn.Runtime)
		if err != nil {
			return nil, err
		}
		script := map[kind]string{python: "bridge.py", node: "bridge.js"}[inst.kind]
		argv = []string{found.path, filepath.Join(p.dir, script)}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environment(p.cfg.Env, inst)
	return cmd, nil
}

// checkFunction refuses what cannot be passed on to a process.
func checkFunction(fn Function) error {
	if err := checkTexts(fn); err != nil {
		return err
	}
	if info, err := os.Stat(fn.CodeDir); err != nil || !info.IsDir() {
		return fmt.Errorf("finding the code of function %s: %s is not a folder", fn.FuncName, fn.CodeDir)
	}
	return nil
}

func checkTexts(fn Function) error {
	for _, text := range []string{fn.Handler, fn.Init, fn.ServiceName, fn.FuncName, fn.Qualifier, fn.VersionID,
		fn.Region, fn.AccountID, fn.LogProject, fn.LogStore} {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return diag.Errorf("function %q has a control character in %q", fn.FuncName, text)
		}
	}
	for k, v := range fn.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.Contains(v, "\x00") {
			return diag.Errorf("function %s has an environment variable %q that no process can have", fn.FuncName, k)
		}
	}
	return nil
}
