package tree_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/zstd"

	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

func everything() entries {
	capable := file("usr/capable", "binary")
	capable.Xattrs = map[string]string{"security.capability": "\x01\x00\x00\x02", "user.note": "a"}
	capable.UID, capable.GID, capable.Mode = 4_000_000_000, 7, 0o6755
	return entries{dir("."), dir("etc"), file("etc/group", group), file("etc/passwd", passwd), file("etc/shadow", "secret"),
		link("bin", "usr/bin"), dir("usr"), capable, hard("usr/other", "usr/capable"), whiteout("usr/gone"), opaque("usr/new"),
		{Path: "usr/char", Type: layer.Char, Major: 1, Minor: 3, ModTime: epoch.Add(123456789)}, {Path: "usr/disk", Type: layer.Block, Major: 259, Minor: 70000},
		{Path: "usr/fifo", Type: layer.Fifo, ModTime: time.Unix(-5, 0)}, file("usr/\xff\x01", "odd")}
}

func encode(t testing.TB, x *tree.Index) []byte {
	t.Helper()
	data, err := x.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readIndex(t testing.TB, list entries) *tree.Index {
	t.Helper()
	var b bytes.Buffer
	if _, err := layer.Write(context.Background(), &b, list, layer.Gzip); err != nil {
		t.Fatal(err)
	}
	x, err := tree.ReadIndex(context.Background(), &b)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

var ignoreOpen = cmp.Options{cmpopts.IgnoreFields(layer.Entry{}, "Open"), cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b time.Time) bool {
		return a.IsZero() && b.Unix() == 0 || b.IsZero() && a.Unix() == 0 || a.Equal(b)
	})}

func TestIndexIsEncodedAndDecoded(t *testing.T) {
	made, err := tree.NewIndex(everything())
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]*tree.Index{"read": readIndex(t, everything()), "made": made} {
		t.Run(name, func(t *testing.T) {
			data := encode(t, x)
			var y tree.Index
			if err := y.UnmarshalBinary(data); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(x.Entries(), y.Entries(), ignoreOpen); d != "" {
				t.Error(d)
			}
			if !bytes.Equal(encode(t, &y), data) {
				t.Error("the same index has other bytes")
			}
			if bytes.Contains(data, []byte("secret")) {
				t.Error("the content of a file is kept")
			}
			for _, e := range y.Entries() {
				if open := e.Path == "etc/passwd" || e.Path == "etc/group"; open != (e.Open != nil) {
					t.Errorf("%s: its content is kept: %v", e.Path, e.Open != nil)
				}
			}
			uid, gid, groups, home, err := of(t, y.Entries()).User("node")
			if err != nil || uid != 1000 || gid != 1001 || len(groups) != 2 || home != "/home/node" {
				t.Errorf("%d:%d, %v, %q, %v", uid, gid, groups, home, err)
			}
		})
	}
	if d := cmp.Diff(everything(), made.Entries(), ignoreOpen); d != "" {
		t.Error(d)
	}
}

func TestIndexKeepsNoLargeFile(t *testing.T) {
	x := readIndex(t, entries{file("etc/passwd", strings.Repeat("x", 1<<20+1)), file("etc/group", strings.Repeat("y", 1<<20))})
	if list := x.Entries(); list[0].Open != nil || list[1].Open == nil {
		t.Error("a file of more than a megabyte is kept, or one of a megabyte is not")
	}
	var y tree.Index
	if err := y.UnmarshalBinary(encode(t, x)); err != nil {
		t.Error(err)
	}
}

func TestNewIndexFails(t *testing.T) {
	e := file("etc/passwd", "x")
	e.Open = func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(errors.New("broken"))), nil }
	if _, err := tree.NewIndex(entries{e}); err == nil {
		t.Error("a file that cannot be read has an index")
	}
	if _, err := tree.ReadIndex(context.Background(), strings.NewReader(strings.Repeat("<html>", 200))); err == nil {
		t.Error("a page has an index")
	}
}

// packed is an index of any bytes.
func packed(t testing.TB, content string) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll([]byte(content), []byte("devs-index\x00\x01"))
}

func TestDamagedIndexesAreRefused(t *testing.T) {
	whole := encode(t, readIndex(t, everything()))
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0x55
	// A directory "a": type, nothing shared, the path, mode to minor, two of the time, target, attributes.
	entry := func(typ, path string) string {
		return typ + "\x00" + string(rune(len(path))) + path + strings.Repeat("\x00", 10)
	}
	if err := new(tree.Index).UnmarshalBinary(packed(t, "\x01"+entry("\x01", "a")+"\x00")); err != nil {
		t.Fatalf("the index that the table changes: %v", err)
	}
	for name, data := range map[string][]byte{
		"nothing":            nil,
		"another version":    append([]byte("devs-index\x00\x02"), whole[12:]...),
		"only its name":      whole[:12],
		"cut":                whole[:len(whole)-10],
		"flipped":            flipped,
		"a rest":             append(bytes.Clone(whole), "rest"...),
		"no zstd":            []byte("devs-index\x00\x01{}"),
		"empty":              packed(t, ""),
		"a rest inside":      packed(t, "\x01"+entry("\x01", "a")+"\x00\x00"),
		"too many entries":   packed(t, "\xff\xff\xff\xff\x7f"),
		"missing entries":    packed(t, "\x05"+entry("\x01", "a")+"\x00"),
		"unknown type":       packed(t, "\x01"+entry("\x0b", "a")+"\x00"),
		"no type":            packed(t, "\x01"+entry("\x00", "a")+"\x00"),
		"out":                packed(t, "\x01"+entry("\x01", "../a")+"\x00"),
		"absolute":           packed(t, "\x01"+entry("\x01", "/a")+"\x00"),
		"shares too much":    packed(t, "\x01\x01\x05\x01a"+strings.Repeat("\x00", 10)+"\x00"),
		"long string":        packed(t, "\x01\x01\x00\xff\xff\xff\xff\x7f"),
		"content of no one":  packed(t, "\x01"+entry("\x01", "a")+"\x01\x0aetc/passwd\x00"),
		"content of another": packed(t, "\x01"+entry("\x02", "etc/shadow")+"\x01\x0aetc/shadow\x00"),
		"content too long":   packed(t, "\x01"+entry("\x02", "etc/passwd")+"\x01\x0aetc/passwd\x01x"),
	} {
		t.Run(name, func(t *testing.T) {
			x := readIndex(t, entries{file("kept", "")})
			if err := x.UnmarshalBinary(data); err == nil || !strings.Contains(err.Error(), "the index of a layer is damaged") {
				t.Errorf("got %v", err)
			}
			if list := x.Entries(); len(list) != 1 || list[0].Path != "kept" {
				t.Errorf("the index has changed to %v", list)
			}
		})
	}
}

// A small index can claim a lot: it must fail before it takes the memory.
func TestIndexBombs(t *testing.T) {
	deep := "\x00\xff\x7f" + strings.Repeat("a/", 8191) + "a" // a path of 16383 bytes
	bomb := "\xa1\x9c\x01\x01" + deep + strings.Repeat("\x00", 10)
	bomb += strings.Repeat("\x01\xff\x7f\x00"+strings.Repeat("\x00", 10), 20_000)
	for name, data := range map[string][]byte{
		"paths":  packed(t, bomb),
		"string": packed(t, "\x01\x01\x00\x80\x80\x40"),
	} {
		if err := new(tree.Index).UnmarshalBinary(data); err == nil {
			t.Errorf("%s: %d bytes are an index", name, len(data))
		} else {
			t.Logf("%s: %d bytes: %v", name, len(data), err)
		}
	}
}

// FuzzUnmarshalIndex decodes anything, as it is or packed; what it accepts is encoded
// and decoded the same, and can be laid over a tree without a panic.
func FuzzUnmarshalIndex(f *testing.F) {
	unpack, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		f.Fatal(err)
	}
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		f.Fatal(err)
	}
	data := encode(f, readIndex(f, everything()))
	plain, err := unpack.DecodeAll(data[len("devs-index\x00\x01"):], nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, false)
	f.Add(plain, true)
	f.Fuzz(func(t *testing.T, data []byte, packed bool) {
		if packed {
			data = pack.EncodeAll(data, []byte("devs-index\x00\x01"))
		}
		var x, y tree.Index
		if x.UnmarshalBinary(data) != nil {
			return
		}
		if err := y.UnmarshalBinary(encode(t, &x)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(x.Entries(), y.Entries(), ignoreOpen); d != "" {
			t.Fatal(d)
		}
		tr := tree.New()
		if tr.Apply(x.Entries()) == nil {
			_, _, _, _, _ = tr.User("node")
		}
	})
}
