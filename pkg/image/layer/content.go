package layer

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/devs/deploy/pkg/diag"
)

// How files are read ahead of the tar: up to slotCount files at once are open with
// their first slotSize bytes in memory.
const (
	slotSize  = 64 << 10
	slotCount = 32
	readers   = 4
)

// slot is one entry on its way into the tar.
type slot struct {
	entry *Entry
	buf   []byte
	data  []byte        // the first bytes of a File
	rest  io.ReadCloser // where the other bytes come from; nil when data is everything
	err   error
	done  chan struct{}
}

func newSlots() []*slot {
	slots := make([]*slot, slotCount)
	for i := range slots {
		slots[i] = &slot{done: make(chan struct{}, 1)}
	}
	return slots
}

// readAhead hands the entries to emit, in order, with their first bytes read into
// slots by several goroutines. It ends with the first error, of reading or of emit.
func readAhead(ctx context.Context, slots []*slot, entries []*Entry, emit func(*slot) error) error {
	ctx, cancel := context.WithCancel(ctx)
	free := make(chan *slot, len(slots))
	for _, s := range slots {
		free <- s
	}
	ordered, work := make(chan *slot, len(slots)), make(chan *slot, len(slots))

	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(ordered)
		defer close(work)
		feed(ctx, entries, free, ordered, work)
	})
	for range readers {
		wg.Go(func() {
			for s := range work {
				s.start(ctx)
				s.done <- struct{}{}
			}
		})
	}

	var err error
	for s := range ordered {
		<-s.done
		if err == nil {
			err = s.err
		}
		if err == nil {
			err = emit(s)
		}
		s.release()
		if err != nil {
			cancel() // the loop goes on, so that what was opened is closed
		}
		free <- s
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func feed(ctx context.Context, entries []*Entry, free <-chan *slot, ordered, work chan<- *slot) {
	for _, e := range entries {
		select {
		case <-ctx.Done():
			return
		case s := <-free:
			s.entry, s.data, s.rest, s.err = e, nil, nil, nil
			ordered <- s
			work <- s
		}
	}
}

// start opens a file and reads its first bytes.
func (s *slot) start(ctx context.Context) {
	if s.err = ctx.Err(); s.err != nil || s.entry.Type != File {
		return
	}
	r, err := open(s.entry)
	if err != nil {
		s.err = err
		return
	}
	if s.buf == nil {
		s.buf = make([]byte, slotSize)
	}
	s.rest = r
	n, err := io.ReadFull(r, s.buf[:min(s.entry.Size, slotSize)])
	s.data = s.buf[:n]
	if err != nil {
		s.err = readError(s.entry, err)
		return
	}
	if int64(n) == s.entry.Size {
		s.err = atEnd(s.entry, r)
		s.release()
	}
}

func (s *slot) release() {
	if s.rest != nil {
		_ = s.rest.Close()
		s.rest = nil
	}
}

// copyTo writes the content of the file.
func (s *slot) copyTo(ctx context.Context, w io.Writer) error {
	if _, err := w.Write(s.data); err != nil {
		return err
	}
	for left := s.entry.Size - int64(len(s.data)); left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(s.rest, s.buf[:min(left, slotSize)])
		if err != nil {
			return readError(s.entry, err)
		}
		if _, err := w.Write(s.buf[:n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	if s.rest == nil {
		return nil
	}
	return atEnd(s.entry, s.rest)
}

// open opens the content of a file. A file without bytes needs no Open.
func open(e *Entry) (io.ReadCloser, error) {
	switch {
	case e.Open != nil:
		r, err := e.Open()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", Quote(e.Path), err)
		}
		return r, nil
	case e.Size == 0:
		return io.NopCloser(eof{}), nil
	}
	return nil, fmt.Errorf("reading %s: its content is not at hand", Quote(e.Path))
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// atEnd makes sure that nothing follows.
func atEnd(e *Entry, r io.Reader) error {
	var more [1]byte
	n, err := io.ReadFull(r, more[:])
	switch {
	case n > 0:
		return changed(e)
	case err == io.EOF:
		return nil
	}
	return readError(e, err)
}

func readError(e *Entry, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return changed(e)
	}
	return fmt.Errorf("reading %s: %w", Quote(e.Path), err)
}

func changed(e *Entry) error {
	return diag.Errorf("%s changed its size while it was read", Quote(e.Path)).
		WithHint("build again when nothing writes to it, or exclude it in .dockerignore")
}
