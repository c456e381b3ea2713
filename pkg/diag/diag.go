// Package diag is how the product speaks of what went wrong: a Problem says
// what happened, where in the user's file, and what to do next, and carries the
// exit code of its kind. It knows no other package of the project.
package diag

import (
	"errors"
	"fmt"
	"strings"
)

// Exit codes of the command line.
const (
	ExitOK          = 0
	ExitChanges     = 2   // plan --detailed-exitcode: there are changes
	ExitTool        = 100 // the tool itself: bad file, unknown service or command
	ExitComponent   = 101 // a component, plugin or hook failed; drift refused; a conflict
	ExitInterrupted = 130 // SIGINT or SIGTERM
)

// Pos is a place in a file of the user. Line and Column count from 1; zero means
// that it is not known. Columns count characters, not bytes.
type Pos struct {
	File   string
	Line   int
	Column int
}

// IsZero reports whether nothing is known of the place.
func (p Pos) IsZero() bool { return p == Pos{} }

// String returns file:line:column, as much of it as is known.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is an error that a user can act on.
type Problem struct {
	Summary string // what happened, one sentence without a full stop
	Detail  string // more lines, for example a diff; may be empty
	Hint    string // what to do next; may be empty
	Pos     Pos    // where, when it came from a file
	Code    int    // exit code; 0 means ExitTool
	Err     error  // the cause, for errors.Is and errors.As; may be nil
}

// Error returns "file:line:column: summary". Detail and Hint are rendered by the
// command line alone.
func (p *Problem) Error() string {
	if p.Pos.IsZero() {
		return p.Summary
	}
	return p.Pos.String() + ": " + p.Summary
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// At returns a Problem with a place.
func At(pos Pos, format string, args ...any) *Problem {
	return &Problem{Pos: pos, Summary: fmt.Sprintf(format, args...)}
}

// Errorf returns a Problem without a place.
func Errorf(format string, args ...any) *Problem {
	return &Problem{Summary: fmt.Sprintf(format, args...)}
}

// WithHint sets the hint and returns p.
func (p *Problem) WithHint(format string, args ...any) *Problem {
	p.Hint = fmt.Sprintf(format, args...)
	return p
}

// WithDetail sets the detail and returns p.
func (p *Problem) WithDetail(detail string) *Problem {
	p.Detail = detail
	return p
}

// WithCode sets the exit code and returns p.
func (p *Problem) WithCode(code int) *Problem {
	p.Code = code
	return p
}

// WithCause sets the cause and returns p.
func (p *Problem) WithCause(err error) *Problem {
	p.Err = err
	return p
}

// ExitCode returns the exit code that err asks for: that of the first Problem
// found in it, ExitTool for any other error, ExitOK for nil. When several errors
// are joined, ExitComponent wins over ExitTool: something was already under way.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	code := 0
	for _, e := range List(err) {
		c := ExitTool
		if p, ok := errors.AsType[*Problem](e); ok && p.Code != 0 {
			c = p.Code
		}
		code = max(code, c)
	}
	return code
}

// List flattens joined errors (errors.Join, or any Unwrap() []error) into one
// list, in order.
func List(err error) []error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*Problem); ok {
		return []error{err}
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, List(e)...)
	}
	return all
}

// Render returns err as the user sees it: a paragraph for each problem, with the
// place first, then details, then the hint. What several services complain of in
// the same words is said once.
func Render(err error) string {
	var b strings.Builder
	said := map[string]bool{}
	for _, e := range List(err) {
		if text := paragraph(e); !said[text] {
			said[text] = true
			b.WriteString(text)
		}
	}
	return b.String()
}

func paragraph(e error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\n", e)
	p, ok := errors.AsType[*Problem](e)
	if !ok {
		return b.String()
	}
	if p.Detail != "" {
		for line := range strings.Lines(strings.TrimRight(p.Detail, "\n") + "\n") {
			b.WriteString("  " + line)
		}
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "hint: %s\n", p.Hint)
	}
	return b.String()
}
