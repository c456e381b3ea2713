package hook

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		``:                               nil,
		"  \t\n":                         nil,
		`fc build`:                       {"fc", "build"},
		` fc   invoke -e '{}' `:          {"fc", "invoke", "-e", "{}"},
		`fc invoke -e '{"a": "b c"}'`:    {"fc", "invoke", "-e", `{"a": "b c"}`},
		`fc invoke -e "{\"a\": \"b\"}"`:  {"fc", "invoke", "-e", `{"a": "b"}`},
		`a'b c'd"e f"g`:                  {"ab cde fg"},
		`'' ""`:                          {"", ""},
		`a\ b \'`:                        {"a b", "'"},
		`"a\nb" 'a\b'`:                   {`a\nb`, `a\b`},
		"a\\\nb \"c\\\nd\"":              {"ab", "cd"},
		`--x=$HOME *.js ~ #no 中文`:        {"--x=$HOME", "*.js", "~", "#no", "中文"},
		"fc nas\n  upload ./a /mnt/auto": {"fc", "nas", "upload", "./a", "/mnt/auto"},
	} {
		got, err := Split(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", line, got, err, want)
		}
	}
	for _, line := range []string{`'`, `a "b`, `a\`, `"\`, `"\"`} {
		if got, err := Split(line); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}

// FuzzSplit quotes words as a shell script would and splits them again.
func FuzzSplit(f *testing.F) {
	f.Add("fc invoke", "-e '{}'", `"\`)
	f.Fuzz(func(t *testing.T, a, b, line string) {
		_, _ = Split(line)
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		got, err := Split(quote(a) + " " + quote(b))
		if err != nil || !slices.Equal(got, []string{a, b}) {
			t.Errorf("%q %q became %q, %v", a, b, got, err)
		}
	})
}

func TestEnviron(t *testing.T) {
	base := []string{"A=1", "PATH=/bin", "SecurityToken=old", "A=2", "broken", "=x", "EMPTY="}
	got := Environ(base, "/links", map[string]string{"AccessKeyID": "id", "SecurityToken": "", "AccountID": "1"})
	want := []string{"A=2", "PATH=/links:/bin", "EMPTY=", "AccessKeyID=id", "AccountID=1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := Environ(nil, "/links", nil); !slices.Equal(got, []string{"PATH=/links:" + systemPath}) {
		t.Errorf("got %q", got)
	}
	if got := Environ([]string{"A=1"}, "", nil); !slices.Equal(got, []string{"A=1"}) {
		t.Errorf("got %q", got)
	}
}

func TestNestedCallFindsThisProgram(t *testing.T) {
	b := newBench(t)
	b.file(t, "program", `echo "this program: $(basename "$0") $*"`)
	dir, cleanup, err := LinkDir(t.TempDir(), filepath.Join(b.Dir, "program"))
	if err != nil {
		t.Fatal(err)
	}
	b.Env = Environ(os.Environ(), dir, nil)
	if _, err := b.run("pre", Input{}, step("run", "s build; devs plan")); err != nil {
		t.Fatal(err)
	}
	if b.out.String() != "this program: s build\nthis program: devs plan\n" {
		t.Errorf("got %q", b.out.String())
	}
	cleanup()
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder is still there")
	}
	if _, err := os.Stat(filepath.Join(b.Dir, "program")); err != nil {
		t.Error("the program is gone")
	}
}

func TestLinkDirFailures(t *testing.T) {
	colon := filepath.Join(t.TempDir(), "a:b")
	if err := os.Mkdir(colon, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tmp := range []string{colon, filepath.Join(colon, "none")} {
		if dir, _, err := LinkDir(tmp, "/bin/sh"); err == nil {
			t.Errorf("%s: made %s", tmp, dir)
		}
	}
	if left, _ := os.ReadDir(colon); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOtherShell(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	b := newBench(t)
	b.Shell = bash
	if _, err := b.run("pre", Input{}, step("run", `[[ -n $BASH_VERSION ]]`)); err != nil {
		t.Error(err)
	}
	b.Shell = "/no/such/shell"
	if _, err := b.run("pre", Input{}, step("run", `true`)); err == nil || !strings.Contains(err.Error(), "/no/such/shell") {
		t.Errorf("got %v", err)
	}
}
