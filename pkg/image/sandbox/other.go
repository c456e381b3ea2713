//go:build !linux

package sandbox

import (
	"context"
	"os"

	"github.com/devs/deploy/pkg/diag"
)

type shared struct{}

// Session is a folder with the files of an image, ready for commands; there is none
// outside Linux.
type Session struct{ err error }

// Process is a command that runs.
type Process struct{ err error }

// Main does nothing outside Linux.
func Main([]string) (handled bool) { return false }

// Again does nothing outside Linux.
func Again(context.Context, Config, Command) (reason string, err error) {
	return "user namespaces are of Linux", nil
}

// Outside returns the user that runs this process.
func Outside() (uid int, mapped bool) { return os.Getuid(), false }

// Probe returns a sandbox that runs nothing.
func Probe(cfg Config) *Sandbox {
	return &Sandbox{cfg: cfg, err: diag.Errorf("commands of an image run on Linux alone").
		WithHint("build on Linux, or in the product's own image; a Dockerfile without RUN can be built here")}
}

// Enter fails.
func (s *Sandbox) Enter(context.Context, string, []Mount) (*Session, error) { return nil, s.err }

// Start fails.
func (s *Sandbox) Start(context.Context, string, Command) (*Process, error) { return nil, s.err }

func (x *Session) start(context.Context, Command, func() error) (*Process, error) { return nil, x.err }

// Root returns nothing.
func (x *Session) Root() string { return "" }

// Places returns nothing.
func (x *Session) Places() []string { return nil }

// Copies returns nothing.
func (x *Session) Copies() []Copy { return nil }

// Skip reports false.
func (x *Session) Skip(string) bool { return false }

// Leave does nothing.
func (x *Session) Leave() error { return nil }

// Wait returns why nothing runs.
func (p *Process) Wait() error { return p.err }

// Done returns nil.
func (p *Process) Done() <-chan struct{} { return nil }

// Kill does nothing.
func (p *Process) Kill() {}
