package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/dockerfile"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/rootfs"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/image/tree"
)

// lockPoll is how often a lock is tried.
const lockPoll = 100 * time.Millisecond

// mountSet is what a RUN mounts.
type mountSet struct {
	key  string // of the content that decides what the command does
	env  []string
	list []sandbox.Mount

	caches  []string                                               // folders of type=cache, each used by one command at a time
	pending []func(context.Context, *stage) (sandbox.Mount, error) // made when the command really runs
	closers []func() error
}

// mounts looks at the mounts of a RUN without making them.
func (s *stage) mounts(ctx context.Context, op *dockerfile.Run) (*mountSet, error) {
	set := &mountSet{}
	keys := []string{}
	for _, m := range op.Mounts {
		var err error
		switch m.Type {
		case dockerfile.MountBind:
			var key string
			key, err = s.bindMount(ctx, set, m)
			keys = append(keys, key)
		case dockerfile.MountCache:
			err = s.cacheMount(ctx, set, m)
		case dockerfile.MountTmpfs:
			set.list = append(set.list, sandbox.Mount{Type: sandbox.Tmpfs, Target: m.Target, Mode: 0o1777, Size: m.Size})
		case dockerfile.MountSecret:
			err = s.secretMount(set, m)
		case dockerfile.MountSSH:
			err = s.sshMount(set, m)
		default:
			err = fmt.Errorf("mounts of the type %s are not known", m.Type)
		}
		if err != nil {
			return nil, err
		}
	}
	set.key = keyOf(keys...)
	return set, nil
}

// open makes what has to be made for the mounts.
func (m *mountSet) open(ctx context.Context, s *stage) error {
	if err := m.lockCaches(ctx); err != nil {
		return errors.Join(err, m.close())
	}
	for _, make := range m.pending {
		mount, err := make(ctx, s)
		if err != nil {
			return errors.Join(err, m.close())
		}
		m.list = append(m.list, mount)
	}
	m.pending = nil
	return nil
}

// lockCaches waits until the caches are free: one command at a time is right for every
// kind of sharing. They are locked in one order, so that no two commands wait for each
// other, and each once.
func (m *mountSet) lockCaches(ctx context.Context) error {
	slices.Sort(m.caches)
	for _, dir := range slices.Compact(m.caches) {
		if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
			return err
		}
		lock := flock.New(dir + ".lock")
		if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
			return err
		}
		m.closers = append(m.closers, lock.Close)
	}
	return nil
}

func (m *mountSet) close() error {
	var all error
	for _, c := range m.closers {
		all = errors.Join(all, c())
	}
	m.closers = nil
	return all
}

// bindMount shows files of the context, a stage or an image. The command gets a copy,
// so that nothing that it writes stays.
func (s *stage) bindMount(ctx context.Context, set *mountSet, m dockerfile.Mount) (key string, err error) {
	from, err := s.source(ctx, m.From)
	if err != nil {
		return "", err
	}
	files, err := s.below(from, m)
	if err != nil {
		return "", err
	}
	set.pending = append(set.pending, func(ctx context.Context, s *stage) (sandbox.Mount, error) {
		folder, err := s.b.folder()
		if err != nil {
			return sandbox.Mount{}, err
		}
		root, err := rootfs.Create(folder)
		if err != nil {
			return sandbox.Mount{}, err
		}
		set.closers = append(set.closers, root.Remove)
		list, err := files()
		if err != nil {
			return sandbox.Mount{}, err
		}
		if err := root.Apply(ctx, list.entries); err != nil {
			return sandbox.Mount{}, err
		}
		return sandbox.Mount{Type: sandbox.Bind, Source: filepath.Join(root.Dir(), list.name), Target: m.Target, ReadOnly: m.ReadOnly}, nil
	})
	if from.key != "" {
		return keyOf(from.key, m.Source), nil
	}
	list, err := files()
	if err != nil {
		return "", err
	}
	content, err := layer.Key(ctx, s.b.stamp(list.entries))
	return content.String(), err
}

// mounted are the entries of a bind, and the name of the one that is mounted.
type mounted struct {
	entries []*layer.Entry
	name    string // "" for the folder of all of them
}

// below returns the files of a source below the path of a mount.
func (s *stage) below(from *source, m dockerfile.Mount) (func() (*mounted, error), error) {
	return func() (*mounted, error) {
		all, err := from.tree()
		if err != nil {
			return nil, err
		}
		at, err := all.Resolve(m.Source)
		if err != nil {
			return nil, err
		}
		if at == "." {
			return &mounted{entries: all.All()}, nil
		}
		e, ok := all.Lookup(at)
		if !ok {
			return nil, diag.Errorf("the source %s of a mount is not there", m.Source).WithHint("check the path, and what .dockerignore leaves out")
		}
		if e.Type != layer.Dir {
			one := *e
			one.Path = filepath.Base(at)
			return &mounted{entries: []*layer.Entry{&one}, name: one.Path}, nil
		}
		return &mounted{entries: moved(all, at)}, nil
	}, nil
}

// moved returns what is below a folder of a tree, with paths relative to it.
func moved(all *tree.Tree, at string) []*layer.Entry {
	var out []*layer.Entry
	for _, e := range all.All() {
		rest, ok := strings.CutPrefix(e.Path, at+"/")
		if !ok {
			continue
		}
		c := *e
		c.Path = rest
		if c.Type == layer.Hardlink {
			if target, ok := strings.CutPrefix(c.Linkname, at+"/"); ok {
				c.Linkname = target
			}
		}
		out = append(out, &c)
	}
	return out
}

// cacheMount is a folder that stays from build to build.
func (s *stage) cacheMount(ctx context.Context, set *mountSet, m dockerfile.Mount) error {
	var first func() (*mounted, error) // what is in it at the beginning
	if m.From.Kind != dockerfile.Scratch && m.From.Kind != dockerfile.Context {
		from, err := s.source(ctx, m.From)
		if err != nil {
			return err
		}
		if first, err = s.below(from, m); err != nil {
			return err
		}
	}
	mode, uid, gid := uint32(0o755), 0, 0
	if m.Mode != nil {
		mode = *m.Mode
	}
	if m.UID != nil {
		uid = int(*m.UID)
	}
	if m.GID != nil {
		gid = int(*m.GID)
	}
	dir := filepath.Join(s.b.CacheDir, "mounts", keyOf(s.def.Platform.String(), m.ID)[:32])
	set.caches = append(set.caches, dir)
	set.pending = append(set.pending, func(ctx context.Context, _ *stage) (sandbox.Mount, error) {
		made, err := makeCacheDir(dir, mode, uid, gid)
		if err == nil && made && first != nil {
			if err = fillCache(ctx, dir, first); err != nil {
				_ = removeAll(dir) // half of it would be taken for all next time
			}
		}
		if err != nil {
			return sandbox.Mount{}, err
		}
		return sandbox.Mount{Type: sandbox.Bind, Source: dir, Target: m.Target, ReadOnly: m.ReadOnly}, nil
	})
	return nil
}

// makeCacheDir makes the folder of a cache when it is not there. Only root can give it
// to somebody else; for others all of it is theirs.
func makeCacheDir(dir string, mode uint32, uid, gid int) (made bool, err error) {
	err = os.Mkdir(dir, 0o700)
	switch {
	case errors.Is(err, os.ErrExist):
		return false, nil
	case err != nil:
		return false, err
	}
	if os.Geteuid() == 0 {
		err = os.Chown(dir, uid, gid)
	}
	return true, errors.Join(err, unix.Chmod(dir, mode))
}

// fillCache copies the first files into a cache that was just made.
func fillCache(ctx context.Context, dir string, first func() (*mounted, error)) error {
	list, err := first()
	if err != nil {
		return err
	}
	if list.name != "" {
		return diag.Errorf("the source of a cache is a file, not a folder").WithHint("name the folder with source=")
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		return err
	}
	return root.Apply(ctx, list.entries)
}

// secretMount shows a secret as a file, as a variable, or both.
func (s *stage) secretMount(set *mountSet, m dockerfile.Mount) error {
	get, ok := s.b.opts.Secrets[m.ID]
	if !ok {
		if m.Required {
			return diag.Errorf("the secret %s is not given", m.ID).WithHint("give it with --secret id=%s,env=NAME or --secret id=%s,src=FILE", m.ID, m.ID)
		}
		return nil
	}
	data, err := get()
	if err != nil {
		return err
	}
	if m.Env != "" {
		set.env = append(set.env, m.Env+"="+string(data))
	}
	if m.Target != "" {
		set.list = append(set.list, owned(sandbox.Mount{Type: sandbox.File, Target: m.Target, Data: data, Mode: 0o400}, m))
	}
	return nil
}

func (s *stage) sshMount(set *mountSet, m dockerfile.Mount) error {
	socket, ok := s.b.opts.SSH[m.ID]
	if !ok {
		if m.Required {
			return diag.Errorf("the SSH agent %s is not given", m.ID).WithHint("give it with --ssh %s=$SSH_AUTH_SOCK", m.ID)
		}
		return nil
	}
	set.env = append(set.env, "SSH_AUTH_SOCK="+m.Target)
	set.list = append(set.list, owned(sandbox.Mount{Type: sandbox.Socket, Source: socket, Target: m.Target, Mode: 0o600}, m))
	return nil
}

func owned(mount sandbox.Mount, m dockerfile.Mount) sandbox.Mount {
	if m.Mode != nil {
		mount.Mode = *m.Mode
	}
	if m.UID != nil {
		mount.UID = int(*m.UID)
	}
	if m.GID != nil {
		mount.GID = int(*m.GID)
	}
	return mount
}
