package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
)

// places are mounts without mount(2): what they show is put into the folder of the
// image, what was there waits beside it, and all is put back at the end. A bind that
// takes changes is moved there where a rename can do it, else copied both ways; other
// binds are copied, and changes to them thrown away.
type places struct {
	root  string
	aside string // folder beside root, on the same file system
	done  []*place
	stubs []stub

	relays []*relay // for sockets that are shown by other means
}

// place is one mount.
type place struct {
	Mount
	target string
	aside  string   // where that waits which was there; empty when there was nothing
	moved  bool     // a bind was moved, not copied
	keep   *os.File // the file of a secret, to see whether it was moved
	relay  *relay
}

// newPlaces prepares for mounts in root.
func newPlaces(root string) (*places, error) {
	aside, err := os.MkdirTemp(filepath.Dir(root), ".devs-mounts-")
	if err != nil {
		return nil, fmt.Errorf("preparing mounts: %w", err)
	}
	return &places{root: root, aside: aside}, nil
}

// put shows a mount.
func (p *places) put(m Mount) error {
	target, err := scoped(p.root, m.Target)
	if err != nil {
		return err
	}
	parent := filepath.Dir(target)
	made, err := makeStubs(parent, false)
	p.stubs = append(p.stubs, made...)
	if err != nil {
		return err
	}
	defer keepTimes(parent)()
	l := &place{Mount: m, target: target}
	if info, err := os.Lstat(target); err == nil {
		if info.IsDir() == m.isFile() {
			return diag.Errorf("the mount %s cannot be made: it is %s in the image", m.Target, map[bool]string{true: "a folder", false: "no folder"}[info.IsDir()])
		}
		l.aside = filepath.Join(p.aside, fmt.Sprint(len(p.done)))
		if err := os.Rename(target, l.aside); err != nil {
			return fmt.Errorf("preparing the mount %s: %w", m.Target, err)
		}
	}
	p.done = append(p.done, l)
	if err := l.make(); err != nil {
		return fmt.Errorf("making the mount %s: %w", m.Target, err)
	}
	return nil
}

// relay makes a socket beside the image that leads to that of the mount.
func (p *places) relay(m Mount) (path string, err error) {
	path = filepath.Join(p.aside, fmt.Sprintf("socket-%d", len(p.relays)))
	r, err := openRelay(path, m)
	if err != nil {
		return "", fmt.Errorf("making the mount %s: %w", m.Target, err)
	}
	p.relays = append(p.relays, r)
	return path, nil
}

func (l *place) make() error {
	switch l.Type {
	case Tmpfs:
		mode := l.Mode
		if mode == 0 {
			mode = 0o1777
		}
		if err := os.Mkdir(l.target, 0o700); err != nil {
			return err
		}
		if err := unix.Chown(l.target, l.UID, l.GID); err != nil {
			return err
		}
		return unix.Chmod(l.target, mode)
	case File:
		f, err := writeFile(l.target, l.Mount)
		if err != nil {
			return err
		}
		if l.ours {
			return f.Close()
		}
		l.keep = f
		return nil
	case Socket:
		var err error
		l.relay, err = openRelay(l.target, l.Mount)
		return err
	}
	if !l.ReadOnly {
		err := os.Rename(l.Source, l.target)
		if err == nil {
			l.moved = true
			return nil
		}
		if !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	return copyTree(l.Source, l.target)
}

// takeAway ends all mounts, the last one first. After an error the folder of the image
// is not to be used any more.
func (p *places) takeAway() error {
	var errs []error
	for _, r := range p.relays {
		r.Close()
	}
	for _, l := range slices.Backward(p.done) {
		if err := p.remove(l); err != nil {
			errs = append(errs, fmt.Errorf("ending the mount %s: %w", l.Target, err))
		}
	}
	errs = append(errs, removeStubs(p.stubs), os.RemoveAll(p.aside))
	p.done, p.stubs = nil, nil
	return errors.Join(errs...)
}

func (p *places) remove(l *place) error {
	if l.relay != nil {
		l.relay.Close()
	}
	if l.keep != nil {
		defer l.keep.Close()
	}
	parent := filepath.Dir(l.target)
	if err := p.unmoved(l, parent); err != nil {
		return err
	}
	if _, err := os.Lstat(parent); errors.Is(err, fs.ErrNotExist) {
		// The command removed the folder around it.
		made, err := makeStubs(parent, false)
		if err != nil {
			return err
		}
		p.stubs = append(p.stubs, made...)
	}
	defer keepTimes(parent)()
	if l.Type == Bind && !l.ReadOnly {
		if err := l.giveBack(); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(l.target); err != nil {
		return err
	}
	if l.aside == "" {
		return nil
	}
	if err := os.Rename(l.aside, l.target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unmoved makes sure that what was placed is still where it was: a command cannot move
// a real mount, but it can move this one, into the image.
func (p *places) unmoved(l *place, parent string) error {
	moved := false
	if inside, ok := strings.CutPrefix(parent, p.root); ok {
		now, err := scoped(p.root, "/"+inside)
		if err != nil {
			return err
		}
		moved = now != parent
	}
	if l.keep != nil {
		var s unix.Stat_t
		if err := unix.Fstat(int(l.keep.Fd()), &s); err != nil {
			return err
		}
		at, err := os.Lstat(l.target)
		here := false
		if err == nil {
			kept, err := l.keep.Stat()
			here = err == nil && os.SameFile(at, kept)
		}
		if s.Nlink > 1 || s.Nlink == 1 && !here {
			moved = true
		}
		if moved {
			// Whatever the image keeps of it is empty.
			if err := l.keep.Truncate(0); err != nil {
				return err
			}
		}
	}
	if moved {
		return diag.Errorf("the command moved or linked the mount %s, or a folder above it", l.Target).
			WithHint("copy what the image shall keep instead")
	}
	return nil
}

// giveBack returns a bind with its changes to where it came from.
func (l *place) giveBack() error {
	info, err := os.Lstat(l.target)
	if l.moved {
		if errors.Is(err, fs.ErrNotExist) {
			return os.Mkdir(l.Source, 0o755) // the command removed it; a mount would only be empty
		}
		if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
			return fmt.Errorf("the command put something else in its place")
		}
		return os.Rename(l.target, l.Source)
	}
	if err != nil {
		return nil // nothing is left to copy
	}
	if info.Mode().IsRegular() {
		data, err := os.ReadFile(l.target)
		if err != nil {
			return err
		}
		if have, err := os.ReadFile(l.Source); err == nil && bytes.Equal(have, data) {
			return nil
		}
		return os.WriteFile(l.Source, data, 0o644)
	}
	fresh, old := l.Source+".devs-new", l.Source+".devs-old"
	if err := errors.Join(os.RemoveAll(fresh), os.RemoveAll(old)); err != nil {
		return err
	}
	if err := copyTree(l.target, fresh); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	if err := os.Rename(l.Source, old); err != nil {
		return err
	}
	if err := os.Rename(fresh, l.Source); err != nil {
		return errors.Join(err, os.Rename(old, l.Source))
	}
	return os.RemoveAll(old)
}
