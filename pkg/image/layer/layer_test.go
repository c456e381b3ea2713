package layer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/devs/deploy/pkg/image/layer"
)

var epoch = time.Unix(1700000000, 0)

var compressions = []layer.Compression{layer.Gzip, layer.Zstd, layer.None}

// file returns a File with a content.
func file(path, content string) *layer.Entry {
	return &layer.Entry{Path: path, Type: layer.File, Mode: 0o644, Size: int64(len(content)), ModTime: epoch, Open: opener(content)}
}

func opener(content string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
}

func dir(path string) *layer.Entry {
	return &layer.Entry{Path: path, Type: layer.Dir, Mode: 0o755, ModTime: epoch}
}

func link(path, target string) *layer.Entry {
	return &layer.Entry{Path: path, Type: layer.Symlink, Mode: 0o777, Linkname: target, ModTime: epoch}
}

func hard(path, first string) *layer.Entry {
	return &layer.Entry{Path: path, Type: layer.Hardlink, Linkname: first}
}

// pseudo returns n bytes that are always the same and compress by about a half.
func pseudo(n int) string {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		b.WriteString(hex.EncodeToString(sum[:]))
	}
	return b.String()[:n]
}

func write(t testing.TB, entries []*layer.Entry, c layer.Compression) ([]byte, layer.Written) {
	t.Helper()
	var b bytes.Buffer
	w, err := layer.Write(context.Background(), &b, entries, c)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w
}

type read struct {
	Entry   layer.Entry
	Content string
}

func readAll(r io.Reader, limits layer.Limits) ([]read, error) {
	var all []read
	err := layer.Read(context.Background(), r, limits, func(e *layer.Entry, content io.Reader) error {
		data, err := io.ReadAll(content)
		all = append(all, read{*e, string(data)})
		return err
	})
	return all, err
}

func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.IgnoreFields(layer.Entry{}, "Open"), cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0))
}

// everything has each type of entry, and all that needs more than a plain header.
func everything() []*layer.Entry {
	long := strings.Repeat("a-long-name/", 30) + strings.Repeat("x", 200)
	big := file("big", pseudo(300_000))
	big.UID, big.GID, big.Mode = 5_000_000, 6_000_000, 0o6755
	capable := file("capable", "binary")
	capable.Xattrs = map[string]string{"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00" + strings.Repeat("\x00", 12), "user.note": "a=b\nc"}
	old := file("old", "")
	old.ModTime = time.Unix(-1000, 0)
	return []*layer.Entry{
		dir("."), dir("a"),
		{Type: layer.Opaque, Path: "a"},
		{Type: layer.Whiteout, Path: "a/gone"},
		file("a/empty", ""), file("a/f", "hello"), hard("a/g", "a/f"),
		link("abs", "/etc/../x"), big, capable,
		{Path: "char", Type: layer.Char, Mode: 0o666, Major: 1, Minor: 3, ModTime: epoch},
		{Path: "disk", Type: layer.Block, Mode: 0o660, Major: 259, Minor: 70000, ModTime: epoch},
		{Path: "fifo", Type: layer.Fifo, Mode: 0o644, ModTime: epoch},
		file("latin-\xe9-\x01", "not UTF-8"), link("long", strings.Repeat("y", 3000)), file(long, "deep"),
		file("name with spaces ", "s"), old,
		{Path: "tmp", Type: layer.Dir, Mode: 0o1777, ModTime: epoch},
		file("\u4f60\u597d", "unicode"),
	}
}

func TestWriteAndReadKeepEverything(t *testing.T) {
	var want []read
	for _, e := range everything() {
		w := read{Entry: *e}
		if e.Type == layer.Hardlink { // carries the metadata of its first name
			w.Entry.Mode, w.Entry.ModTime = 0o644, epoch
		}
		if e.Open != nil {
			r, _ := e.Open()
			data, _ := io.ReadAll(r)
			w.Content = string(data)
		}
		want = append(want, w)
	}
	for _, c := range compressions {
		t.Run(c.String(), func(t *testing.T) {
			data, w := write(t, everything(), c)
			if got := fmt.Sprintf("%x", sha256.Sum256(data)); got != w.Digest.Hex || w.Size != int64(len(data)) {
				t.Errorf("%s, %d bytes: Write says %v", got, len(data), w)
			}
			got, err := readAll(bytes.NewReader(data), layer.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDiffIDIsOfTheTar(t *testing.T) {
	plain, none := write(t, everything(), layer.None)
	if none.Digest != none.DiffID {
		t.Errorf("digest %v, diff ID %v", none.Digest, none.DiffID)
	}
	for _, c := range compressions {
		if _, w := write(t, everything(), c); w.DiffID != none.DiffID {
			t.Errorf("%v: %v, want %v", c, w.DiffID, none.DiffID)
		}
	}
	if len(plain)%512 != 0 {
		t.Errorf("the tar has %d bytes", len(plain))
	}
}

func TestTimesAreWholeSeconds(t *testing.T) {
	e := file("a", "x")
	_, want := write(t, []*layer.Entry{e}, layer.Gzip)
	late := file("a", "x")
	late.ModTime = epoch.Add(999 * time.Millisecond).In(time.FixedZone("east", 8*3600))
	if _, got := write(t, []*layer.Entry{late}, layer.Gzip); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCompare(t *testing.T) {
	sorted := []string{".", "\x01", "a", "a/b", "a/b/c", "a/b-c", "a/c", "a!b", "a-b", "a.b", "ab", "b"}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := layer.Compare(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("Compare(%q, %q) = %d", a, b, got)
			}
		}
	}
}

func TestSort(t *testing.T) {
	entries := []*layer.Entry{
		file("z", ""), file("d/a", ""), {Type: layer.Whiteout, Path: "d/zz"}, {Type: layer.Opaque, Path: "d"}, dir("d"),
		file("d-1", ""), {Type: layer.Whiteout, Path: "y"}, dir("d/a-dir"), {Type: layer.Opaque, Path: "."}, dir("."),
	}
	layer.Sort(entries)
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%d %s", e.Type, e.Path))
	}
	want := []string{"1 .", "9 .", "8 y", "1 d", "9 d", "8 d/zz", "2 d/a", "1 d/a-dir", "2 d-1", "2 z"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCleanPath(t *testing.T) {
	for in, want := range map[string]string{
		"a": "a", "./a": "a", "/a": "a", "//a//b/": "a/b", "": ".", ".": ".", "/": ".", "./": ".", "a/./b": "a/b", "...": "...",
		" a ": " a ", "a\\b": "a\\b",
	} {
		if got, err := layer.CleanPath(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"..", "../a", "a/..", "a/../b", "/../a", "a\x00b", strings.Repeat("x", 256), strings.Repeat("a/", 20000)} {
		if got, err := layer.CleanPath(in); err == nil {
			t.Errorf("%.40q: got %q, want an error", in, got)
		}
	}
}
