//go:build linux

package rootfs

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/image/layer"
)

func take(t testing.TB, dir string, skip func(string) bool) *Snapshot {
	t.Helper()
	s, err := Take(context.Background(), dir, skip)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// diff returns what Diff finds, as lines: "usr/", "a: content", "b -> a", "c = a" and
// "-d" for what is gone.
func diff(t testing.TB, before, after *Snapshot) []string {
	t.Helper()
	entries, err := before.Diff(after)
	if err != nil {
		t.Fatal(err)
	}
	return lines(t, entries)
}

func lines(t testing.TB, entries []*layer.Entry) []string {
	t.Helper()
	all := []string{}
	for _, e := range entries {
		switch e.Type {
		case layer.Dir:
			all = append(all, e.Path+"/")
		case layer.File:
			all = append(all, e.Path+": "+content(t, e))
		case layer.Symlink:
			all = append(all, e.Path+" -> "+e.Linkname)
		case layer.Hardlink:
			all = append(all, e.Path+" = "+e.Linkname)
		case layer.Whiteout:
			all = append(all, "-"+e.Path)
		default:
			all = append(all, fmt.Sprintf("%s type %d", e.Path, e.Type))
		}
	}
	return all
}

func content(t testing.TB, e *layer.Entry) string {
	t.Helper()
	r, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(data)) != e.Size {
		t.Errorf("%s: %d bytes, but size %d", e.Path, len(data), e.Size)
	}
	return string(data)
}

var diffTests = []struct {
	name   string
	change func(set)
	want   []string
}{
	{"nothing", func(s set) {}, []string{}},
	{"new", func(s set) { s.mkdir("usr/n"); s.write("usr/n/f", "1"); s.sym("f", "usr/n/l"); s.mkdir("e") },
		[]string{"e/", "usr/", "usr/n/", "usr/n/f: 1", "usr/n/l -> f"}},
	{"same size and time", func(s set) {
		info, err := os.Stat(s.path("usr/bin/a"))
		s.ok(err)
		s.write("usr/bin/a", "B")
		s.ok(os.Chtimes(s.path("usr/bin/a"), info.ModTime(), info.ModTime()))
	}, []string{"usr/", "usr/bin/", "usr/bin/a: B"}},
	{"mode of a file", func(s set) { s.chmod("usr/bin/a", 0o4755) }, []string{"usr/", "usr/bin/", "usr/bin/a: A"}},
	{"mode of a directory", func(s set) { s.chmod("usr/bin", 0o1777) }, []string{"usr/", "usr/bin/"}},
	{"mode of the root", func(s set) { s.chmod(".", 0o711) }, []string{"./"}},
	{"mode of the root and a file", func(s set) { s.chmod(".", 0o711); s.write("top", "2") }, []string{"./", "top: 2"}},
	{"attribute of a directory", func(s set) { s.ok(unix.Setxattr(s.path("usr/bin"), "user.x", []byte("1"), 0)) }, []string{"usr/", "usr/bin/"}},
	{"attribute of a file", func(s set) { s.ok(unix.Setxattr(s.path("usr/bin/a"), "user.x", []byte("1"), 0)) }, []string{"usr/", "usr/bin/", "usr/bin/a: A"}},
	{"made and removed", func(s set) { s.write("usr/tmp", "x"); s.rm("usr/tmp") }, []string{}},
	{"removed file", func(s set) { s.rm("usr/bin/a") }, []string{"usr/", "usr/bin/", "-usr/bin/a"}},
	{"removed directory", func(s set) { s.rm("usr/bin") }, []string{"usr/", "-usr/bin"}},
	{"all removed", func(s set) { s.rm("usr"); s.rm("top"); s.rm("link") }, []string{"-link", "-top", "-usr"}},
	{"link retargeted", func(s set) { s.rm("link"); s.sym("usr", "link") }, []string{"link -> usr"}},
	{"link made again", func(s set) { s.rm("link"); s.sym("usr/bin", "link") }, []string{}},
	{"directory replaced", func(s set) {
		s.rm("usr/bin")
		s.mkdir("usr/bin")
		s.write("usr/bin/b", "new")
		s.write("usr/bin/c", "c")
	},
		[]string{"usr/", "usr/bin/", "-usr/bin/a", "usr/bin/b: new", "usr/bin/c: c"}},
	{"directory becomes a file", func(s set) { s.rm("usr"); s.write("usr", "f") }, []string{"usr: f"}},
	{"directory becomes a link", func(s set) { s.rm("usr/bin"); s.sym("/nowhere", "usr/bin") }, []string{"usr/", "usr/bin -> /nowhere"}},
	{"file becomes a directory", func(s set) { s.rm("top"); s.mkdir("top"); s.write("top/f", "f") }, []string{"top/", "top/f: f"}},
	{"link becomes a directory", func(s set) { s.rm("link"); s.mkdir("link") }, []string{"link/"}},
	{"directory moved away and back", func(s set) { s.mv("usr", "x"); s.mv("link", "l"); s.mv("x", "usr"); s.mv("l", "link") }, []string{}},
	{"directory moved", func(s set) { s.mv("usr/bin", "bin") }, []string{"bin/", "bin/a: A", "bin/b: Bb", "usr/", "-usr/bin"}},
	{"another name", func(s set) { s.ln("usr/bin/a", "a2") }, []string{"a2: A", "usr/", "usr/bin/", "usr/bin/a = a2"}},
	{"new file with two names", func(s set) { s.write("n1", "n"); s.ln("n1", "usr/n2") }, []string{"n1: n", "usr/", "usr/n2 = n1"}},
	{"one of two names removed", func(s set) { s.rm("one") }, []string{"-one", "two: 12"}},
	{"moved with a file that has another name", func(s set) { s.mkdir("d"); s.ln("two", "d/three") },
		[]string{"d/", "d/three: 12", "one = d/three", "two = d/three"}},
	{"a folder moved with a file whose other name stays", func(s set) { s.mv("y", "yy") }, []string{"-y", "yy/", "yy/f: y", "z = yy/f"}},
	{"a socket is no file of an image", func(s set) {
		s.rm("top")
		l, err := net.Listen("unix", s.path("top"))
		s.ok(err)
		s.t.Cleanup(func() { l.Close() })
	}, []string{"-top"}},
	{"a fifo", func(s set) { s.ok(unix.Mkfifo(s.path("usr/p"), 0o600)) }, []string{"usr/", fmt.Sprintf("usr/p type %d", layer.Fifo)}},
	{"order", func(s set) { s.mkdir("b"); s.write("b-c", ""); s.write("b/d", ""); s.write("b.e", "") }, []string{"b/", "b/d: ", "b-c: ", "b.e: "}},
}

// start fills a folder with what the changes of diffTests begin with.
func start(t testing.TB, dir string) set {
	s := set{t, dir}
	s.mkdir("usr")
	s.mkdir("usr/bin")
	s.write("usr/bin/a", "A")
	s.write("usr/bin/b", "Bb")
	s.write("top", "1")
	s.write("one", "12")
	s.ln("one", "two")
	s.sym("usr/bin", "link")
	s.mkdir("y")
	s.write("y/f", "y")
	s.ln("y/f", "z")
	return s
}

func TestDiff(t *testing.T) {
	for _, test := range diffTests {
		t.Run(test.name, func(t *testing.T) {
			r := newRoot(t)
			s := start(t, r.Dir())
			before := take(t, r.Dir(), nil)
			copied, err := r.Clone(context.Background(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			test.change(s)
			after := take(t, r.Dir(), nil)
			same(t, diff(t, before, after), test.want)
			// The layer over a copy of what was there gives what is there now.
			entries, err := before.Diff(after)
			if err != nil {
				t.Fatal(err)
			}
			if err := copied.ApplyLayer(context.Background(), packed(t, entries)); err != nil {
				t.Fatal(err)
			}
			want := slices.DeleteFunc(describe(t, r.Dir(), false), func(line string) bool { return strings.HasPrefix(line, "top S") || strings.HasPrefix(line, "top 140") })
			same(t, describe(t, copied.Dir(), false), want)
		})
	}
}

// TestDiffMissesNoTick changes a file right after the snapshot, keeping size and time.
func TestDiffMissesNoTick(t *testing.T) {
	s := set{t, t.TempDir()}
	for i := range 100 {
		s.write("f", "1")
		s.ok(os.Chtimes(s.path("f"), epoch, epoch))
		before := take(t, s.dir, nil)
		s.write("f", "2")
		s.ok(os.Chtimes(s.path("f"), epoch, epoch))
		if got := diff(t, before, take(t, s.dir, nil)); len(got) != 1 {
			t.Fatalf("change %d: found %q", i, got)
		}
	}
}

func TestSettleWaitsForFullSeconds(t *testing.T) {
	now := unix.Timespec{Sec: time.Now().Unix()}
	tests := []struct {
		name   string
		latest unix.Timespec
		coarse bool
		waits  bool
	}{
		{"long ago", unix.Timespec{Sec: now.Sec - 5}, false, false},
		{"long ago, full seconds", unix.Timespec{Sec: now.Sec - 5}, true, false},
		{"this second, full seconds", unix.Timespec{Sec: now.Sec + 1}, true, true},
		{"soon", unix.Timespec{Sec: now.Sec + 1, Nsec: 999999999}, false, true},
		{"another clock", unix.Timespec{Sec: now.Sec + 1000}, false, false},
	}
	for _, test := range tests {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err := (&taker{latest: test.latest, coarse: test.coarse}).settle(ctx)
		if waits := err != nil; waits != test.waits {
			t.Errorf("%s: waits %v", test.name, waits)
		}
	}
}

func TestSkip(t *testing.T) {
	s := start(t, t.TempDir())
	s.mkdir("proc")
	s.write("proc/1", "1")
	s.mkdir("etc")
	s.write("etc/hosts", "h")
	s.write("etc/f", "f")
	skip := func(p string) bool { return p == "etc/hosts" || p == "proc" }
	before := take(t, s.dir, nil)
	skipping := take(t, s.dir, skip)
	for _, e := range must(skipping.Entries()) {
		if skip(e.Path) || strings.HasPrefix(e.Path, "proc") {
			t.Errorf("%s was not skipped", e.Path)
		}
	}
	s.write("proc/2", "2")
	s.rm("proc/1")
	s.write("etc/hosts", "changed")
	s.write("etc/f", "g")
	// What is skipped in one of the snapshots is as it was.
	same(t, diff(t, skipping, take(t, s.dir, skip)), []string{"etc/", "etc/f: g"})
	same(t, diff(t, before, take(t, s.dir, skip)), []string{"etc/", "etc/f: g"})
	same(t, diff(t, skipping, take(t, s.dir, nil)), []string{"etc/", "etc/f: g"})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestTakeOfTheRootOfTheMachine looks at one folder only, as a session does in which
// the files of the stage stand at "/".
func TestTakeOfTheRootOfTheMachine(t *testing.T) {
	s := start(t, t.TempDir())
	own := strings.TrimPrefix(s.dir, "/")
	looked := 0
	skip := func(p string) bool {
		if strings.HasPrefix(own, p+"/") || p == own || strings.HasPrefix(p, own+"/") {
			return false
		}
		if looked++; strings.Count(p, "/") > strings.Count(own, "/")+1 {
			t.Errorf("looked into a skipped folder: %s", p)
		}
		return true
	}
	before := takeOne(t, "/", skip)
	s.write("usr/bin/a", "new")
	s.rm("top")
	got := diff(t, before, takeOne(t, "/", skip))
	want := []string{own + "/", "-" + own + "/top", own + "/usr/", own + "/usr/bin/", own + "/usr/bin/a: new"}
	for dir := filepath.Dir(own); dir != "."; dir = filepath.Dir(dir) {
		want = append([]string{dir + "/"}, want...)
	}
	same(t, got, want)
	if looked == 0 {
		t.Error("skip was not asked")
	}
}

// takeOne is take with a skip function that is not safe for several goroutines.
func takeOne(t *testing.T, dir string, skip func(string) bool) *Snapshot {
	t.Helper()
	var mu sync.Mutex
	return take(t, dir, func(p string) bool {
		mu.Lock()
		defer mu.Unlock()
		return skip(p)
	})
}

func TestOpenOfWhatHasChanged(t *testing.T) {
	tests := []struct {
		name   string
		change func(set)
	}{
		{"another file", func(s set) { s.write("x", "B"); s.mv("x", "usr/bin/a") }},
		{"longer", func(s set) { s.write("usr/bin/a", "longer") }},
		{"gone", func(s set) { s.rm("usr/bin/a") }},
		{"a link", func(s set) { s.mv("usr/bin/a", "x"); s.sym("../../x", "usr/bin/a") }},
		{"a folder that is a link", func(s set) { s.mv("usr/bin", "x"); s.sym("../x", "usr/bin") }},
		{"a fifo", func(s set) { s.rm("usr/bin/a"); s.ok(unix.Mkfifo(s.path("usr/bin/a"), 0o600)) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, t.TempDir())
			entries := must(take(t, s.dir, nil).Entries())
			test.change(s)
			for _, e := range entries {
				if e.Path != "usr/bin/a" {
					continue
				}
				if r, err := e.Open(); err == nil {
					r.Close()
					t.Error("no error")
				}
			}
		})
	}
}

func TestEntriesAndClone(t *testing.T) {
	r := newRoot(t)
	s := start(t, r.Dir())
	s.ok(unix.Setxattr(s.path("usr/bin/a"), "user.x", []byte("1"), 0))
	s.chmod("usr/bin/a", 0o6711)
	s.chmod("usr/bin", 0o3755)
	s.ok(unix.Mkfifo(s.path("p"), 0o600))
	if os.Geteuid() == 0 {
		s.ok(os.Chown(s.path("top"), 5, 6))
		s.ok(unix.Mknod(s.path("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	}
	s.ok(os.Chtimes(s.path("usr/bin"), epoch, epoch))
	clone, err := r.Clone(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer clone.Remove()
	same(t, describe(t, clone.Dir(), true), describe(t, r.Dir(), true))
	s.write("usr/bin/a", "changed")
	data, err := os.ReadFile(filepath.Join(clone.Dir(), "usr/bin/a"))
	if err != nil || string(data) != "A" {
		t.Errorf("the clone changed with its original: %q, %v", data, err)
	}
	got := lines(t, must(take(t, clone.Dir(), func(p string) bool { return p == "null" || p == "p" }).Entries()))
	same(t, got, []string{"./", "link -> usr/bin", "one: 12", "top: 1", "two = one", "usr/", "usr/bin/", "usr/bin/a: A", "usr/bin/b: Bb", "y/", "y/f: y", "z = y/f"})
}

// TestDeepPaths goes deeper than one path can name.
func TestDeepPaths(t *testing.T) {
	part := strings.Repeat("d", 200)
	deep := part + strings.Repeat("/"+part, 49)
	r := newRoot(t)
	apply(t, r, file(deep+"/f", "x"), hardlink("top", deep+"/f"))
	before := take(t, r.Dir(), nil)
	apply(t, r, file(deep+"/g", "y"), gone(deep+"/f"))
	entries := must(before.Diff(take(t, r.Dir(), nil)))
	got := lines(t, entries[50:])
	same(t, got, []string{"-" + deep + "/f", deep + "/g: y", "top: x"})
	clone, err := r.Clone(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := clone.Remove(); err != nil {
		t.Error(err)
	}
}

func TestTakeStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Take(ctx, t.TempDir(), nil); err != context.Canceled && !strings.Contains(fmt.Sprint(err), "canceled") {
		t.Errorf("got %v", err)
	}
	if _, err := Take(context.Background(), filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("no error for a folder that is not there")
	}
}
