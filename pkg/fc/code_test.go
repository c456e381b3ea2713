package fc

import (
	"archive/zip"
	"bytes"
	"context"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

// codeFiles packs the code of props and lists its files.
func (w *world) codeFiles(text string) []resource.CodeFile {
	w.t.Helper()
	desired, err := w.component().Desired(context.Background(), w.call("deploy", text))
	if err != nil {
		w.t.Fatal(err)
	}
	defer desired.Close()
	for _, r := range desired.Resources {
		if lister, ok := r.Code.(resource.Lister); ok && r.Kind == props.FunctionKind {
			return lister.Files()
		}
	}
	w.t.Fatal("the code does not know its files")
	return nil
}

func TestFilesOfAFolder(t *testing.T) {
	w := newWorld(t)
	w.write("code/z/last.txt", "")
	w.write("code/a.txt", "hello")
	index := "def handler(event, context):\n    return event\n"
	want := []resource.CodeFile{
		{Path: "a.txt", Size: 5, CRC32: crc32.ChecksumIEEE([]byte("hello"))},
		{Path: "index.py", Size: int64(len(index)), CRC32: crc32.ChecksumIEEE([]byte(index))},
		{Path: "z/last.txt"},
	}
	if d := cmp.Diff(want, w.codeFiles(webProps)); d != "" {
		t.Error(d)
	}
}

// A zip that others made may hold names in any order and in any bytes.
func TestFilesOfAZip(t *testing.T) {
	w := newWorld(t)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"z.py", "dir/", "a\xff.py", "index.py"} {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err == nil && name != "dir/" {
			_, err = f.Write([]byte("x"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	w.write("code.zip", b.String())
	x := crc32.ChecksumIEEE([]byte("x"))
	want := []resource.CodeFile{{Path: "a\uFFFD.py", Size: 1, CRC32: x}, {Path: "dir/"}, {Path: "index.py", Size: 1, CRC32: x}, {Path: "z.py", Size: 1, CRC32: x}}
	got := w.codeFiles(`{"region":"cn-hangzhou","service":{"name":"demo"},"function":{"name":"hello","runtime":"python3.9",
		"handler":"index.handler","codeUri":"./code.zip"}}`)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
