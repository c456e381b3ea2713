package rootfs

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxDirs is how many directories stay open between two entries.
const maxDirs = 512

// maxLinks is how many symbolic links one path may lead through, as in the kernel.
const maxLinks = 40

// dirs finds the directories of a root as a process does whose root it is: symbolic
// links that are followed lead inside the root, absolute ones and ".." too, so that no
// path leads out. It goes component by component with O_NOFOLLOW and never gives the
// kernel a link or a ".." to follow. openat2(RESOLVE_IN_ROOT) would do the same, but the
// seccomp rules of older dockers refuse it; and with the cache a directory is looked up
// once.
type dirs struct {
	top   int               // the root directory
	fds   map[string]int    // by real path: without symbolic links
	alias map[string]string // path as given -> real path in fds, but for any
	links int

	follow  func(real string) bool // whether the symbolic link there is followed; nil: none
	any     bool                   // follow all
	replace func(dir int, name, real string) error
}

func openDirs(dir string) (*dirs, error) {
	top, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	return &dirs{top: top, fds: map[string]int{}, alias: map[string]string{}}, nil
}

// find returns the real path and a descriptor (O_PATH, good until the next call) of
// the directory p.
func (d *dirs) find(p string) (string, int, error) {
	real, err := d.real(p)
	if err != nil {
		return "", -1, err
	}
	if err := d.open(real, false); err != nil {
		return "", -1, err
	}
	return real, d.fd(real), nil
}

// make is find, but what is missing is made, mode 0755, and replace makes room for it.
func (d *dirs) make(p string) (string, int, error) {
	real, err := d.real(p)
	if err != nil {
		return "", -1, err
	}
	if err := d.open(real, true); err != nil {
		return "", -1, err
	}
	return real, d.fd(real), nil
}

// target is find for a path that leads through any link, as that of a hard link may.
func (d *dirs) target(p string) (string, int, error) {
	d.any = true
	defer func() { d.any = false }()
	return d.find(p)
}

func (d *dirs) real(p string) (string, error) {
	if len(d.fds) > maxDirs {
		d.forget()
	}
	d.links = 0
	return d.resolve(p)
}

func (d *dirs) fd(real string) int {
	if real == "." {
		return d.top
	}
	return d.fds[real]
}

// forget closes all directories.
func (d *dirs) forget() {
	for _, fd := range d.fds {
		unix.Close(fd)
	}
	clear(d.fds)
	clear(d.alias)
}

// removed forgets a path that is there no more: a directory, or a link that others
// led through.
func (d *dirs) removed(real string) {
	if fd, ok := d.fds[real]; ok {
		unix.Close(fd)
		delete(d.fds, real)
	}
	clear(d.alias)
}

func (d *dirs) close() {
	d.forget()
	unix.Close(d.top)
}

// resolve returns the real path of p. What exists of it is open then; from the first
// part on that is no directory it is taken as it is written.
func (d *dirs) resolve(p string) (string, error) {
	if p == "." {
		return p, nil
	}
	if _, ok := d.fds[p]; ok {
		return p, nil
	}
	if real, ok := d.alias[p]; ok && !d.any {
		return real, nil
	}
	parent, err := d.resolve(path.Dir(p))
	if err != nil {
		return "", err
	}
	real, err := d.step(parent, path.Base(p))
	if err != nil {
		return "", err
	}
	if _, ok := d.fds[real]; ok && real != p && !d.any {
		d.alias[p] = real
	}
	return real, nil
}

// step goes from the real path parent to its child name.
func (d *dirs) step(parent, name string) (string, error) {
	real := join(parent, name)
	if _, ok := d.fds[real]; ok {
		return real, nil
	}
	if _, ok := d.fds[parent]; !ok && parent != "." {
		return real, nil
	}
	fd, err := openDir(d.fd(parent), name)
	switch err {
	case nil:
		d.fds[real] = fd
		return real, nil
	case unix.ENOENT:
		return real, nil
	case unix.ENOTDIR, unix.ELOOP:
	default:
		return "", fmt.Errorf("%s: %w", real, err)
	}
	target, err := readlink(d.fd(parent), name)
	if err != nil || !d.any && (d.follow == nil || !d.follow(real)) {
		return real, nil // open will say what is wrong with it
	}
	return d.through(parent, real, target)
}

// through goes to the target of the symbolic link at the path link, which is in the
// directory at.
func (d *dirs) through(at, link, target string) (string, error) {
	if d.links++; d.links > maxLinks {
		return "", fmt.Errorf("%s: %w", link, unix.ELOOP)
	}
	if strings.HasPrefix(target, "/") {
		at = "."
	}
	for name := range strings.SplitSeq(target, "/") {
		switch name {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		// What is above a real path need not be open.
		dir, err := d.resolve(at)
		if err != nil {
			return "", err
		}
		if at, err = d.step(dir, name); err != nil {
			return "", err
		}
	}
	return d.resolve(at)
}

// open opens the real path and all above it.
func (d *dirs) open(real string, create bool) error {
	if _, ok := d.fds[real]; ok || real == "." {
		return nil
	}
	parent, name := path.Dir(real), path.Base(real)
	if err := d.open(parent, create); err != nil {
		return err
	}
	fd, err := openDir(d.fd(parent), name)
	if err == unix.ENOTDIR && create && d.replace != nil && !d.follow(real) {
		if err = d.replace(d.fd(parent), name, real); err == nil {
			err = unix.ENOENT
		}
	}
	if err == unix.ENOENT && create {
		if err = makeDir(d.fd(parent), name); err == nil {
			fd, err = openDir(d.fd(parent), name)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", real, err)
	}
	d.fds[real] = fd
	return nil
}

// join is path.Join for a clean directory and a name.
func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// openDir opens the directory name in dir to name things in it. A symbolic link is
// ENOTDIR.
func openDir(dir int, name string) (int, error) {
	return openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}

// makeDir makes a directory that no entry describes.
func makeDir(dir int, name string) error {
	if err := unix.Mkdirat(dir, name, 0o755); err != nil {
		return err
	}
	return unix.Fchmodat(dir, name, 0o755, 0)
}

// openat is openat(2), tried again when a signal came.
func openat(dir int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// readlink returns the target of the symbolic link name in dir.
func readlink(dir int, name string) (string, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(dir, name, buf)
		if err != nil {
			return "", err
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}
