package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// The folder of a pool, and the file in it that the pool holds locked while it lives.
const (
	folderPrefix = "runner-"
	folderLock   = "in-use"
)

// prepare makes the pool's folder with the bridge scripts, and removes those of pools
// that were killed.
func (p *Pool) prepare() error {
	p.setup.Do(func() { p.setupErr = p.makeFolder() })
	if p.setupErr != nil {
		return fmt.Errorf("preparing the function runner: %w", p.setupErr)
	}
	return nil
}

func (p *Pool) makeFolder() error {
	if err := os.MkdirAll(p.cfg.Dir, 0o700); err != nil {
		return err
	}
	p.sweep()
	dir, err := os.MkdirTemp(p.cfg.Dir, folderPrefix)
	if err != nil {
		return err
	}
	if p.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	for name, text := range map[string]string{"bridge.py": bridgePy, "bridge.js": bridgeJS} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	// Locked before it has its name: a folder with a lock that nobody holds is left over.
	p.lock = flock.New(filepath.Join(p.dir, folderLock+".new"), flock.SetPermissions(0o600))
	if _, err := p.lock.TryLock(); err != nil {
		return err
	}
	return os.Rename(p.lock.Path(), filepath.Join(p.dir, folderLock))
}

// sweep removes the folders of pools that were killed. What cannot be removed now is
// tried again by the next pool.
func (p *Pool) sweep() {
	locks, _ := filepath.Glob(filepath.Join(p.cfg.Dir, folderPrefix+"*", folderLock))
	for _, name := range locks {
		lock := flock.New(name, flock.SetFlag(os.O_RDWR))
		if locked, err := lock.TryLock(); err == nil && locked {
			_ = removeTree(filepath.Dir(name))
		}
		_ = lock.Close()
	}
}

// removeFolder removes the pool's folder.
func (p *Pool) removeFolder() error {
	if p.lock == nil {
		return nil
	}
	return errors.Join(removeTree(p.dir), p.lock.Close())
}

// removeTree removes a folder, also when folders in it are read-only.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
