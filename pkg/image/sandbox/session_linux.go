package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
)

// shared is what the sessions of a sandbox have in common.
type shared struct {
	turn chan struct{}           // who holds it may exchange the root
	step func(what string) error // of a test, to die at any step
}

// Session is a folder with the files of an image, ready for commands. Its methods may
// be called by one goroutine at a time.
type Session struct {
	level  Level
	proot  string
	root   string  // the folder
	mounts []Mount // for the helper, or for proot
	stubs  []stub
	places *places
	swap   *swap    // of OwnRoot
	lock   *os.File // of the exchanged root, which helpers hold, too
	unlock func()

	mu   sync.Mutex
	left bool
}

// Enter makes the folder root, with all files of an image, ready for commands that see
// the mounts. Leave must be called, whatever happens. Nothing else may change the
// folder until then. With OwnRoot the folder must lie below Folder, and one session
// waits for the end of another.
func (s *Sandbox) Enter(ctx context.Context, root string, mounts []Mount) (*Session, error) {
	return s.enter(ctx, s.level, root, mounts)
}

func (s *Sandbox) enter(ctx context.Context, level Level, root string, mounts []Mount) (*Session, error) {
	if level == None {
		return nil, s.err
	}
	if err := hide(); err != nil {
		return nil, err
	}
	root, err := checkRoot(root)
	if err != nil {
		return nil, err
	}
	for _, m := range mounts {
		if err := m.check(); err != nil {
			return nil, err
		}
		if m.Type == Tmpfs && m.Size > 0 && level != Namespaces {
			return nil, diag.Errorf("the size of the tmpfs mount %s cannot be kept: nothing can be mounted with the isolation %s", m.Target, level).
				WithHint("leave size= out, or build where namespaces are permitted")
		}
	}
	x := &Session{level: level, proot: s.proot, root: root, unlock: func() {}}
	files, err := s.network()
	if err == nil {
		err = x.arrive(ctx, s, files, mounts)
	}
	if err != nil {
		return nil, errors.Join(err, x.Leave())
	}
	return x, nil
}

// hide makes the memory and the environment of this process unreadable for others.
func hide() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hiding the builder from commands: %w", err)
	}
	return nil
}

func checkRoot(root string) (string, error) {
	if !filepath.IsAbs(root) || filepath.Clean(root) == "/" {
		return "", fmt.Errorf("%q is not the absolute path of a stage's folder", root)
	}
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", fmt.Errorf("finding the stage's folder: %w", err)
	}
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", root)
	}
	for _, dir := range systemFolders() {
		if info, err := os.Lstat(filepath.Join(root, dir)); err == nil && !info.IsDir() {
			return "", diag.Errorf("/%s of the image is no folder, so no command can run in it", dir)
		}
	}
	return root, nil
}

// systemFolders are those that the kernel fills.
func systemFolders() []string { return []string{"dev", "proc", "sys"} }

func (m Mount) check() error {
	if !filepath.IsAbs(m.Target) || filepath.Clean(m.Target) == "/" || strings.ContainsRune(m.Target, 0) {
		return diag.Errorf("%q cannot be the target of a mount", m.Target).WithHint("give an absolute path below /")
	}
	switch m.Type {
	case Bind, Socket:
		if !filepath.IsAbs(m.Source) {
			return fmt.Errorf("the source %q of the mount %s is not absolute", m.Source, m.Target)
		}
		if _, err := os.Stat(m.Source); err != nil {
			return fmt.Errorf("looking at the source of the mount %s: %w", m.Target, err)
		}
	case Tmpfs, File:
	default:
		return fmt.Errorf("mount %s has no type", m.Target)
	}
	return nil
}

// network returns mounts of the files that name servers and hosts.
func (s *Sandbox) network() ([]Mount, error) {
	var all []Mount
	for _, f := range []struct{ source, target string }{
		{s.cfg.ResolvConf, "/etc/resolv.conf"}, {s.cfg.Hosts, "/etc/hosts"},
	} {
		source := f.source
		if source == "" {
			source = f.target
		}
		data, err := os.ReadFile(source)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the network's files: %w", err)
		}
		// A copy: what a command writes into it does not reach the machine.
		all = append(all, Mount{Type: File, Target: f.target, Data: data, Mode: 0o644, ours: true})
	}
	return all, nil
}

// Root returns the folder in which the files of the image are now: "/", or the folder
// that was given.
func (x *Session) Root() string {
	if x.swap != nil {
		return x.swap.top
	}
	return x.root
}

// Places returns where the mounts are now, where nothing can be mounted.
func (x *Session) Places() []string {
	if x.places == nil {
		return nil
	}
	var all []string
	for _, l := range x.places.done {
		all = append(all, x.now(l))
	}
	return all
}

// Copies returns the read-only mounts that commands can change.
func (x *Session) Copies() []Copy {
	if x.places == nil {
		return nil
	}
	var all []Copy
	for _, l := range x.places.done {
		if l.Type == Bind && l.ReadOnly {
			info, err := os.Stat(l.Source)
			all = append(all, Copy{Target: l.Target, Place: x.now(l), File: err == nil && !info.IsDir()})
		}
	}
	return all
}

// now is where a mount is: those in the image move with it.
func (x *Session) now(l *place) string {
	if inside, ok := strings.CutPrefix(l.target, x.root+"/"); ok {
		return filepath.Join(x.Root(), inside)
	}
	return l.target
}

// Skip reports whether a path, relative to Root and "." for Root itself, is no part of
// the image: a snapshot must neither list it nor look below it. It depends on what is
// there now.
func (x *Session) Skip(path string) bool {
	path = filepath.Clean(path)
	place := filepath.Join(x.root, path)
	if x.swap != nil && x.swap.owns(path) {
		return true
	}
	if x.places != nil {
		for _, l := range x.places.done {
			if l.target == place {
				return true
			}
		}
	}
	for _, s := range x.allStubs() {
		if s.path != place {
			continue
		}
		here := stub{filepath.Join(x.Root(), path), s.dir}
		return here.untouched() || here.dir && x.holdsNothing(path)
	}
	return x.swap != nil && x.swap.isShell(path) && !x.swap.inStage(path) && x.holdsNothing(path)
}

func (x *Session) allStubs() []stub {
	if x.places == nil {
		return x.stubs
	}
	return append(x.stubs[:len(x.stubs):len(x.stubs)], x.places.stubs...)
}

// holdsNothing reports whether a folder holds nothing of the image.
func (x *Session) holdsNothing(path string) bool {
	entries, err := os.ReadDir(filepath.Join(x.Root(), path))
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !x.Skip(filepath.Join(path, e.Name())) {
			return false
		}
	}
	return true
}

// Leave puts everything back as it was. It may be called again after an error.
func (x *Session) Leave() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.left {
		return nil
	}
	var errs []error
	if x.swap != nil && x.swap.Phase != "" {
		if err := x.swap.out(); err != nil {
			errs = append(errs, fmt.Errorf("putting back the container's root: %w", err))
		}
		if x.swap.Phase != "" {
			return errors.Join(errs...)
		}
	}
	x.left = true
	if x.places != nil {
		errs = append(errs, x.places.takeAway())
	}
	errs = append(errs, removeStubs(x.stubs))
	x.unlock()
	return errors.Join(errs...)
}

// start starts a command in the session; after is called at its end.
func (x *Session) start(ctx context.Context, c Command, after func() error) (*Process, error) {
	switch c.Network {
	case "", "default", "host":
	case "none":
		if x.level != Namespaces {
			return nil, diag.Errorf("a command without network needs the right to make namespaces, which the isolation %s has not", x.level).
				WithHint("give the container that right (docker run --privileged), or leave out --network=none")
		}
	default:
		return nil, diag.Errorf("the network %q is not known", c.Network).WithHint("use default, host or none")
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	held, err := heldCapabilities()
	if err != nil {
		return nil, err
	}
	j := job{
		Level: x.level, Root: x.root, Mounts: x.mounts, NoNet: c.Network == "none", Keep: sharedCapabilities(held),
		Args: c.Args, Env: c.Env, Dir: c.Dir, UID: c.UID, GID: c.GID, Groups: c.Groups,
	}
	switch x.level {
	case Namespaces:
		j.Keep = dockerCapabilities()
	case Proot:
		wrap, err := wrapProot(x.proot, x.root, c.UID, c.GID, x.mounts)
		if err != nil {
			return nil, err
		}
		j.wrap, j.Mounts = wrap, nil
	}
	return launchUntil(ctx, j, c, x.lock, after)
}

// launchUntil starts the helper, and kills the command when ctx ends.
func launchUntil(ctx context.Context, j job, c Command, held *os.File, after func() error) (*Process, error) {
	stop := func() bool { return true }
	started := make(chan struct{})
	p, err := launch(j, c, held, func(err error) error {
		<-started
		if !stop() && err != nil {
			err = context.Cause(ctx)
		}
		return errors.Join(err, after())
	})
	if err != nil {
		return nil, err
	}
	stop = context.AfterFunc(ctx, p.Kill)
	close(started)
	return p, nil
}

// Start starts a command in the files of an image and returns at once. When ctx ends
// the command is killed. It never exchanges the root of the container: in our own image
// it uses chroot.
func (s *Sandbox) Start(ctx context.Context, root string, c Command) (*Process, error) {
	level := s.level
	if level == OwnRoot {
		level = Chroot
	}
	x, err := s.enter(ctx, level, root, nil)
	if err != nil {
		return nil, err
	}
	p, err := x.start(ctx, c, x.Leave)
	if err != nil {
		return nil, errors.Join(err, x.Leave())
	}
	return p, nil
}
