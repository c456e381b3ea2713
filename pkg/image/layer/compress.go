package layer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

// Compression is how a layer is compressed.
type Compression int

// The compressions. Gzip is what every reader of images knows.
const (
	Gzip Compression = iota
	Zstd
	None
)

// String returns the name of the compression.
func (c Compression) String() string {
	switch c {
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	case None:
		return "none"
	}
	return fmt.Sprintf("Compression(%d)", int(c))
}

// What the bytes of a compressed layer depend on. To change one of these is to change
// the digest of every layer.
const (
	gzipLevel      = pgzip.BestSpeed
	gzipBlock      = 256 << 10
	zstdLevel      = zstd.SpeedDefault
	zstdWindow     = 1 << 20
	zstdConcurrent = 2
)

// maxBlocks bounds what is compressed at the same time, and by that the memory: a
// block takes about one megabyte.
const maxBlocks = 8

// compressor compresses what is written to it. It may be used again after reset.
type compressor interface {
	io.Writer
	// Close writes the rest.
	Close() error
	// reset makes the compressor write to w, from the beginning. It ends what is still
	// under way after an error: the writer before must not block any more.
	reset(w io.Writer) error
}

func newCompressor(c Compression) (compressor, error) {
	switch c {
	case Gzip:
		z, err := pgzip.NewWriterLevel(io.Discard, gzipLevel)
		return gzipCompressor{z}, err
	case Zstd:
		z, err := zstd.NewWriter(io.Discard, zstd.WithEncoderLevel(zstdLevel), zstd.WithWindowSize(zstdWindow),
			zstd.WithEncoderConcurrency(zstdConcurrent), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true))
		return zstdCompressor{z}, err
	case None:
		return &plain{}, nil
	}
	return nil, fmt.Errorf("unknown compression %d", int(c))
}

type gzipCompressor struct{ *pgzip.Writer }

func (z gzipCompressor) reset(w io.Writer) error {
	z.Reset(w)
	return z.SetConcurrency(gzipBlock, min(runtime.GOMAXPROCS(0), maxBlocks))
}

type zstdCompressor struct{ *zstd.Encoder }

func (z zstdCompressor) reset(w io.Writer) error {
	z.Reset(w)
	return nil
}

type plain struct{ io.Writer }

func (*plain) Close() error { return nil }

func (p *plain) reset(w io.Writer) error {
	p.Writer = w
	return nil
}

// Reading: how much is decompressed ahead, and the largest window of zstd that is
// accepted (that of its --long=27).
const (
	gunzipBlock  = 256 << 10
	gunzipBlocks = 4
	maxWindow    = 128 << 20
)

// decompress returns the content of a stream, whose compression it detects by its
// first bytes: gzip, zstd, else none. The second value ends it, also before its end.
func decompress(r io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := pgzip.NewReaderN(b, gunzipBlock, gunzipBlocks)
		if err != nil {
			return nil, nil, fmt.Errorf("decompressing: %w", truncated(err))
		}
		return z, func() { _ = z.Close() }, nil
	case isZstd(magic):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, fmt.Errorf("decompressing: %w", err)
		}
		return z, z.Close, nil
	}
	return b, func() {}, nil
}

// isZstd knows the magic numbers of zstd: of a frame, and of a skippable one.
func isZstd(magic []byte) bool {
	if len(magic) < 4 {
		return false
	}
	return bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}) ||
		magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:], []byte{0x2a, 0x4d, 0x18})
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
