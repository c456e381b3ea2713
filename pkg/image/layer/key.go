package layer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// keyVersion is the first part of every key. It changes when what a key covers does.
const keyVersion = "devs layer key 1"

// Sums holds the hashes of the contents of files, so that the keys of all entries and
// of parts of them read each file once.
type Sums struct {
	files map[*Entry][sha256.Size]byte
}

// Sum reads all files of entries, in parallel.
func Sum(ctx context.Context, entries []*Entry) (*Sums, error) {
	sums := make([][sha256.Size]byte, len(entries))
	group, ctx := errgroup.WithContext(ctx)
	buffers := sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}
	var next atomic.Int64
	for range min(2*runtime.GOMAXPROCS(0), 16) {
		group.Go(func() error {
			buf := buffers.Get().(*[]byte)
			defer buffers.Put(buf)
			h := sha256.New()
			for i := next.Add(1) - 1; i < int64(len(entries)); i = next.Add(1) - 1 {
				if entries[i].Type != File {
					continue
				}
				if err := sumFile(ctx, entries[i], h, *buf); err != nil {
					return err
				}
				h.Sum(sums[i][:0])
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("computing the key of a layer: %w", err)
	}
	s := &Sums{files: make(map[*Entry][sha256.Size]byte, len(entries))}
	for i, e := range entries {
		if e.Type == File {
			s.files[e] = sums[i]
		}
	}
	return s, nil
}

// sumFile leaves the hash of the content in h.
func sumFile(ctx context.Context, e *Entry, h hash.Hash, buf []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h.Reset()
	r, err := open(e)
	if err != nil {
		return err
	}
	defer r.Close()
	for left := e.Size; left > 0; {
		n, err := io.ReadFull(r, buf[:min(left, int64(len(buf)))])
		if err != nil {
			return readError(e, err)
		}
		h.Write(buf[:n])
		if left -= int64(n); left > 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return atEnd(e, r)
}

// Key returns the key of entries, which Sum has seen: two layers have the same key
// when their tars are the same.
func (s *Sums) Key(entries []*Entry) (v1.Hash, error) {
	first := firstNames(entries)
	h := sha256.New()
	h.Write([]byte(keyVersion))
	var buf []byte
	for _, e := range entries {
		buf = appendKey(buf[:0], e, meta(e, first))
		if e.Type == File {
			content, ok := s.files[e]
			if !ok {
				return v1.Hash{}, fmt.Errorf("computing the key of a layer: the content of %s is not known", Quote(e.Path))
			}
			buf = append(buf, content[:]...)
		}
		h.Write(buf)
	}
	return sum(h), nil
}

// Key returns the content key of entries: a hash over all that Write would write.
// It reads every file; see Sum for several keys from one reading.
func Key(ctx context.Context, entries []*Entry) (v1.Hash, error) {
	s, err := Sum(ctx, entries)
	if err != nil {
		return v1.Hash{}, err
	}
	return s.Key(entries)
}

// appendKey appends all of an entry but its content, with the metadata of m. Every
// part has its length before it, so that no two entries look alike.
func appendKey(b []byte, e, m *Entry) []byte {
	b = append(b, byte(e.Type))
	b = appendString(b, e.Path)
	if e.removes() {
		return b
	}
	b = appendString(b, e.Linkname)
	for _, n := range []int64{int64(m.Mode & permissions), int64(m.UID), int64(m.GID), seconds(m.ModTime)} {
		b = binary.AppendVarint(b, n)
	}
	switch e.Type {
	case File:
		b = binary.AppendVarint(b, e.Size)
	case Char, Block:
		b = binary.AppendUvarint(b, uint64(e.Major))
		b = binary.AppendUvarint(b, uint64(e.Minor))
	case Hardlink:
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(m.Xattrs)))
	for _, name := range slices.Sorted(maps.Keys(m.Xattrs)) {
		b = appendString(b, name)
		b = appendString(b, m.Xattrs[name])
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
