//go:build linux

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if Main(os.Args) {
		return
	}
	os.Exit(m.Run())
}

// folder makes a folder in which a sandbox can have a stage.
func folder(t *testing.T, s *Sandbox) string {
	t.Helper()
	if s.Folder() == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(s.Folder(), "test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// busybox makes a folder with the files of a small image, of busybox alone.
func busybox(t *testing.T, s *Sandbox) string {
	t.Helper()
	program, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("no busybox in PATH: install busybox-static")
	}
	root := filepath.Join(folder(t, s), "root")
	for _, dir := range []string{"bin", "etc", "tmp", "root", "var/lib", "proc", "sys", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/run", filepath.Join(root, "var/run")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "bin/busybox"), string(data), 0o755)
	list, err := exec.Command(program, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(list)) {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "bin/sh")); err != nil {
		t.Skip("the busybox in PATH has no sh: install busybox-static")
	}
	return root
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// levels are all at which commands run.
func levels() []Level { return []Level{Namespaces, OwnRoot, Chroot, Proot} }

// at returns a sandbox of a level, or skips.
func at(t *testing.T, l Level) *Sandbox {
	t.Helper()
	s := Probe(Config{Isolation: l.String(), LookPath: exec.LookPath})
	if s.Err() != nil {
		t.Skipf("the machine does not allow %s: %s", l, s)
	}
	return s
}

// sh runs a script in a session of its own and returns its output.
func sh(t *testing.T, s *Sandbox, root string, mounts []Mount, change func(*Command), script string) (string, error) {
	t.Helper()
	x, err := s.Enter(context.Background(), root, mounts)
	if err != nil {
		t.Fatalf("entering: %v", err)
	}
	defer func() {
		if err := x.Leave(); err != nil {
			t.Errorf("leaving: %v", err)
		}
	}()
	var out bytes.Buffer
	c := Command{Args: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/bin", "HOME=/root"}, Dir: "/", Stdout: &out, Stderr: &out}
	if change != nil {
		change(&c)
	}
	err = x.Run(context.Background(), c)
	return strings.TrimRight(out.String(), "\n"), err
}

func TestExit(t *testing.T) {
	for _, level := range levels() {
		t.Run(level.String(), func(t *testing.T) {
			s := at(t, level)
			root := busybox(t, s)
			tests := []struct {
				name string
				args []string
				want ExitError
			}{
				{"good", []string{"true"}, ExitError{}},
				{"code", []string{"sh", "-c", "exit 7"}, ExitError{Code: 7}},
				{"signal", []string{"sh", "-c", "kill -TERM $$"}, ExitError{Code: 143, Signal: 15}},
				{"absent", []string{"nonesuch"}, ExitError{Code: 127}},
				{"absent path", []string{"/bin/nonesuch"}, ExitError{Code: 127}},
				{"not executable", []string{"/etc"}, ExitError{Code: 126}},
				{"nothing", nil, ExitError{Code: 127}},
			}
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					_, err := sh(t, s, root, nil, func(c *Command) { c.Args = test.args }, "")
					var got ExitError
					if e := (*ExitError)(nil); errors.As(err, &e) {
						got = *e
						got.Reason = ""
					} else if err != nil {
						t.Fatal(err)
					}
					if got != test.want {
						t.Errorf("got %v, want %v", err, test.want)
					}
				})
			}
		})
	}
}

func fixed() time.Time { return time.Unix(1_600_000_000, 123_456_789) }
