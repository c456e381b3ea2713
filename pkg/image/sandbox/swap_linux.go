package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
)

// swap exchanges the root of our container for the files of a stage, and back.
//
// The links of our image go away into a folder of home; then what the stage has at its
// top is renamed into the root. Folders of the container that hold mounts cannot move:
// they stay as shells, take on the mode, owner and times of the stage's folder, and its
// children move in one by one. What the stage has in the place of a mount, and its
// proc, sys and dev, stay where they are.
//
// Each step is one rename, and the journal says before a phase begins what it will do;
// undo works from any point, and again after it was itself interrupted. What a command
// made, removed or replaced at the top needs no record: all that is not the
// container's is the stage's.
type swap struct {
	top  string // "/", or a folder in tests
	step func(what string) error
	journal
}

// newSwap returns a swap of top; step may end it at any point, as a kill would.
func newSwap(top string, step func(string) error) *swap {
	if step == nil {
		step = func(string) error { return nil }
	}
	return &swap{top: top, step: step}
}

func (w *swap) outside(rel string) string { return filepath.Join(w.top, rel) }
func (w *swap) stage(rel string) string   { return filepath.Join(w.Root, rel) }
func (w *swap) old(rel string) string     { return filepath.Join(w.folder(), "old", rel) }

// plan fills the journal, or says why the stage cannot be exchanged. It changes nothing.
func (w *swap) plan(root string, o *outer) error {
	w.journal = journal{Root: root, Away: slices.Clone(o.links), Mounts: o.mounts}
	if err := w.compare(o, "."); err != nil {
		return err
	}
	for _, rel := range append([]string{"."}, o.shells...) {
		if w.goes(rel) {
			continue
		}
		m, err := readMeta(w.outside(rel))
		if err != nil {
			return err
		}
		_, err = os.Lstat(w.stage(rel))
		w.Shells = append(w.Shells, shell{Path: rel, Meta: m, InStage: err == nil})
	}
	return w.remember()
}

// goes reports whether the path, or a folder above it, goes away.
func (w *swap) goes(rel string) bool {
	return slices.ContainsFunc(w.Away, func(a string) bool { return rel == a || strings.HasPrefix(rel, a+"/") })
}

// compare finds where a folder of the stage and one of the container cannot be one.
func (w *swap) compare(o *outer, dir string) error {
	entries, err := os.ReadDir(w.stage(dir))
	if err != nil {
		return fmt.Errorf("reading the stage: %w", err)
	}
	for _, e := range entries {
		rel := path.Join(dir, e.Name())
		switch {
		case dir == "." && e.Name() == home:
			return diag.Errorf("the image has a folder /%s of its own, which cannot be exchanged with that of this container", home).
				WithHint("use --isolation chroot")
		case dir == "." && stays(e.Name()):
		case w.Mounts[rel]:
			if err := w.mountOver(rel, e); err != nil {
				return err
			}
		case !o.isShell(rel):
		case e.IsDir():
			if err := w.compare(o, rel); err != nil {
				return err
			}
		default:
			w.Away = append(w.Away, rel)
		}
	}
	return nil
}

// mountOver checks what the stage has in the place of a mount, and cannot be shown.
func (w *swap) mountOver(rel string, e fs.DirEntry) error {
	if slices.Contains(networkFiles(), rel) {
		return nil
	}
	if e.IsDir() {
		if inside, err := os.ReadDir(w.stage(rel)); err == nil && len(inside) == 0 {
			return nil
		}
	}
	return diag.Errorf("the image has files at /%s, where this container has a mount", rel).
		WithHint("mount it elsewhere, or use --isolation chroot")
}

// in exchanges the root. After an error, out must be called.
func (w *swap) in() error {
	if err := w.save(phaseClear); err != nil {
		return err
	}
	for _, rel := range w.Away {
		if err := os.MkdirAll(filepath.Dir(w.old(rel)), 0o700); err != nil {
			return fmt.Errorf("making room: %w", err)
		}
		if err := w.move(w.outside(rel), w.old(rel)); err != nil {
			return err
		}
	}
	if err := w.save(phaseFill); err != nil {
		return err
	}
	if err := w.fill("."); err != nil {
		return err
	}
	return w.step("in")
}

// fill moves what the stage has in a folder into that of the container, which becomes
// like the other.
func (w *swap) fill(dir string) error {
	m, err := readMeta(w.stage(dir))
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(w.stage(dir))
	if err != nil {
		return fmt.Errorf("reading the stage: %w", err)
	}
	for _, e := range entries {
		rel := path.Join(dir, e.Name())
		switch {
		case dir == "." && stays(e.Name()), w.Mounts[rel]:
		case w.isShell(rel):
			err = w.fill(rel)
		default:
			err = w.move(w.stage(rel), w.outside(rel))
		}
		if err != nil {
			return err
		}
	}
	return w.apply(m, w.outside(dir))
}

// out puts everything back, from whatever point in was left at.
func (w *swap) out() error {
	if w.Phase == phaseFill {
		if err := w.drain("."); err != nil {
			return err
		}
		if err := w.save(phaseRestore); err != nil {
			return err
		}
	}
	for _, rel := range slices.Backward(w.Away) {
		if _, err := os.Lstat(w.old(rel)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := w.remake(path.Dir(rel)); err != nil {
			return err
		}
		if err := w.move(w.old(rel), w.outside(rel)); err != nil {
			return err
		}
	}
	for _, s := range slices.Backward(w.Shells) {
		if err := w.remake(s.Path); err != nil {
			return err
		}
		if err := w.apply(s.Meta, w.outside(s.Path)); err != nil {
			return err
		}
	}
	return errors.Join(w.recall(), w.finish())
}

// remake makes a folder that was removed by a command.
func (w *swap) remake(rel string) error {
	err := os.MkdirAll(w.outside(rel), 0o755)
	if err != nil {
		return fmt.Errorf("restoring /%s: %w", rel, err)
	}
	return nil
}

// drain moves what is not the container's into the stage.
func (w *swap) drain(dir string) error {
	m, err := readMeta(w.outside(dir))
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(w.outside(dir))
	if err != nil {
		return fmt.Errorf("reading the root: %w", err)
	}
	moved := false
	seen := map[string]bool{}
	for _, e := range entries {
		rel := path.Join(dir, e.Name())
		seen[rel] = true
		switch {
		case dir == "." && stays(e.Name()), w.Mounts[rel]:
			continue
		case w.isShell(rel) && e.IsDir():
			if err := w.drain(rel); err != nil {
				return err
			}
			continue
		case w.isShell(rel):
			// A command put something else into its place.
			if err := w.dissolve(rel); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(w.stage(dir), 0o755); err != nil {
			return fmt.Errorf("making a folder of the stage: %w", err)
		}
		if err := w.move(w.outside(rel), w.stage(rel)); err != nil {
			return err
		}
		moved = true
	}
	for _, s := range w.Shells {
		if path.Dir(s.Path) == dir && s.Path != "." && !seen[s.Path] {
			if err := w.dissolve(s.Path); err != nil {
				return err
			}
		}
	}
	if _, err := os.Lstat(w.stage(dir)); !moved && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return w.apply(m, w.stage(dir))
}

// dissolve removes the folder of the stage whose content was in a shell that a command
// has removed.
func (w *swap) dissolve(rel string) error {
	err := os.Remove(w.stage(rel))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing /%s from the stage: %w", rel, err)
	}
	return nil
}

func (w *swap) apply(m meta, dir string) error {
	if err := w.step("meta " + dir); err != nil {
		return err
	}
	return m.apply(dir)
}

// move renames, and never over something.
func (w *swap) move(from, to string) error {
	if err := w.step("move " + from); err != nil {
		return err
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		if _, found := os.Lstat(to); !errors.Is(found, fs.ErrNotExist) {
			return fmt.Errorf("moving %s: %s is there already", from, to)
		}
		err = unix.Rename(from, to)
	}
	if err != nil {
		return fmt.Errorf("moving %s to %s: %w", from, to, err)
	}
	return nil
}
