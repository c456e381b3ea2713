package main

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/devs/deploy/pkg/image/sandbox"
)

// TestMain lets the scripts call devs and s: the test binary is both, and the helper
// of their sandboxes.
func TestMain(m *testing.M) {
	if sandbox.Main(os.Args) {
		return
	}
	testscript.Main(m, map[string]func(){
		"devs": func() { os.Exit(run()) },
		"s":    func() { os.Exit(run()) },
	})
}

// busybox is where Debian's package busybox-static has its program. Images of the
// scripts are FROM scratch with it in them, so that they need no registry.
const busybox = "/bin/busybox"

// TestScripts runs testdata/script: what a user types, and what must come of it.
// Scripts have the conditions [root], and [busybox] for a static one in $BUSYBOX.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			root, err := filepath.Abs(filepath.Join("..", ".."))
			if err != nil {
				return err
			}
			env.Setenv("ROOT", root)
			env.Setenv("BUSYBOX", busybox)
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			// Hooks of the scripts build and install with the caches of the machine.
			for _, name := range []string{"GOMODCACHE", "GOCACHE", "GOPROXY", "GOFLAGS"} {
				out, err := exec.Command("go", "env", name).Output()
				if err != nil {
					return err
				}
				env.Setenv(name, string(out[:len(out)-1]))
			}
			env.Setenv("npm_config_cache", filepath.Join(os.TempDir(), "devs-test-npm"))
			for _, name := range []string{"npm_config_registry", "NPM_CONFIG_REGISTRY", "NPM_CONFIG_USERCONFIG", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "no_proxy"} {
				if value, ok := os.LookupEnv(name); ok {
					env.Setenv(name, value)
				}
			}
			return os.MkdirAll(filepath.Join(env.WorkDir, "home"), 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
		},
		Condition: condition,
	})
}

// condition decides the conditions of the scripts that testscript does not have.
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Getuid() == 0, nil
	case "busybox":
		return isStatic(busybox), nil
	}
	return false, fmt.Errorf("there is no condition [%s]", name)
}

// isStatic reports whether a file is a program that needs no loader, and so runs in
// an image that has nothing else.
func isStatic(file string) bool {
	program, err := elf.Open(file)
	if err != nil {
		return false
	}
	defer program.Close()
	return !slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// exits runs `exits CODE command args…` and fails unless that is the exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command args...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if exit, ok := err.(*exec.ExitError); ok {
		code = exit.ProcessState.String()[len("exit status "):]
	} else if err != nil {
		ts.Fatalf("running %s: %v", args[1], err)
	}
	if code != args[0] {
		ts.Fatalf("%s exited with %s, want %s", args[1], code, args[0])
	}
}
