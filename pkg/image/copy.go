package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/cache"
	"github.com/devs/deploy/pkg/image/copy"
	"github.com/devs/deploy/pkg/image/dockerfile"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/rootfs"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/image/tree"
)

// source is where a COPY takes files from.
type source struct {
	// key tells what is in it without looking, "" when only the files tell.
	key  string
	tree func() (*tree.Tree, error)
}

// copyFiles does a COPY or an ADD.
func (s *stage) copyFiles(ctx context.Context, op *dockerfile.Copy) (cached bool, err error) {
	from, err := s.source(ctx, op.From)
	if err != nil {
		return false, err
	}
	var record string
	if from.key != "" { // known by what it was made of: nothing has to be unpacked to compare it
		record = s.recordKey("copy", s.key, from.key, op.Key())
		if r, ok := s.b.lookup(ctx, record, s.keep); ok {
			s.adopt(r)
			s.key = keyOf("add", s.key, r.Content)
			return true, nil
		}
	}
	entries, err := s.selected(ctx, op, from)
	if err != nil {
		return false, err
	}
	before := len(s.parts)
	if entries, err = s.stampNew(ctx, entries, op.From); err != nil {
		return false, err
	}
	var to store.Store
	if record != "" { // a later build then needs neither these files nor those that they come from
		to = s.b.scratchStore()
	}
	content, err := s.add(ctx, entries, to)
	if err != nil {
		return false, err
	}
	if record != "" {
		s.remember(ctx, record, s.parts[before:], content)
	}
	return false, nil
}

// selected returns the entries that a COPY or an ADD gives.
func (s *stage) selected(ctx context.Context, op *dockerfile.Copy, from *source) ([]*layer.Entry, error) {
	dest, err := s.tree(ctx)
	if err != nil {
		return nil, err
	}
	src, err := from.tree()
	if err != nil {
		return nil, err
	}
	request := copy.Request{Op: op, Source: src, Dest: dest}
	if op.Add {
		if request.Fetch, err = s.b.fetcher(); err != nil {
			return nil, err
		}
	}
	return copy.Select(ctx, request)
}

// source finds where files come from.
func (s *stage) source(ctx context.Context, from dockerfile.Source) (*source, error) {
	switch from.Kind {
	case dockerfile.Context:
		return &source{tree: s.b.context}, nil
	case dockerfile.Named:
		return &source{tree: s.b.named[from.Name]}, nil
	case dockerfile.Scratch:
		return &source{key: keyOf("scratch"), tree: func() (*tree.Tree, error) { return tree.New(), nil }}, nil
	case dockerfile.StageRef:
		other, err := s.b.stage(ctx, from.Stage)
		if err != nil {
			return nil, err
		}
		return other.asSource(ctx), nil
	case dockerfile.Image:
		other, err := s.b.imageStage(ctx, from.Image, s.def)
		if err != nil {
			return nil, err
		}
		return other.asSource(ctx), nil
	}
	return nil, fmt.Errorf("files cannot be taken from %v", from.Kind)
}

// imageStage is an image as a finished stage.
func (p *platformBuild) imageStage(ctx context.Context, ref string, user *dockerfile.Stage) (*stage, error) {
	b, err := p.image(ctx, ref, user.Platform)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.stage == nil {
		b.stage = &stage{b: p, def: &dockerfile.Stage{Name: ref, Platform: user.Platform}, key: b.key, parts: b.parts}
	}
	return b.stage, nil
}

func (s *stage) asSource(ctx context.Context) *source {
	return &source{key: s.key, tree: func() (*tree.Tree, error) { return s.contents(ctx) }}
}

// contents returns the files of a finished stage, all with their content: what is
// known only from an index is unpacked when somebody reads it.
func (s *stage) contents(ctx context.Context) (*tree.Tree, error) {
	s.treeMu.Lock()
	defer s.treeMu.Unlock()
	if s.full != nil {
		return s.full, nil
	}
	known, err := s.tree(ctx)
	if err != nil {
		return nil, err
	}
	all := known.All()
	entries := make([]*layer.Entry, len(all))
	for i, e := range all {
		entries[i] = e
		if e.Type == layer.File && e.Open == nil {
			bound := *e
			bound.Open = func() (io.ReadCloser, error) {
				root, err := s.files(ctx)
				if err != nil {
					return nil, err
				}
				return openIn(root, bound.Path)
			}
			entries[i] = &bound
		}
	}
	full := tree.New()
	if err := full.Apply(entries); err != nil {
		return nil, err
	}
	s.full = full
	return full, nil
}

// openIn opens a file of a root; no link leads out of it.
func openIn(root *rootfs.Root, path string) (io.ReadCloser, error) {
	dir, err := os.OpenRoot(root.Dir())
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Open(path)
}

// makeWorkdir makes the folder of a WORKDIR, when it is not there.
func (s *stage) makeWorkdir(ctx context.Context, op *dockerfile.Workdir) error {
	entries, err := s.missingDirs(ctx, op.Path, op.User)
	if err != nil || len(entries) == 0 {
		return err
	}
	_, err = s.add(ctx, entries, nil)
	return err
}

// missingDirs returns the entries that make a folder be there, none when it is. The
// folders above it come first; those that are there keep what they are.
func (s *stage) missingDirs(ctx context.Context, dir, user string) ([]*layer.Entry, error) {
	fs, err := s.tree(ctx)
	if err != nil {
		return nil, err
	}
	at, err := fs.Resolve(dir)
	if err != nil {
		return nil, diag.Errorf("the folder %s: %v", dir, err)
	}
	if e, ok := fs.Lookup(at); ok || at == "." {
		if ok && e.Type != layer.Dir {
			return nil, diag.Errorf("%s is no folder in the image", dir)
		}
		return nil, nil
	}
	uid, gid, _, _, err := fs.User(user)
	if err != nil {
		return nil, err
	}
	entries := fs.Parents(at)
	for _, p := range lineage(at) {
		above, ok := fs.Lookup(p)
		if ok && above.Type != layer.Dir {
			return nil, diag.Errorf("the folder %s cannot be made: /%s is no folder in the image", dir, p)
		}
		if !ok {
			entries = append(entries, &layer.Entry{Path: p, Type: layer.Dir, Mode: 0o755, UID: uid, GID: gid, ModTime: s.b.created()})
		}
	}
	return entries, nil
}

// lineage returns a, a/b and a/b/c of a/b/c.
func lineage(p string) []string {
	if p == "." || p == "/" {
		return nil
	}
	return append(lineage(path.Dir(p)), p)
}

// stampNew stamps entries, but for the folders that the image has already. What comes
// from a stage or an image keeps its time, which programs compare (Python that of a
// module with the one in its bytecode).
func (s *stage) stampNew(ctx context.Context, entries []*layer.Entry, from dockerfile.Source) ([]*layer.Entry, error) {
	fs, err := s.tree(ctx)
	if err != nil {
		return nil, err
	}
	stamped := s.b.stamp(entries)
	if from.Kind == dockerfile.StageRef || from.Kind == dockerfile.Image {
		for i, e := range stamped {
			e.ModTime = s.b.notAfterEpoch(entries[i].ModTime)
		}
	}
	for _, e := range stamped {
		if old, ok := fs.Lookup(e.Path); ok && e.Type == layer.Dir && old.Type == layer.Dir {
			e.ModTime = old.ModTime
		}
	}
	return stamped, nil
}

// stamp sets the time of what is copied: files have the time of the checkout on one
// machine and another one on the next.
func (b *builder) stamp(entries []*layer.Entry) []*layer.Entry {
	at := b.created()
	out := make([]*layer.Entry, len(entries))
	for i, e := range entries {
		c := *e
		c.ModTime = at
		out[i] = &c
	}
	return out
}

// adopt takes over the layers of a record.
func (s *stage) adopt(r cache.Record) {
	for _, l := range r.Layers {
		s.parts = append(s.parts, blobPart(l, func(ctx context.Context) (io.ReadCloser, error) {
			from, err := s.b.blobs.find(ctx, l.Descriptor())
			if err != nil {
				return nil, err
			}
			if from == nil {
				return nil, fmt.Errorf("the layer %s of the cache is gone", l.Digest)
			}
			return from.Open(ctx, l.Descriptor())
		}))
	}
}

// remember writes a record of parts when they are in the store, with their indexes.
func (s *stage) remember(ctx context.Context, key string, parts []*part, content string) {
	if s.b.scratchStore() == nil {
		return
	}
	s.b.background(func() error {
		r := cache.Record{Key: key, Content: content}
		for _, p := range parts {
			l, err := p.wait(ctx)
			if err != nil && !s.keep {
				return nil // said already
			}
			if err != nil {
				return err
			}
			r.Layers = append(r.Layers, l)
			index := p.index
			if index == nil {
				if index, err = tree.NewIndex(p.entries); err != nil {
					return err
				}
			}
			s.b.storeIndex(ctx, l, index)
		}
		s.b.cache.Put(r)
		return nil
	})
}

// recordKey makes the key of a record, whose layers have a form as well.
func (s *stage) recordKey(parts ...string) string {
	form := fmt.Sprintf("%s %d %d", s.def.Platform.String(), s.b.opts.Compress, s.b.opts.Format)
	if s.b.opts.Epoch != nil {
		form += s.b.opts.Epoch.UTC().Format(" " + time.RFC3339)
	}
	return strings.Join([]string{parts[0], keyOf(append(parts, form)...)}, "/")
}
