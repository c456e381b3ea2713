package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

// Probe finds out by trying which level the machine allows. It changes nothing, but
// undoes what a killed build left.
func Probe(cfg Config) *Sandbox {
	s := &Sandbox{cfg: cfg, shared: &shared{turn: make(chan struct{}, 1)}}
	want, forced, err := ParseLevel(cfg.Isolation)
	if err != nil {
		s.err = err
		return s
	}
	for _, t := range s.trials() {
		if forced && t.level != want {
			continue
		}
		reason := t.try()
		if reason == "" {
			s.level = t.level
			return s
		}
		s.why = append(s.why, fmt.Sprintf("no %s: %s", t.level, reason))
	}
	s.detail = ""
	s.err = s.nothing(want, forced)
	return s
}

type trial struct {
	level Level
	try   func() (reason string)
}

func (s *Sandbox) trials() []trial {
	return []trial{
		{Namespaces, s.tryNamespaces}, {OwnRoot, s.tryOwnRoot}, {Chroot, s.tryChroot}, {Proot, s.tryProot},
	}
}

func (s *Sandbox) nothing(want Level, forced bool) error {
	if forced && want == None {
		return diag.Errorf("the build has a RUN, and commands are forbidden by --isolation none")
	}
	p := diag.Errorf("no command of an image can run here")
	if forced {
		p = diag.Errorf("the isolation %s is not possible here", want)
	}
	for _, w := range s.why {
		p.Detail += w + "\n"
	}
	return p.WithHint("build as root in the product's own image, or on a machine as root, or install uidmap (newuidmap) or proot; a Dockerfile without RUN needs none of them")
}

// unable tells why the one level that was tried cannot be.
func (s *Sandbox) unable() string {
	return strings.TrimPrefix(strings.Join(s.why, "; "), fmt.Sprintf("no %s: ", Namespaces))
}

// tryNamespaces enters namespaces with an empty folder, with all that a command needs.
func (s *Sandbox) tryNamespaces() string {
	if os.Geteuid() != 0 {
		if s.cfg.Unmapped != "" {
			return "not root; no mapped ids: " + s.cfg.Unmapped
		}
		return "not root"
	}
	if reason := s.try(Namespaces); reason != "" {
		return reason
	}
	s.detail = "own mounts and processes, the network of the machine"
	if uid, mapped := Outside(); mapped {
		s.detail += fmt.Sprintf("; ids mapped for user %d", uid)
	}
	return ""
}

// try makes and enters the surroundings of a level, around an empty folder.
func (s *Sandbox) try(level Level) string {
	dir, err := os.MkdirTemp(s.cfg.TempDir, "devs-probe-")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(dir)
	for _, name := range systemFolders() {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err.Error()
		}
	}
	if level == Chroot {
		if err := makeDev(filepath.Join(dir, "dev")); err != nil {
			return err.Error()
		}
	}
	j := job{Level: level, Probe: true, Root: dir}
	if level == Proot {
		if j.wrap, err = wrapProot(s.proot, dir, 0, 0, nil); err != nil {
			return err.Error()
		}
	}
	p, err := launch(j, Command{}, nil, nil)
	if err == nil {
		err = p.Wait()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (s *Sandbox) tryOwnRoot() string {
	if err := Recover(s.cfg); err != nil {
		return err.Error()
	}
	_, wrong, err := lookOutside()
	if err != nil {
		return err.Error()
	}
	if wrong == "" {
		wrong = canRename(ownFolder, ownTop)
	}
	if wrong == "" {
		s.detail = "the files of the stage take the place of the container's; no namespaces, commands see the container's processes and mounts"
	}
	return wrong
}

func (s *Sandbox) tryChroot() string {
	if os.Geteuid() != 0 {
		return "not root"
	}
	reason := s.try(Chroot)
	if reason == "" {
		s.detail = "device nodes but no /proc and no /dev/fd, which java and others need; no namespaces"
	}
	return reason
}

func (s *Sandbox) tryProot() string {
	if os.Geteuid() == 0 {
		return "root has better ways"
	}
	if s.cfg.LookPath == nil {
		return "no proot in PATH"
	}
	found, err := s.cfg.LookPath("proot")
	if err != nil {
		return "no proot in PATH"
	}
	if s.proot, err = filepath.Abs(found); err != nil {
		return err.Error()
	}
	if reason := s.try(Proot); reason != "" {
		return reason
	}
	s.detail = "commands are this user and see its processes; owners of files are pretended"
	return ""
}
