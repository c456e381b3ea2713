package runner

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"
)

// maxLog is how much of a log Result.Log holds, in bytes, as the API's log tail.
const maxLog = 4 << 10

// logPipe takes what an instance prints. To know that all output of a request has
// been read, sync sends a marker through the same pipe and waits for it.
type logPipe struct {
	r, w   *os.File
	marker []byte
	output func([]byte)
	eof    chan struct{} // closed when nothing more comes

	mu     sync.Mutex
	tail   []byte // the last maxLog bytes
	total  int64  // bytes so far
	sent   int    // markers
	seen   int
	passed chan struct{} // closed and replaced when a marker is seen
}

func newLogPipe(id string, output func([]byte)) (*logPipe, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a log pipe: %w", err)
	}
	l := &logPipe{r: r, w: w, marker: []byte("\x00" + id + "\x00"), output: output,
		eof: make(chan struct{}), passed: make(chan struct{})}
	go l.read()
	return l, nil
}

func (l *logPipe) read() {
	defer close(l.eof)
	defer l.r.Close()
	split := splitter{marker: l.marker, text: l.take, mark: l.pass}
	buf := make([]byte, 32<<10)
	for {
		n, err := l.r.Read(buf)
		split.write(buf[:n])
		if err != nil {
			split.end()
			return
		}
	}
}

// splitter takes markers out of a stream that comes in arbitrary pieces.
type splitter struct {
	marker []byte
	text   func([]byte)
	mark   func()
	held   []byte // may begin a marker
}

func (s *splitter) write(piece []byte) {
	s.held = append(s.held, piece...)
	for {
		before, after, found := bytes.Cut(s.held, s.marker)
		if !found {
			break
		}
		s.text(before)
		s.mark()
		s.held = bytes.Clone(after)
	}
	keep := overlap(s.held, s.marker)
	s.text(s.held[:len(s.held)-keep])
	s.held = bytes.Clone(s.held[len(s.held)-keep:])
}

func (s *splitter) end() {
	s.text(s.held)
	s.held = nil
}

// overlap returns the length of the longest end of text that begins marker.
func overlap(text, marker []byte) int {
	for n := min(len(text), len(marker)-1); n > 0; n-- {
		if bytes.HasSuffix(text, marker[:n]) {
			return n
		}
	}
	return 0
}

func (l *logPipe) take(text []byte) {
	if len(text) == 0 {
		return
	}
	if l.output != nil {
		l.output(text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += int64(len(text))
	l.tail = append(l.tail, text...)
	if over := len(l.tail) - maxLog; over > 0 {
		l.tail = bytes.Clone(l.tail[over:])
	}
}

func (l *logPipe) pass() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen++
	close(l.passed)
	l.passed = make(chan struct{})
}

// sync returns when all that was printed before has been read.
func (l *logPipe) sync() {
	l.mu.Lock()
	l.sent++
	mine := l.sent
	l.mu.Unlock()
	if _, err := l.w.Write(l.marker); err != nil {
		<-l.eof // closed: the process is gone
		return
	}
	for {
		l.mu.Lock()
		done, passed := l.seen >= mine, l.passed
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-passed:
		case <-l.eof:
			return
		}
	}
}

// mark returns the place where the log is now, for since.
func (l *logPipe) mark() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// since returns what was printed after mark, at most the last maxLog bytes.
func (l *logPipe) since(mark int64) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(l.total-mark, int64(len(l.tail)))
	return bytes.Clone(l.tail[int64(len(l.tail))-n:])
}

// close ends the log of a process that is gone. Daemons that escaped it may still
// hold the pipe: they are given up after grace.
func (l *logPipe) close(grace time.Duration) {
	l.w.Close()
	_ = l.r.SetReadDeadline(time.Now().Add(grace))
	<-l.eof
}

// FrameLog returns Result.Log between the lines with which the cloud begins and
// ends the log of an invocation, the last 4 KiB of it. Custom runtimes print these
// lines themselves.
func FrameLog(requestID string, text []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "FC Invoke Start RequestId: %s\n", requestID)
	b.Write(text)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "FC Invoke End RequestId: %s\n", requestID)
	return tail(b.Bytes())
}

func tail(text []byte) []byte {
	return text[max(0, len(text)-maxLog):]
}
