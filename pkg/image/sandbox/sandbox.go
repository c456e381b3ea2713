// Package sandbox runs the commands of an image build (RUN), and the functions of the
// embedded cloud that come as images, in the files of an image.
//
// It finds out by trying how much the machine allows and uses the best level: own
// namespaces; in the product's own container image the exchange of the container's
// root for the files of the stage; chroot; proot; or nothing, with an error that says
// what to change. It knows folders and processes, and neither images nor registries.
//
// What is isolated:
//
//   - At each level a command gets the environment that Command.Env says and nothing
//     else, no open file of the builder, and no controlling terminal; the builder is
//     not dumpable, so that its environment and memory cannot be read through /proc.
//     When the command ends, all that it left running is killed.
//   - Namespaces: own mounts, processes and System V IPC, the capabilities that Docker
//     gives, no devices. The network, with the machine's abstract sockets, is shared.
//     With mapped ids (Again) one that breaks out is the user who builds.
//   - OwnRoot: as root a command can reach /.devs, the mounts of the container and the
//     processes outside (it can stop them, not read them).
//   - Chroot: as OwnRoot for one that breaks out of the chroot, which root can.
//   - Proot: the command is the user that started the builder; nothing but the
//     environment and the not dumpable builder is kept from it.
package sandbox

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

// Level is how well commands are kept apart from the machine; more is better.
type Level int

// The levels, from nothing to the best.
const (
	None       Level = iota // no command can run
	Proot                   // the program proot, as another user than root
	Chroot                  // chroot with device nodes, without /proc
	OwnRoot                 // the files of the stage become the root of our container
	Namespaces              // own mounts and processes
)

// String returns the name of the level as --isolation takes it.
func (l Level) String() string {
	names := [...]string{"none", "proot", "chroot", "own-root", "namespaces"}
	if l < 0 || int(l) >= len(names) {
		return fmt.Sprintf("level %d", int(l))
	}
	return names[l]
}

// ParseLevel reads the value of --isolation: the name of a level, or "auto" or
// nothing for the best one (forced is false then).
func ParseLevel(name string) (l Level, forced bool, err error) {
	if name == "" || name == "auto" {
		return None, false, nil
	}
	for l := None; l <= Namespaces; l++ {
		if l.String() == name {
			return l, true, nil
		}
	}
	return None, false, diag.Errorf("%q is no kind of isolation", name).
		WithHint("use auto, namespaces, own-root, chroot, proot or none")
}

// Config is what a Sandbox needs of the outside.
type Config struct {
	// Isolation forces a level by its name; empty or "auto" takes the best.
	Isolation string
	// LookPath finds programs outside (proot); nil means that there are none.
	LookPath func(name string) (string, error)
	// ResolvConf and Hosts are the files that commands see as /etc/resolv.conf and
	// /etc/hosts; empty means those of the machine.
	ResolvConf, Hosts string
	// Unmapped is the reason that Again gave, for the line that tells the level.
	Unmapped string
	// TempDir is where the trials of Probe make their folders; empty means the system's.
	TempDir string
}

// MountType is the type of a Mount.
type MountType int

// The types of mounts.
const (
	// Bind shows the folder or file Source. One that is not ReadOnly takes the changes
	// (a cache); without the right to mount its content is moved or copied there and
	// back, so that only one session at a time may use it, and a kill of the builder
	// loses it.
	Bind   MountType = iota + 1
	Tmpfs            // an empty folder that is gone afterwards
	File             // a file with Data, gone afterwards (a secret)
	Socket           // a socket that leads to the socket Source (an SSH agent)
)

// Mount is something of the outside that the commands of a session see.
type Mount struct {
	Type     MountType
	Source   string // of Bind and Socket: an absolute path outside
	Target   string // absolute, in the root of the image; symbolic links are followed inside it
	Data     []byte // of File
	ReadOnly bool   // of Bind; without the right to mount it is a copy, see Session.Copies
	Mode     uint32 // permission bits of Tmpfs, File and Socket
	UID, GID int    // owner of Tmpfs, File and Socket
	Size     int64  // of Tmpfs, in bytes; 0 is no limit; refused without the right to mount
	ours     bool   // a file of ours, which commands may replace
}

// Copy is a read-only mount that is a copy. Commands can change it; the changes are
// thrown away.
type Copy struct {
	Target string // of the mount
	Place  string // path of the file or folder now
	File   bool
}

// Command is one command in the files of an image.
type Command struct {
	Args     []string // the first is looked up in the PATH of Env when it has no slash
	Env      []string // all of the environment, as key=value
	Dir      string   // absolute, in the root of the image; it must exist
	UID, GID int
	Groups   []int // supplementary groups
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	Network  string // "" or "default" or "host": that of the machine; "none"
}

// ExitError says that a command ended by itself, but not well.
type ExitError struct {
	Code   int    // as a shell has it: 128+n for signal n, 126 and 127 for one that did not start
	Signal int    // the signal that ended it, or 0
	Reason string // why it did not start, or empty
}

// Error returns what happened.
func (e *ExitError) Error() string {
	switch {
	case e.Reason != "":
		return e.Reason
	case e.Signal != 0:
		return fmt.Sprintf("ended by signal %d", e.Signal)
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// Sandbox runs commands at one level.
type Sandbox struct {
	cfg    Config
	level  Level
	why    []string // why the better levels are not used
	err    error    // why no command can run, when the level is None
	detail string   // about the level itself
	proot  string   // path of the program
	shared *shared  // what its sessions have in common
}

// Level returns the level that is used.
func (s *Sandbox) Level() Level { return s.level }

// Err returns nil when commands can run, else a problem that says what to change.
func (s *Sandbox) Err() error { return s.err }

// String returns one line: what is used, and why not something better.
func (s *Sandbox) String() string {
	text := s.level.String()
	if s.detail != "" {
		text += ": " + s.detail
	}
	if len(s.why) > 0 {
		text += " (" + strings.Join(s.why, "; ") + ")"
	}
	return text
}

// ownFolder is where stages lie in our own image.
const ownFolder = "/.devs/work"

// Folder returns the folder below which the folders of stages must lie, or nothing when
// any will do.
func (s *Sandbox) Folder() string {
	if s.level == OwnRoot {
		return ownFolder
	}
	return ""
}

// Run runs a command in the root of the session, waits for its end and kills what it
// left running. The error is an *ExitError when the command itself failed. When ctx
// ends, all processes of the command are killed and the cause of ctx is returned.
func (x *Session) Run(ctx context.Context, c Command) error {
	p, err := x.start(ctx, c, func() error { return nil })
	if err != nil {
		return err
	}
	return p.Wait()
}
