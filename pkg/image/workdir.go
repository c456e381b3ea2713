package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

// workDir is the folder of one build, which no other build touches.
type workDir struct {
	dir  string
	lock *flock.Flock
}

// openWorkDir makes a folder for one build below parent, locked as long as the build
// lives, and removes those whose builds were killed.
func openWorkDir(parent string) (*workDir, error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	if err := ownFolder(parent); err != nil {
		return nil, err
	}
	all := flock.New(filepath.Join(parent, "lock")) // nobody else makes or sweeps now
	if err := all.Lock(); err != nil {
		return nil, fmt.Errorf("locking the folder of builds: %w", err)
	}
	defer all.Close()
	sweep(parent)
	dir, err := os.MkdirTemp(parent, "build-")
	if err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("locking %s", filepath.Base(dir)), err)
	}
	return &workDir{dir: dir, lock: lock}, nil
}

// ownFolder refuses a folder that somebody else made first: it would be theirs to
// change what is unpacked below it.
func ownFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a folder of this user", dir)
	}
	return os.Chmod(dir, 0o700)
}

// sweep removes the folders of builds that live no more.
func sweep(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, "build-*"))
	for _, dir := range left {
		lock := flock.New(filepath.Join(dir, "lock"))
		if ok, err := lock.TryLock(); ok && err == nil {
			_ = removeAll(dir)
			_ = lock.Close()
		}
	}
}

func (w *workDir) remove() error {
	return errors.Join(removeAll(w.dir), w.lock.Close())
}

// removeAll removes a folder also where images left folders that cannot be written.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
