package process

import (
	"bytes"
	"io"
	"sync"
)

// maxLine is how many bytes of a line are held back at most.
const maxLine = 64 << 10

// Lines passes on what is written to it in whole lines, one Write for each, so
// that the output of programs that run side by side is not mixed within a line.
// It is safe for concurrent use.
type Lines struct {
	mu   sync.Mutex
	w    io.Writer
	line []byte
}

// NewLines returns a Lines over w. A nil w discards.
func NewLines(w io.Writer) *Lines {
	if w == nil {
		w = io.Discard
	}
	return &Lines{w: w}
}

// Write never fails: a program must not break because nobody reads its output.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		l.line = append(l.line, rest[:end]...)
		rest = rest[end:]
		if l.line[len(l.line)-1] == '\n' || len(l.line) >= maxLine {
			l.pass()
		}
	}
	return len(p), nil
}

// Close passes on a last line that has no end, and ends it.
func (l *Lines) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.line) > 0 {
		l.line = append(l.line, '\n')
		l.pass()
	}
	return nil
}

func (l *Lines) pass() {
	_, _ = l.w.Write(l.line)
	l.line = l.line[:0]
}
