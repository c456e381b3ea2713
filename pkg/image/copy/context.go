package copy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

// Context reads a build context: everything below dir that the ignore file does not
// leave out. The ignore file is <dockerfile>.dockerignore when it is there, else
// .dockerignore in dir; dockerfile is a path on disk, or "". Owners are root, as in
// docker; modes, times, file capabilities and hard links are those on disk. Symlinks
// are kept and never followed; sockets are left out, and so are the folders without,
// which are paths on disk. Files are opened when their entry is.
func Context(dir, dockerfile string, without ...string) (*tree.Tree, error) {
	root, err := contextRoot(dir)
	if err != nil {
		return nil, err
	}
	rules, err := readIgnore(root, dockerfile)
	if err != nil {
		return nil, err
	}
	w := &walk{root: root, rules: rules, without: inside(root, without)}
	t, err := w.tree()
	if err != nil {
		return nil, fmt.Errorf("reading the build context: %w", err)
	}
	return t, nil
}

// inside returns those of the folders that are below root, by their names there.
func inside(root string, folders []string) map[string]bool {
	names := map[string]bool{}
	for _, folder := range folders {
		if real, err := filepath.EvalSymlinks(folder); err == nil {
			folder = real
		}
		if name, err := filepath.Rel(root, folder); err == nil && name != "." && filepath.IsLocal(name) {
			names[filepath.ToSlash(name)] = true
		}
	}
	return names
}

func contextRoot(dir string) (string, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return "", diag.Errorf("the build context %s cannot be read", dir).WithCause(err).WithDetail(err.Error())
	}
	info, err := os.Stat(root)
	if err != nil {
		return "", diag.Errorf("the build context %s cannot be read", dir).WithCause(err).WithDetail(err.Error())
	}
	if !info.IsDir() {
		return "", diag.Errorf("the build context %s is no folder", dir).WithHint("give the folder that has the files of the image")
	}
	return root, nil
}

// walk turns a folder on disk into a tree.
type walk struct {
	root  string
	rules *matcher
	// skip leaves out every name for which it is true; nil leaves out nothing.
	skip func(name string) bool
	// without leaves out these paths.
	without map[string]bool
	// mode changes the mode of files and directories; nil leaves it.
	mode func(mode uint32) uint32

	items []item
}

// item is a path that was listed.
type item struct {
	path   string
	parent int // index of the directory, -1 for the root
	keep   bool
}

func (w *walk) tree() (*tree.Tree, error) {
	if err := w.list("", -1, nil); err != nil {
		return nil, err
	}
	w.items = slices.DeleteFunc(w.items, func(i item) bool { return !i.keep })
	entries, err := w.entries()
	if err != nil {
		return nil, err
	}
	t := tree.New()
	return t, t.Apply(entries)
}

// list adds what is in a directory, sorted, parents first.
func (w *walk) list(dir string, index int, above seen) error {
	names, err := readDir(filepath.Join(w.root, dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has gone since it was listed
	}
	if err != nil {
		return err
	}
	for _, d := range names {
		p := d.Name()
		if dir != "" {
			p = dir + "/" + p
		}
		if d.Type()&fs.ModeSocket != 0 || w.skip != nil && w.skip(d.Name()) || w.without[p] {
			continue
		}
		ignored, here, err := w.rules.match(p, d.IsDir(), above)
		if err != nil {
			return err
		}
		if ignored && (!d.IsDir() || !w.rules.mayMatchBelow(p, true)) {
			continue
		}
		w.items = append(w.items, item{path: p, parent: index})
		at := len(w.items) - 1
		if !ignored {
			w.keep(at)
		}
		if d.IsDir() {
			if err := w.list(p, at, here); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep takes an item, and the directories above it that were ignored themselves.
func (w *walk) keep(index int) {
	for index >= 0 && !w.items[index].keep {
		w.items[index].keep = true
		index = w.items[index].parent
	}
}

func readDir(dir string) ([]fs.DirEntry, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.ReadDir(-1)
	slices.SortFunc(names, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return names, err
}

// entries reads the metadata of all items, side by side.
func (w *walk) entries() ([]*layer.Entry, error) {
	const batch = 128
	found := make([]onDisk, len(w.items))
	var next atomic.Int64
	var g errgroup.Group
	for range min(2*runtime.GOMAXPROCS(0), len(w.items)/batch+1) {
		g.Go(func() error {
			for {
				end := int(next.Add(batch))
				if end-batch >= len(w.items) {
					return nil
				}
				for i := end - batch; i < min(end, len(w.items)); i++ {
					var err error
					if found[i], err = w.read(w.items[i].path); err != nil {
						return err
					}
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return linked(found), nil
}

// onDisk is an entry with what tells that it is another name of a file.
type onDisk struct {
	entry *layer.Entry // nil when there is nothing any more
	id    fileID
}

type fileID struct{ dev, ino uint64 } // zero for a file with one name

// linked returns the entries; second names of a file become hard links to the first.
func linked(found []onDisk) []*layer.Entry {
	first := map[fileID]string{}
	entries := make([]*layer.Entry, 0, len(found))
	for _, f := range found {
		if f.entry == nil {
			continue
		}
		if f.id != (fileID{}) {
			if name, ok := first[f.id]; ok {
				f.entry.Type, f.entry.Linkname, f.entry.Size, f.entry.Open = layer.Hardlink, name, 0, nil
			} else {
				first[f.id] = f.entry.Path
			}
		}
		entries = append(entries, f.entry)
	}
	return entries
}

func (w *walk) read(p string) (onDisk, error) {
	full := filepath.Join(w.root, p)
	var st unix.Stat_t
	err := ignoringEINTR(func() error { return unix.Lstat(full, &st) })
	if errors.Is(err, fs.ErrNotExist) {
		return onDisk{}, nil
	}
	if err != nil {
		return onDisk{}, &fs.PathError{Op: "lstat", Path: full, Err: err}
	}
	e := &layer.Entry{Path: p, Mode: uint32(st.Mode) & 0o7777, ModTime: time.Unix(st.Mtim.Unix())}
	var id fileID
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
		e.Type, e.Size, e.Open = layer.File, st.Size, w.opener(p)
		if st.Mode&0o111 != 0 { // only programs have capabilities; asking costs as much as lstat
			e.Xattrs = capability(full)
		}
		if st.Nlink > 1 {
			id = fileID{uint64(st.Dev), uint64(st.Ino)}
		}
	case unix.S_IFDIR:
		e.Type = layer.Dir
	case unix.S_IFLNK:
		e.Type = layer.Symlink
		if e.Linkname, err = os.Readlink(full); err != nil {
			return onDisk{}, err
		}
	case unix.S_IFIFO:
		e.Type = layer.Fifo
	case unix.S_IFCHR, unix.S_IFBLK:
		e.Type = layer.Char
		if uint32(st.Mode)&unix.S_IFMT == unix.S_IFBLK {
			e.Type = layer.Block
		}
		e.Major, e.Minor = unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
	default:
		return onDisk{}, nil // a socket
	}
	if w.mode != nil && (e.Type == layer.File || e.Type == layer.Dir) {
		e.Mode = w.mode(e.Mode)
	}
	return onDisk{e, id}, nil
}

// opener opens a file, and nothing else that may have come into its place.
func (w *walk) opener(p string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		f, err := os.OpenFile(filepath.Join(w.root, p), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, fmt.Errorf("reading the build context: %w", err)
		}
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = diag.Errorf("%s has changed while it was read: it is no file any more", layer.Quote(p))
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	}
}

// capability returns the one extended attribute that images carry: the capabilities of
// a program.
func capability(file string) map[string]string {
	const name = "security.capability"
	var value [64]byte // struct vfs_ns_cap_data has 24
	n, err := unix.Lgetxattr(file, name, value[:])
	if err != nil || n <= 0 {
		return nil
	}
	return map[string]string{name: string(value[:n])}
}

func ignoringEINTR(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
