package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links a path may have, as in the kernel.
const maxLinks = 40

// scoped returns the place of target in the folder root, following symbolic links as
// if root were the root of all. Components that do not exist are kept as they are.
// Nothing else may change root meanwhile.
func scoped(root, target string) (string, error) {
	todo := strings.Split(target, "/")
	at := "/"
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, name)
		link, err := os.Readlink(filepath.Join(root, next))
		if err != nil {
			at = next // no link, or not there
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("finding %s in the image: %w", target, unix.ELOOP)
		}
		if path.IsAbs(link) {
			at = "/"
		}
		todo = append(strings.Split(link, "/"), todo...)
	}
	return filepath.Join(root, at), nil
}

// isFile tells whether the target of the mount is a file; else it is a folder.
func (m Mount) isFile() bool {
	switch m.Type {
	case File, Socket:
		return true
	case Bind:
		info, err := os.Stat(m.Source)
		return err == nil && !info.IsDir()
	}
	return false
}

// stub is something that was made to mount on it. It is no part of the image.
type stub struct {
	path string // outside
	dir  bool
}

// makeTarget makes what a mount lies on when it is not there.
func makeTarget(target string, file bool) error {
	_, err := makeStubs(target, file)
	return err
}

// makeStubs makes the target, with the folders above it, and returns what it made,
// the topmost first. The times of the folder that was there are kept.
func makeStubs(target string, file bool) ([]stub, error) {
	info, err := os.Lstat(target)
	if err == nil {
		if info.IsDir() == file {
			kind := map[bool]string{true: "a folder", false: "no folder"}[info.IsDir()]
			return nil, fmt.Errorf("mounting %s: the image has %s there", target, kind)
		}
		return nil, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking at a mount target: %w", err)
	}
	parent := filepath.Dir(target)
	made, err := makeStubs(parent, false)
	if err != nil {
		return made, err
	}
	restore := keepTimes(parent)
	defer restore()
	if file {
		err = os.WriteFile(target, nil, 0o644)
	} else if err = os.Mkdir(target, 0o755); err == nil {
		err = os.Chmod(target, 0o755) // whatever the umask is
	}
	if err != nil {
		return made, fmt.Errorf("making a mount target: %w", err)
	}
	return append(made, stub{target, !file}), nil
}

// keepTimes returns a function that sets the times of a folder as they are now.
func keepTimes(dir string) (restore func()) {
	var s unix.Stat_t
	if err := unix.Lstat(dir, &s); err != nil {
		return func() {}
	}
	return func() { _ = os.Chtimes(dir, time.Unix(s.Atim.Unix()), time.Unix(s.Mtim.Unix())) }
}

// removeStubs takes away what is still as it was made: folders without content, and
// empty files.
func removeStubs(stubs []stub) error {
	var errs []error
	for i := len(stubs) - 1; i >= 0; i-- {
		s := stubs[i]
		if !s.untouched() {
			continue
		}
		restore := keepTimes(filepath.Dir(s.path))
		if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing a mount target: %w", err))
		}
		restore()
	}
	return errors.Join(errs...)
}

// untouched reports whether the stub is as it was made.
func (s stub) untouched() bool {
	info, err := os.Lstat(s.path)
	if err != nil || info.IsDir() != s.dir {
		return false
	}
	if !s.dir {
		return info.Mode().IsRegular() && info.Size() == 0
	}
	entries, err := os.ReadDir(s.path)
	return err == nil && len(entries) == 0
}
