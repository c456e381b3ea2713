//go:build linux

package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
)

func TestApply(t *testing.T) {
	type entries = []*layer.Entry
	long := strings.Repeat("n", 255)
	tests := []struct {
		name   string
		layers []entries
		want   []string
	}{
		{"one of each",
			[]entries{{dir("d"), file("d/f", "x"), symlink("d/s", "f"), hardlink("h", "d/f"), entry("p", layer.Fifo, 0o600)}},
			[]string{"d/", "d/f: x", "d/s -> f", "h = d/f", "p p---------"}},
		{"names of any bytes",
			[]entries{{file("a\nb\xff\"", "x"), dir(" "), file(" /\x01", "y"), file(long, "z")}},
			[]string{" /", " /\x01: y", "a\nb\xff\": x", long + ": z"}},
		{"missing parents are made",
			[]entries{{file("a/b/c", "x")}},
			[]string{"a/", "a/b/", "a/b/c: x"}},
		{"a file replaces a file",
			[]entries{{file("f", "old")}, {file("f", "new")}},
			[]string{"f: new"}},
		{"a file replaces a full directory",
			[]entries{{dir("d"), file("d/a/b", "x")}, {file("d", "f")}},
			[]string{"d: f"}},
		{"a directory replaces a file",
			[]entries{{file("d", "f")}, {dir("d"), file("d/a", "x")}},
			[]string{"d/", "d/a: x"}},
		{"a directory replaces a link to a directory",
			[]entries{{dir("real"), file("real/a", "x"), symlink("l", "real")}, {dir("l"), file("l/b", "y")}},
			[]string{"l/", "l/b: y", "real/", "real/a: x"}},
		{"a directory over a directory keeps what is in it",
			[]entries{{dir("d"), file("d/a", "x")}, {dir("d"), file("d/b", "y")}},
			[]string{"d/", "d/a: x", "d/b: y"}},
		{"a link replaces a full directory",
			[]entries{{file("d/a/b", "x")}, {symlink("d", "/nowhere")}},
			[]string{"d -> /nowhere"}},
		{"a file replaces a link, not its target",
			[]entries{{file("f", "old"), symlink("l", "f")}, {file("l", "new")}},
			[]string{"f: old", "l: new"}},
		{"a hard link replaces a file",
			[]entries{{file("a", "x"), file("b", "y")}, {hardlink("b", "a")}},
			[]string{"a: x", "b = a"}},
		{"a hard link over its own other name",
			[]entries{{file("a", "x"), hardlink("b", "a")}, {hardlink("b", "a")}},
			[]string{"a: x", "b = a"}},
		{"a hard link to a symbolic link",
			[]entries{{symlink("a", "/nowhere"), hardlink("b", "a")}},
			[]string{"a -> /nowhere", "b -> /nowhere"}},
		{"writing to one name of a replaced file leaves the other",
			[]entries{{file("a", "x"), hardlink("b", "a")}, {file("a", "new")}},
			[]string{"a: new", "b: x"}},
		{"links of the same layer are followed inside the root",
			[]entries{
				{dir("usr/lib"), symlink("lib", "usr/lib"), symlink("abs", "/usr/lib"), symlink("up", "../../../usr/./lib/"), symlink("twice", "lib"), symlink("usr/back", "../lib"),
					file("lib/a", "1"), file("abs/b", "2"), file("up/c", "3"), file("twice/d", "4"), file("usr/back/e/f", "5"), hardlink("abs/g", "lib/a")},
			},
			[]string{"abs -> /usr/lib", "lib -> usr/lib", "twice -> lib", "up -> ../../../usr/./lib/", "usr/", "usr/back -> ../lib", "usr/lib/",
				"usr/lib/a: 1", "usr/lib/b: 2", "usr/lib/c: 3", "usr/lib/d: 4", "usr/lib/e/", "usr/lib/e/f: 5", "usr/lib/g = usr/lib/a"}},
		{"links and files of layers below become directories",
			[]entries{{dir("usr/lib"), symlink("lib", "usr/lib"), symlink("abs", "/usr/lib"), file("f", "")}, {file("lib/a", "1"), file("abs/b/c", "2"), file("f/g/h", "3")}},
			[]string{"abs/", "abs/b/", "abs/b/c: 2", "f/", "f/g/", "f/g/h: 3", "lib/", "lib/a: 1", "usr/", "usr/lib/"}},
		{"a hard link to a file below a link of a layer below",
			[]entries{{file("usr/lib/a", "1"), symlink("lib", "usr/lib")}, {hardlink("b", "lib/a")}},
			[]string{"b: 1", "lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/a = b"}},
		{"the target of a link is made when it is missing",
			[]entries{{dir("var"), symlink("var/run", "/run"), symlink("l", "no/../here/there"), file("var/run/x", "1"), file("l/y", "2")}},
			[]string{"here/", "here/there/", "here/there/y: 2", "l -> no/../here/there", "run/", "run/x: 1", "var/", "var/run -> /run"}},
		{"a link that is replaced is followed no more",
			[]entries{{dir("a"), dir("b"), symlink("l", "a"), file("l/1", "x"), symlink("l", "b"), file("l/2", "y")}},
			[]string{"a/", "a/1: x", "b/", "b/2: y", "l -> b"}},
		{"a directory that is replaced by a link in the same layer",
			[]entries{{dir("b"), dir("l"), file("l/1", "x"), symlink("l", "b"), file("l/2", "y")}},
			[]string{"b/", "b/2: y", "l -> b"}},
		{"whiteouts",
			[]entries{{file("d/a", "x"), file("d/b/c", "y"), file("e", "z"), symlink("l", "d")}, {gone("d/b"), gone("e"), gone("missing"), gone("l")}},
			[]string{"d/", "d/a: x"}},
		{"whiteouts make the directories that they need, as docker does",
			[]entries{{file("e", "z")}, {gone("no/where"), gone("e/below")}},
			[]string{"e/", "no/"}},
		{"a whiteout below a link",
			[]entries{{file("d/a", "x"), file("d/b", "y"), symlink("l", "/d")}, {gone("l/a")}},
			[]string{"d/", "d/a: x", "d/b: y", "l/"}},
		{"a whiteout is for the layers below alone",
			[]entries{{file("d/old", "x"), file("f", "x")}, {file("d/new", "y"), file("f", "y"), gone("d"), gone("f")}},
			[]string{"d/", "d/new: y", "f: y"}},
		{"a whiteout and then something else",
			[]entries{{file("d/old", "x")}, {gone("d"), dir("d"), file("d/new", "y")}},
			[]string{"d/", "d/new: y"}},
		{"opaque",
			[]entries{{file("d/a", "x"), file("d/b/c", "y"), file("e", "z")}, {dir("d"), opaque("d"), file("d/n", "n")}, {opaque("missing")}},
			[]string{"d/", "d/n: n", "e: z", "missing/"}},
		{"opaque after what the layer has itself",
			[]entries{{file("d/a", "x"), file("d/b/c", "y"), file("d/b/e", "y")}, {dir("d"), file("d/b/c", "new"), file("d/z", "z"), opaque("d")}},
			[]string{"d/", "d/b/", "d/b/c: new", "d/z: z"}},
		{"an opaque root",
			[]entries{{file("d/a", "x"), file("e", "y")}, {opaque("."), file("n", "n")}},
			[]string{"n: n"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRoot(t)
			for _, entries := range test.layers {
				apply(t, r, entries...)
			}
			same(t, tree(t, r.Dir()), test.want)
			if err := r.Complete(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	short := file("f", "abc")
	short.Size = 4
	long := file("f", "abc")
	long.Size = 2
	owner := file("f", "")
	owner.UID = 1<<32 - 1
	failing := file("f", "abc")
	failing.Open = func() (io.ReadCloser, error) { return nil, errors.New("no such thing") }
	tests := []struct {
		name    string
		entries []*layer.Entry
		want    string
	}{
		{"..", []*layer.Entry{file("a/../../b", "")}, "not clean"},
		{"absolute", []*layer.Entry{file("/etc/x", "")}, "not clean"},
		{"empty", []*layer.Entry{file("", "")}, "no path"},
		{"NUL", []*layer.Entry{file("a\x00b", "")}, "NUL"},
		{"very long", []*layer.Entry{file(strings.Repeat("a/", 1<<15), "")}, "bytes"},
		{"name too long", []*layer.Entry{file(strings.Repeat("n", 256), "")}, "name too long"},
		{"root is a file", []*layer.Entry{file(".", "")}, "root folder"},
		{"root is removed", []*layer.Entry{gone(".")}, "root folder"},
		{"unknown type", []*layer.Entry{entry("x", 99, 0)}, "unknown type"},
		{"owner", []*layer.Entry{owner}, "owner"},
		{"below a file", []*layer.Entry{file("a", ""), file("a/b", "")}, "a/b: a: not a directory"},
		{"loop", []*layer.Entry{symlink("a", "b"), symlink("b", "a"), file("a/x", "")}, "too many levels"},
		{"loop through itself", []*layer.Entry{symlink("a", "a/b"), file("a/x", "")}, "too many levels"},
		{"hard link to nothing", []*layer.Entry{hardlink("a", "b")}, "which is not there"},
		{"hard link below nothing", []*layer.Entry{hardlink("a", "b/c")}, "a hard link to b/c"},
		{"hard link to a directory", []*layer.Entry{dir("d"), hardlink("a", "d")}, "a hard link to the folder"},
		{"hard link to itself", []*layer.Entry{file("a", ""), hardlink("a", "a")}, "itself"},
		{"hard link out", []*layer.Entry{hardlink("a", "../../x")}, "a hard link to"},
		{"link to nothing", []*layer.Entry{symlink("a", "")}, "a symbolic link to"},
		{"content too short", []*layer.Entry{short}, "f: its size changed"},
		{"content too long", []*layer.Entry{long}, "f: its size changed"},
		{"no content", []*layer.Entry{{Path: "f", Type: layer.File, Size: 1}}, "without content"},
		{"content cannot be opened", []*layer.Entry{failing}, "f: no such thing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRoot(t)
			err := r.Apply(context.Background(), test.entries)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestHardLinkToItselfKeepsTheFile(t *testing.T) {
	r := newRoot(t)
	if err := r.Apply(context.Background(), []*layer.Entry{file("d/a", "x"), symlink("l", "d"), hardlink("l/a", "d/a")}); err == nil {
		t.Error("no error")
	}
	same(t, tree(t, r.Dir()), []string{"d/", "d/a: x", "l -> d"})
}

func TestApplyKeepsEverything(t *testing.T) {
	needRoot(t)
	r := newRoot(t)
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	top, d, f, s, c, b, p := dir("."), dir("d"), file("d/f", "x"), symlink("s", "f"), entry("c", layer.Char, 0o620), entry("b", layer.Block, 0o660), entry("p", layer.Fifo, 0o644)
	top.Mode = 0o711
	for i, e := range []*layer.Entry{top, d, f, s, c, b, p} {
		e.UID, e.GID = 1000+i, 2000+i
	}
	d.Mode, f.Mode = 0o3775, 0o6755
	d.Xattrs = map[string]string{"user.a": "1"}
	f.Xattrs = map[string]string{"security.capability": capability, "user.b": "2", "trusted.overlay.opaque": "y"}
	c.Major, c.Minor, b.Major, b.Minor = 5, 1, 259, 300
	read := file("ro/f", "y")
	ro := dir("ro")
	ro.Mode = 0o555
	if err := r.ApplyLayer(context.Background(), packed(t, []*layer.Entry{top, b, c, d, f, p, ro, read, s})); err != nil {
		t.Fatal(err)
	}
	got := map[string]unix.Stat_t{}
	for _, name := range []string{".", "d", "d/f", "s", "c", "b", "p", "ro"} {
		var st unix.Stat_t
		if err := unix.Lstat(r.Dir()+"/"+name, &st); err != nil {
			t.Fatal(err)
		}
		if st.Mtim.Sec != epoch.Unix() || st.Mtim.Nsec != 0 {
			t.Errorf("%s: time %v", name, st.Mtim)
		}
		got[name] = st
	}
	for i, e := range []*layer.Entry{top, d, f, s, c, b, p} {
		st := got[e.Path]
		if st.Mode&0o7777 != e.Mode || st.Uid != uint32(1000+i) || st.Gid != uint32(2000+i) {
			t.Errorf("%s: %o %d:%d", e.Path, st.Mode, st.Uid, st.Gid)
		}
	}
	if got["c"].Rdev != unix.Mkdev(5, 1) || got["b"].Rdev != unix.Mkdev(259, 300) || got["ro"].Mode&0o777 != 0o555 {
		t.Errorf("devices %x %x, folder %o", got["c"].Rdev, got["b"].Rdev, got["ro"].Mode)
	}
	same(t, xattrs(t, r.Dir()+"/d"), "user.a=31")
	same(t, xattrs(t, r.Dir()+"/d/f"), "security.capability=0100000200040000000000000000000000000000,user.b=32")
	var buf [8]byte
	if _, err := unix.Lgetxattr(r.Dir()+"/d/f", "trusted.overlay.opaque", buf[:]); err == nil {
		t.Error("a mark of overlayfs was set")
	}
}

// TestApplyLayer reads a tar as docker writes it, with its own names of whiteouts.
func TestApplyLayer(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "d/.wh..wh..opq", Typeflag: tar.TypeReg},
		{Name: "d/new", Typeflag: tar.TypeReg, Size: 3},
		{Name: ".wh.e", Typeflag: tar.TypeReg},
		{Name: "/lib/x", Typeflag: tar.TypeReg, Size: 3},
	} {
		h.Uid, h.Gid = os.Geteuid(), os.Getegid()
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			io.WriteString(w, "abc")
		}
	}
	w.Close()
	r := newRoot(t)
	apply(t, r, file("d/old/x", "x"), file("e", "y"), dir("usr/lib"), symlink("lib", "usr/lib"))
	if err := r.ApplyLayer(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	same(t, tree(t, r.Dir()), []string{"d/", "d/new: abc", "lib/", "lib/x: abc", "usr/", "usr/lib/"})
}

func TestApplyLayerCutShort(t *testing.T) {
	whole := packed(t, []*layer.Entry{file("big", strings.Repeat("x", 1<<20)), file("f", "x")}).Bytes()
	for _, n := range []int{1, 10, len(whole) / 2, len(whole) - 1} {
		if err := newRoot(t).ApplyLayer(context.Background(), bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("no error for %d of %d bytes", n, len(whole))
		}
	}
}

func TestLargeAndSmallFiles(t *testing.T) {
	var entries []*layer.Entry
	var want []string
	for i, size := range []int{0, 1, smallFile - 1, smallFile, smallFile + 1, 1 << 20, 300 << 10} {
		name := string(rune('a' + i))
		content := strings.Repeat(name, size)
		entries = append(entries, file(name, content))
		want = append(want, name+": "+content)
	}
	r := newRoot(t)
	apply(t, r, entries...)
	same(t, tree(t, r.Dir()), want)
	r = newRoot(t)
	if err := r.ApplyLayer(context.Background(), packed(t, entries)); err != nil {
		t.Fatal(err)
	}
	same(t, tree(t, r.Dir()), want)
}

// endless is a content that cancels the work while it is read.
type endless struct{ cancel func() }

func (e endless) Read(p []byte) (int, error) { e.cancel(); clear(p); return len(p), nil }

func TestApplyStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	e := file("f", "")
	e.Size = 1 << 40
	e.Open = func() (io.ReadCloser, error) { return io.NopCloser(endless{cancel}), nil }
	if err := newRoot(t).Apply(ctx, []*layer.Entry{e}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	r := newRoot(t)
	u, err := r.Unpack()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Entry(ctx, e, endless{cancel}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k,nr_inodes=20"); err != nil {
		t.Skipf("no right to mount a small disk: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	big := strings.Repeat("x", 1<<20)
	var many []*layer.Entry
	for i := range 30 {
		many = append(many, file(strings.Repeat("f", i+1), ""))
	}
	for name, entries := range map[string][]*layer.Entry{"space": {file("f", big)}, "inodes": many} {
		t.Run(name, func(t *testing.T) {
			r, err := Create(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Remove()
			for _, err := range []error{r.Apply(context.Background(), entries), r.ApplyLayer(context.Background(), packed(t, entries))} {
				var problem *diag.Problem
				if !errors.As(err, &problem) || !errors.Is(err, unix.ENOSPC) || problem.Hint == "" || !strings.Contains(err.Error(), "is full") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}
