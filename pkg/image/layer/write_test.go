package layer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/image/layer"
)

func someFiles(n, size int) []*layer.Entry {
	entries := []*layer.Entry{dir("d")}
	content := pseudo(n + size)
	for i := range n {
		entries = append(entries, file("d/"+strings.Repeat("f", 1+i%7)+string(rune('a'+i%26))+strings.Repeat("0", i/26), content[i:i+size]))
	}
	return entries
}

func TestBytesDoNotDependOnCores(t *testing.T) {
	entries := append(someFiles(100, 20_000), file("large", pseudo(3<<20+17)))
	for _, c := range compressions {
		var want layer.Written
		for _, cores := range []int{1, 2, 8} {
			before := runtime.GOMAXPROCS(cores)
			_, got := write(t, entries, c)
			runtime.GOMAXPROCS(before)
			if want.Size == 0 {
				want = got
			}
			if got != want {
				t.Errorf("%v: %v with %d cores, %v with one", c, got, cores, want)
			}
		}
	}
}

// A change of these values changes the digests of all images that users have built.
func TestBytesStayTheSame(t *testing.T) {
	entries := append(everything(), file("z", pseudo(1<<20)))
	want := map[layer.Compression]string{
		layer.Gzip: "acc57f9f16a8d5c2a380ce5615c1e586fb6b0ed82eed28f3ffbf886e79ef486a",
		layer.Zstd: "350cee3aaf0e5af9e515e1aec5a6d4cb8d41cc05e4d4f1dc7984aaccebfbd578",
		layer.None: "9aeb605e68d77f7aed96a7fda7cedb6a26885f705d2af001aaa54521ae981210",
	}
	got := map[layer.Compression]string{}
	for _, c := range compressions {
		_, w := write(t, entries, c)
		got[c] = w.Digest.Hex
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWriterIsUsedAgain(t *testing.T) {
	for _, c := range compressions {
		w, err := layer.NewWriter(c)
		if err != nil {
			t.Fatal(err)
		}
		for i, entries := range [][]*layer.Entry{everything(), someFiles(50, 10_000), everything(), nil} {
			want, wantWritten := write(t, entries, c)
			broken := append(everything(), file("z", pseudo(1<<20)))
			if _, err := w.Write(context.Background(), &failing{left: 100}, broken); !errors.Is(err, errFull) {
				t.Errorf("%v: got %v", c, err)
			}
			var b bytes.Buffer
			got, err := w.Write(context.Background(), &b, entries)
			if err != nil || got != wantWritten || !bytes.Equal(b.Bytes(), want) {
				t.Errorf("%v, %d: got %v, %v, want %v", c, i, got, err, wantWritten)
			}
		}
	}
}

var errFull = errors.New("no space left")

// failing takes some bytes, then fails.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteFails(t *testing.T) {
	withSize := func(size int64) *layer.Entry {
		e := file("etc/log", pseudo(100_000))
		e.Size = size
		return e
	}
	broken := file("b", "x")
	broken.Open = func() (io.ReadCloser, error) { return nil, os.ErrPermission }
	cut := file("c", "xyz")
	cut.Open = func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(errFull)), nil }
	negative := dir("d")
	negative.UID = -1
	for name, c := range map[string]struct {
		entry *layer.Entry
		want  string
	}{
		"grown":            {withSize(99_999), `"etc/log" changed its size`},
		"grown small":      {withSize(10), `"etc/log" changed its size`},
		"was empty":        {withSize(0), `"etc/log" changed its size`},
		"shrunk":           {withSize(100_001), `"etc/log" changed its size`},
		"shrunk much":      {withSize(1 << 40), `"etc/log" changed its size`},
		"does not open":    {broken, `reading "b": permission denied`},
		"does not read":    {cut, `reading "c": no space left`},
		"no content":       {&layer.Entry{Path: "n", Type: layer.File, Size: 3}, `reading "n": its content is not at hand`},
		"whiteout name":    {file("d/.wh.x", ""), `"d/.wh.x" cannot be in an image`},
		"whiteout dir":     {file(".wh.x/y", ""), "cannot be in an image"},
		"dots":             {file("../x", ""), "not a path"},
		"absolute":         {file("/x", ""), "not a path"},
		"not clean":        {file("a//x", ""), "not a path"},
		"root file":        {file(".", ""), "root of an image has to be a directory"},
		"root removed":     {&layer.Entry{Path: ".", Type: layer.Whiteout}, "root of an image has to be a directory"},
		"no type":          {&layer.Entry{Path: "x"}, "unknown type 0"},
		"owner":            {negative, "has the owner -1:0"},
		"empty symlink":    {link("l", ""), "has a target that no file system allows"},
		"NUL in a symlink": {link("l", "a\x00"), "has a target that no file system allows"},
		"hard link":        {hard("h", "../x"), `the hard link "h" points to "../x"`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, comp := range compressions {
				entries := append(someFiles(40, 1000), c.entry)
				_, err := layer.Write(context.Background(), io.Discard, append(entries, file("z", "z")), comp)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v: got %v, want %q", comp, err, c.want)
				}
			}
		})
	}
}

func TestWriteEndsItsGoroutines(t *testing.T) {
	entries := append(someFiles(200, 2000), file("large", pseudo(4<<20)))
	before := runtime.NumGoroutine()
	for _, c := range compressions {
		for _, left := range []int{0, 5, 50_000} {
			if _, err := layer.Write(context.Background(), &failing{left: left}, entries, c); !errors.Is(err, errFull) {
				t.Errorf("got %v", err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		stop := file("m", "m")
		stop.Open = func() (io.ReadCloser, error) { cancel(); return nil, os.ErrNotExist }
		if _, err := layer.Write(ctx, io.Discard, append(entries, stop, file("n", "n")), c); err == nil {
			t.Error("a cancelled layer was written")
		}
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// Few files are open at the same time, however many there are, and each is closed.
func TestWriteOpensFewFiles(t *testing.T) {
	var open, most, opened atomic.Int64
	var entries []*layer.Entry
	content := pseudo(200_000)
	for range 300 {
		e := file("f", content)
		e.Open = func() (io.ReadCloser, error) {
			opened.Add(1)
			n := open.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			return closer{strings.NewReader(content), func() { open.Add(-1) }}, nil
		}
		entries = append(entries, e)
	}
	write(t, entries, layer.None)
	if _, err := layer.Write(context.Background(), &failing{left: 5 << 20}, entries, layer.None); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	if most.Load() > 40 || open.Load() != 0 || opened.Load() >= 600 {
		t.Errorf("%d open at once, %d still open, %d opened in all", most.Load(), open.Load(), opened.Load())
	}
}

type closer struct {
	io.Reader
	close func()
}

func (c closer) Close() error { c.close(); return nil }

// Whoever unpacks a layer sets the metadata anew at each name of a file.
func TestHardLinksCarryTheMetadataOfTheFile(t *testing.T) {
	e := file("a", "x")
	e.UID, e.GID, e.Mode = 7, 8, 0o4755
	data, _ := write(t, []*layer.Entry{e, hard("b", "a")}, layer.Gzip)
	got, err := readAll(bytes.NewReader(data), layer.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := layer.Entry{Path: "b", Type: layer.Hardlink, Linkname: "a", UID: 7, GID: 8, Mode: 0o4755, ModTime: epoch}
	if d := diff(want, got[1].Entry); d != "" {
		t.Error(d)
	}
}

func TestGNUTarUnpacks(t *testing.T) {
	program, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("tar is not installed")
	}
	long := strings.Repeat("long/", 50) + strings.Repeat("n", 150)
	want := map[string]string{"d/f": "hello", "d/g": "hello", long: "deep", "big": pseudo(300_000), "\u4f60": "unicode", "l-\xe9": "latin"}
	entries := []*layer.Entry{dir("d"), file("d/f", "hello"), hard("d/g", "d/f"), link("d/l", "f"), file("big", want["big"]),
		file(long, "deep"), file("\u4f60", "unicode"), file("l-\xe9", "latin")}
	entries[1].Mode = 0o640
	for _, flag := range []string{"-xzf", "-xf"} {
		c := map[string]layer.Compression{"-xzf": layer.Gzip, "-xf": layer.None}[flag]
		data, _ := write(t, entries, c)
		root := t.TempDir()
		cmd := exec.Command(program, flag, "-", "-C", root)
		cmd.Stdin = bytes.NewReader(data)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("tar %s: %v\n%s", flag, err, out)
		}
		for path, content := range want {
			got, err := os.ReadFile(filepath.Join(root, path))
			if err != nil || string(got) != content {
				t.Errorf("%.40q: %v, %d bytes", path, err, len(got))
			}
		}
		f, _ := os.Stat(filepath.Join(root, "d/f"))
		g, err := os.Stat(filepath.Join(root, "d/g"))
		if err != nil || !os.SameFile(f, g) || f.Mode() != 0o640 || !f.ModTime().Equal(epoch) {
			t.Errorf("d/f is %v, d/g is %v, %v", f, g, err)
		}
		if target, err := os.Readlink(filepath.Join(root, "d/l")); target != "f" {
			t.Errorf("d/l leads to %q, %v", target, err)
		}
	}
}
