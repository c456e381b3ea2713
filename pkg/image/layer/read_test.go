package layer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/devs/deploy/pkg/image/layer"
)

// tarOf makes a tar of headers, whose files have Size bytes.
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, strings.Repeat("x", int(h.Size))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, p := range parts {
		w := gzip.NewWriter(&b)
		_, err := w.Write(p)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// raw patches a header of a tar and mends its checksum.
func raw(archive []byte, offset int, patch string) []byte {
	h := bytes.Clone(archive)
	copy(h[offset:], patch)
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h[:512] {
		sum += int(c)
	}
	copy(h[148:], []byte{byte('0' + sum>>15&7), byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
	return h
}

func pax(name string, records map[string]string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, PAXRecords: records, Format: tar.FormatPAX}
}

func TestReadRefuses(t *testing.T) {
	reg := func(name string) []byte { return tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: name}) }
	symlink := func(target string) []byte {
		return tarOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: target})
	}
	hardlink := func(target string) []byte {
		return tarOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "l", Linkname: target})
	}
	file := tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "file", Size: 5000})
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"..":                    {reg("../x"), `".."`},
		".. inside":             {reg("a/../b"), `".."`},
		".. at the end":         {reg("a/.."), `".."`},
		"absolute ..":           {reg("/../../x"), `".."`},
		"long name":             {reg(strings.Repeat("n", 256)), "more than 255 bytes"},
		"long path":             {reg(strings.Repeat("n/", 20_000) + "n"), "longer than"},
		"root file":             {tarOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: ".", Linkname: "x"}), "root of an image"},
		"hard link out":         {hardlink("../etc/passwd"), `".."`},
		"hard link to the root": {hardlink("/"), "points to"},
		"symlink to nothing":    {symlink(""), "has a target"},
		"long symlink":          {symlink(strings.Repeat("a", 4096)), "has a target"},
		"below a whiteout":      {reg("a/.wh.b/c"), "cannot be in an image"},
		"whiteout of nothing":   {reg("a/.wh."), "removes nothing"},
		"whiteout of .":         {reg("a/.wh.."), "removes nothing"},
		"whiteout of ..":        {reg("a/.wh..."), "removes nothing"},
		"unknown type":          {raw(file, 156, "Z"), "type 'Z'"},
		"contiguous file":       {raw(file, 156, "7"), "type '7'"},
		"volume header":         {raw(file, 156, "V"), "type 'V'"},
		"negative owner":        {raw(file, 108, "\xff\xff\xff\xff\xff\xff\xff\xff"), "has the owner"},
		"large owner":           {raw(file, 108, "\x80\x00\x00\x01\x00\x00\x00\x00"), "has the owner"},
		"damaged":               {append([]byte("x"), file[1:]...), "invalid tar header"},
		"not a tar":             {[]byte(strings.Repeat("<html>", 200)), "invalid tar header"},
		"short":                 {file[:600], "unexpected EOF"},
		"short gzip":            {gzipped(t, file)[:40], "unexpected EOF"},
		"short gzip header":     {gzipped(t, file)[:6], "unexpected EOF"},
		"gzip without its end":  {gzipped(t, file)[:len(gzipped(t, file))-4], "unexpected EOF"},
		"wrong checksum":        {raw2(gzipped(t, file), -8), "invalid checksum"},
		"rest after gzip":       {append(gzipped(t, file), "rest of something"...), "invalid header"},
		"large PAX header":      {largeHeader(t, 'x', 2<<20), "too long"},
		"large GNU name":        {largeHeader(t, 'L', 2<<20), "too long"},
		"attribute without name": {tarOf(t, pax("f", map[string]string{"SCHILY.xattr.": "x"})),
			"extended attribute"},
		"long attribute": {tarOf(t, pax("f", map[string]string{"SCHILY.xattr.user.x": strings.Repeat("x", 70_000)})),
			"extended attribute"},
		"long attribute name": {tarOf(t, pax("f", map[string]string{"SCHILY.xattr.user." + strings.Repeat("x", 300): "x"})),
			"extended attribute"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readAll(bytes.NewReader(c.data), layer.Limits{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "reading a layer: ") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// raw2 changes the byte at i from the end.
func raw2(data []byte, i int) []byte {
	data[len(data)+i]++
	return data
}

// largeHeader makes a header of n bytes before an entry.
func largeHeader(t *testing.T, typ byte, n int) []byte {
	h := tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: int64(n)})
	return append(raw(h[:len(h)-1024], 156, string(typ)), tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "f"})...)
}

func TestReadAccepts(t *testing.T) {
	plain := tarOf(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "a commit"}},
		tar.Header{Typeflag: tar.TypeDir, Name: "./"},
		tar.Header{Typeflag: tar.TypeDir, Name: "/etc/"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./etc//f", Size: 3},
		tar.Header{Typeflag: tar.TypeLink, Name: "etc/g", Linkname: "/etc/f"},
		tar.Header{Typeflag: tar.TypeReg, Name: ".wh..wh.aufs"},
		tar.Header{Typeflag: tar.TypeDir, Name: ".wh..wh.plnk/"},
		tar.Header{Typeflag: tar.TypeReg, Name: ".wh..wh.plnk/12.34"},
		tar.Header{Typeflag: tar.TypeReg, Name: "etc/.wh.old"},
		tar.Header{Typeflag: tar.TypeReg, Name: "etc/.wh..wh..opq"},
		tar.Header{Typeflag: tar.TypeReg, Name: ".wh..wh..opq"},
	)
	want := []string{"1 .  ", "1 etc  ", "2 etc/f  xxx", "3 etc/g etc/f ", "8 etc/old  ", "9 etc  ", "9 .  "}
	want[3] = strings.Replace(want[3], "3", "4", 1)
	var zbuf bytes.Buffer
	z, err := zstd.NewWriter(&zbuf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	skippable := []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00toc!")
	for name, data := range map[string][]byte{
		"plain":               plain,
		"without end":         plain[:len(plain)-1024],
		"padded":              append(bytes.Clone(plain), make([]byte, 20_000)...),
		"with a rest":         append(bytes.Clone(plain), "something else"...),
		"gzip":                gzipped(t, plain),
		"gzip of many":        gzipped(t, plain[:100], plain[100:700], nil, plain[700:]),
		"zstd":                zbuf.Bytes(),
		"zstd with skippable": append(bytes.Clone(skippable), append(bytes.Clone(zbuf.Bytes()), skippable...)...),
	} {
		t.Run(name, func(t *testing.T) {
			all, err := readAll(iotest.OneByteReader(bytes.NewReader(data)), layer.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range all {
				got = append(got, strings.Join([]string{string('0' + byte(r.Entry.Type)), r.Entry.Path, r.Entry.Linkname, r.Content}, " "))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
	for name, data := range map[string][]byte{"nothing": nil, "an empty tar": make([]byte, 1024), "an empty gzip": gzipped(t, nil)} {
		if all, err := readAll(bytes.NewReader(data), layer.Limits{}); err != nil || len(all) > 0 {
			t.Errorf("%s: got %v, %v", name, all, err)
		}
	}
}

func TestLimits(t *testing.T) {
	many := tarOf(t, pax("a", map[string]string{"SCHILY.xattr.user.x": "12345"}), tar.Header{Typeflag: tar.TypeReg, Name: "b", Size: 5000})
	// A file of 1 TiB that is one hole.
	records := "26 GNU.sparse.numblocks=1\n" + "22 GNU.sparse.map=0,0\n" + "33 GNU.sparse.size=1099511627776\n"
	hole := tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: int64(len(records))})
	hole = raw(hole[:len(hole)-1024], 156, "x")
	copy(hole[512:], records)
	hole = append(hole, tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "sparse"})...)
	for name, c := range map[string]struct {
		data   []byte
		limits layer.Limits
		want   string
	}{
		"within":         {many, layer.Limits{Entries: 2, Bytes: int64(len(many)), Meta: 100}, ""},
		"entries":        {many, layer.Limits{Entries: 1}, "more than 1 entries"},
		"bytes of files": {many, layer.Limits{Bytes: 4999}, "more than 4999 bytes"},
		"bytes in all":   {many, layer.Limits{Bytes: int64(len(many)) - 1}, "more than"},
		"compressed":     {gzipped(t, append(bytes.Clone(many), make([]byte, 10<<20)...)), layer.Limits{Bytes: 1 << 20}, "more than 1048576 bytes"},
		"names":          {many, layer.Limits{Meta: 20}, "more than 20 bytes"},
		"a hole":         {hole, layer.Limits{Bytes: 1 << 30}, "more than 1073741824 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readAll(bytes.NewReader(c.data), c.limits)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A reader below that checks a digest tells so where it would say EOF.
func TestReadReadsToTheEnd(t *testing.T) {
	errDigest := errors.New("the digest is another")
	plain := tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Size: 10})
	for _, data := range [][]byte{plain, gzipped(t, plain)} {
		_, err := readAll(io.MultiReader(bytes.NewReader(data), iotest.ErrReader(errDigest)), layer.Limits{})
		if !errors.Is(err, errDigest) {
			t.Errorf("got %v", err)
		}
	}
}

func TestReadStops(t *testing.T) {
	plain := tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Size: 5 << 20}, tar.Header{Typeflag: tar.TypeReg, Name: "g"})
	before := runtime.NumGoroutine()
	errStop := errors.New("stop")
	for range 10 {
		err := layer.Read(context.Background(), bytes.NewReader(gzipped(t, plain)), layer.Limits{}, func(*layer.Entry, io.Reader) error { return errStop })
		if !errors.Is(err, errStop) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		err = layer.Read(ctx, bytes.NewReader(gzipped(t, plain)), layer.Limits{}, func(*layer.Entry, io.Reader) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
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

func TestContentMayBeLeftUnread(t *testing.T) {
	data, _ := write(t, someFiles(30, 3000), layer.Gzip)
	n := 0
	err := layer.Read(context.Background(), bytes.NewReader(data), layer.Limits{}, func(e *layer.Entry, content io.Reader) error {
		n++
		_, err := content.Read(make([]byte, n))
		if err == io.EOF && e.Type == layer.Dir {
			err = nil
		}
		return err
	})
	if err != nil || n != 31 {
		t.Errorf("%d entries, %v", n, err)
	}
}

// FuzzRead reads anything; what it accepts can be written, and is then read the same.
func FuzzRead(f *testing.F) {
	for _, c := range compressions {
		data, _ := write(f, everything(), c)
		f.Add(data)
	}
	f.Add(gzipped(f, tarOf(f, tar.Header{Typeflag: tar.TypeReg, Name: "a/.wh..wh..opq"}), nil))
	f.Add(tarOf(f, tar.Header{Typeflag: tar.TypeReg, Name: "/a/../b"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := layer.Limits{Entries: 1000, Bytes: 4 << 20, Meta: 1 << 20}
		first, err := readAll(bytes.NewReader(data), limits)
		if err != nil {
			return
		}
		var entries []*layer.Entry
		for _, r := range first {
			e := r.Entry
			if e.Type == layer.File {
				e.Open = opener(r.Content)
			}
			e.ModTime = time.Unix(e.ModTime.Unix(), 0)
			entries = append(entries, &e)
		}
		var b bytes.Buffer
		if _, err := layer.Write(context.Background(), &b, entries, layer.None); err != nil {
			if strings.Contains(err.Error(), "archive/tar: cannot encode header") {
				return // a number or a name that the format cannot hold
			}
			t.Fatal(err)
		}
		second, err := readAll(&b, layer.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if len(first) != len(second) {
			t.Fatalf("%d entries became %d", len(first), len(second))
		}
		for i := range first {
			a, b := first[i], second[i]
			if a.Entry.Path != b.Entry.Path || a.Entry.Type != b.Entry.Type || a.Entry.Linkname != b.Entry.Linkname || a.Content != b.Content {
				t.Errorf("%+v became %+v", a.Entry, b.Entry)
			}
		}
	})
}
