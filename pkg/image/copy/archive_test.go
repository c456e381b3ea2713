package copy_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/copy"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

// tarball makes a tar of lines as parse reads them.
func tarball(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		data := []byte(h.PAXRecords["DATA.content"])
		h.PAXRecords = nil
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		h.Size = int64(len(data))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name, data string) tar.Header {
	return tar.Header{Name: name, PAXRecords: map[string]string{"DATA.content": data}}
}

func folder(name string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o750, Uid: 3, Gid: 4}
}

func symlink(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777}
}

func hardlink(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to}
}

func with(t testing.TB, name string, data []byte) *tree.Tree {
	t.Helper()
	tr := tree.New()
	err := tr.Apply([]*layer.Entry{{Path: name, Type: layer.File, Mode: 0o640, Size: int64(len(data)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// What is expected was measured with docker, classic builder and BuildKit.
func TestAddArchive(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []tar.Header
		op      string
		dest    string
		want    string
	}{
		{"all kinds", []tar.Header{folder("./"), folder("d/"), file("d/f", "F"), file("no/parent", "N"), symlink("l", "d"), file("l/through", "T"),
			hardlink("h", "d/f"), symlink("abs", "/x"), file("dup", "1"), file("dup", "2"), file("/lead", "L")}, "ADD a /x", "", `d 0755 0:0 x
			l x/abs -> /x
			d 0750 3:4 x/d
			f 0644 0:0 x/d/f=F
			f 0644 0:0 x/d/through=T
			f 0644 0:0 x/dup=2
			h x/h => x/d/f
			l x/l -> d
			f 0644 0:0 x/lead=L
			d 0755 0:0 x/no
			f 0644 0:0 x/no/parent=N`},
		{"into what is there", []tar.Header{folder("d/"), file("d/f", "F"), file("l", "L")}, "ADD a /x", "d 0711 0:0 x\n f 0600 0:0 x/d=o\n f 0600 0:0 x/l/old=o",
			"d 0711 0:0 x\n d 0750 3:4 x/d\n f 0644 0:0 x/d/f=F\n f 0644 0:0 x/l=L"},
		{"a directory takes the place of a symlink", []tar.Header{folder("lib/"), file("lib/f", "F")}, "ADD a /", "d 0755 0:0 usr/lib\n l lib -> usr/lib",
			"d 0750 3:4 lib\n f 0644 0:0 lib/f=F"},
		{"a symlink of the image is followed", []tar.Header{file("lib/f", "F")}, "ADD a /", "d 0711 0:0 usr/lib\n l lib -> usr/lib",
			"d 0755 0:0 usr\n d 0711 0:0 usr/lib\n f 0644 0:0 usr/lib/f=F"},
		{"an absolute symlink of the image is followed", []tar.Header{folder("var/run/a/"), file("var/run/a/f", "F"), hardlink("var/run/a/g", "var/run/a/f")}, "ADD a /",
			"d 0755 0:0 run\n d 0755 0:0 var\n l var/run -> /run", "d 0755 0:0 run\n d 0750 3:4 run/a\n f 0644 0:0 run/a/f=F\n h run/a/g => run/a/f"},
		{"symlinks end at the destination", []tar.Header{symlink("up", "../../y"), folder("y/"), file("up/f", "F")}, "ADD a /x/", "d 0755 0:0 y",
			"d 0755 0:0 x\n l x/up -> ../../y\n d 0750 3:4 x/y\n f 0644 0:0 x/y/f=F"},
		{"a symlink as destination", []tar.Header{file("f", "F")}, "ADD a /l", "d 0711 0:0 x\n l l -> x", "d 0711 0:0 x\n f 0644 0:0 x/f=F"},
		{"a directory of the image that was taken away and made again", []tar.Header{file("d", "F"), folder("d/"), file("d/n", "N")}, "ADD a /", "f 0644 0:0 d/old=o",
			"d 0750 3:4 d\n o d\n f 0644 0:0 d/n=N"},
		{"a name that is replaced leaves the other", []tar.Header{file("a", "1"), hardlink("b", "a"), file("a", "2")}, "ADD a /", "", "f 0644 0:0 a=2\n f 0644 0:0 b=1"},
		{"--chown", []tar.Header{folder("d/"), file("d/f", "F")}, "ADD --chown=5:6 a /x", "", "d 0755 5:6 x\n d 0750 5:6 x/d\n f 0644 5:6 x/d/f=F"},
		{"--unpack=false", []tar.Header{}, "ADD --unpack=false a /x", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := tarball(t, c.headers...)
			if len(c.headers) == 0 {
				data = []byte("x")
				c.want = "f 0640 0:0 x=x"
			}
			dest := parse(t, c.dest)
			entries, err := run(t, c.op, with(t, "a", data), dest, fetcher(t, copy.Config{}))
			if err != nil {
				t.Fatal(err)
			}
			same(t, entries, c.want)
			if err := dest.Apply(entries); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAddArchiveRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []tar.Header
		dest    string
		want    string
	}{
		{"parts that lead out", []tar.Header{file("../f", "F")}, "", `".."`},
		{"parts that lead out by a hard link", []tar.Header{hardlink("f", "../../etc/passwd")}, "", `".."`},
		{"a symlink to nowhere", []tar.Header{symlink("l", "../../y"), file("l/f", "F")}, "", "leads nowhere"},
		{"a loop", []tar.Header{symlink("l", "l"), file("l/f", "F")}, "", "symlinks"},
		{"a hard link to the image", []tar.Header{hardlink("h", "old")}, "f 0644 0:0 x/old=o", "no file that stands before it"},
		{"a hard link to itself", []tar.Header{file("h", "1"), hardlink("h", "h")}, "", "no file that stands before it"},
		{"a hard link to nothing", []tar.Header{file("h", "1"), hardlink("i", "j")}, "", "no file that stands before it"},
		{"a whiteout", []tar.Header{file("d/.wh.old", "")}, "", ".wh."},
		{"an opaque mark", []tar.Header{file("d/.wh..wh..opq", "")}, "", ".wh."},
		{"a file as destination", []tar.Header{file("f", "F")}, "f 0644 0:0 x=o", "cannot be a directory"},
		{"a file above", []tar.Header{file("f", "F"), file("f/g", "G")}, "", "cannot be a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := run(t, "ADD a /x", with(t, "a", tarball(t, c.headers...)), parse(t, c.dest), fetcher(t, copy.Config{}))
			if _, ok := errors.AsType[*diag.Problem](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("too much", func(t *testing.T) {
		_, err := run(t, "ADD a /x", with(t, "a", tarball(t, file("f", strings.Repeat("x", 1<<16)))), tree.New(), fetcher(t, copy.Config{MaxBytes: 1 << 15}))
		if err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cut short", func(t *testing.T) {
		data := tarball(t, file("f", strings.Repeat("x", 1<<16)))
		if _, err := run(t, "ADD a /x", with(t, "a", data[:1<<15]), tree.New(), fetcher(t, copy.Config{})); err == nil {
			t.Error("half an archive is taken")
		}
	})
}

// bz2 is a tar of the file f, which holds F, compressed by bzip2.
const bz2 = `QlpoOTFBWSZTWVg7TRcAAG3fgMmAYABlAAEAAADhAB4ACAggAFQ0mjQAB6gkmqNMjCZB93QaEFtwQisZcy3VOECICCrE4EYaDPvlaKrFw9vpJiiIB8XckU4UJBYO00XA`

func TestAddArchiveCompressed(t *testing.T) {
	plain := tarball(t, file("f", "F"))
	var gz, zst, x bytes.Buffer
	z, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	y, err := xz.NewWriter(&x)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{gzip.NewWriter(&gz), z, y} {
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	bz, err := base64.StdEncoding.DecodeString(bz2)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"plain": plain, "gzip": gz.Bytes(), "zstd": zst.Bytes(), "xz": x.Bytes(), "bzip2": bz} {
		entries, err := run(t, "ADD some.file /x/", with(t, "some.file", data), tree.New(), fetcher(t, copy.Config{}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same(t, entries, "d 0755 0:0 x\n f 0644 0:0 x/f=F")
		entries, err = run(t, "COPY some.file /x", with(t, "some.file", data), tree.New(), nil)
		if err != nil || len(entries) != 1 || entries[0].Size != int64(len(data)) {
			t.Errorf("%s: COPY unpacks: %v, %v", name, entries, err)
		}
	}
}

// Only the content tells what an archive is.
func TestAddOfWhatIsNoArchive(t *testing.T) {
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, _ = w.Write([]byte("hello"))
	_ = w.Close()
	for name, data := range map[string][]byte{
		"text": []byte("not a tar"), "empty": {}, "gzip of text": gz.Bytes(), "zeros": make([]byte, 4096),
		"a magic number alone": []byte("\xfd7zXZ\x00"), "gzip that is cut": gz.Bytes()[:6], "bzip2 of nothing": []byte("BZh9"),
	} {
		entries, err := run(t, "ADD a.tar.gz /x", with(t, "a.tar.gz", data), tree.New(), fetcher(t, copy.Config{}))
		if err != nil || len(entries) != 1 || entries[0].Size != int64(len(data)) || entries[0].Path != "x" {
			t.Errorf("%s: got %v, %v", name, entries, err)
		}
	}
}

// An xz file can ask for 4 GiB of memory in a few bytes.
func TestAddRefusesHugeDictionary(t *testing.T) {
	var x bytes.Buffer
	y, err := xz.NewWriter(&x)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = y.Write(tarball(t, file("f", "F")))
	_ = y.Close()
	data := x.Bytes()
	at := bytes.Index(data, []byte{0x21, 0x01})
	data[at+2] = 40
	_, err = run(t, "ADD a /x", with(t, "a", data), tree.New(), fetcher(t, copy.Config{}))
	if err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("got %v", err)
	}
}

func FuzzAddArchive(f *testing.F) {
	seeds := [][]byte{
		tarball(f, folder("d/"), file("d/f", "F"), symlink("l", "d"), hardlink("l/h", "d/f"), file("d", "x"), folder("d")),
		tarball(f, symlink("a", "b"), symlink("b", "/c/../d"), file("a/x", "1")),
		tarball(f, file(".wh.x", ""), file("../x", "")),
	}
	for _, s := range seeds {
		var gz bytes.Buffer
		w := gzip.NewWriter(&gz)
		_, _ = w.Write(s)
		_ = w.Close()
		f.Add(s)
		f.Add(gz.Bytes())
	}
	f.Add([]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dest := tree.New()
		err := dest.Apply([]*layer.Entry{
			{Path: "base/d/old", Type: layer.File}, {Path: "base/l", Type: layer.Symlink, Linkname: "/etc"},
			{Path: "etc/passwd", Type: layer.File}, {Path: "base/c", Type: layer.Symlink, Linkname: "../.."},
		})
		if err != nil {
			t.Fatal(err)
		}
		entries, err := run(t, "ADD a /base/", with(t, "a", data), dest, fetcher(t, copy.Config{MaxBytes: 1 << 20}))
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.Path != "base" && !strings.HasPrefix(e.Path, "base/") {
				t.Errorf("%q is outside of the destination", e.Path)
			}
			if err := e.Check(); err != nil {
				t.Error(err)
			}
			if e.Type == layer.File && !strings.HasPrefix(e.Path, "base/d/old") {
				content(t, e)
			}
		}
		if err := dest.Apply(entries); err != nil {
			t.Errorf("the entries make no layer: %v", err)
		}
	})
}
