package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// phase is how far an exchange went.
type phase string

const (
	phaseClear   phase = "clear"   // the container's things go away; nothing of the stage is at the root
	phaseFill    phase = "fill"    // they are away; what is at the root now is the stage's
	phaseRestore phase = "restore" // the stage is back; the container's things come back
)

// journal says what an exchange does. It is written before, and removed at the end.
type journal struct {
	Phase  phase
	Root   string            // folder of the stage
	Away   []string          // what goes away, relative to the root of the container
	Shells []shell           // folders that stay, "." first, parents first
	Mounts map[string]bool   // what never moves
	Files  map[string][]byte // content of the mounted files that a command could change
	Dev    map[string]node   // what /dev has
	Shm    []string          // what /dev/shm has
}

// shell is a folder of the container that stays, with what it was like.
type shell struct {
	Path    string
	Meta    meta
	InStage bool // the stage has this folder, too
}

// node is an entry of /dev.
type node struct {
	Mode     uint32 // with the type
	UID, GID int
	Rdev     uint64
	Link     string
}

func (j *journal) isShell(rel string) bool {
	return slices.ContainsFunc(j.Shells, func(s shell) bool { return s.Path == rel })
}

// networkFiles are the files that Docker mounts into /etc.
func networkFiles() []string { return []string{"etc/resolv.conf", "etc/hosts", "etc/hostname"} }

func (w *swap) folder() string { return filepath.Join(w.top, home, "swap") }
func (w *swap) file() string   { return filepath.Join(w.folder(), "journal") }

// save writes the journal with its new phase, all or nothing.
func (w *swap) save(p phase) error {
	w.Phase = p
	data, err := json.Marshal(w.journal)
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	if err := w.step("save " + string(p)); err != nil {
		return err
	}
	if err := os.WriteFile(w.file()+".new", data, 0o600); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	if err := w.step("save " + string(p)); err != nil {
		return err
	}
	if err := os.Rename(w.file()+".new", w.file()); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// load reads the journal of an interrupted exchange; found is false when there is none.
func (w *swap) load() (found bool, err error) {
	data, err := os.ReadFile(w.file())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the journal: %w", err)
	}
	if err := json.Unmarshal(data, &w.journal); err != nil {
		return false, fmt.Errorf("reading the journal %s: %w", w.file(), err)
	}
	if err := w.check(); err != nil {
		return false, fmt.Errorf("reading the journal %s: %w", w.file(), err)
	}
	return true, nil
}

// check refuses a journal that we have not written: a command can reach it.
func (w *swap) check() error {
	if !slices.Contains([]phase{phaseClear, phaseFill, phaseRestore}, w.Phase) {
		return fmt.Errorf("the phase %q is not known", w.Phase)
	}
	if w.Root != filepath.Clean(w.Root) || !strings.HasPrefix(w.Root, filepath.Join(w.top, home)+"/") {
		return fmt.Errorf("%q is no folder of a stage", w.Root)
	}
	paths := slices.Clone(w.Away)
	for _, s := range w.Shells {
		if s.Path != "." {
			paths = append(paths, s.Path)
		}
	}
	for rel := range w.Files {
		if !slices.Contains(networkFiles(), rel) {
			return fmt.Errorf("%q is no file of the network", rel)
		}
	}
	for name := range w.Dev {
		if !filepath.IsLocal(name) || strings.Contains(name, "/") {
			return fmt.Errorf("%q is no name of a device", name)
		}
	}
	for _, rel := range paths {
		first, _, _ := strings.Cut(rel, "/")
		if !filepath.IsLocal(rel) || rel != path.Clean(rel) || rel == "." || stays(first) {
			return fmt.Errorf("%q is no path of the container", rel)
		}
	}
	return nil
}

// finish removes the journal and the empty folder of what was away.
func (w *swap) finish() error {
	var dirs []string
	err := filepath.WalkDir(w.old("."), func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = fmt.Errorf("%s was not put back", name)
		}
		dirs = append(dirs, name)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ending the exchange: %w", err)
	}
	for _, dir := range slices.Backward(dirs) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("ending the exchange: %w", err)
		}
	}
	if err := w.step("finish"); err != nil {
		return err
	}
	if err := os.Remove(w.file()); err != nil {
		return fmt.Errorf("ending the exchange: %w", err)
	}
	w.journal = journal{}
	return nil
}

// remember notes what a command could change although it is the container's.
func (w *swap) remember() error {
	w.Files, w.Dev = map[string][]byte{}, map[string]node{}
	for _, rel := range networkFiles() {
		if !w.Mounts[rel] {
			continue
		}
		data, err := os.ReadFile(w.outside(rel))
		if err != nil {
			return fmt.Errorf("reading the network's files: %w", err)
		}
		w.Files[rel] = data
	}
	entries, err := os.ReadDir(w.outside("dev"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading /dev: %w", err)
	}
	for _, e := range entries {
		n, err := readNode(w.outside("dev/" + e.Name()))
		if err != nil {
			return err
		}
		w.Dev[e.Name()] = n
	}
	inShm, err := os.ReadDir(w.outside("dev/shm"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading /dev/shm: %w", err)
	}
	for _, e := range inShm {
		w.Shm = append(w.Shm, e.Name())
	}
	return nil
}

// recall puts back what a command changed of it.
func (w *swap) recall() error {
	var errs []error
	for rel, want := range w.Files {
		if have, err := os.ReadFile(w.outside(rel)); err != nil || !bytes.Equal(have, want) {
			errs = append(errs, os.WriteFile(w.outside(rel), want, 0o644))
		}
	}
	errs = append(errs, w.clear("dev", func(name string) bool { _, ours := w.Dev[name]; return ours }))
	errs = append(errs, w.clear("dev/shm", func(name string) bool { return slices.Contains(w.Shm, name) }))
	for name, want := range w.Dev {
		errs = append(errs, want.restore(w.outside("dev/"+name)))
	}
	return errors.Join(errs...)
}

// clear removes what a command made in a folder of the container.
func (w *swap) clear(dir string, ours func(name string) bool) error {
	entries, err := os.ReadDir(w.outside(dir))
	if err != nil {
		return nil // there is none
	}
	var errs []error
	for _, e := range entries {
		if !ours(e.Name()) {
			errs = append(errs, os.RemoveAll(w.outside(path.Join(dir, e.Name()))))
		}
	}
	return errors.Join(errs...)
}

func readNode(name string) (node, error) {
	var s unix.Stat_t
	if err := unix.Lstat(name, &s); err != nil {
		return node{}, fmt.Errorf("looking at %s: %w", name, err)
	}
	n := node{Mode: s.Mode, UID: int(s.Uid), GID: int(s.Gid), Rdev: uint64(s.Rdev)}
	if s.Mode&unix.S_IFMT == unix.S_IFLNK {
		link, err := os.Readlink(name)
		if err != nil {
			return node{}, fmt.Errorf("looking at %s: %w", name, err)
		}
		n.Link = link
	}
	return n, nil
}

// restore makes an entry of /dev what it was; of folders, which hold mounts, only the
// mode and owner.
func (n node) restore(name string) error {
	have, err := readNode(name)
	if err == nil && have == n {
		return nil
	}
	kind := n.Mode & unix.S_IFMT
	if err != nil || have.Mode&unix.S_IFMT != kind || have.Rdev != n.Rdev || have.Link != n.Link {
		if err := os.RemoveAll(name); err != nil {
			return fmt.Errorf("restoring %s: %w", name, err)
		}
		switch kind {
		case unix.S_IFDIR:
			err = os.Mkdir(name, 0o755)
		case unix.S_IFLNK:
			err = os.Symlink(n.Link, name)
		default:
			err = unix.Mknod(name, n.Mode, int(n.Rdev))
		}
		if err != nil {
			return fmt.Errorf("restoring %s: %w", name, err)
		}
	}
	if err := unix.Lchown(name, n.UID, n.GID); err != nil {
		return fmt.Errorf("restoring %s: %w", name, err)
	}
	if kind == unix.S_IFLNK {
		return nil
	}
	if err := unix.Chmod(name, n.Mode&0o7777); err != nil {
		return fmt.Errorf("restoring %s: %w", name, err)
	}
	return nil
}
