package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/image/layer"
)

// Unpacker puts the entries of one layer into a root. It is for one goroutine, and
// must be closed.
//
// The result is that of docker, which unpacks a layer by itself and lays it over those
// below (overlay2): a symbolic link of the same layer is followed, inside the root, where
// it stands above an entry; one of a layer below is replaced by a directory there, and
// so is a file. Whiteouts and opaque marks take away what layers below brought, wherever
// they stand (OCI image-spec, layer.md).
//
// Names are made in the order of the entries by the caller's goroutine; the bytes,
// owners and times of small files are left to a few workers. Directories get their
// mode and time when all is in them.
type Unpacker struct {
	root  *Root
	dirs  *dirs
	files *files
	super bool // runs as root

	// made holds the real paths of this layer and of the directories above them.
	made map[string]struct{}
	meta map[string]*layer.Entry // of directories, by real path
}

// Unpack begins a layer over what is in the root.
func (r *Root) Unpack() (*Unpacker, error) {
	d, err := openDirs(r.dir)
	if err != nil {
		return nil, err
	}
	u := &Unpacker{
		root:  r,
		dirs:  d,
		files: newFiles(r),
		super: os.Geteuid() == 0,
		made:  map[string]struct{}{},
		meta:  map[string]*layer.Entry{},
	}
	d.follow = func(real string) bool { _, ok := u.made[real]; return ok }
	d.replace = u.remove
	return u, nil
}

// Entry puts one entry into the root. A file is read from content, or, when content is
// nil, from what e.Open returns; it must have exactly e.Size bytes.
func (u *Unpacker) Entry(ctx context.Context, e *layer.Entry, content io.Reader) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := u.files.failed(); err != nil {
		return err
	}
	if err := checkEntry(e); err != nil {
		return err
	}
	if err := u.entry(ctx, e, content); err != nil {
		return fmt.Errorf("%s: %w", e.Path, diskFull(u.root.dir, err))
	}
	return nil
}

func (u *Unpacker) entry(ctx context.Context, e *layer.Entry, content io.Reader) error {
	switch e.Type {
	case layer.Opaque:
		return u.opaque(e.Path)
	case layer.Whiteout:
		return u.whiteout(e.Path)
	}
	if e.Path == "." {
		u.meta["."] = e
		return nil
	}
	parent, dir, err := u.dirs.make(path.Dir(e.Path))
	if err != nil {
		return err
	}
	name := path.Base(e.Path)
	real := join(parent, name)
	u.mark(real)
	switch e.Type {
	case layer.Dir:
		return u.dir(e, dir, name, real)
	case layer.File:
		return u.file(ctx, e, content, dir, name, real)
	case layer.Symlink:
		return u.symlink(e, dir, name, real)
	case layer.Hardlink:
		return u.hardlink(e, dir, name, real)
	case layer.Char, layer.Block, layer.Fifo:
		return u.device(e, dir, name, real)
	}
	return fmt.Errorf("unknown type %d of an entry", e.Type)
}

// mark notes that this layer has the path, and so the directories above it.
func (u *Unpacker) mark(real string) {
	for real != "." {
		if _, ok := u.made[real]; ok {
			return
		}
		u.made[real] = struct{}{}
		real = path.Dir(real)
	}
}

// place makes something with the given name; what is in the way is removed.
func (u *Unpacker) place(dir int, name, real string, create func() error) error {
	err := create()
	if err != unix.EEXIST {
		return err
	}
	if err := u.remove(dir, name, real); err != nil {
		return fmt.Errorf("replacing it: %w", err)
	}
	return create()
}

// remove deletes a file, or a directory with all that is in it.
func (u *Unpacker) remove(dir int, name, real string) error {
	return removeTree(dir, name, real, func(real string) {
		u.dirs.removed(real)
		delete(u.meta, real)
	})
}

func (u *Unpacker) dir(e *layer.Entry, dir int, name, real string) error {
	// The mode of the entry comes with Close: now it must be writable for us.
	err := unix.Mkdirat(dir, name, 0o700)
	if err == unix.EEXIST {
		var st unix.Stat_t
		if err = unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			err = u.place(dir, name, real, func() error { return unix.Mkdirat(dir, name, 0o700) })
		}
	}
	if err != nil {
		return err
	}
	u.meta[real] = e
	return nil
}

func (u *Unpacker) file(ctx context.Context, e *layer.Entry, content io.Reader, dir int, name, real string) error {
	fd := -1
	err := u.place(dir, name, real, func() (err error) {
		fd, err = openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	return u.files.write(ctx, fd, e, content)
}

func (u *Unpacker) symlink(e *layer.Entry, dir int, name, real string) error {
	if e.Linkname == "" || len(e.Linkname) > unix.PathMax-1 || strings.IndexByte(e.Linkname, 0) >= 0 {
		return fmt.Errorf("a symbolic link to %.100q", e.Linkname)
	}
	err := u.place(dir, name, real, func() error { return unix.Symlinkat(e.Linkname, dir, name) })
	if err != nil {
		return err
	}
	return u.special(e, dir, name, real)
}

func (u *Unpacker) device(e *layer.Entry, dir int, name, real string) error {
	mode := e.Mode & 0o7777
	switch e.Type {
	case layer.Char:
		mode |= unix.S_IFCHR
	case layer.Block:
		mode |= unix.S_IFBLK
	default:
		mode |= unix.S_IFIFO
	}
	err := u.place(dir, name, real, func() error {
		return unix.Mknodat(dir, name, mode, int(unix.Mkdev(e.Major, e.Minor)))
	})
	if denied(err) && e.Type != layer.Fifo {
		u.root.lack(e.Path, "device", err)
		return nil
	}
	if err != nil {
		return err
	}
	return u.special(e, dir, name, real)
}

// special sets owner, mode, attributes and time of what cannot be opened. What has just
// been made there is no link but for a Symlink, which has no mode.
func (u *Unpacker) special(e *layer.Entry, dir int, name, real string) error {
	err := unix.Fchownat(dir, name, e.UID, e.GID, unix.AT_SYMLINK_NOFOLLOW)
	if err := u.root.owned(e, err); err != nil {
		return err
	}
	if e.Type != layer.Symlink {
		if err := unix.Fchmodat(dir, name, e.Mode&0o7777, 0); err != nil {
			return err
		}
	}
	// No call sets one by directory and name before Linux 6.13. The path holds no link:
	// real is resolved.
	at := u.root.dir + "/" + real
	err = u.root.attribute(e, func(attr string, value []byte) error { return unix.Lsetxattr(at, attr, value, 0) })
	if err != nil {
		return err
	}
	times := timesOf(e)
	return unix.UtimesNanoAt(dir, name, times[:], unix.AT_SYMLINK_NOFOLLOW)
}

// hardlink gives another name to a file, as it is: the entry of its first name has said
// everything of it.
func (u *Unpacker) hardlink(e *layer.Entry, dir int, name, real string) error {
	if err := checkPath(e.Linkname); err != nil || e.Linkname == "." {
		return fmt.Errorf("a hard link to %.100q", e.Linkname)
	}
	link := func() error {
		parent, _, err := u.dirs.target(path.Dir(e.Linkname))
		if err != nil {
			return fmt.Errorf("a hard link to %s: %w", e.Linkname, err)
		}
		target := path.Base(e.Linkname)
		if join(parent, target) == real {
			return errors.New("a hard link to itself")
		}
		// The cache of directories may have begun anew.
		if _, dir, err = u.dirs.find(path.Dir(real)); err != nil {
			return err
		}
		_, from, err := u.dirs.find(parent)
		if err != nil {
			return err
		}
		return linkat(from, target, dir, name)
	}
	err := u.place(dir, name, real, link)
	if err == unix.ENOENT {
		return fmt.Errorf("a hard link to %s, which is not there", e.Linkname)
	}
	return err
}

// linkat makes a second name of a file that is no directory.
func linkat(fromDir int, from string, dir int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(fromDir, from, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return fmt.Errorf("a hard link to the folder %s", from)
	}
	return unix.Linkat(fromDir, from, dir, name, 0)
}

// whiteout removes what the layers below have at the path.
func (u *Unpacker) whiteout(p string) error {
	parent, dir, err := u.dirs.make(path.Dir(p))
	if err != nil {
		return err
	}
	u.mark(parent)
	name := path.Base(p)
	return u.prune(dir, name, join(parent, name))
}

// opaque removes what the layers below have in the directory.
func (u *Unpacker) opaque(p string) error {
	real, dir, err := u.dirs.make(p)
	if err != nil {
		return err
	}
	u.mark(real)
	return u.pruneIn(dir, real)
}

// prune removes a path but for what this layer has put there.
func (u *Unpacker) prune(dir int, name, real string) error {
	if _, ok := u.made[real]; !ok {
		if err := u.remove(dir, name, real); err != nil && err != unix.ENOENT {
			return err
		}
		return nil
	}
	fd, err := openDir(dir, name)
	if err == unix.ENOTDIR || err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return u.pruneIn(fd, real)
}

func (u *Unpacker) pruneIn(dir int, real string) error {
	names, err := namesIn(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := u.prune(dir, name, join(real, name)); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for the files, gives the directories their owners, modes and times, and
// returns the first error of those.
func (u *Unpacker) Close() error {
	defer u.dirs.close()
	if err := u.files.close(); err != nil {
		return err
	}
	paths := make([]string, 0, len(u.meta))
	for p := range u.meta {
		paths = append(paths, p)
	}
	// Those below first: a folder may become one that we cannot enter.
	sort.Sort(sort.Reverse(sort.StringSlice(paths)))
	for _, p := range paths {
		if err := u.finish(p, u.meta[p]); err != nil {
			return fmt.Errorf("%s: %w", p, diskFull(u.root.dir, err))
		}
	}
	return nil
}

// finish sets what the entry e says of the directory with the real path p.
func (u *Unpacker) finish(p string, e *layer.Entry) error {
	_, parent, err := u.dirs.find(path.Dir(p))
	if err != nil {
		return err
	}
	fd, err := openat(parent, path.Base(p), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !u.super && e.Mode&0o700 != 0o700 {
		// Later layers could put nothing into it.
		u.root.lack(e.Path, "mode", unix.EACCES)
		open := *e
		open.Mode |= 0o700
		e = &open
	}
	return u.root.describe(fd, e)
}
