package archive

import (
	"archive/zip"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"unicode/utf8"
)

// Fields of the zip format (APPNOTE.TXT 4.4).
const (
	flagDescriptor = 1 << 3  // sizes and checksum follow the data
	flagUTF8       = 1 << 11 // the name is UTF-8
	version20      = 20
	version45      = 45   // zip64
	dosEpoch       = 0x21 // 1980-01-01, the first day that a zip can name
)

// zipWriter writes chunks, which come in order, as entries.
type zipWriter struct {
	zip     *zip.Writer
	header  *zip.FileHeader // of the entry that is being written
	data    io.Writer
	entries []Entry
}

func newZipWriter(w io.Writer, entries int) *zipWriter {
	return &zipWriter{zip: zip.NewWriter(w), entries: make([]Entry, 0, entries)}
}

// chunk writes the next chunk of an entry; the first one begins the entry, the
// last one ends it.
func (z *zipWriter) chunk(j *job) error {
	if j.off == 0 && j.last {
		return z.whole(j)
	}
	if j.off == 0 {
		if err := z.begin(j.src); err != nil {
			return err
		}
	}
	h := z.header
	h.CRC32 = crc32.Update(h.CRC32, crc32.IEEETable, j.raw)
	h.CompressedSize64 += uint64(j.out.Len())
	h.UncompressedSize64 += uint64(len(j.raw))
	if _, err := z.data.Write(j.out.Bytes()); err != nil {
		return err
	}
	if j.last {
		z.end()
	}
	return nil
}

// whole writes an entry that is one chunk, as it is when deflating gains nothing.
func (z *zipWriter) whole(j *job) error {
	h := newHeader(j.src)
	h.CRC32 = crc32.ChecksumIEEE(j.raw)
	h.UncompressedSize64 = uint64(len(j.raw))
	data := j.raw
	if j.out.Len() > 0 && j.out.Len() < len(j.raw) {
		h.Method = zip.Deflate
		data = j.out.Bytes()
	}
	h.CompressedSize64 = uint64(len(data))
	w, err := z.zip.CreateRaw(h)
	if err != nil {
		return err
	}
	if len(data) > 0 {
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	z.add(h)
	return nil
}

// begin starts an entry whose sizes will be known at its end.
func (z *zipWriter) begin(src *source) (err error) {
	z.header = newHeader(src)
	z.header.Method = zip.Deflate
	z.header.Flags |= flagDescriptor
	if src.size() > math.MaxUint32 {
		z.header.ReaderVersion = version45
	}
	z.data, err = z.zip.CreateRaw(z.header)
	return err
}

// end completes the header, from which the zip writer makes the data descriptor
// and the record in the directory.
func (z *zipWriter) end() {
	h := z.header
	//lint:ignore SA1019 the zip writer reads this field
	h.CompressedSize = uint32(min(h.CompressedSize64, math.MaxUint32))
	//lint:ignore SA1019 the zip writer reads this field
	h.UncompressedSize = uint32(min(h.UncompressedSize64, math.MaxUint32))
	z.add(h)
}

func (z *zipWriter) add(h *zip.FileHeader) {
	z.entries = append(z.entries, entryOf(h))
}

func (z *zipWriter) finish() ([]Entry, error) {
	if err := z.zip.Close(); err != nil {
		return nil, fmt.Errorf("writing the package: %w", err)
	}
	return z.entries, nil
}

// newHeader returns a header that holds nothing but the name and the mode.
func newHeader(src *source) *zip.FileHeader {
	h := &zip.FileHeader{
		Name:           src.path,
		CreatorVersion: version20,
		ReaderVersion:  version20,
		Method:         zip.Store,
		//lint:ignore SA1019 CreateRaw writes this field
		ModifiedDate: dosEpoch,
	}
	h.SetMode(src.mode)
	if !isASCII(src.path) && utf8.ValidString(src.path) {
		h.Flags |= flagUTF8
	}
	return h
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func entryOf(h *zip.FileHeader) Entry {
	return Entry{Path: h.Name, Mode: h.Mode(), Size: int64(h.UncompressedSize64), CRC32: h.CRC32}
}
