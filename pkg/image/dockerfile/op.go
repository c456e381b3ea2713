package dockerfile

import (
	"github.com/devs/deploy/pkg/diag"
)

// Op is a step that changes files: *Run, *Copy or *Workdir.
type Op interface {
	// Text is the instruction as it stands in the file, for people.
	Text() string
	// Pos is where the instruction stands.
	Pos() diag.Pos
	// Key is the canonical text of everything in the step that decides what it
	// does, for a cache: equal keys on equal files give equal files. What the
	// sources hold (context, stages, images, secrets) is no part of it, and neither
	// is which stage or image they are: the caller adds the digests of the sources.
	Key() string
}

// Step is what every Op has.
type Step struct {
	Line string   // the instruction as it stands in the file
	At   diag.Pos // where it stands
}

// Text returns the instruction as it stands in the file.
func (s Step) Text() string { return s.Line }

// Pos returns where the instruction stands.
func (s Step) Pos() diag.Pos { return s.At }

// SourceKind says what files come from.
type SourceKind int

// The kinds of sources.
const (
	Context  SourceKind = iota // the build context
	Scratch                    // nothing: an empty root
	StageRef                   // the files of another stage
	Image                      // an image of a registry
	Named                      // a folder given by --build-context
)

// Source is where the files of a FROM, of a COPY or of a mount come from.
type Source struct {
	Kind  SourceKind
	Stage int    // index of the stage, for StageRef
	Image string // reference of the image, for Image
	Name  string // name of the build context, for Named
	Path  string // folder of the build context as it was given, for Named
}

// Run is a RUN instruction.
type Run struct {
	Step
	// Args is the command with the shell before it when it has the shell form.
	Args []string
	// Env is the environment: that of the image and the build arguments in scope.
	Env []string
	// Proxy are the proxy variables among the build arguments (HTTP_PROXY,
	// http_proxy and so on). They are put below Env, and are no part of Key.
	Proxy []string
	// Dir is the working directory, absolute; User is as USER wrote it, "" for root.
	Dir, User string
	Mounts    []Mount
	Network   string   // "default", "none" or "host"
	Security  string   // "sandbox" or "insecure"
	Devices   []Device // --device
	// Files are to be there, read-only, while the command runs: the script of a
	// heredoc that begins with #!.
	Files []InlineFile
}

// Device is a device that a RUN asks for by --device (a CDI name).
type Device struct {
	Name     string
	Required bool
}

// InlineFile is a file of the Dockerfile itself that a RUN finds at Path.
type InlineFile struct {
	Path string // absolute
	Mode uint32
	Data string
}

// MountType is the type of a RUN --mount.
type MountType string

// The types of mounts.
const (
	MountBind   MountType = "bind"
	MountCache  MountType = "cache"
	MountTmpfs  MountType = "tmpfs"
	MountSecret MountType = "secret"
	MountSSH    MountType = "ssh"
)

// Mount is a RUN --mount, with its defaults filled in.
type Mount struct {
	Type MountType
	// From is where the files of a bind, or the first files of a cache, come from.
	From Source
	// Source is the path below From, absolute; "/" is all of it.
	Source string
	// Target is absolute. It is "" for a secret that is only a variable.
	Target string
	// ReadOnly refuses writes. What is written to a bind without it is thrown away.
	ReadOnly bool
	ID       string // of a cache, secret or SSH agent
	Sharing  string // of a cache: "shared", "private" or "locked"
	// Mode, UID and GID are the rights of a cache directory, secret file or socket;
	// nil means the default: 0755 for a cache, 0400 for a secret, 0600 for ssh, and 0.
	Mode     *uint32
	UID, GID *uint32
	Required bool   // a secret or agent that is not given is an error
	Env      string // the variable that carries the secret, or ""
	Size     int64  // of a tmpfs in bytes, 0 for no limit
}

// Copy is a COPY or an ADD instruction.
type Copy struct {
	Step
	Add  bool // ADD: URLs, git and archives are understood
	From Source
	// Sources are the paths, patterns, URLs or git addresses after expansion.
	Sources []string
	// SourceAt is where each of Sources stands in the file.
	SourceAt []diag.Pos
	Inline   []Heredoc
	// Dest is absolute and clean; a trailing slash is kept.
	Dest         string
	Chown, Chmod string // as written, after expansion
	Link         bool
	Parents      bool
	KeepGitDir   *bool // nil when not given
	Unpack       *bool // nil when not given
	Excludes     []string
	Checksum     string
}

// Heredoc is a file that stands in the Dockerfile itself.
type Heredoc struct {
	Name string
	Data string
}

// Workdir is a WORKDIR instruction: the directory is made when it is not there, with
// its parents, mode 0755. What is made is owned by User, as BuildKit does; docker's
// classic builder makes it for root.
type Workdir struct {
	Step
	Path string // absolute
	User string // as USER wrote it, "" for root
}
