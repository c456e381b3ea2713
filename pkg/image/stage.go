package image

import (
	"context"
	"errors"
	"fmt"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/cache"
	"github.com/devs/deploy/pkg/image/dockerfile"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/rootfs"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/image/tree"
)

// stage is one stage while it is built: what its instructions gave so far.
type stage struct {
	b    *platformBuild
	def  *dockerfile.Stage
	keep bool // its layers are part of the image
	done chan struct{}
	err  error

	parent   *stage // the stage that it is based on
	state    *dockerfile.State
	platform v1.Platform // of what it is based on
	key      string      // of all that led here
	parts    []*part
	history  []v1.History
	step     int

	treeMu  sync.Mutex // of a finished stage, which several others may read
	fs      *tree.Tree // of the first `listed` parts
	listed  int
	full    *tree.Tree // with the content of every file
	rootMu  sync.Mutex
	root    *rootfs.Root // with the first `applied` parts
	applied int
}

// run builds the stage.
func (s *stage) run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := closed(ctx, s.b.loaded); err != nil {
		return err
	}
	if s.b.cold { // all of it has to be built
		if err := s.b.permitted(); err != nil {
			return err
		}
	}
	for {
		op, more, err := s.state.Next()
		if err != nil || !more {
			for _, w := range s.state.Warnings() {
				s.b.warn(w)
			}
			return err
		}
		before := len(s.parts)
		if op != nil {
			s.step++
			if err := s.do(ctx, op); err != nil {
				return s.at(op, err)
			}
		}
		s.record(before)
	}
}

func (s *stage) do(ctx context.Context, op dockerfile.Op) error {
	start := s.b.Now()
	s.tell(op, Started)
	var cached bool
	var err error
	switch op := op.(type) {
	case *dockerfile.Run:
		cached, err = s.runCommand(ctx, op)
	case *dockerfile.Copy:
		cached, err = s.copyFiles(ctx, op)
	case *dockerfile.Workdir:
		err = s.makeWorkdir(ctx, op)
	default:
		err = fmt.Errorf("the builder does not know %T", op)
	}
	if err != nil {
		return err
	}
	e := s.event(op, Done)
	if cached {
		e.Status = Cached
	}
	e.Took = s.b.Now().Sub(start)
	s.b.Notify(e)
	return nil
}

func (s *stage) event(op dockerfile.Op, status Status) Event {
	return Event{Stage: s.name(), Step: s.step, Of: s.state.Steps(), Text: op.Text(), Pos: op.Pos(), Status: status}
}

func (s *stage) tell(op dockerfile.Op, status Status) { s.b.Notify(s.event(op, status)) }

// name is what the stage is called in messages.
func (s *stage) name() string {
	name := s.def.Name
	if name == "" {
		name = fmt.Sprintf("stage-%d", s.def.Index)
	}
	if len(s.b.opts.Platforms) > 1 {
		name = s.b.platform.String() + " " + name
	}
	return name
}

// at gives an error the place of the instruction, unless it has a better one.
func (s *stage) at(op dockerfile.Op, err error) error {
	return located(err, op.Pos())
}

// located gives every part of an error that has no place one.
func located(err error, pos diag.Pos) error {
	var all []error
	for _, e := range diag.List(err) {
		p, ok := e.(*diag.Problem)
		switch {
		case ok && p.Pos.IsZero():
			here := *p // others may have got the same error
			here.Pos = pos
			e = &here
		case !ok && !errors.Is(e, context.Canceled):
			e = diag.At(pos, "%v", e).WithCause(e)
		}
		all = append(all, e)
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// record writes the history of one instruction: an entry for every layer that it
// made, or one without a layer.
func (s *stage) record(before int) {
	text := s.state.History()
	if text == "" {
		return
	}
	h := v1.History{Created: v1.Time{Time: s.b.created()}, CreatedBy: text, Author: s.state.Author()}
	made := len(s.parts) - before
	if made == 0 {
		h.EmptyLayer = true
		s.history = append(s.history, h)
	}
	for i := range made {
		one := h
		if made > 1 {
			one.Comment = fmt.Sprintf("part %d of %d", i+1, made)
		}
		s.history = append(s.history, one)
	}
}

// tree returns the files of the stage as they are now.
func (s *stage) tree(ctx context.Context) (*tree.Tree, error) {
	if s.fs == nil {
		s.fs = tree.New()
	}
	news := s.parts[s.listed:]
	lists := make([][]*layer.Entry, len(news))
	var group errgroup.Group // without a context: what they keep for later outlives it
	for i, p := range news {
		group.Go(func() (err error) {
			lists[i], err = p.list(ctx, s.b.builder)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, entries := range lists {
		if err := s.fs.Apply(entries); err != nil {
			return nil, err
		}
		s.listed++
	}
	return s.fs, nil
}

// files returns the root of the stage with everything unpacked.
func (s *stage) files(ctx context.Context) (*rootfs.Root, error) {
	s.rootMu.Lock()
	defer s.rootMu.Unlock()
	if s.root == nil {
		if err := s.makeRoot(ctx); err != nil {
			return nil, err
		}
	}
	for ; s.applied < len(s.parts); s.applied++ {
		if err := s.parts[s.applied].apply(ctx, s.b.builder, s.root); err != nil {
			return nil, err
		}
	}
	return s.root, nil
}

// makeRoot begins the root: with what the nearest stage below has unpacked, where one
// has. What a RUN made lies in the root of its stage alone, and a later RUN there may
// have changed it again, so that its parts cannot be applied one by one.
func (s *stage) makeRoot(ctx context.Context) error {
	folder, err := s.b.folder()
	if err != nil {
		return err
	}
	for below := s.parent; below != nil; below = below.parent {
		if !below.unpacked() {
			continue
		}
		root, err := below.files(ctx)
		if err != nil {
			return err
		}
		s.applied = len(below.parts)
		s.root, err = root.Clone(ctx, folder)
		return err
	}
	s.root, err = rootfs.Create(folder)
	return err
}

// unpacked reports whether the stage has a root.
func (s *stage) unpacked() bool {
	s.rootMu.Lock()
	defer s.rootMu.Unlock()
	return s.root != nil
}

// add makes layers of entries: none when there are none. They go to a store when they
// are part of the image, or to, where a record is going to name them, is not nil. It
// returns the key of their content.
func (s *stage) add(ctx context.Context, entries []*layer.Entry, to store.Store) (string, error) {
	if s.keep {
		to = s.b.Store
	}
	sums, err := layer.Sum(ctx, entries)
	if err != nil {
		return "", err
	}
	var keys []string
	var groups [][]*layer.Entry
	if len(entries) > 0 {
		groups = layer.SplitAtMost(entries, s.room())
	}
	for _, group := range groups {
		key, err := sums.Key(group)
		if err != nil {
			return "", err
		}
		keys = append(keys, key.String())
		p := &part{entries: group, ready: make(chan struct{})}
		s.parts = append(s.parts, p)
		if to != nil {
			s.b.layerFor(ctx, p, fmt.Sprintf("layer/%s/%d/%d", key.Hex, s.b.opts.Compress, s.b.opts.Format), s.keep, to)
		}
	}
	content := keyOf(keys...)
	s.key = keyOf("add", s.key, content)
	return content, nil
}

// maxLayers is how many layers docker takes in one image with a margin; it mounts no
// more than 127.
const maxLayers = 120

// room is how many layers one instruction may add: half of what is left, so that
// those after it have some too.
func (s *stage) room() int { return max(1, (maxLayers-len(s.parts))/2) }

// layerFor gets the layer of a part from the cache, or writes it to a store, in the
// background. keep says that it becomes part of the image.
func (b *builder) layerFor(ctx context.Context, p *part, key string, keep bool, to store.Store) {
	b.background(func() error {
		defer close(p.ready)
		if r, ok := b.lookup(ctx, key, keep); ok && len(r.Layers) == 1 {
			p.layer, p.reused = r.Layers[0], true
			return nil
		}
		if p.layer, p.err = b.stream(ctx, to, p.entries); p.err != nil {
			return b.onlyCache(keep, p.err)
		}
		b.cache.Put(cache.Record{Key: key, Layers: []cache.Layer{p.layer}})
		return nil
	})
}

// onlyCache judges an error of a layer that was written to a store: one that only the
// cache would have had does not end the build.
func (b *builder) onlyCache(keep bool, err error) error {
	if keep || err == nil {
		return err
	}
	b.unkept.Do(func() { b.notef(Warning, diag.Pos{}, "the cache %s gets not all layers: %v", b.CacheTo.Name, err) })
	return nil
}
