package spec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/spec"
)

func TestLoadDotEnv(t *testing.T) {
	dir := t.TempDir()
	if env, err := spec.LoadDotEnv(dir); err != nil || len(env) != 0 {
		t.Errorf("no file: %v, %v", env, err)
	}
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("\ufeff# comment\nA=1\nexport B='two words'\nPASSWORD=pa$$w$WORD$1\nQ=\"x$WORD y\"\nHOST=h\nURL=http://${HOST}/$HOST\nRAW='$HOST'\nEMPTY=\r\nLINES=\"a\nb\"\n")
	env, err := spec.LoadDotEnv(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"A": "1", "B": "two words", "PASSWORD": "pa$$w$WORD$1", "Q": "x$WORD y", "HOST": "h",
		"URL": "http://h/h", "RAW": "$HOST", "EMPTY": "", "LINES": "a\nb",
	}
	if diff := cmp.Diff(want, env); diff != "" {
		t.Error(diff)
	}
	look := spec.WithDotEnv(func(name string) (string, bool) { return "process", name == "A" }, env)
	for name, want := range map[string]string{"A": "process", "HOST": "h", "NOPE": ""} {
		if got, ok := look(name); got != want || ok != (name != "NOPE") {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
	write("A=1\nthis is s3cret\nB=2\n")
	_, err = spec.LoadDotEnv(dir)
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.HasSuffix(err.Error(), ".env:2: the line is not NAME=value") {
		t.Errorf("got %v", err)
	}
}
