package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts call devs and s: the test binary is both.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"devs": func() { os.Exit(run()) },
		"s":    func() { os.Exit(run()) },
	})
}

// TestScripts runs testdata/script: what a user types, and what must come of it.
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
	})
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
