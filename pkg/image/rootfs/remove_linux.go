package rootfs

import (
	"golang.org/x/sys/unix"
)

// removeTree deletes name in dir: a file, a link, or a directory with all that is in
// it. It follows no link, and opens folders that lack the rights of their owner. gone is
// told the path of everything that was removed; it may be nil.
func removeTree(dir int, name, path string, gone func(path string)) error {
	err := unix.Unlinkat(dir, name, 0)
	if err == unix.EISDIR || err == unix.EPERM {
		// EPERM is what POSIX has for a directory.
		if err = removeDir(dir, name, path, gone); err == unix.ENOTDIR {
			err = unix.EPERM
		}
	}
	if err == nil && gone != nil {
		gone(path)
	}
	return err
}

func removeDir(dir int, name, path string, gone func(path string)) error {
	fd, err := openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err == unix.EACCES {
		if err = unix.Fchmodat(dir, name, 0o700, 0); err == nil {
			fd, err = openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		}
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	names, err := namesOf(fd)
	if err != nil {
		return err
	}
	for _, child := range names {
		err := removeTree(fd, child, path+"/"+child, gone)
		if err == unix.EACCES {
			if err = unix.Fchmod(fd, 0o700); err == nil {
				err = removeTree(fd, child, path+"/"+child, gone)
			}
		}
		if err != nil && err != unix.ENOENT {
			return err
		}
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}

// namesIn returns the names in a directory that is open as O_PATH.
func namesIn(dir int) ([]string, error) {
	fd, err := openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return namesOf(fd)
}

// namesOf returns the names in a directory that is open for reading from its start.
func namesOf(fd int) ([]string, error) {
	var names []string
	buf := make([]byte, 16<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
