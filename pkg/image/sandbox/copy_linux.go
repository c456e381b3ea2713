package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// copyTree copies a file or folder with owners, modes, times, extended attributes and
// hard links. Symbolic links are copied, not followed; sockets are left out. The
// target does not exist yet.
func copyTree(source, target string) error {
	c := &copier{first: map[[2]uint64]string{}}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if source, err = filepath.EvalSymlinks(source); err != nil {
			return err
		}
	}
	return c.copy(source, target)
}

type copier struct {
	first map[[2]uint64]string // device and inode of a file with several names: its copy
}

func (c *copier) copy(source, target string) error {
	var s unix.Stat_t
	if err := unix.Lstat(source, &s); err != nil {
		return &fs.PathError{Op: "lstat", Path: source, Err: err}
	}
	kind := s.Mode & unix.S_IFMT
	id := [2]uint64{uint64(s.Dev), s.Ino}
	if kind != unix.S_IFDIR && s.Nlink > 1 {
		if first, ok := c.first[id]; ok {
			return os.Link(first, target)
		}
		c.first[id] = target
	}
	var err error
	switch kind {
	case unix.S_IFSOCK:
		return nil
	case unix.S_IFDIR:
		err = c.copyDir(source, target)
	case unix.S_IFREG:
		err = copyContent(source, target)
	case unix.S_IFLNK:
		var link string
		if link, err = os.Readlink(source); err == nil {
			err = os.Symlink(link, target)
		}
	default:
		err = unix.Mknod(target, s.Mode, int(s.Rdev))
	}
	if err != nil {
		return err
	}
	return copyMeta(source, target, &s)
}

func (c *copier) copyDir(source, target string) error {
	entries, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	if err := os.Mkdir(target, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		err := c.copy(filepath.Join(source, e.Name()), filepath.Join(target, e.Name()))
		if err != nil {
			return err
		}
	}
	return nil
}

func copyContent(source, target string) error {
	in, err := os.OpenFile(source, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = out.ReadFrom(in) // copy_file_range where the file system has it
	return errors.Join(err, out.Close())
}

func copyMeta(source, target string, s *unix.Stat_t) error {
	if err := unix.Lchown(target, int(s.Uid), int(s.Gid)); err != nil && os.Geteuid() == 0 {
		return fmt.Errorf("setting the owner of %s: %w", target, err)
	}
	if s.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(target, s.Mode&0o7777); err != nil {
			return fmt.Errorf("setting the mode of %s: %w", target, err)
		}
		if err := copyXattrs(source, target); err != nil {
			return err
		}
	}
	times := []unix.Timespec{s.Atim, s.Mtim}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, target, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("setting the times of %s: %w", target, err)
	}
	return nil
}

// copyXattrs copies what may be set; a file system without them has none to copy.
func copyXattrs(source, target string) error {
	size, err := unix.Llistxattr(source, nil)
	if err != nil || size == 0 {
		return nil
	}
	names := make([]byte, size)
	if size, err = unix.Llistxattr(source, names); err != nil {
		return fmt.Errorf("reading the attributes of %s: %w", source, err)
	}
	for _, name := range splitNames(names[:size]) {
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(source, name, value)
		if err != nil {
			continue
		}
		err = unix.Lsetxattr(target, name, value[:n], 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("setting %s of %s: %w", name, target, err)
		}
	}
	return nil
}

// splitNames splits a list of names that each end with a zero byte.
func splitNames(list []byte) []string {
	var names []string
	start := 0
	for i, b := range list {
		if b == 0 {
			names = append(names, string(list[start:i]))
			start = i + 1
		}
	}
	return names
}
