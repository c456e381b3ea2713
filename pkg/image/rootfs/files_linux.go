package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/image/layer"
)

const (
	// smallFile is the size up to which a file of a stream waits in memory for a worker.
	smallFile = 128 << 10
	// waiting is how many small files wait or are being written: 4 MiB at most.
	waiting = 32
)

// errContent says that a file is not as long as its entry says.
var errContent = errors.New("its size changed while it was read")

// files fills the files that were made, a few at a time.
type files struct {
	root    *Root
	jobs    chan job
	buffers chan []byte // smallFile each, made when first needed
	workers sync.WaitGroup
	err     atomic.Pointer[error]
	noClone atomic.Bool // the file system cannot share extents
}

// job is an open new file, its entry, and its content unless that is to be opened.
type job struct {
	ctx    context.Context
	fd     int
	entry  *layer.Entry
	buffer []byte // nil: entry.Open
}

func newFiles(r *Root) *files {
	f := &files{root: r, jobs: make(chan job, waiting), buffers: make(chan []byte, waiting)}
	for range waiting {
		f.buffers <- nil
	}
	for range max(2, min(runtime.GOMAXPROCS(0), 8)) {
		f.workers.Add(1)
		go f.work()
	}
	return f
}

// failed returns the first error of a worker.
func (f *files) failed() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

// close waits for the workers and returns the first error of them.
func (f *files) close() error {
	close(f.jobs)
	f.workers.Wait()
	return f.failed()
}

// write fills fd and closes it, now or later.
func (f *files) write(ctx context.Context, fd int, e *layer.Entry, content io.Reader) error {
	switch {
	case content == nil:
		f.jobs <- job{ctx: ctx, fd: fd, entry: e}
		return nil
	case e.Size <= smallFile:
		buffer := <-f.buffers
		if buffer == nil {
			buffer = make([]byte, smallFile)
		}
		if err := readExactly(content, buffer[:e.Size]); err != nil {
			f.buffers <- buffer
			unix.Close(fd)
			return err
		}
		f.jobs <- job{ctx: ctx, fd: fd, entry: e, buffer: buffer}
		return nil
	}
	return f.fill(fd, e, func() error { return copyStream(ctx, fd, content, e.Size) })
}

func (f *files) work() {
	defer f.workers.Done()
	for j := range f.jobs {
		if f.failed() != nil {
			unix.Close(j.fd)
		} else if err := f.run(j); err != nil {
			err = fmt.Errorf("%s: %w", j.entry.Path, diskFull(f.root.dir, err))
			f.err.CompareAndSwap(nil, &err)
		}
		if j.buffer != nil {
			f.buffers <- j.buffer
		}
	}
}

func (f *files) run(j job) error {
	return f.fill(j.fd, j.entry, func() error {
		if j.buffer != nil {
			return writeAll(j.fd, j.buffer[:j.entry.Size])
		}
		return f.copyOpened(j)
	})
}

// fill writes the content, then what the entry says of the file, and closes it.
func (f *files) fill(fd int, e *layer.Entry, content func() error) error {
	err := content()
	if err == nil {
		err = f.root.describe(fd, e)
	}
	if closed := unix.Close(fd); err == nil && closed != unix.EINTR {
		err = closed
	}
	return err
}

// copyOpened copies what the entry opens.
func (f *files) copyOpened(j job) (err error) {
	if j.entry.Open == nil {
		if j.entry.Size == 0 {
			return nil
		}
		return errors.New("a file without content")
	}
	content, err := j.entry.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	if src, ok := content.(*os.File); ok {
		if done, err := f.copyFile(j, src); done || err != nil {
			return err
		}
	}
	return copyStream(j.ctx, j.fd, content, j.entry.Size)
}

// copyFile copies a file inside the kernel, sharing the blocks where the file system
// can. It reports false when nothing was copied and that has to be done by hand.
func (f *files) copyFile(j job, src *os.File) (bool, error) {
	from := int(src.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false, nil
	}
	if st.Size != j.entry.Size {
		return false, errContent
	}
	if !f.noClone.Load() {
		if unix.IoctlFileClone(j.fd, from) == nil {
			return true, nil
		}
		f.noClone.Store(true)
	}
	for left := st.Size; left > 0; {
		if err := j.ctx.Err(); err != nil {
			return false, err
		}
		n, err := unix.CopyFileRange(from, nil, j.fd, nil, int(min(left, 16<<20)), 0)
		switch {
		case err == unix.EINTR:
		case err == unix.ENOSPC || err == unix.EDQUOT || err == unix.EIO:
			return false, err
		case err != nil && left == st.Size:
			return false, nil // not between these file systems
		case err != nil:
			return false, err
		case n == 0 && left == st.Size:
			return false, nil // some file systems say so of files that are not empty
		case n == 0:
			return false, errContent
		}
		left -= int64(max(n, 0))
	}
	return true, nil
}

// copyStream writes exactly size bytes of content, which must end there.
func copyStream(ctx context.Context, fd int, content io.Reader, size int64) error {
	buf := make([]byte, min(size, 256<<10))
	for size > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		buf = buf[:min(size, int64(len(buf)))]
		if _, err := io.ReadFull(content, buf); err != nil {
			return short(err)
		}
		if err := writeAll(fd, buf); err != nil {
			return err
		}
		size -= int64(len(buf))
	}
	return ends(content)
}

// readExactly fills buf with content, which must end there.
func readExactly(content io.Reader, buf []byte) error {
	if _, err := io.ReadFull(content, buf); err != nil {
		return short(err)
	}
	return ends(content)
}

func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errContent
	}
	return err
}

func ends(content io.Reader) error {
	var one [1]byte
	switch n, err := io.ReadFull(content, one[:]); {
	case n > 0:
		return errContent
	case err == io.EOF:
		return nil
	default:
		return err
	}
}

func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
