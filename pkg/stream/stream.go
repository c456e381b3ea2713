// Package stream is the product's standard input, output and error, with what is
// known of the terminal behind them. It knows no other package of the project.
package stream

import (
	"bytes"
	"io"
	"strings"
)

// IO is where a command reads and writes. Results go to Out, everything else to
// Err.
type IO struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer

	InTTY  bool // somebody can answer a question
	OutTTY bool
	ErrTTY bool // progress may be drawn
	Color  bool // ANSI colours are wanted (terminal, and NO_COLOR unset)
}

// Interactive reports whether a question can be asked: both ends are a terminal.
func (s *IO) Interactive() bool { return s.InTTY && s.ErrTTY }

// Test returns an IO over buffers, with input as standard input.
func Test(input string) (s *IO, out, err *bytes.Buffer) {
	out, err = new(bytes.Buffer), new(bytes.Buffer)
	return &IO{In: strings.NewReader(input), Out: out, Err: err}, out, err
}
