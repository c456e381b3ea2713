package layer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Written says what Write has written.
type Written struct {
	Digest v1.Hash // sha256 of the compressed bytes
	DiffID v1.Hash // sha256 of the tar
	Size   int64   // compressed, in bytes
}

// Write writes entries, in their order, as a layer to w. It reads each file once,
// and keeps no more than some megabytes in memory whatever the size of the files.
// The bytes are a function of entries, contents and c alone. Write ends with an
// error when a file has not the Size of its Entry. After an error w holds a part of
// the layer.
//
// Parents have to come before what is in them, first names before hard links
// (see Sort). Times are kept in whole seconds.
func Write(ctx context.Context, w io.Writer, entries []*Entry, c Compression) (Written, error) {
	writer, err := NewWriter(c)
	if err != nil {
		return Written{}, err
	}
	return writer.Write(ctx, w, entries)
}

// Writer writes layers one after the other, and keeps its memory between them: what
// writes many layers needs one for each that it writes at the same time.
type Writer struct {
	z     compressor
	slots []*slot
}

// NewWriter returns a Writer of layers that are compressed by c.
func NewWriter(c Compression) (*Writer, error) {
	z, err := newCompressor(c)
	if err != nil {
		return nil, err
	}
	return &Writer{z: z, slots: newSlots()}, nil
}

// Write is like the function Write. It must not be called by two goroutines at once.
func (l *Writer) Write(ctx context.Context, w io.Writer, entries []*Entry) (Written, error) {
	for _, e := range entries {
		if err := e.Check(); err != nil {
			return Written{}, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &sink{w: w, hash: sha256.New(), ctx: ctx}
	if err := l.z.reset(out); err != nil {
		return Written{}, err
	}
	diffID := sha256.New()
	err := l.writeTar(ctx, io.MultiWriter(diffID, l.z), entries)
	if err == nil {
		err = l.z.Close()
	}
	if err != nil {
		cancel()                  // out takes nothing any more
		_ = l.z.reset(io.Discard) // ends what is under way
		return Written{}, fmt.Errorf("writing a layer: %w", err)
	}
	return Written{Digest: sum(out.hash), DiffID: sum(diffID), Size: out.n}, nil
}

func (l *Writer) writeTar(ctx context.Context, w io.Writer, entries []*Entry) error {
	first := firstNames(entries)
	t := tar.NewWriter(w)
	err := readAhead(ctx, l.slots, entries, func(s *slot) error {
		if err := t.WriteHeader(header(s.entry, meta(s.entry, first))); err != nil {
			return fmt.Errorf("%s: %w", Quote(s.entry.Path), err)
		}
		if s.entry.Type != File {
			return nil
		}
		return s.copyTo(ctx, t)
	})
	if err != nil {
		return err
	}
	return t.Close()
}

// sink is where compressed bytes go: counted, hashed, and refused when the work is
// given up.
type sink struct {
	w    io.Writer
	hash hash.Hash
	n    int64
	ctx  context.Context // of the one call of Write that the sink belongs to
}

func (s *sink) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.w.Write(p)
	s.hash.Write(p[:n])
	s.n += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
