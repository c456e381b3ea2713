package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

// Limits bound what a layer of somebody else may ask for. Zero values mean defaults
// that no honest image reaches.
type Limits struct {
	Entries int   // number of entries; 1,000,000
	Bytes   int64 // of the decompressed tar, and of all files with their holes; 64 GiB
	Meta    int64 // of paths, targets and extended attributes; 256 MiB
}

func (l Limits) withDefaults() Limits {
	if l.Entries == 0 {
		l.Entries = 1_000_000
	}
	if l.Bytes == 0 {
		l.Bytes = 64 << 30
	}
	if l.Meta == 0 {
		l.Meta = 256 << 20
	}
	return l
}

// Read reads a layer: a tar that is compressed by gzip or zstd or not at all, which
// it finds out by itself. It calls fn for each entry, in order; content is what a
// File holds, may be left unread, and is not valid after fn returns; Open is nil.
// The whole stream is read to its end, so that a reader below that checks a digest
// gets to do so.
//
// Nothing of r is trusted: what leads out of the root, cannot exist on Linux, or goes
// over a limit is an error. So is an unknown type of entry. Headers that stand for no
// file (global PAX headers, AUFS metadata) are skipped.
func Read(ctx context.Context, r io.Reader, limits Limits, fn func(e *Entry, content io.Reader) error) error {
	z, stop, err := decompress(contextReader{ctx, r})
	if err != nil {
		return fmt.Errorf("reading a layer: %w", err)
	}
	defer stop()
	return ReadTar(ctx, z, limits, fn)
}

// ReadTar is Read for a stream that is decompressed already.
func ReadTar(ctx context.Context, r io.Reader, limits Limits, fn func(e *Entry, content io.Reader) error) error {
	l := &reader{limits: limits.withDefaults(), fn: fn}
	l.stream = &limitedReader{r: contextReader{ctx, r}, left: l.limits.Bytes}
	if err := l.run(); err != nil {
		return fmt.Errorf("reading a layer: %w", err)
	}
	return nil
}

type reader struct {
	limits  Limits
	stream  *limitedReader
	fn      func(*Entry, io.Reader) error
	entries int
	bytes   int64 // of files
	meta    int64
}

func (l *reader) run() error {
	t := tar.NewReader(l.stream)
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := l.one(h, t); err != nil {
			return err
		}
	}
	// What follows the end mark is padding, or nobody's business.
	_, err := io.Copy(io.Discard, l.stream)
	return err
}

func (l *reader) one(h *tar.Header, t *tar.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if err := l.count(h); err != nil {
		return err
	}
	e, err := entry(h)
	if err != nil || e == nil {
		return err
	}
	content := io.Reader(eof{})
	if e.Type == File {
		content = t
	}
	return l.fn(e, content)
}

// count adds an entry to what the layer takes.
func (l *reader) count(h *tar.Header) error {
	l.entries++
	if l.entries > l.limits.Entries {
		return diag.Errorf("the layer has more than %d entries", l.limits.Entries)
	}
	l.meta += int64(len(h.Name) + len(h.Linkname))
	for name, value := range h.PAXRecords {
		l.meta += int64(len(name) + len(value))
	}
	if l.meta > l.limits.Meta {
		return diag.Errorf("the names in the layer have more than %d bytes", l.limits.Meta)
	}
	if h.Size > l.limits.Bytes-l.bytes {
		return tooLarge(l.limits.Bytes)
	}
	l.bytes += h.Size
	return nil
}

func tooLarge(limit int64) error {
	return diag.Errorf("the layer has more than %d bytes", limit)
}

// entry turns a header into an Entry; nil for one that stands for no file.
func entry(h *tar.Header) (*Entry, error) {
	p, err := CleanPath(h.Name)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix("/"+p, "/"+metaPrefix) && p != opaqueName {
		return nil, nil
	}
	if strings.HasPrefix(path.Base(p), whiteoutPrefix) {
		return whiteoutEntry(p)
	}
	e := &Entry{
		Path:    p,
		Mode:    uint32(h.Mode) & permissions,
		UID:     h.Uid,
		GID:     h.Gid,
		ModTime: h.ModTime,
	}
	if err := e.setType(h); err != nil {
		return nil, err
	}
	if e.Xattrs, err = xattrs(h); err != nil {
		return nil, err
	}
	return e, e.Check()
}

func (e *Entry) setType(h *tar.Header) error {
	switch h.Typeflag {
	case tar.TypeDir:
		e.Type = Dir
	case tar.TypeReg, tar.TypeGNUSparse:
		e.Type, e.Size = File, h.Size
	case tar.TypeSymlink:
		e.Type, e.Linkname = Symlink, h.Linkname
	case tar.TypeLink:
		target, err := CleanPath(h.Linkname)
		if err != nil {
			return fmt.Errorf("the hard link %s: %w", Quote(e.Path), err)
		}
		e.Type, e.Linkname = Hardlink, target
	case tar.TypeChar, tar.TypeBlock:
		e.Type = Char
		if h.Typeflag == tar.TypeBlock {
			e.Type = Block
		}
		if h.Devmajor < 0 || h.Devmajor > math.MaxUint32 || h.Devminor < 0 || h.Devminor > math.MaxUint32 {
			return diag.Errorf("the device %s has the number %d:%d", Quote(e.Path), h.Devmajor, h.Devminor)
		}
		e.Major, e.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	case tar.TypeFifo:
		e.Type = Fifo
	default:
		return diag.Errorf("%s has the type %q, which is unknown in layers", Quote(e.Path), h.Typeflag)
	}
	return nil
}

func whiteoutEntry(p string) (*Entry, error) {
	dir, base := path.Dir(p), path.Base(p)
	e := &Entry{Type: Whiteout, Path: path.Join(dir, strings.TrimPrefix(base, whiteoutPrefix))}
	if base == opaqueName {
		e = &Entry{Type: Opaque, Path: dir}
	} else if name := strings.TrimPrefix(base, whiteoutPrefix); name == "" || name == "." || name == ".." {
		return nil, diag.Errorf("%s removes nothing that can exist", Quote(p))
	}
	return e, e.Check()
}

func xattrs(h *tar.Header) (map[string]string, error) {
	var m map[string]string
	for record, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(record, xattrPrefix)
		if !ok {
			continue
		}
		if name == "" || len(name) > maxXattrName || len(value) > maxXattr {
			return nil, diag.Errorf("%s has an extended attribute that no file system allows", Quote(h.Name))
		}
		if m == nil {
			m = map[string]string{}
		}
		m[name] = value
	}
	return m, nil
}

// limitedReader ends with an error where the limit is crossed.
type limitedReader struct {
	r    io.Reader
	left int64
	all  int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	l.all += int64(n)
	if l.left -= int64(n); l.left < 0 {
		return n, tooLarge(l.all + l.left)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the layer is cut short: %w", err)
	}
	return n, err
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
