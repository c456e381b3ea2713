//go:build linux

package rootfs

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
)

func TestCreateAndRemove(t *testing.T) {
	parent := t.TempDir()
	outside := set{t, t.TempDir()}
	outside.write("f", "kept")
	old := unix.Umask(0o077)
	r, err := Create(parent)
	unix.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	s := set{t, r.Dir()}
	info, err := os.Stat(r.Dir())
	s.ok(err)
	if info.Mode().Perm() != 0o755 {
		t.Errorf("the root has the mode %v", info.Mode())
	}
	info, err = os.Stat(filepath.Dir(r.Dir()))
	s.ok(err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("others can enter: %v", info.Mode())
	}
	s.mkdir("ro")
	s.mkdir("ro/d")
	s.write("ro/d/f", "x")
	s.sym(outside.dir, "ro/link")
	s.sym(outside.dir, "ro/d/link")
	for _, p := range []string{"ro/d", "ro", "."} {
		s.chmod(p, 0)
	}
	if err := r.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := r.Remove(); err != nil {
		t.Errorf("the second time: %v", err)
	}
	same(t, tree(t, parent), []string(nil))
	same(t, tree(t, outside.dir), []string{"f: kept"})
	if _, err := Create(filepath.Join(parent, "none")); err == nil {
		t.Error("no error where there is no folder")
	}
}

func TestOpen(t *testing.T) {
	s := set{t, t.TempDir()}
	s.write("f", "x")
	r, err := Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, r, file("g", "y"))
	if err := r.Remove(); err != nil {
		t.Error(err)
	}
	same(t, tree(t, s.dir), []string{"f: x", "g: y"})
	for _, p := range []string{"f", "none"} {
		if _, err := Open(s.path(p)); err == nil {
			t.Errorf("no error for %s", p)
		}
	}
}

// TestUnprivileged runs itself again as another user when it runs as root.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() == 0 {
		again(t)
		return
	}
	r := newRoot(t)
	ro, secret, owned, null := dir("ro"), dir("ro/secret"), file("ro/a", "x"), entry("null", layer.Char, 0o666)
	ro.Mode, secret.Mode, owned.UID = 0o555, 0, 0
	null.Major, null.Minor = 1, 3
	apply(t, r, null, ro, owned, secret)
	apply(t, r, file("ro/b", "y"), gone("ro/a"), file("ro/secret/c", "z"))
	same(t, tree(t, r.Dir()), []string{"ro/", "ro/b: y", "ro/secret/", "ro/secret/c: z"})

	lacks, total := r.Lacks()
	var got []string
	for _, l := range lacks {
		got = append(got, l.Path+" "+l.What)
	}
	same(t, got, []string{"null device", "ro/a owner", "ro/secret mode", "ro mode"})
	var problem *diag.Problem
	if err := r.Complete(); total != 4 || !errors.As(err, &problem) || !strings.Contains(problem.Detail, "null: device: operation not permitted") || problem.Hint == "" {
		t.Errorf("%d lacks, error %v", total, err)
	}
	// Folders that a command has closed.
	set{t, r.Dir()}.chmod("ro/secret", 0)
	set{t, r.Dir()}.chmod("ro", 0o500)
}

// again runs this test as nobody.
func again(t *testing.T) {
	home, err := os.MkdirTemp("", "unprivileged-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	s := set{t, home}
	s.mkdir("tmp")
	s.chmod(".", 0o755)
	s.chmod("tmp", 0o777)
	s.ok(copyProgram(os.Args[0], s.path("test")))
	const nobody = 65534
	cmd := exec.Command(s.path("test"), "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = s.path("tmp")
	cmd.Env = []string{"TMPDIR=" + s.path("tmp")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as another user: %v\n%s", err, out)
	}
}

func copyProgram(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		return err
	}
	return dst.Close()
}

func TestLackProblemIsShort(t *testing.T) {
	r := newRoot(t)
	for range 100 {
		r.lack("f", "owner", unix.EPERM)
	}
	var problem *diag.Problem
	if err := r.Complete(); !errors.As(err, &problem) || !strings.HasSuffix(problem.Detail, "\nand 80 more") || strings.Count(problem.Detail, "\n") != maxLacks {
		t.Errorf("got %v", err)
	}
}

func TestNothingIsMadeAfterAnErrorOfAWorker(t *testing.T) {
	r := newRoot(t)
	u, err := r.Unpack()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Entry(context.Background(), &layer.Entry{Path: "bad", Type: layer.File, Size: 1}, nil); err != nil {
		t.Fatal(err)
	}
	for u.files.failed() == nil {
		runtime.Gosched()
	}
	if err := u.Entry(context.Background(), file("f", "x"), nil); err == nil {
		t.Error("no error")
	}
	if err := u.Close(); err == nil {
		t.Error("no error of Close")
	}
	same(t, tree(t, r.Dir()), []string{"bad: "})
}
