package copy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/internal/wait"
)

// Config says how ADD reaches what is not in the build context.
type Config struct {
	// Dir is the folder for temporary files: downloads, clones, unpacked archives.
	Dir string
	// HTTP fetches URLs; nil is a client that has no timeout of its own.
	HTTP *http.Client
	// Git is the program git; "" is the first one in PATH.
	Git string
	// Env is the environment of git, as os.Environ has it; nil is an empty one.
	Env []string
	// MaxBytes bounds a download and what is unpacked from an archive; 0 is 32 GiB.
	MaxBytes int64
	// Sleep waits between attempts; nil is a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Fetcher brings in what ADD takes from elsewhere. Several goroutines may use it.
type Fetcher struct {
	cfg Config

	mu      sync.Mutex
	closed  bool
	cleanup []func() error
}

// NewFetcher returns a Fetcher. It is to be closed when no file that came of it is
// read any more.
func NewFetcher(cfg Config) *Fetcher {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	if cfg.Git == "" {
		cfg.Git = "git"
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 32 << 30
	}
	if cfg.Sleep == nil {
		cfg.Sleep = wait.For
	}
	return &Fetcher{cfg: cfg}
}

// Close removes all temporary files.
func (f *Fetcher) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	var errs []error
	for _, undo := range f.cleanup {
		errs = append(errs, undo())
	}
	f.cleanup = nil
	return errors.Join(errs...)
}

// later runs undo when f is closed.
func (f *Fetcher) later(undo func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cleanup = append(f.cleanup, undo)
}

// file makes a temporary file, which is there until f is closed.
func (f *Fetcher) file() (*os.File, error) {
	if f.isClosed() {
		return nil, errors.New("fetching files: the fetcher is closed")
	}
	file, err := os.CreateTemp(f.cfg.Dir, "add-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file: %w", err)
	}
	f.later(func() error { return errors.Join(file.Close(), os.Remove(file.Name())) })
	return file, nil
}

// folder makes a temporary folder, which is there until f is closed.
func (f *Fetcher) folder() (string, error) {
	if f.isClosed() {
		return "", errors.New("fetching files: the fetcher is closed")
	}
	dir, err := os.MkdirTemp(f.cfg.Dir, "add-")
	if err != nil {
		return "", fmt.Errorf("making a temporary folder: %w", err)
	}
	f.later(func() error { return os.RemoveAll(dir) })
	return dir, nil
}

func (f *Fetcher) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// spool unpacks the archive e into a temporary file and returns its entries.
func (f *Fetcher) spool(ctx context.Context, e *layer.Entry) ([]*layer.Entry, error) {
	src, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer src.Close()
	z, err := decompress(src)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	file, err := f.file()
	if err != nil {
		return nil, err
	}
	out := bufio.NewWriterSize(file, 1<<18)
	var entries []*layer.Entry
	var end int64
	limits := layer.Limits{Bytes: f.cfg.MaxBytes}
	err = layer.ReadTar(ctx, z, limits, func(e *layer.Entry, content io.Reader) error {
		if e.Type == layer.Whiteout || e.Type == layer.Opaque {
			return diag.Errorf("%s has a file whose name begins with .wh., which means a removed file in images", layer.Quote(e.Path)).
				WithHint("rename it in the archive")
		}
		if e.Type == layer.File {
			start := end
			n, err := io.Copy(out, content)
			if err != nil {
				return diskFull(err)
			}
			end += n
			e.Open = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(file, start, n)), nil }
		}
		entries = append(entries, e)
		return nil
	})
	if err == nil {
		err = diskFull(out.Flush())
	}
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// diskFull says what to do when there is no room.
func diskFull(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return diag.Errorf("there is no room for temporary files").WithCause(err).WithDetail(err.Error()).
			WithHint("make room, or set the folder for builds to a larger disk")
	}
	return err
}
