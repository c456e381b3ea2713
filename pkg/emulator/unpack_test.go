package emulator

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// item is one entry of a crafted archive.
type item struct {
	name, content string
	mode          fs.FileMode
	method        uint16
}

func craft(t testing.TB, items ...item) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, it := range items {
		h := &zip.FileHeader{Name: it.name, Method: it.method}
		if it.mode != 0 {
			h.SetMode(it.mode)
		}
		f, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(it.name, "/") {
			continue
		}
		if _, err := f.Write([]byte(it.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// unpackTo unpacks data below a new folder and returns the root and the error.
func unpackTo(t testing.TB, data []byte) (string, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "p.zip")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "inside", "root")
	if err := os.MkdirAll(filepath.Dir(root), 0o700); err != nil {
		t.Fatal(err)
	}
	return root, unpackZip(file, root)
}

func TestUnpackKeepsModesAndLinks(t *testing.T) {
	root, err := unpackTo(t, craft(t,
		item{name: "dir/", mode: fs.ModeDir | 0o755},
		item{name: "dir/run.sh", content: "#!", mode: 0o755},
		item{name: "dir/secret", content: "s", mode: 0o600},
		item{name: "bootstrap", content: "b", mode: 0o644},
		item{name: "setuid", content: "s", mode: fs.ModeSetuid | 0o755},
		item{name: "noperm", content: "n"},
		item{name: "link", content: "dir/run.sh", mode: fs.ModeSymlink | 0o777},
		item{name: "dir/up", content: "../bootstrap", mode: fs.ModeSymlink | 0o777},
		item{name: "dangling", content: "later", mode: fs.ModeSymlink | 0o777},
		item{name: "deep/er/file", content: "d", method: zip.Deflate},
	))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{
		"dir/run.sh": 0o755, "dir/secret": 0o600, "bootstrap": 0o755, "setuid": 0o755, "noperm": 0o666, "deep/er/file": 0o666,
	} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v, want %v", name, info.Mode(), err, want)
		}
	}
	for name, want := range map[string]string{"link": "dir/run.sh", "dir/up": "../bootstrap", "dangling": "later"} {
		if to, err := os.Readlink(filepath.Join(root, name)); err != nil || to != want {
			t.Errorf("%s leads to %q %v", name, to, err)
		}
	}
}

func TestHostileArchives(t *testing.T) {
	bomb := craft(t, item{name: "zeros", content: strings.Repeat("\x00", 1<<20), method: zip.Deflate})
	huge := bytes.Clone(bomb)
	patchSize(t, huge, maxUnpacked+1)
	for name, data := range map[string][]byte{
		"parent":             craft(t, item{name: "../evil", content: "x"}),
		"parent inside":      craft(t, item{name: "a/../../evil", content: "x"}),
		"absolute":           craft(t, item{name: "/etc/evil", content: "x"}),
		"backslash":          craft(t, item{name: `..\evil`, content: "x"}),
		"nul":                craft(t, item{name: "a\x00b", content: "x"}),
		"twice":              craft(t, item{name: "a", content: "x"}, item{name: "a", content: "y"}),
		"file and folder":    craft(t, item{name: "a", content: "x"}, item{name: "a/", mode: fs.ModeDir | 0o755}, item{name: "a/b", content: "x"}),
		"file as folder":     craft(t, item{name: "a", content: "x"}, item{name: "a/b", content: "x"}),
		"device":             craft(t, item{name: "dev", mode: fs.ModeDevice | 0o600}),
		"pipe":               craft(t, item{name: "pipe", mode: fs.ModeNamedPipe | 0o600}),
		"absolute link":      craft(t, item{name: "l", content: "/etc/passwd", mode: fs.ModeSymlink | 0o777}),
		"link out":           craft(t, item{name: "l", content: "../x", mode: fs.ModeSymlink | 0o777}),
		"link out from deep": craft(t, item{name: "a/b/l", content: "../../../x", mode: fs.ModeSymlink | 0o777}),
		"empty link":         craft(t, item{name: "l", content: "", mode: fs.ModeSymlink | 0o777}),
		"long link":          craft(t, item{name: "l", content: strings.Repeat("a/", 3000), mode: fs.ModeSymlink | 0o777}),
		"through a link":     craft(t, item{name: "l", content: "d", mode: fs.ModeSymlink | 0o777}, item{name: "l/x", content: "x"}),
		"chain of links": craft(t, item{name: "d/up", content: "..", mode: fs.ModeSymlink | 0o777},
			item{name: "out", content: "d/up/../x", mode: fs.ModeSymlink | 0o777}),
		"loop":            craft(t, item{name: "a", content: "b", mode: fs.ModeSymlink | 0o777}, item{name: "b", content: "a", mode: fs.ModeSymlink | 0o777}),
		"long part":       craft(t, item{name: strings.Repeat("n", 256), content: "x"}),
		"long name":       craft(t, item{name: strings.Repeat("n/", 2100) + "n", content: "x"}),
		"huge":            huge,
		"bad compression": corrupt(bomb),
	} {
		t.Run(name, func(t *testing.T) {
			root, err := unpackTo(t, data)
			if err == nil {
				t.Error("it was unpacked")
			}
			outside, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(root)), "*"))
			inside, _ := filepath.Glob(filepath.Join(filepath.Dir(root), "*"))
			if len(outside) != 2 || len(inside) > 1 {
				t.Errorf("something is outside: %v %v", outside, inside)
			}
		})
	}
	t.Run("larger than it says", func(t *testing.T) {
		lying := bytes.Clone(bomb)
		patchSize(t, lying, 10)
		root, err := unpackTo(t, lying)
		if err == nil {
			t.Error("it was unpacked")
		}
		if info, _ := os.Stat(filepath.Join(root, "zeros")); info != nil && info.Size() > 11 {
			t.Errorf("%d bytes were written", info.Size())
		}
	})
}

// patchSize changes the uncompressed size that the archive's directory tells.
func patchSize(t *testing.T, data []byte, size uint32) {
	t.Helper()
	i := bytes.LastIndex(data, []byte("PK\x01\x02"))
	if i < 0 {
		t.Fatal("no directory")
	}
	binary.LittleEndian.PutUint32(data[i+24:], size)
}

// corrupt damages the compressed bytes.
func corrupt(data []byte) []byte {
	data = bytes.Clone(data)
	for i := 60; i < 200; i++ {
		data[i] ^= 0x5a
	}
	return data
}

func TestHostileCodeIsRefused(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	l := w.legacy()
	create := func(data []byte) answer {
		return l.do("POST", "/services/s/functions", object{"functionName": "f", "runtime": "custom",
			"code": object{"zipFile": base64.StdEncoding.EncodeToString(data)}})
	}
	create(craft(t, item{name: "../evil", content: "x"})).want(t, 400, "InvalidArgument")
	create(craft(t, item{name: "l", content: "/etc", mode: fs.ModeSymlink | 0o777})).want(t, 400, "InvalidArgument")
	// what only shows when it is unpacked is refused then
	create(craft(t, item{name: "a", content: "x"}, item{name: "a/b", content: "x"})).want(t, 200, "")
	l.do("POST", "/services/s/functions/f/invocations", "x").want(t, 400, "InvalidArgument")
	if tmp, _ := os.ReadDir(filepath.Join(w.dir, dirTemp)); len(tmp) > 0 {
		t.Errorf("left behind: %v", tmp)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(craft(f, item{name: "a/b", content: "x"}, item{name: "l", content: "a/b", mode: fs.ModeSymlink | 0o777}))
	f.Add(craft(f, item{name: "d/up", content: "..", mode: fs.ModeSymlink | 0o777}, item{name: "out", content: "d/up/../x", mode: fs.ModeSymlink | 0o777}))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, data []byte) {
		archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		var total uint64
		for _, file := range archive.File {
			total += file.UncompressedSize64
		}
		if total > 1<<20 {
			return // valid, and slow
		}
		root, err := unpackTo(t, data)
		if outside, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(root)), "*")); len(outside) != 2 {
			t.Fatalf("something is outside: %v (%v)", outside, err)
		}
		if err != nil {
			return
		}
		real, err := filepath.EvalSymlinks(root)
		if err != nil {
			t.Fatal(err)
		}
		_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if to, err := filepath.EvalSymlinks(p); err == nil && to != real && !strings.HasPrefix(to, real+string(filepath.Separator)) {
				t.Errorf("%s leads out to %s", p, to)
			}
			return nil
		})
	})
}
