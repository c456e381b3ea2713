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

	caches  []string                                       // folders of type=cache, each used by one command at a time
	pending []func(context.Context) (sandbox.Mount, error) // made when the command really runs
	secrets []func() error                                 // asked for then as well: steps of the cache need none
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
			var key string
			key, err = s.cacheMount(ctx, set, m)
			keys = append(keys, key)
		case dockerfile.MountTmpfs:
			set.list = append(set.list, sandbox.Mount{Type: sandbox.Tmpfs, Target: m.Target, Mode: 0o1777, Size: m.Size})
		case dockerfile.MountSecret:
			set.secrets = append(set.secrets, func() error { return s.secretMount(set, m) })
		case dockerfile.MountSSH:
			set.secrets = append(set.secrets, func() error { return s.sshMount(set, m) })
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
func (m *mountSet) open(ctx context.Context) error {
	for _, ask := range m.secrets {
		if err := ask(); err != nil {
			return err
		}
	}
	m.secrets = nil
	if err := m.lockCaches(ctx); err != nil {
		return errors.Join(err, m.close())
	}
	for _, make := range m.pending {
		mount, err := make(ctx)
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
	set.pending = append(set.pending, func(ctx context.Context) (sandbox.Mount, error) {
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
	return s.mountKey(ctx, from, m.Source, files)
}

// mountKey tells what is mounted: by what it was made of, where that is known, else by
// its content.
func (s *stage) mountKey(ctx context.Context, from *source, path string, files func() (*mounted, error)) (string, error) {
	if from.key != "" {
		return keyOf(from.key, path), nil
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
		e, ok := all.Lookup(at)
		if !ok {
			return nil, diag.Errorf("the source %s of a mount is not there", m.Source).WithHint("check the path, and what .dockerignore leaves out")
		}
		if e.Type != layer.Dir {
			one := *e
			one.Path = filepath.Base(at)
			return &mounted{entries: []*layer.Entry{&one}, name: one.Path}, nil
		}
		entries, err := moved(all, e)
		return &mounted{entries: entries}, err
	}, nil
}

// moved returns a folder of a tree and what is below it, with paths relative to it.
func moved(all *tree.Tree, folder *layer.Entry) ([]*layer.Entry, error) {
	above := folder.Path + "/"
	if folder.Path == "." {
		above = ""
	}
	root := *folder
	root.Path = "."
	out := []*layer.Entry{&root}
	err := all.Walk(folder.Path, func(e *layer.Entry) error {
		c := *e
		c.Path = strings.TrimPrefix(c.Path, above)
		if c.Type == layer.Hardlink { // to a name that the walk met before
			c.Linkname = strings.TrimPrefix(c.Linkname, above)
		}
		out = append(out, &c)
		return nil
	})
	return out, err
}

// cacheMount is a folder that stays from build to build. What is in it counts for no key,
// but what was there first does: a folder that began as something else is another one.
func (s *stage) cacheMount(ctx context.Context, set *mountSet, m dockerfile.Mount) (key string, err error) {
	var first func() (*mounted, error) // what is in it at the beginning
	if m.From.Kind != dockerfile.Scratch && m.From.Kind != dockerfile.Context {
		from, err := s.source(ctx, m.From)
		if err != nil {
			return "", err
		}
		if first, err = s.below(from, m); err != nil {
			return "", err
		}
		if key, err = s.mountKey(ctx, from, m.Source, first); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(s.b.CacheDir, "mounts", keyOf(s.def.Platform.String(), m.ID, key)[:32])
	set.caches = append(set.caches, dir)
	set.pending = append(set.pending, func(ctx context.Context) (sandbox.Mount, error) {
		if err := makeCacheDir(ctx, dir, m, first); err != nil {
			return sandbox.Mount{}, err
		}
		return sandbox.Mount{Type: sandbox.Bind, Source: dir, Target: m.Target, ReadOnly: m.ReadOnly}, nil
	})
	return key, nil
}

// makeCacheDir makes the folder of a cache when it is not there, with what is in it first
// unless first is nil.
func makeCacheDir(ctx context.Context, dir string, m dockerfile.Mount, first func() (*mounted, error)) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err == nil && first != nil {
		err = fillCache(ctx, dir, first)
	}
	if err == nil && (first == nil || m.Mode != nil || m.UID != nil || m.GID != nil) {
		err = own(dir, owned(sandbox.Mount{Mode: 0o755}, m))
	}
	if err != nil {
		_ = removeAll(dir) // half of it would be taken for all next time
	}
	return err
}

// own gives a folder the owner and mode of a mount. Only root can give it to somebody
// else; for others all of it is theirs.
func own(dir string, m sandbox.Mount) error {
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, m.UID, m.GID); err != nil {
			return err
		}
	}
	return unix.Chmod(dir, m.Mode)
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
