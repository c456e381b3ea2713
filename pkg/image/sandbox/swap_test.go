//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// picture is all that can be seen of the files below a folder.
func picture(t *testing.T, top string, skip func(rel string) bool) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(top, name)
		if skip != nil && skip(rel) {
			if e.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		var s unix.Stat_t
		if err := unix.Lstat(name, &s); err != nil {
			return err
		}
		text := fmt.Sprintf("%o %d:%d ino %d mtime %d.%09d", s.Mode, s.Uid, s.Gid, s.Ino, s.Mtim.Sec, s.Mtim.Nsec)
		switch s.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			link, _ := os.Readlink(name)
			text += " -> " + link
		case unix.S_IFREG:
			data, _ := os.ReadFile(name)
			text += fmt.Sprintf(" %d bytes %.40q", len(data), data)
		}
		seen[rel] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// fakeOutside makes a folder like the root of our container, and returns its mounts.
func fakeOutside(t *testing.T) (top string, mounts map[string]bool) {
	t.Helper()
	top = t.TempDir()
	write(t, filepath.Join(top, ".devs/image"), "", 0o644)
	write(t, filepath.Join(top, ".devs/bin/devs"), "program", 0o755)
	for _, name := range []string{"bin", "sbin", "usr", "tmp", "root"} {
		if err := os.Symlink("/.devs/"+name, filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(top, ".dockerenv"), "", 0o755)
	write(t, filepath.Join(top, "etc/resolv.conf"), "nameserver 192.0.2.1\n", 0o644)
	write(t, filepath.Join(top, "etc/hosts"), "127.0.0.1 localhost\n", 0o644)
	write(t, filepath.Join(top, "etc/hostname"), "box\n", 0o644)
	if err := os.Symlink("/proc/mounts", filepath.Join(top, "etc/mtab")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(top, "proc/version"), "", 0o444)
	write(t, filepath.Join(top, "github/workspace/Dockerfile"), "FROM scratch\n", 0o644)
	write(t, filepath.Join(top, "var/run/docker.sock"), "socket", 0o660)
	write(t, filepath.Join(top, "var/lib/mounted/file"), "user's", 0o600)
	if err := os.MkdirAll(filepath.Join(top, "workdir/deep"), 0o711); err != nil {
		t.Fatal(err)
	}
	mounts = map[string]bool{
		"etc/resolv.conf": true, "etc/hosts": true, "etc/hostname": true,
		"github/workspace": true, "var/run/docker.sock": true, "var/lib/mounted": true,
	}
	return top, mounts
}

// fakeStage makes the files of a stage below the home of top.
func fakeStage(t *testing.T, top string) string {
	t.Helper()
	root := filepath.Join(top, ".devs/work/stage")
	write(t, filepath.Join(root, "usr/bin/tool"), "tool", 0o755)
	if err := os.Symlink("usr/bin", filepath.Join(root, "bin")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n", 0o644)
	write(t, filepath.Join(root, "etc/hosts"), "of the image\n", 0o600)
	write(t, filepath.Join(root, "etc/apt/sources"), "deb\n", 0o644)
	if err := os.Chmod(filepath.Join(root, "etc"), 0o751); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "status", 0o644)
	write(t, filepath.Join(root, "run/lock"), "", 0o644)
	if err := os.Symlink("/run", filepath.Join(root, "var/run")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"proc", "sys", "dev", "tmp", "app"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "dev/null"), "a file, as some images have", 0o644)
	for _, name := range []string{"var", "tmp", "etc", "."} {
		if err := os.Chtimes(filepath.Join(root, name), fixed(), fixed()); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var errKilled = errors.New("killed")

// killAt returns a step that fails for ever from the n-th on, and a counter.
func killAt(n int) (step func(string) error, count *int) {
	count = new(int)
	return func(string) error {
		*count++
		if n > 0 && *count >= n {
			return errKilled
		}
		return nil
	}, count
}

func outsideHome(rel string) bool { return rel == home || rel == "proc" }

// begin plans an exchange in a fake container.
func begin(t *testing.T, step func(string) error) (w *swap, before, stage map[string]string) {
	t.Helper()
	top, mounts := fakeOutside(t)
	root := fakeStage(t, top)
	if err := os.MkdirAll(filepath.Join(top, ".devs/swap"), 0o700); err != nil {
		t.Fatal(err)
	}
	before, stage = picture(t, top, outsideHome), picture(t, root, nil)
	o, wrong, err := survey(top, mounts)
	if err != nil || len(wrong) > 0 {
		t.Fatalf("surveying: %v %v", wrong, err)
	}
	w = newSwap(top, step)
	if err := w.plan(root, o); err != nil {
		t.Fatalf("planning: %v", err)
	}
	return w, before, stage
}

func TestSwapThereAndBack(t *testing.T) {
	w, before, stage := begin(t, nil)
	root := w.Root
	if err := w.in(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"usr/bin/tool": "tool", "bin/tool": "tool", "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
		"etc/hosts": "127.0.0.1 localhost\n", "var/lib/dpkg/status": "status",
		"github/workspace/Dockerfile": "FROM scratch\n", "var/lib/mounted/file": "user's",
	} {
		if got, err := os.ReadFile(filepath.Join(w.top, name)); err != nil || string(got) != want {
			t.Errorf("inside, %s is %q (%v), want %q", name, got, err, want)
		}
	}
	for _, dir := range []string{".", "etc", "var"} {
		m, err := readMeta(filepath.Join(w.top, dir))
		want := map[string]uint32{".": 0o755, "etc": 0o751, "var": 0o755}[dir]
		if err != nil || m.Mode != want || m.Mtim.Nano() != fixed().UnixNano() {
			t.Errorf("inside, %s is %+v, want mode %o, mtime %v", dir, m, want, fixed())
		}
	}
	if err := w.out(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, picture(t, w.top, outsideHome)); diff != "" {
		t.Errorf("the container is not as it was:\n%s", diff)
	}
	if diff := cmp.Diff(stage, picture(t, root, nil)); diff != "" {
		t.Errorf("the stage is not as it was:\n%s", diff)
	}
}

func TestSwapKeepsWhatCommandsDo(t *testing.T) {
	w, before, _ := begin(t, nil)
	root, in := w.Root, func(rel string) string { return filepath.Join(w.top, rel) }
	if err := w.in(); err != nil {
		t.Fatal(err)
	}
	write(t, in("new/file"), "new", 0o644)
	write(t, in("single"), "single", 0o600)
	write(t, in("etc/new"), "new", 0o644)
	write(t, in("github/new/file"), "new beside a mount", 0o644)
	write(t, in("etc/hosts"), "changed", 0o644)
	write(t, in("var/lib/new"), "new", 0o644)
	var errs []error
	for _, rel := range []string{"usr", "etc/apt", "workdir", "bin", "app"} {
		errs = append(errs, os.RemoveAll(in(rel)))
	}
	errs = append(errs, os.Symlink("new", in("workdir")), os.Chmod(in("etc"), 0o700), os.Chmod(w.top, 0o700))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if err := w.out(); err != nil {
		t.Fatal(err)
	}
	after := picture(t, w.top, outsideHome)
	if !strings.Contains(after["etc/hosts"], "127.0.0.1 localhost") {
		t.Errorf("etc/hosts is %s", after["etc/hosts"])
	}
	delete(before, "etc/hosts")
	delete(after, "etc/hosts")
	// The folder that was removed is made anew.
	for _, rel := range []string{"workdir", "workdir/deep"} {
		if (before[rel][:strings.Index(before[rel], "ino")]) != after[rel][:strings.Index(after[rel], "ino")] {
			t.Errorf("%s is %s, was %s", rel, after[rel], before[rel])
		}
		delete(before, rel)
		delete(after, rel)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the container is not as it was:\n%s", diff)
	}
	for name, want := range map[string]string{
		"new/file": "new", "single": "single", "etc/new": "new", "github/new/file": "new beside a mount",
		"etc/hosts": "of the image\n", "var/lib/new": "new", "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
	} {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
			t.Errorf("the stage's %s is %q (%v), want %q", name, got, err, want)
		}
	}
	for _, rel := range []string{"usr", "etc/apt", "bin", "app", "github/workspace", "var/lib/mounted", "etc/resolv.conf"} {
		if _, err := os.Lstat(filepath.Join(root, rel)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the stage has %s: %v", rel, err)
		}
	}
	if link, err := os.Readlink(filepath.Join(root, "workdir")); link != "new" {
		t.Errorf("the stage's workdir is %q, %v", link, err)
	}
	for rel, want := range map[string]uint32{".": 0o700, "etc": 0o700} {
		if m, err := readMeta(filepath.Join(root, rel)); err != nil || m.Mode != want {
			t.Errorf("the stage's %s is %o (%v), want %o", rel, m.Mode, err, want)
		}
	}
}

// TestSwapKilled ends an exchange at each of its steps, also in the undo, and at each
// step of the undo of that.
func TestSwapKilled(t *testing.T) {
	step, total := killAt(0)
	w, _, _ := begin(t, step)
	if err := errors.Join(w.in(), w.out()); err != nil {
		t.Fatal(err)
	}
	if *total < 40 {
		t.Fatalf("only %d steps", *total)
	}
	for n := 1; n <= *total; n++ {
		for second := 0; second < *total; second += 13 {
			step, _ := killAt(n)
			w, before, stage := begin(t, step)
			root := w.Root
			if err := errors.Join(w.in(), w.out()); !errors.Is(err, errKilled) {
				t.Fatalf("step %d: %v", n, err)
			}
			again, _ := killAt(second)
			w = newSwap(w.top, again)
			if err := w.recover(); err != nil && !errors.Is(err, errKilled) {
				t.Fatalf("step %d: %v", n, err)
			}
			w = newSwap(w.top, nil)
			if err := w.recover(); err != nil {
				t.Fatalf("step %d, then %d: %v", n, second, err)
			}
			if diff := cmp.Diff(before, picture(t, w.top, outsideHome)); diff != "" {
				t.Fatalf("step %d, then %d: the container is not as it was:\n%s", n, second, diff)
			}
			// The stage may have lost the times and modes of folders, but no file.
			if after := picture(t, root, nil); len(after) != len(stage) {
				t.Fatalf("step %d, then %d: the stage is not as it was:\n%s", n, second, cmp.Diff(stage, after))
			}
			if _, err := os.Lstat(w.file()); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("step %d, then %d: the journal is still there", n, second)
			}
		}
	}
}
