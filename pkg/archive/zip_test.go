package archive

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kflate "github.com/klauspost/compress/flate"
)

// TestManyEntries needs zip64: 65,535 entries are the most without.
func TestManyEntries(t *testing.T) {
	sources := make([]source, 70_000)
	for i := range sources {
		sources[i] = source{path: fmt.Sprintf("l%05d", i), link: "x", mode: fs.ModeSymlink | 0o777}
	}
	p, err := packSources(context.Background(), Options{TempDir: t.TempDir()}, sources)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if diff := cmp.Diff(p.Entries, readZip(t, content(t, p))); diff != "" {
		t.Errorf("entries differ: %.500s", diff)
	}
}

// TestHugeEntry needs zip64: more than 4 GiB in one file. The chunks are made
// once, for it is the sizes that matter.
func TestHugeEntry(t *testing.T) {
	const size = 4<<30 + 1
	src := &source{path: "huge", mode: 0o644, info: fakeInfo(size)}
	raw := make([]byte, chunkSize)
	job := func(off int64, raw []byte, end func(*kflate.Writer) error) *job {
		j := &job{src: src, off: off, raw: raw, last: off+chunkSize >= size}
		w, _ := kflate.NewWriter(&j.out, level)
		w.Write(raw)
		if err := end(w); err != nil {
			t.Fatal(err)
		}
		return j
	}
	middle := job(0, raw, (*kflate.Writer).Flush)
	var b bytes.Buffer
	z := newZipWriter(&b, 1)
	for off := int64(0); off+chunkSize < size; off += chunkSize {
		middle.off = off
		if err := z.chunk(middle); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.chunk(job(4<<30, raw[:1], (*kflate.Writer).Close)); err != nil {
		t.Fatal(err)
	}
	entries, err := z.finish()
	if err != nil {
		t.Fatal(err)
	}
	if got := readZip(t, b.Bytes()); len(got) != 1 || got[0] != entries[0] || got[0].Size != size {
		t.Errorf("entries %v", got)
	}
}

// fakeInfo is a file that is as large as it says.
type fakeInfo int64

func (i fakeInfo) Name() string       { return "huge" }
func (i fakeInfo) Size() int64        { return int64(i) }
func (i fakeInfo) Mode() fs.FileMode  { return 0o644 }
func (i fakeInfo) ModTime() time.Time { return time.Time{} }
func (i fakeInfo) IsDir() bool        { return false }
func (i fakeInfo) Sys() any           { return nil }
