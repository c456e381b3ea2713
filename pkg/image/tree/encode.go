package tree

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/devs/deploy/pkg/image/layer"
)

// indexMagic begins an encoded index: a name, and the version of what follows.
const indexMagic = "devs-index\x00\x01"

// What an encoded index may ask for.
const (
	maxIndexBytes   = 256 << 20 // decompressed
	maxIndexPaths   = 64 << 20  // bytes of all paths
	maxIndexEntries = 1_000_000
	maxIndexString  = 1 << 20
	indexWindow     = 8 << 20
)

// errIndex is the error of an index that MarshalBinary has not written.
var errIndex = errors.New("the index of a layer is damaged")

// MarshalBinary encodes the index: a version, then zstd. The same index gives the
// same bytes.
func (x *Index) MarshalBinary() ([]byte, error) {
	b := binary.AppendUvarint(nil, uint64(len(x.entries)))
	last := ""
	for _, e := range x.entries {
		b = appendEntry(b, e, last)
		last = e.Path
	}
	b = binary.AppendUvarint(b, uint64(len(x.kept)))
	for _, p := range slices.Sorted(maps.Keys(x.kept)) {
		b = appendString(b, p)
		b = appendString(b, string(x.kept[p]))
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(indexWindow))
	if err != nil {
		return nil, err
	}
	return z.EncodeAll(b, []byte(indexMagic)), z.Close()
}

func appendEntry(b []byte, e *layer.Entry, last string) []byte {
	same := 0
	for same < min(len(last), len(e.Path)) && last[same] == e.Path[same] {
		same++
	}
	b = append(b, byte(e.Type))
	b = binary.AppendUvarint(b, uint64(same))
	b = appendString(b, e.Path[same:])
	if e.Type == layer.Whiteout || e.Type == layer.Opaque {
		return b
	}
	for _, n := range []uint64{uint64(e.Mode & 0o7777), uint64(e.UID), uint64(e.GID), uint64(e.Size), uint64(e.Major), uint64(e.Minor)} {
		b = binary.AppendUvarint(b, n)
	}
	sec, nsec := int64(0), 0
	if !e.ModTime.IsZero() {
		sec, nsec = e.ModTime.Unix(), e.ModTime.Nanosecond()
	}
	b = binary.AppendVarint(b, sec)
	b = binary.AppendUvarint(b, uint64(nsec))
	b = appendString(b, e.Linkname)
	b = binary.AppendUvarint(b, uint64(len(e.Xattrs)))
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		b = appendString(b, name)
		b = appendString(b, e.Xattrs[name])
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// UnmarshalBinary decodes what MarshalBinary has written. Anything else is an error,
// and x stays as it is.
func (x *Index) UnmarshalBinary(data []byte) error {
	rest, ok := bytes.CutPrefix(data, []byte(indexMagic))
	if !ok {
		return fmt.Errorf("%w: it is of another version", errIndex)
	}
	z, err := zstd.NewReader(bytes.NewReader(rest), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(indexWindow))
	if err != nil {
		return fmt.Errorf("%w: %w", errIndex, err)
	}
	defer z.Close()
	d := &decoder{r: bufio.NewReader(io.LimitReader(z, maxIndexBytes))}
	decoded := d.index()
	if d.err == nil {
		if _, err := d.r.ReadByte(); err != io.EOF {
			d.fail(errors.New("something follows its end"))
		}
	}
	if d.err != nil {
		return fmt.Errorf("%w: %w", errIndex, d.err)
	}
	*x = *decoded
	return nil
}

// decoder reads an index. After the first error it reads nothing but zeros.
type decoder struct {
	r     *bufio.Reader
	paths int // bytes of paths, which take less in the index
	err   error
}

func (d *decoder) fail(err error) {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if d.err == nil {
		d.err = err
	}
}

func (d *decoder) index() *Index {
	x := &Index{}
	last := ""
	for range d.number(maxIndexEntries) {
		e := d.entry(last)
		if d.err != nil {
			return nil
		}
		x.entries = append(x.entries, e)
		last = e.Path
	}
	for range d.number(2) {
		path, content := d.string(), d.string()
		if d.err == nil && !x.put(path, content) {
			d.fail(fmt.Errorf("the content of %s does not fit", layer.Quote(path)))
		}
	}
	return x
}

// put gives an entry the content that was kept.
func (x *Index) put(path, content string) bool {
	found := false
	for _, e := range x.entries {
		if e.Path == path && isUserFile(e) && e.Size == int64(len(content)) {
			x.keep(e, []byte(content))
			found = true
		}
	}
	return found
}

func (d *decoder) entry(last string) *layer.Entry {
	e := &layer.Entry{Type: layer.Type(d.number(255))}
	same := int(d.number(uint64(len(last))))
	e.Path = last[:same] + d.string()
	if d.paths += len(e.Path); d.paths > maxIndexPaths {
		d.fail(errors.New("its paths are too long"))
	}
	if e.Type != layer.Whiteout && e.Type != layer.Opaque {
		d.meta(e)
	}
	if d.err == nil {
		d.err = e.Check()
	}
	return e
}

func (d *decoder) meta(e *layer.Entry) {
	const most32, most63 = 1<<32 - 1, 1<<63 - 1
	e.Mode = uint32(d.number(0o7777))
	e.UID, e.GID = int(d.number(most32)), int(d.number(most32))
	e.Size = int64(d.number(most63))
	e.Major, e.Minor = uint32(d.number(most32)), uint32(d.number(most32))
	sec, err := binary.ReadVarint(d.r)
	if err != nil {
		d.fail(err)
	}
	e.ModTime = time.Unix(sec, int64(d.number(999_999_999)))
	e.Linkname = d.string()
	for range d.number(1 << 16) {
		if e.Xattrs == nil {
			e.Xattrs = map[string]string{}
		}
		name := d.string()
		e.Xattrs[name] = d.string()
		if d.err != nil {
			return
		}
	}
}

// number reads a number that is at most most.
func (d *decoder) number(most uint64) uint64 {
	if d.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(d.r)
	if err == nil && n > most {
		err = fmt.Errorf("the number %d is too large", n)
	}
	if err != nil {
		d.fail(err)
		return 0
	}
	return n
}

func (d *decoder) string() string {
	n := d.number(maxIndexString)
	if n == 0 || d.err != nil {
		return ""
	}
	// Grown while it is read: what is claimed is not yet there.
	var b bytes.Buffer
	if _, err := io.CopyN(&b, d.r, int64(n)); err != nil {
		d.fail(err)
	}
	return b.String()
}
