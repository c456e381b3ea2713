package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pack packs and closes at the end of the test.
func pack(t testing.TB, opts Options) *Package {
	t.Helper()
	if opts.TempDir == "" {
		opts.TempDir = t.TempDir()
	}
	p, err := Pack(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func content(t testing.TB, p *Package) []byte {
	t.Helper()
	b, err := p.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != p.Size {
		t.Errorf("%d bytes, Size says %d", len(b), p.Size)
	}
	return b
}

func paths(p *Package) string {
	var list []string
	for _, e := range p.Entries {
		list = append(list, e.Path)
	}
	return strings.Join(list, " ")
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestEntries(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "b"), "in a folder")
	write(t, filepath.Join(dir, "a.txt"), "x")
	write(t, filepath.Join(dir, "run"), "#!/bin/sh\n")
	write(t, filepath.Join(dir, "bootstrap"), "#!/bin/sh\n")
	write(t, filepath.Join(dir, "sub", "bootstrap"), "")
	write(t, filepath.Join(dir, "emptied", "x.log"), "x")
	if err := os.MkdirAll(filepath.Join(dir, "empty", "inner"), 0o700); err != nil {
		t.Fatal(err)
	}
	symlink(t, "a/b", filepath.Join(dir, "link"))
	symlink(t, "nowhere", filepath.Join(dir, "dangling"))
	symlink(t, "/etc/passwd", filepath.Join(dir, "outside"))
	symlink(t, "a", filepath.Join(dir, "folder-link"))
	for file, mode := range map[string]fs.FileMode{"run": 0o700, "a.txt": 0o600, "bootstrap": 0o660, "a/b": 0o467} {
		if err := os.Chmod(filepath.Join(dir, file), mode); err != nil {
			t.Fatal(err)
		}
	}
	const link = fs.ModeSymlink | 0o777
	want := []Entry{
		{Path: "a.txt", Mode: 0o644, Size: 1},
		{Path: "a/b", Mode: 0o644, Size: 11},
		{Path: "bootstrap", Mode: 0o755, Size: 10},
		{Path: "dangling", Mode: link, Size: 7},
		{Path: "empty/inner/", Mode: fs.ModeDir | 0o755},
		{Path: "folder-link", Mode: link, Size: 1},
		{Path: "link", Mode: link, Size: 3},
		{Path: "outside", Mode: link, Size: 11},
		{Path: "run", Mode: 0o755, Size: 10},
		{Path: "sub/bootstrap", Mode: 0o644},
	}
	p := pack(t, Options{Path: dir, Ignore: []string{"*.log"}})
	got := slices.Clone(p.Entries)
	for i := range got {
		got[i].CRC32 = 0 // held against the zip below
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(p.Entries, readZip(t, content(t, p))); diff != "" {
		t.Errorf("the zip holds other entries (-manifest +zip):\n%s", diff)
	}
	if got := string(unzipped(t, content(t, p))["outside"]); got != "/etc/passwd" {
		t.Errorf("the link holds %q, not its target", got)
	}
}

func TestKinds(t *testing.T) {
	var inner bytes.Buffer
	z := zip.NewWriter(&inner)
	f, _ := z.Create("App.class")
	f.Write([]byte("class"))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		file   string
		zipJar bool
		asIs   bool
		want   string
	}{
		{file: "code.zip", asIs: true, want: "App.class"},
		{file: "CODE.ZIP", asIs: true, want: "App.class"},
		{file: "app.war", zipJar: true, asIs: true, want: "App.class"},
		{file: "app.jar", asIs: true, want: "App.class"},
		{file: "app.jar", zipJar: true, want: "app.jar"},
		{file: "index.py", want: "index.py"},
		{file: "bootstrap", want: "bootstrap"},
	}
	for _, c := range cases {
		for _, limit := range []int64{0, -1} {
			path := filepath.Join(t.TempDir(), c.file)
			write(t, path, inner.String())
			p := pack(t, Options{Path: path, ZipJar: c.zipJar, MemoryLimit: limit})
			if got := paths(p); got != c.want {
				t.Errorf("%s holds %s, want %s", c.file, got, c.want)
			}
			if asIs := bytes.Equal(content(t, p), inner.Bytes()); asIs != c.asIs {
				t.Errorf("%s (zip the jar: %v) sent as it is: %v", c.file, c.zipJar, asIs)
			}
			if c.file == "bootstrap" && p.Entries[0].Mode != 0o755 {
				t.Errorf("bootstrap has mode %v", p.Entries[0].Mode)
			}
		}
	}
	dir := filepath.Join(t.TempDir(), "folder.zip")
	write(t, filepath.Join(dir, "a"), "")
	if got := paths(pack(t, Options{Path: dir})); got != "a" {
		t.Errorf("a folder named like a zip holds %s", got)
	}
}

func TestProblems(t *testing.T) {
	t.Run("missing", func(t *testing.T) { wantProblem(t, filepath.Join(t.TempDir(), "code"), "cannot read") })
	t.Run("empty", func(t *testing.T) { wantProblem(t, t.TempDir(), "nothing to pack") })
	t.Run("all left out", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, IgnoreFile), "*")
		wantProblem(t, dir, "nothing to pack")
	})
	t.Run("folders only", func(t *testing.T) {
		dir := t.TempDir()
		os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755)
		wantProblem(t, dir, "nothing to pack")
	})
	t.Run("no zip", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "code.zip")
		write(t, path, "not a zip")
		wantProblem(t, path, "cannot be read as a zip file")
	})
	t.Run("named pipe", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a"), "")
		if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, dir, `pipe" is a named pipe`)
		wantProblem(t, filepath.Join(dir, "pipe"), `pipe" is a named pipe`)
		if got := paths(pack(t, Options{Path: dir, Ignore: []string{"pipe"}})); got != "a" {
			t.Errorf("with a rule: %s", got)
		}
	})
	t.Run("socket", func(t *testing.T) {
		dir := t.TempDir()
		l, err := net.Listen("unix", filepath.Join(dir, "s"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		wantProblem(t, dir, `s" is a socket`)
	})
}

func TestNeedsTempDir(t *testing.T) {
	if _, err := Pack(context.Background(), Options{Path: t.TempDir()}); err == nil {
		t.Error("no error without a folder for temporary files")
	}
}

// TestUnreadable makes the open fail, for root may read everything.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "a")
	write(t, filepath.Join(dir, "b", "c"), "c")
	for _, denied := range []string{"a", "b", "b/c"} {
		open := func(name string) (*os.File, error) {
			if name == filepath.Join(dir, denied) {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
			}
			return os.Open(name)
		}
		w := &walker{open: open, root: dir}
		sources, err := w.walk(context.Background(), &ruleSet{})
		if err == nil {
			_, err = (&compressor{open: open, workers: 2}).run(context.Background(), newStore(Options{}), sources)
		}
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), fmt.Sprintf("%q", filepath.Join(dir, denied))) {
			t.Errorf("%s: %v", denied, err)
		}
	}
}

func TestChangedWhilePacking(t *testing.T) {
	big := strings.Repeat("x", chunkSize+1)
	changes := map[string]func(path string) error{
		"longer":   func(p string) error { return os.WriteFile(p, []byte(big+"y"), 0o644) },
		"shorter":  func(p string) error { return os.Truncate(p, 1) },
		"touched":  func(p string) error { return os.Chtimes(p, fixedTime(2), fixedTime(2)) },
		"replaced": func(p string) error { return replace(p, big) },
		"a link":   func(p string) error { return errors.Join(os.Remove(p), os.Symlink("other", p)) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			write(t, path, big)
			write(t, filepath.Join(dir, "other"), big)
			w := &walker{open: os.Open, root: dir}
			sources, err := w.walk(context.Background(), &ruleSet{})
			if err != nil {
				t.Fatal(err)
			}
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			temp := t.TempDir()
			_, err = packSources(context.Background(), Options{TempDir: temp, MemoryLimit: -1}, sources)
			if err == nil || !strings.Contains(err.Error(), `f" changed while it was being packed`) {
				t.Errorf("error %v", err)
			}
			wantEmpty(t, temp)
		})
	}
	t.Run("a zip", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a"), big)
		path := filepath.Join(t.TempDir(), "code.zip")
		write(t, path, string(content(t, pack(t, Options{Path: dir}))))
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := changes["touched"](path); err != nil {
			t.Fatal(err)
		}
		_, err = packAsIs(context.Background(), Options{Path: path, TempDir: t.TempDir()}, info)
		if err == nil || !strings.Contains(err.Error(), "changed while") {
			t.Errorf("error %v", err)
		}
	})
}

// replace puts another file of the same size in place of path.
func replace(path, content string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	other := path + ".new"
	return errors.Join(
		os.WriteFile(other, []byte(strings.ToUpper(content)), 0o644),
		os.Chtimes(other, info.ModTime(), info.ModTime()),
		os.Rename(other, path))
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		t.Errorf("%s is left behind", e.Name())
	}
}

func TestCancel(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), "x")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Pack(ctx, Options{Path: dir, TempDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	sources := []source{{path: "a", link: "b", mode: fs.ModeSymlink}}
	if _, err := packSources(ctx, Options{TempDir: t.TempDir()}, sources); !errors.Is(err, context.Canceled) {
		t.Errorf("compressing: error %v", err)
	}
}

func TestOddNames(t *testing.T) {
	names := []string{"a\nb", `a\b`, "con", "a:b", "trailing. ", "\xff\xfe", "é", "日本語", "-rf", "~"}
	dir := t.TempDir()
	for _, name := range names {
		write(t, filepath.Join(dir, name), name)
	}
	p := pack(t, Options{Path: dir})
	slices.Sort(names)
	var got []string
	r, err := zip.NewReader(bytes.NewReader(content(t, p)), p.Size)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		got = append(got, f.Name)
		if utf8Flag, want := f.Flags&flagUTF8 != 0, f.Name == "é" || f.Name == "日本語"; utf8Flag != want {
			t.Errorf("%q flagged as UTF-8: %v", f.Name, utf8Flag)
		}
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0].Summary, `\xff\xfe`) {
		t.Errorf("warnings %v", p.Warnings)
	}
}

func TestWorkersAreNoMoreThanTheWork(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, 3*bytesPerWorker), 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(large)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		allowed int
		sources []source
		want    int
	}{
		{4, nil, 1},
		{4, make([]source, filesPerWorker-1), 1},
		{4, make([]source, filesPerWorker), 2},
		{4, make([]source, 100*filesPerWorker), 4},
		{100, make([]source, 100*filesPerWorker), maxWorkers},
		{2, []source{{info: info}}, 2},
		{8, []source{{info: info}}, 4},
	} {
		if got := workers(c.allowed, c.sources); got != c.want {
			t.Errorf("workers(%d, %d sources) = %d, want %d", c.allowed, len(c.sources), got, c.want)
		}
	}
	if got := workers(0, make([]source, 100*filesPerWorker)); got != min(runtime.GOMAXPROCS(0), maxWorkers) {
		t.Errorf("%d workers by default", got)
	}
}
