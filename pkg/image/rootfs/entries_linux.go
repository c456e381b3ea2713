package rootfs

import (
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/image/layer"
)

// Entries returns all files of the snapshot, the root directory "." first, each
// directory before what is in it, names sorted. Later names of a file are hard links to
// its first one.
func (s *Snapshot) Entries() ([]*layer.Entry, error) {
	c, err := s.collector()
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.all(s.root, "."); err != nil {
		return nil, fmt.Errorf("looking at the files of a stage: %w", err)
	}
	return c.entries, nil
}

// collector turns nodes into entries.
type collector struct {
	dir     string
	dirs    *dirs
	entries []*layer.Entry
	first   map[inode]string // first names of files that have several
}

// inode identifies a file.
type inode struct{ dev, ino uint64 }

func (n *node) inode() inode { return inode{n.dev, n.ino} }

// shared reports whether the file has more names.
func (n *node) shared() bool { return n.kind() == unix.S_IFREG && n.nlink > 1 }

func (s *Snapshot) collector() (*collector, error) {
	d, err := openDirs(s.dir)
	if err != nil {
		return nil, err
	}
	return &collector{dir: s.dir, dirs: d, first: map[inode]string{}}, nil
}

func (c *collector) close() { c.dirs.close() }

// all adds a file and all below it.
func (c *collector) all(n *node, p string) error {
	if err := c.add(n, p); err != nil {
		return err
	}
	for _, child := range n.children {
		if err := c.all(child, join(p, child.name)); err != nil {
			return err
		}
	}
	return nil
}

// add adds one file.
func (c *collector) add(n *node, p string) error {
	e := &layer.Entry{
		Path: p, Mode: n.mode & 0o7777, UID: int(n.uid), GID: int(n.gid),
		ModTime: time.Unix(n.mtime.Sec, n.mtime.Nsec),
	}
	switch n.kind() {
	case unix.S_IFDIR:
		e.Type, e.Xattrs = layer.Dir, n.xattrs
	case unix.S_IFLNK:
		e.Type, e.Linkname = layer.Symlink, n.link
	case unix.S_IFCHR, unix.S_IFBLK:
		e.Type = layer.Char
		if n.kind() == unix.S_IFBLK {
			e.Type = layer.Block
		}
		e.Major, e.Minor = unix.Major(n.rdev), unix.Minor(n.rdev)
	case unix.S_IFIFO:
		e.Type = layer.Fifo
	case unix.S_IFREG:
		if first, ok := c.first[n.inode()]; ok && n.shared() {
			e.Type, e.Linkname = layer.Hardlink, first
			break
		}
		if n.shared() {
			c.first[n.inode()] = p
		}
		if err := c.file(e, n); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	default:
		return fmt.Errorf("%s: a file of an unknown kind (mode %o)", p, n.mode)
	}
	c.entries = append(c.entries, e)
	return nil
}

// file adds what only a regular file has.
func (c *collector) file(e *layer.Entry, n *node) error {
	e.Type, e.Size = layer.File, n.size
	dir, want := c.dir, *n
	e.Open = func() (io.ReadCloser, error) { return openFile(dir, e.Path, &want) }
	_, parent, err := c.dirs.find(path.Dir(e.Path))
	if err != nil {
		return err
	}
	fd, err := openSame(parent, path.Base(e.Path), &want)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	e.Xattrs, err = xattrsOf(fd)
	return err
}

// openFile opens the file p below dir if it is still the one of the snapshot. It
// follows no link below dir.
func openFile(dir, p string, want *node) (io.ReadCloser, error) {
	d, err := openDirs(dir)
	if err != nil {
		return nil, err
	}
	defer d.close()
	_, parent, err := d.find(path.Dir(p))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", p, err)
	}
	fd, err := openSame(parent, path.Base(p), want)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", p, err)
	}
	return os.NewFile(uintptr(fd), p), nil
}

// openSame opens name in dir for reading if it is still the regular file of want.
// O_NONBLOCK keeps a FIFO in its place from making us wait.
func openSame(dir int, name string, want *node) (int, error) {
	fd, err := openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || st.Ino != want.ino || st.Size != want.size) {
		err = fmt.Errorf("the file has changed since it was looked at")
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
