package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/stream"
)

func TestNeedlessS(t *testing.T) {
	const self, npm = "/opt/devs/devs", "/usr/local/lib/node_modules/@serverless-devs/s/bin/s"
	for _, c := range []struct {
		found []string
		want  bool
	}{
		{nil, false},
		{[]string{self}, false},
		{[]string{self, self}, false},
		{[]string{self, "/usr/bin/other-s"}, false},
		{[]string{npm}, false},
		{[]string{npm, self}, false}, // s is theirs
		{[]string{self, npm}, true},
		{[]string{self, self, npm}, true},
	} {
		if got := needlessS(c.found, self); got != c.want {
			t.Errorf("%v: %v", c.found, got)
		}
	}
}

// A job of a CI is told once; nested calls, other machines and --silent never.
func TestTellOfNPM(t *testing.T) {
	dir := t.TempDir()
	self := filepath.Join(dir, "ours", "devs")
	npm := filepath.Join(dir, "lib", "node_modules", "@serverless-devs", "s", "bin", "s")
	for _, file := range []string{self, npm} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"ours/s": "devs", "bin/s": "../lib/node_modules/@serverless-devs/s/bin/s"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	path := "PATH=" + filepath.Join(dir, "ours") + ":" + filepath.Join(dir, "bin")
	tells := func(args []string, environ ...string) bool {
		t.Helper()
		var out, err bytes.Buffer
		code := Main(t.Context(), &Env{
			Args: args, IO: &stream.IO{In: strings.NewReader(""), Out: &out, Err: &err},
			Environ: append(environ, path, "RUNNER_TEMP="+dir), Dir: dir, Executable: filepath.Join(dir, "ours", "s"), Version: "1", Now: time.Now,
		})
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, err.String())
		}
		told := strings.Count(err.String(), "npm install -g @serverless-devs/s is not needed here: s is devs\n")
		if told > 1 || strings.Contains(out.String(), "npm") {
			t.Errorf("told %d times", told)
		}
		return told == 1
	}
	version := []string{"version"}
	if tells(version) || tells(version, "CI=true", envNested+"=1", "GITHUB_RUN_ID=7") {
		t.Error("told without a CI, or in a hook")
	}
	if !tells(version, "CI=true", "GITHUB_RUN_ID=7") || tells(version, "CI=true", "GITHUB_RUN_ID=7") {
		t.Error("not told once")
	}
	if !tells(version, "CI=true", "GITHUB_RUN_ID=8") {
		t.Error("the next job was not told")
	}
	if tells([]string{"version", "--silent"}, "CI=true", "GITHUB_RUN_ID=9") {
		t.Error("told although it should be silent")
	}
}
