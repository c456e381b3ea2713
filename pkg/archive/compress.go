package archive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/klauspost/compress/flate"
)

const (
	// chunkSize is how much of a file is compressed at once. It is part of what
	// the bytes of a package depend on, as is level: to change one of them is to
	// change every package.
	chunkSize = 1 << 20
	level     = 6
)

// compressor writes a zip, compressing on several workers. Every chunk is
// compressed on its own and written in order, so that the result does not
// depend on who did what when.
type compressor struct {
	open    func(string) (*os.File, error)
	workers int
}

// job is one chunk of one source.
type job struct {
	src  *source
	off  int64
	last bool
	raw  []byte
	out  bytes.Buffer // raw, deflated; the blocks of a stream that last ends
	err  error
	done chan struct{}
}

// run writes sources, which are in order, to w. The error it returns is that of
// the first entry that has one.
func (c *compressor) run(ctx context.Context, w io.Writer, sources []source) ([]Entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	// The jobs that go round bound the memory: each holds a chunk at most.
	inFlight := 2*c.workers + 2
	free := make(chan *job, inFlight)
	for range inFlight {
		free <- &job{done: make(chan struct{}, 1)}
	}
	ordered, work := make(chan *job, inFlight), make(chan *job, inFlight)

	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(ordered)
		defer close(work)
		feed(ctx, sources, free, ordered, work)
	})
	for range c.workers {
		wg.Go(func() { c.work(ctx, work) })
	}

	z := newZipWriter(w, len(sources))
	for j := range ordered {
		<-j.done
		if j.err != nil {
			return nil, j.err
		}
		if err := z.chunk(j); err != nil {
			return nil, fmt.Errorf("writing the package: %w", err)
		}
		free <- j
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return z.finish()
}

// feed cuts sources into jobs, in order.
func feed(ctx context.Context, sources []source, free <-chan *job, ordered, work chan<- *job) {
	for i := range sources {
		src := &sources[i]
		for off, last := int64(0), false; !last; off += chunkSize {
			var j *job
			select {
			case <-ctx.Done():
				return
			case j = <-free:
			}
			last = off+chunkSize >= src.size()
			j.src, j.off, j.last, j.err = src, off, last, nil
			ordered <- j
			work <- j
		}
	}
}

func (c *compressor) work(ctx context.Context, jobs <-chan *job) {
	deflater, err := flate.NewWriter(io.Discard, level)
	for j := range jobs {
		j.err = err
		if j.err == nil {
			j.err = ctx.Err()
		}
		if j.err == nil {
			j.err = c.compress(j, deflater)
		}
		j.done <- struct{}{}
	}
}

// compress fills the job's buffers.
func (c *compressor) compress(j *job, deflater *flate.Writer) error {
	j.out.Reset()
	if !j.src.mode.IsRegular() {
		j.raw = append(j.raw[:0], j.src.link...)
		return nil
	}
	if err := c.read(j); err != nil {
		return err
	}
	deflater.Reset(&j.out)
	if _, err := deflater.Write(j.raw); err != nil {
		return fmt.Errorf("compressing %q: %w", j.src.file, err)
	}
	end := deflater.Flush
	if j.last {
		end = deflater.Close
	}
	if err := end(); err != nil {
		return fmt.Errorf("compressing %q: %w", j.src.file, err)
	}
	return nil
}

// read reads the job's chunk, and makes sure that the file is, before and after,
// the one that the walk saw.
func (c *compressor) read(j *job) error {
	n := int(min(j.src.size()-j.off, chunkSize))
	if cap(j.raw) < n {
		j.raw = make([]byte, n)
	}
	j.raw = j.raw[:n]
	f, err := c.open(j.src.file)
	if err != nil {
		return readProblem(j.src.file, err)
	}
	defer f.Close()
	if err := j.src.verify(f); err != nil {
		return err
	}
	switch _, err := f.ReadAt(j.raw, j.off); {
	case err == io.EOF && n > 0:
		return changedProblem(j.src.file)
	case err != nil && err != io.EOF:
		return readProblem(j.src.file, err)
	}
	return j.src.verify(f)
}

// size returns the number of bytes of a file; links and folders fit one chunk.
func (s *source) size() int64 {
	if s.info == nil {
		return 0
	}
	return s.info.Size()
}

// verify returns an error when f is no longer what the walk saw.
func (s *source) verify(f *os.File) error {
	now, err := f.Stat()
	if err != nil {
		return readProblem(s.file, err)
	}
	if !sameFile(s.info, now) {
		return changedProblem(s.file)
	}
	return nil
}

func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
