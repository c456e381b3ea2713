package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTempDir(t *testing.T) {
	given, usual, work := t.TempDir(), t.TempDir(), t.TempDir()
	file := filepath.Join(given, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(given, "missing")
	own := filepath.Join(work, ".s", "tmp")
	env := func(dir string, environ ...string) *Env { return &Env{Dir: dir, Environ: environ} }
	for _, c := range []struct {
		title, system string
		env           *Env
		want          string
	}{
		{"the system's is kept", given, env(work, "WORKSPACE_TMP="+t.TempDir()), ""},
		{"the system's is missing", missing, env(work), usual},
		{"the system's is a file", file, env(work), usual},
		{"Jenkins gives one", missing, env(work, "WORKSPACE_TMP="+given, "RUNNER_TEMP="+work), given},
		{"Jenkins gives one that is not there", missing, env(work, "WORKSPACE_TMP="+missing, "RUNNER_TEMP="+work), work},
		{"GitHub gives one", missing, env(work, "RUNNER_TEMP="+given), given},
		{"a relative one counts for nothing", missing, env(work, "RUNNER_TEMP=."), usual},
	} {
		if got := TempDir(c.env, c.system, usual); got != c.want {
			t.Errorf("%s: %q, want %q", c.title, got, c.want)
		}
		if _, err := os.Lstat(own); err == nil {
			t.Errorf("%s: %s was made, and nobody needs it", c.title, own)
		}
	}
	if got := TempDir(env(work), missing, missing); got != own || !writable(own) {
		t.Errorf("without any: %q, want %q", got, own)
	}
	if got := TempDir(env(file), missing, missing); got != "" {
		t.Errorf("where nothing can be made: %q", got)
	}
}
