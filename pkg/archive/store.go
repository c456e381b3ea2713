package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"github.com/devs/deploy/pkg/diag"
)

// Package is code that is ready to be sent. Its methods may be called from
// several goroutines.
type Package struct {
	Size     int64           // bytes
	CRC64    string          // ECMA-182, decimal: what the service returns as codeChecksum
	SHA256   string          // hexadecimal
	Entries  []Entry         // in the order of the package; not to be changed
	Warnings []*diag.Problem // what the user should know, none of it fatal

	mu     sync.Mutex
	closed bool
	mem    []byte   // the content, or
	file   *os.File // where it is
}

// Inline reports whether the package may travel inside the API call.
func (p *Package) Inline() bool { return p.Size <= MaxInline }

// Open returns a reader of the package from its start. Any number may be open at
// once; all of them end with Close of the package. After that the error is
// fs.ErrClosed.
func (p *Package) Open() (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, fmt.Errorf("opening the code package: %w", fs.ErrClosed)
	case p.file != nil:
		return io.NopCloser(io.NewSectionReader(p.file, 0, p.Size)), nil
	}
	return io.NopCloser(bytes.NewReader(p.mem)), nil
}

// Bytes returns the whole package, which must not be changed. It is meant for
// packages that Inline reports on; a larger one is read into memory.
func (p *Package) Bytes() ([]byte, error) {
	r, err := p.Open()
	if err != nil {
		return nil, err
	}
	if p.file == nil {
		return p.mem, nil
	}
	b := make([]byte, p.Size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("reading the code package: %w", err)
	}
	return b, nil
}

// Close frees what the package holds. Further calls do nothing.
func (p *Package) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	return removeTemp(p.file)
}

func removeTemp(f *os.File) error {
	if f == nil {
		return nil
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("removing the temporary code package: %w", err)
	}
	return nil
}

// store takes the bytes of a package as they are made: in memory up to a limit,
// then in a temporary file.
type store struct {
	dir   string
	limit int64
	buf   bytes.Buffer
	file  *os.File
	size  int64
	crc   hash.Hash64
	sha   hash.Hash
}

func newStore(opts Options) *store {
	limit := opts.MemoryLimit
	if limit == 0 {
		limit = DefaultMemoryLimit
	}
	return &store{dir: opts.TempDir, limit: limit, crc: crc64.New(crc64.MakeTable(crc64.ECMA)), sha: sha256.New()}
}

// Write adds b to the package.
func (s *store) Write(b []byte) (int, error) {
	if s.file == nil && s.size+int64(len(b)) > s.limit {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	s.crc.Write(b)
	s.sha.Write(b)
	s.size += int64(len(b))
	if s.file != nil {
		return s.file.Write(b)
	}
	return s.buf.Write(b)
}

// spill moves what is in memory to a temporary file.
func (s *store) spill() error {
	f, err := os.CreateTemp(s.dir, "devs-package-*.zip")
	if err != nil {
		return fmt.Errorf("creating a temporary file: %w", err)
	}
	s.file = f
	_, err = s.buf.WriteTo(f)
	s.buf = bytes.Buffer{}
	return err
}

// abandon drops an unfinished package and returns why.
func (s *store) abandon(why error) error {
	if err := removeTemp(s.file); err != nil {
		return errors.Join(why, err)
	}
	return why
}

// seal returns what was written as a Package.
func (s *store) seal(entries []Entry) *Package {
	return &Package{
		Size:    s.size,
		CRC64:   strconv.FormatUint(s.crc.Sum64(), 10),
		SHA256:  hex.EncodeToString(s.sha.Sum(nil)),
		Entries: entries,
		mem:     s.buf.Bytes(),
		file:    s.file,
	}
}

// packAsIs takes over a .zip, .jar or .war byte for byte. What is kept is a copy:
// the user's file may change between plan and deploy, the package may not.
func packAsIs(ctx context.Context, opts Options, info fs.FileInfo) (*Package, error) {
	s := newStore(opts)
	entries, err := copyZip(ctx, s, &source{file: opts.Path, info: info})
	if err != nil {
		return nil, s.abandon(err)
	}
	return s.seal(entries), nil
}

func copyZip(ctx context.Context, s *store, src *source) ([]Entry, error) {
	f, err := os.Open(src.file)
	if err != nil {
		return nil, readProblem(src.file, err)
	}
	defer f.Close()
	entries, err := listZip(f, src)
	if err != nil {
		return nil, err
	}
	// A changing file may never end; its size bounds what is read.
	in := io.NewSectionReader(f, 0, src.size())
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		_, err := io.CopyN(s, in, chunkSize)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("copying %q: %w", src.file, err)
		}
	}
	if s.size != src.size() {
		return nil, changedProblem(src.file)
	}
	return entries, src.verify(f)
}

func listZip(f *os.File, src *source) ([]Entry, error) {
	r, err := zip.NewReader(f, src.size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, diag.Errorf("%q cannot be read as a zip file: %v", src.file, err).WithCause(err).
			WithHint("build it again, or point codeUri at the folder of the code")
	}
	entries := make([]Entry, len(r.File))
	for i, file := range r.File {
		entries[i] = entryOf(&file.FileHeader)
	}
	return entries, nil
}
