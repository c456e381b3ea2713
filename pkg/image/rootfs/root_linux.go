package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/image/layer"
)

// Root is a folder with the files of a stage. Its methods must not run side by side.
type Root struct {
	home string // the folder that keeps others out; empty when dir was there before
	dir  string

	mu    sync.Mutex
	lacks []Lack // the first ones
	total int
}

// maxLacks is how many lacks are kept by name.
const maxLacks = 20

// Create makes an empty root below the folder parent. Only this user can enter the
// folder around it, so that setuid programs of the image serve nobody else.
func Create(parent string) (*Root, error) {
	home, err := os.MkdirTemp(parent, "root-")
	if err != nil {
		return nil, fmt.Errorf("making the folder of a stage: %w", diskFull(parent, err))
	}
	if home, err = filepath.Abs(home); err != nil {
		return nil, fmt.Errorf("making the folder of a stage: %w", err)
	}
	dir := filepath.Join(home, "fs")
	err = os.Mkdir(dir, 0o755)
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		os.Remove(home)
		return nil, fmt.Errorf("making the folder of a stage: %w", diskFull(parent, err))
	}
	return &Root{home: home, dir: dir}, nil
}

// Open returns the root in a folder that is there already. Remove leaves it alone.
func Open(dir string) (*Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of a stage: %w", err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of a stage: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("opening the folder of a stage: %s is not a folder", dir)
	}
	return &Root{dir: abs}, nil
}

// Dir returns the absolute path of the folder that is the root of the stage.
func (r *Root) Dir() string { return r.dir }

// ApplyLayer unpacks a layer, as it comes from a registry, over what is there. After
// an error the root is only good for Remove.
func (r *Root) ApplyLayer(ctx context.Context, stream io.Reader) error {
	return r.apply(ctx, func(u *Unpacker) error {
		return layer.Read(ctx, stream, layer.Limits{}, func(e *layer.Entry, content io.Reader) error {
			return u.Entry(ctx, e, content)
		})
	})
}

// Apply puts entries over what is there, as a layer made of them would: parents first.
// After an error the root is only good for Remove.
func (r *Root) Apply(ctx context.Context, entries []*layer.Entry) error {
	return r.apply(ctx, func(u *Unpacker) error {
		for _, e := range entries {
			if err := u.Entry(ctx, e, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// apply runs fn with an unpacker and closes it.
func (r *Root) apply(ctx context.Context, fn func(*Unpacker) error) error {
	u, err := r.Unpack()
	if err != nil {
		return err
	}
	err = fn(u)
	// What a worker met came first, whatever fn then ran into.
	if closed := u.Close(); closed != nil && (err == nil || !errors.Is(err, closed)) {
		err = closed
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("unpacking a layer: %w", err)
	}
	return nil
}

// Clone copies the root with everything that a layer can hold to a new one below the
// folder parent.
func (r *Root) Clone(ctx context.Context, parent string) (*Root, error) {
	snapshot, err := Take(ctx, r.dir, nil)
	if err != nil {
		return nil, err
	}
	entries, err := snapshot.Entries()
	if err != nil {
		return nil, err
	}
	clone, err := Create(parent)
	if err != nil {
		return nil, err
	}
	if err := clone.Apply(ctx, entries); err != nil {
		return nil, errors.Join(fmt.Errorf("copying the files of a stage: %w", err), clone.Remove())
	}
	return clone, nil
}

// Remove deletes the root and everything in it, also below folders that are read-only.
// It follows no symbolic link. A root that Open returned stays.
func (r *Root) Remove() error {
	if r.home == "" {
		return nil
	}
	parent, err := unix.Open(filepath.Dir(r.home), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = removeTree(parent, filepath.Base(r.home), r.home, nil)
		unix.Close(parent)
	}
	if err != nil && err != unix.ENOENT {
		return fmt.Errorf("removing the folder of a stage: %s: %w", r.home, err)
	}
	return nil
}

// Complete returns nil when everything in the root is as its layers say, else an error
// with the things for which this process lacks the right: owners, devices and
// capabilities when it does not run as root.
func (r *Root) Complete() error {
	lacks, total := r.Lacks()
	return lackProblem(lacks, total)
}

// Lacks returns the first things for which the right was missing, and how many there
// were in all.
func (r *Root) Lacks() ([]Lack, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Lack(nil), r.lacks...), r.total
}

func (r *Root) lack(path, what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if len(r.lacks) < maxLacks {
		r.lacks = append(r.lacks, Lack{Path: path, What: what, Err: err})
	}
}
