package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/cache"
	"github.com/devs/deploy/pkg/image/copy"
	"github.com/devs/deploy/pkg/image/dockerfile"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/image/tree"
)

// parallelLayers is how many layers are written at a time. Each is compressed in
// parallel by itself; the second one keeps the processors busy while the first waits
// for its registry.
const parallelLayers = 2

// maxDockerfile bounds a Dockerfile in bytes.
const maxDockerfile = 4 << 20

func newBuilder(cfg *Config, opts Options) (*builder, error) {
	if opts.Dockerfile == "" {
		opts.Dockerfile = filepath.Join(opts.Context, "Dockerfile")
	}
	asked := len(opts.Platforms) > 0
	if !asked {
		opts.Platforms = []v1.Platform{Native()}
	}
	info, err := os.Stat(opts.Dockerfile)
	if err == nil && (info.Size() > maxDockerfile || !info.Mode().IsRegular()) {
		err = errors.New("it is no file, or too large for a Dockerfile")
	}
	var source []byte
	if err == nil {
		source, err = os.ReadFile(opts.Dockerfile)
	}
	if err != nil {
		return nil, diag.Errorf("reading the Dockerfile: %v", err).WithHint("name it with -f")
	}
	b := &builder{
		Config: cfg, opts: opts, asked: asked, source: source, cache: &cache.Cache{}, loaded: make(chan struct{}),
		named:  map[string]func() (*tree.Tree, error){},
		serial: make(chan struct{}, 1), writers: make(chan *layer.Writer, parallelLayers),
	}
	for range parallelLayers {
		b.writers <- nil
	}
	b.blobs = &places{target: cfg.Store, caches: cfg.caches(), allowed: func() error { return b.permitted() }}
	b.context = sync.OnceValues(func() (*tree.Tree, error) { return copy.Context(opts.Context, opts.Dockerfile, opts.Without...) })
	for name, from := range opts.Contexts {
		b.named[name] = sync.OnceValues(func() (*tree.Tree, error) { return copy.Context(from, "", opts.Without...) })
	}
	b.box = sync.OnceValue(cfg.Sandbox)
	b.folder = sync.OnceValues(b.makeFolder)
	b.fetcher = sync.OnceValues(b.makeFetcher)
	return b, nil
}

// atEnd does something when the build has ended.
func (b *builder) atEnd(do func() error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closers = append(b.closers, do)
}

// makeFetcher makes what brings in the files of ADD.
func (b *builder) makeFetcher() (*copy.Fetcher, error) {
	folder, err := b.folder()
	if err != nil {
		return nil, err
	}
	f := copy.NewFetcher(copy.Config{Dir: folder, HTTP: b.HTTP, Env: append(b.Proxy[:len(b.Proxy):len(b.Proxy)], b.Environ...)})
	b.atEnd(f.Close)
	return f, nil
}

// makeFolder makes the folder of this build. What runs in our own image has to lie
// beside its root.
func (b *builder) makeFolder() (string, error) {
	parent := b.WorkDir
	if parent == "" {
		parent = cmp.Or(b.box().Folder(), filepath.Join(os.TempDir(), ownWork()))
	}
	work, err := openWorkDir(parent)
	if err != nil {
		return "", diag.Errorf("making the folder of the build: %v", err).WithHint("let DEVS_BUILD_DIR name a folder that can be written")
	}
	b.atEnd(work.remove)
	return work.dir, nil
}

// ownWork names the folder of this user's builds. Those with mapped ids leave files that
// only such a one can remove.
func ownWork() string {
	uid, mapped := sandbox.Outside()
	if mapped {
		return fmt.Sprintf("devs-build-%d-mapped", uid)
	}
	return fmt.Sprintf("devs-build-%d", uid)
}

// caches returns the caches that may hold blobs, each once.
func (c *Config) caches() []Cache {
	all := slices.Clone(c.CacheFrom)
	if c.CacheTo != nil && !slices.ContainsFunc(all, func(o Cache) bool { return o.Store == c.CacheTo.Store }) {
		all = append(all, *c.CacheTo)
	}
	return slices.DeleteFunc(all, func(o Cache) bool { return o.Store == c.Store })
}

// Native is the platform of this machine.
func Native() v1.Platform { return v1.Platform{OS: "linux", Architecture: runtime.GOARCH} }

// start begins a build; the function that it returns ends it, whatever happened.
func (b *builder) start(ctx context.Context) (context.Context, func() error) {
	whole, cancel := context.WithCancelCause(ctx)
	b.tasks, ctx = errgroup.WithContext(whole)
	b.mayPush = sync.OnceValue(func() error {
		b.writes.Store(true)
		if b.Check == nil {
			return nil
		}
		return b.Check(whole) // maybe when all tasks have ended
	})
	b.permitted = func() error {
		err := b.mayPush()
		if err != nil {
			cancel(err) // it is no error of the instruction that asked first
		}
		return err
	}
	return ctx, func() error {
		cancel(errors.New("the build has ended"))
		_ = b.tasks.Wait()
		return b.close()
	}
}

// close undoes what the build made on this machine, when all tasks have ended.
func (b *builder) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all error
	for _, closer := range slices.Backward(b.closers) {
		all = errors.Join(all, closer())
	}
	b.closers = nil
	return all
}

// cause returns the error that ended the build, when err came after its end: a command
// that was killed and a connection that was cut are no causes then.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// background runs a task beside the build; its error ends the build.
func (b *builder) background(task func() error) { b.tasks.Go(task) }

// writer waits for one of the few that may compress at a time; they keep their
// buffers from layer to layer.
func (b *builder) writer(ctx context.Context) (_ *layer.Writer, release func(), err error) {
	select {
	case w := <-b.writers:
		release = func() { b.writers <- w }
		if w == nil {
			if w, err = layer.NewWriter(b.opts.Compress); err != nil {
				release()
				return nil, nil, err
			}
		}
		return w, release, nil
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
}

// platformBuild is the build for one platform.
type platformBuild struct {
	*builder
	platform v1.Platform
	file     *dockerfile.File

	mu     sync.Mutex
	stages map[int]*stage
	images map[string]func() (*base, error)
}

// platform builds the image of one platform.
func (b *builder) platform(ctx context.Context, platform v1.Platform) (*Image, error) {
	file, err := b.parse(platform)
	if err != nil {
		return nil, err
	}
	for _, w := range file.Warnings {
		b.warn(w)
	}
	p := &platformBuild{builder: b, platform: platform, file: file, stages: map[int]*stage{}, images: map[string]func() (*base, error){}}
	target := file.Stages[len(file.Stages)-1]
	p.markKept(target)
	s, err := p.stage(ctx, target.Index)
	if err != nil {
		return nil, err
	}
	return p.assemble(ctx, s)
}

func (b *builder) parse(platform v1.Platform) (*dockerfile.File, error) {
	return dockerfile.Parse(b.opts.Dockerfile, b.source, dockerfile.Options{
		BuildArgs: b.opts.Args, Target: b.opts.Target, Platform: platform, BuildPlatform: Native(), Contexts: b.opts.Contexts,
	})
}

func (b *builder) warn(w *diag.Problem) {
	b.Notify(Event{Status: Warning, Text: w.Summary, Pos: w.Pos})
}

// markKept makes the stages whose layers become those of the image.
func (p *platformBuild) markKept(target *dockerfile.Stage) {
	for def := target; ; {
		p.stages[def.Index] = &stage{b: p, def: def, keep: true}
		if def.Base.Kind != dockerfile.StageRef {
			return
		}
		def, _ = p.file.Stage(def.Base.Stage)
	}
}

// stage returns a finished stage; it begins it when nobody did yet.
func (p *platformBuild) stage(ctx context.Context, index int) (*stage, error) {
	s, err := p.begun(ctx, index)
	if err != nil {
		return nil, err
	}
	select {
	case <-s.done:
		return s, s.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begun returns a stage on its way.
func (p *platformBuild) begun(ctx context.Context, index int) (*stage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stages[index]
	if s == nil {
		def, ok := p.file.Stage(index)
		if !ok {
			return nil, fmt.Errorf("there is no stage %d", index)
		}
		s = &stage{b: p, def: def}
		p.stages[index] = s
	}
	if s.done == nil {
		s.done = make(chan struct{})
		p.background(func() error {
			defer close(s.done)
			s.err = s.run(ctx)
			return s.err
		})
	}
	return s, nil
}

// begin sets up what the stage is based on.
func (s *stage) begin(ctx context.Context) (err error) {
	from := s.def.Base
	s.platform = s.def.Platform
	switch from.Kind {
	case dockerfile.Scratch:
		s.key = keyOf("scratch")
		s.state, err = s.b.file.State(s.def, nil)
	case dockerfile.Image:
		err = s.beginOnImage(ctx, from.Image)
	case dockerfile.StageRef:
		err = s.beginOnStage(ctx, from.Stage)
	case dockerfile.Named:
		err = s.beginOnFolder(ctx, from.Name)
	default:
		err = fmt.Errorf("a stage cannot be based on %v", from.Kind)
	}
	if err != nil {
		return located(err, s.def.Pos)
	}
	s.history = matched(s.history, len(s.parts), s.b.created())
	sources, err := s.state.Sources()
	if err != nil {
		return err
	}
	for _, source := range sources { // begin at once what will be needed
		switch source.Kind {
		case dockerfile.StageRef:
			_, err = s.b.begun(ctx, source.Stage)
		case dockerfile.Context:
			s.b.background(func() error { _, _ = s.b.context(); return nil }) // the COPY tells the error, with its place
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) beginOnImage(ctx context.Context, ref string) error {
	b, err := s.b.image(ctx, ref, s.def.Platform)
	if err != nil {
		return err
	}
	s.key, s.parts, s.history = b.key, slices.Clone(b.parts), slices.Clone(b.config.History)
	if s.state, err = s.b.file.State(s.def, b.config); err != nil {
		return err
	}
	s.state.SetStartInterval(b.startInterval)
	if have := b.config.Platform(); have != nil && have.Architecture != "" && have.OS != "" {
		s.platform = *have
	}
	if s.keep {
		for _, p := range b.parts {
			s.b.background(func() error { return s.b.bring(ctx, b.repo, p.layer.Descriptor()) })
		}
	}
	return nil
}

// bring makes a layer of a base one of the image.
func (b *builder) bring(ctx context.Context, from name.Repository, d v1.Descriptor) error {
	if found, err := store.Has(ctx, b.Store, d, b.permitted); err != nil || found {
		return err
	}
	if err := b.permitted(); err != nil {
		return err
	}
	return b.Store.Import(ctx, from, d)
}

// matched returns a history with one entry for each layer. Other builders write none,
// or not for all layers.
func matched(history []v1.History, layers int, created time.Time) []v1.History {
	n := 0
	for _, h := range history {
		if !h.EmptyLayer {
			n++
		}
	}
	if n > layers { // it is of another image
		history, n = nil, 0
	}
	for ; n < layers; n++ {
		history = append(history, v1.History{Created: v1.Time{Time: created}, Comment: "a layer of the base"})
	}
	return history
}

func (s *stage) beginOnStage(ctx context.Context, index int) error {
	parent, err := s.b.stage(ctx, index)
	if err != nil {
		return err
	}
	s.parent, s.platform = parent, parent.platform
	s.key, s.parts, s.history = parent.key, slices.Clone(parent.parts), slices.Clone(parent.history)
	s.state, err = s.b.file.StateOn(s.def, parent.state)
	return err
}

func (s *stage) beginOnFolder(ctx context.Context, name string) error {
	var err error
	if s.state, err = s.b.file.State(s.def, nil); err != nil {
		return err
	}
	folder, err := s.b.named[name]()
	if err != nil {
		return err
	}
	if err := closed(ctx, s.b.loaded); err != nil {
		return err
	}
	s.key = keyOf("folder")
	_, err = s.add(ctx, s.b.stamp(folder.All()), nil)
	return err
}
