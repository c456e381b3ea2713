package copy

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/devs/deploy/pkg/diag"
)

const (
	zstdMemory = 256 << 20 // window of an archive, in bytes; zstd --ultra -22 needs 128 MiB
	xzHead     = 1 << 10   // bytes that may stand before the size of an xz dictionary
)

// formats are the compressions that are known, by how a file of theirs begins.
var formats = [...]struct {
	magic string
	open  func(*bufio.Reader) (io.ReadCloser, error)
}{
	{"\x1f\x8b\x08", func(r *bufio.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }},
	{"BZh", func(r *bufio.Reader) (io.ReadCloser, error) { return io.NopCloser(bzip2.NewReader(r)), nil }},
	{"\xfd7zXZ\x00", openXZ},
	{"\x28\xb5\x2f\xfd", func(r *bufio.Reader) (io.ReadCloser, error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(zstdMemory), zstd.WithDecoderMaxWindow(zstdMemory), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}},
}

// decompress finds out by its first bytes how a file is compressed, and reads it.
func decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	head, err := b.Peek(8)
	if err != nil && err != io.EOF {
		return nil, err
	}
	for _, f := range formats {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return f.open(b)
		}
	}
	return io.NopCloser(b), nil
}

// openXZ refuses a dictionary that no compressor of files takes: the decoder would
// ask for its whole size at once.
func openXZ(b *bufio.Reader) (io.ReadCloser, error) {
	head, err := b.Peek(xzHead)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if err := checkXZ(head); err != nil {
		return nil, err
	}
	z, err := xz.NewReader(b)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(z), nil
}

// checkXZ reads the dictionary size of the first block (xz file format 1.2, sections
// 3.1 and 5.3.1): the filter LZMA2 has the ID 0x21, one byte of properties, and bytes
// up to 28 stand for 64 MiB, which xz -9 uses.
func checkXZ(head []byte) error {
	const start, most = 12, 28
	if len(head) < start+2 || head[start] == 0 {
		return nil // no block; the decoder says the rest
	}
	size := (int(head[start]) + 1) * 4
	if len(head) < start+size {
		return errors.New("the file is cut short")
	}
	block := head[start : start+size]
	i := 2
	for flag := byte(0x40); flag != 0; flag <<= 1 { // sizes that may be given
		if block[1]&flag == 0 {
			continue
		}
		for i < len(block) && block[i]&0x80 != 0 {
			i++
		}
		i++
	}
	if i+2 < len(block) && block[i] == 0x21 && block[i+1] == 1 && block[i+2] > most {
		return diag.Errorf("the archive asks for more memory than xz -9 does").
			WithHint("compress it by xz -9 or less")
	}
	return nil
}

// isArchive reports whether a file is a tar, compressed or not, as docker finds out:
// its first header can be read.
func isArchive(open func() (io.ReadCloser, error)) (bool, error) {
	f, err := open()
	if err != nil {
		return false, err
	}
	defer f.Close()
	z, err := decompress(f)
	if err != nil {
		return false, nothingElse(err)
	}
	defer z.Close()
	if _, err := tar.NewReader(z).Next(); err != nil {
		return false, nothingElse(err)
	}
	return true, nil
}

// nothingElse drops an error that only says that a file is no archive.
func nothingElse(err error) error {
	if p, ok := errors.AsType[*diag.Problem](err); ok {
		return fmt.Errorf("unpacking: %w", p)
	}
	return nil
}
