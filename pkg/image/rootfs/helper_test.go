//go:build linux

package rootfs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/image/layer"
)

var epoch = time.Unix(1_600_000_000, 0)

func newRoot(t testing.TB) *Root {
	t.Helper()
	r, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Remove(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to other owners and make devices")
	}
}

// The makers of entries belong to whoever runs the test, so that all but a few tests
// need no rights.

func entry(p string, kind layer.Type, mode uint32) *layer.Entry {
	return &layer.Entry{Path: p, Type: kind, Mode: mode, UID: os.Geteuid(), GID: os.Getegid(), ModTime: epoch}
}

func dir(p string) *layer.Entry { return entry(p, layer.Dir, 0o755) }

func file(p, content string) *layer.Entry {
	e := entry(p, layer.File, 0o644)
	e.Size = int64(len(content))
	e.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
	return e
}

func symlink(p, target string) *layer.Entry {
	e := entry(p, layer.Symlink, 0o777)
	e.Linkname = target
	return e
}

func hardlink(p, target string) *layer.Entry {
	e := entry(p, layer.Hardlink, 0o644)
	e.Linkname = target
	return e
}

func gone(p string) *layer.Entry   { return &layer.Entry{Path: p, Type: layer.Whiteout} }
func opaque(p string) *layer.Entry { return &layer.Entry{Path: p, Type: layer.Opaque} }

func apply(t testing.TB, r *Root, entries ...*layer.Entry) {
	t.Helper()
	if err := r.Apply(context.Background(), entries); err != nil {
		t.Fatal(err)
	}
}

// packed returns entries as the stream of a layer.
func packed(t testing.TB, entries []*layer.Entry) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	if _, err := layer.Write(context.Background(), &b, entries, layer.Gzip); err != nil {
		t.Fatal(err)
	}
	return &b
}

// tree returns the files below a folder and their content: "usr/", "a: content",
// "b -> a", "c = a" for another name of a.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var lines []string
	first := map[uint64]string{}
	walk(t, dir, func(p string, info fs.FileInfo) {
		st := info.Sys().(*syscall.Stat_t)
		switch {
		case p == ".":
		case info.IsDir():
			lines = append(lines, p+"/")
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(filepath.Join(dir, p))
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, p+" -> "+target)
		case !info.Mode().IsRegular():
			lines = append(lines, fmt.Sprintf("%s %v", p, info.Mode().Type()))
		case st.Nlink > 1 && first[st.Ino] != "":
			lines = append(lines, p+" = "+first[st.Ino])
		default:
			first[st.Ino] = p
			data, err := os.ReadFile(filepath.Join(dir, p))
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, p+": "+string(data))
		}
	})
	return lines
}

// describe returns everything of the files below a folder that a layer holds, but the
// times of directories when they are not wanted.
func describe(t testing.TB, dir string, dirTimes bool) []string {
	t.Helper()
	lines := tree(t, dir)
	walk(t, dir, func(p string, info fs.FileInfo) {
		st := info.Sys().(*syscall.Stat_t)
		stamp := fmt.Sprint(st.Mtim.Sec)
		if info.IsDir() && !dirTimes || info.Mode()&fs.ModeSymlink != 0 {
			stamp = "-"
		}
		lines = append(lines, fmt.Sprintf("%s %o %d:%d %d %s %s", p, st.Mode, st.Uid, st.Gid, st.Rdev, stamp, xattrs(t, filepath.Join(dir, p))))
	})
	sort.Strings(lines)
	return lines
}

func walk(t testing.TB, dir string, fn func(p string, info fs.FileInfo)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		fn(rel, info)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func xattrs(t testing.TB, p string) string {
	t.Helper()
	list := make([]byte, 4096)
	n, err := unix.Llistxattr(p, list)
	if err == unix.ENOTSUP {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range strings.FieldsFunc(string(list[:n]), func(r rune) bool { return r == 0 }) {
		value := make([]byte, 4096)
		n, err := unix.Lgetxattr(p, name, value)
		if err != nil {
			t.Fatal(err)
		}
		if carries(name) {
			all = append(all, fmt.Sprintf("%s=%x", name, value[:n]))
		}
	}
	sort.Strings(all)
	return strings.Join(all, ",")
}

func same(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// set is a sh-like change of a folder for tests: each fails the test on an error.
type set struct {
	t   testing.TB
	dir string
}

func (s set) path(p string) string { return filepath.Join(s.dir, p) }

func (s set) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s set) write(p, content string) {
	s.t.Helper()
	s.ok(os.WriteFile(s.path(p), []byte(content), 0o644))
}
func (s set) mkdir(p string)       { s.t.Helper(); s.ok(os.Mkdir(s.path(p), 0o755)) }
func (s set) rm(p string)          { s.t.Helper(); s.ok(os.RemoveAll(s.path(p))) }
func (s set) mv(a, b string)       { s.t.Helper(); s.ok(os.Rename(s.path(a), s.path(b))) }
func (s set) ln(a, b string)       { s.t.Helper(); s.ok(os.Link(s.path(a), s.path(b))) }
func (s set) sym(target, p string) { s.t.Helper(); s.ok(os.Symlink(target, s.path(p))) }

func (s set) chmod(p string, mode uint32) { s.t.Helper(); s.ok(unix.Chmod(s.path(p), mode)) }
