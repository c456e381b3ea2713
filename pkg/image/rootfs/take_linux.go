package rootfs

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Snapshot is what the files of a folder were at one moment: names, owners, modes and
// times, but no content. Sockets are not in it, as no layer can hold one.
type Snapshot struct {
	dir  string
	skip func(path string) bool
	root *node
}

// node is one file of a snapshot.
type node struct {
	name     string
	mode     uint32 // st_mode
	uid, gid uint32
	nlink    uint64
	dev, ino uint64
	rdev     uint64
	size     int64
	mtime    unix.Timespec
	ctime    unix.Timespec
	link     string            // target of a symbolic link
	xattrs   map[string]string // of a directory: its ctime says nothing of itself
	children []*node           // sorted by name
}

func (n *node) kind() uint32 { return n.mode & unix.S_IFMT }
func (n *node) isDir() bool  { return n.kind() == unix.S_IFDIR }

// Take looks at all files of a folder. What skip reports is left out with all below it;
// skip gets paths as those of entries, may be nil, and is called from several
// goroutines. No file may change meanwhile. Afterwards every change is seen by Diff:
// Take returns when the clock of the kernel has gone on from the last change.
func Take(ctx context.Context, dir string, skip func(path string) bool) (*Snapshot, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("looking at the files of a stage: %w", err)
	}
	if skip == nil {
		skip = func(string) bool { return false }
	}
	t := &taker{skip: skip, spare: make(chan struct{}, runtime.GOMAXPROCS(0)-1)}
	root, err := t.start(ctx, abs)
	if err != nil {
		return nil, fmt.Errorf("looking at the files of a stage: %w", err)
	}
	if err := t.settle(ctx); err != nil {
		return nil, fmt.Errorf("looking at the files of a stage: %w", err)
	}
	return &Snapshot{dir: abs, skip: skip, root: root}, nil
}

// taker walks the folders, several at once.
type taker struct {
	skip  func(string) bool
	spare chan struct{} // a place for one more goroutine
	walks sync.WaitGroup
	err   atomic.Pointer[error]

	mu     sync.Mutex
	latest unix.Timespec // change
	coarse bool          // every change came at a full second
}

func (t *taker) start(ctx context.Context, dir string) (*node, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	root := newNode(".", &st)
	t.coarse = true
	t.walk(ctx, fd, root, ".")
	t.walks.Wait()
	if err := t.err.Load(); err != nil {
		return nil, *err
	}
	return root, ctx.Err()
}

func newNode(name string, st *unix.Stat_t) *node {
	return &node{
		name: name, mode: st.Mode, uid: st.Uid, gid: st.Gid,
		nlink: uint64(st.Nlink), dev: uint64(st.Dev), ino: st.Ino, rdev: uint64(st.Rdev),
		size: st.Size, mtime: st.Mtim, ctime: st.Ctim,
	}
}

func (t *taker) fail(path string, err error) {
	err = fmt.Errorf("%s: %w", path, err)
	t.err.CompareAndSwap(nil, &err)
}

// walk reads the directory n, which is open as fd, and all below it. It closes fd.
func (t *taker) walk(ctx context.Context, fd int, n *node, path string) {
	defer unix.Close(fd)
	if ctx.Err() != nil || t.err.Load() != nil {
		return
	}
	if err := t.list(fd, n, path); err != nil {
		t.fail(path, err)
		return
	}
	for _, child := range n.children {
		if !child.isDir() {
			continue
		}
		below := join(path, child.name)
		sub, err := openat(fd, child.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			t.fail(below, err)
			return
		}
		select {
		case t.spare <- struct{}{}:
			t.walks.Add(1)
			go func() {
				defer t.walks.Done()
				t.walk(ctx, sub, child, below)
				<-t.spare
			}()
		default:
			t.walk(ctx, sub, child, below)
		}
	}
}

// list fills in the children of n and its attributes.
func (t *taker) list(fd int, n *node, path string) error {
	names, err := namesOf(fd)
	if err != nil {
		return err
	}
	if n.xattrs, err = xattrsOf(fd); err != nil {
		return err
	}
	sort.Strings(names)
	n.children = make([]*node, 0, len(names))
	nodes := make([]node, len(names)) // one allocation
	latest, coarse := n.ctime, n.ctime.Nsec == 0
	var st unix.Stat_t
	for i, name := range names {
		if t.skip(join(path, name)) {
			continue
		}
		err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.ENOENT || err == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		nodes[i] = *newNode(name, &st)
		child := &nodes[i]
		if child.kind() == unix.S_IFLNK {
			if child.link, err = readlink(fd, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if after(child.ctime, latest) {
			latest = child.ctime
		}
		coarse = coarse && child.ctime.Nsec == 0
		n.children = append(n.children, child)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if after(latest, t.latest) {
		t.latest = latest
	}
	t.coarse = t.coarse && coarse
	return nil
}

func after(a, b unix.Timespec) bool {
	return a.Sec > b.Sec || a.Sec == b.Sec && a.Nsec > b.Nsec
}

// settle waits until a change gets another ctime than those seen. The kernel stamps
// changes with its coarse clock, which goes on each tick (1 to 10 ms); a file system
// that knows only full seconds makes it a second.
func (t *taker) settle(ctx context.Context) error {
	for {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now); err != nil {
			return fmt.Errorf("reading the clock: %w", err)
		}
		if t.coarse {
			now.Nsec = 0
		}
		// A stamp further ahead is of another clock: the next ones will differ.
		if after(now, t.latest) || t.latest.Sec-now.Sec > 2 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}
