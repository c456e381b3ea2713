// Package image builds an image from a Dockerfile and a folder without a daemon.
// A build is a chain of states: every instruction gives an image config and layers.
// Layers of COPY go from the files to the store in one pass; the files of a base are
// brought and unpacked only when a RUN has to run. The packages below it each know
// one part (dockerfile, copy, layer, tree, rootfs, sandbox, store, cache); this one
// puts them together. It prints nothing: it tells events.
package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/cache"
	"github.com/devs/deploy/pkg/image/copy"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/image/tree"
	"github.com/devs/deploy/pkg/registry"
)

// Format is the family of media types of an image.
type Format int

// Docker is what every registry and every docker reads; OCI is the standard.
const (
	Docker Format = iota
	OCI
)

// Options say what to build.
type Options struct {
	Context    string            // folder
	Dockerfile string            // path; Dockerfile in Context when it is ""
	Target     string            // stage; the last one when it is ""
	Args       map[string]string // build arguments
	Labels     map[string]string // added to those of the Dockerfile
	Platforms  []v1.Platform     // more than one gives an index; the one of this machine when there is none
	Contexts   map[string]string // named contexts: folder, or docker-image://reference
	Secrets    map[string]Secret // by the id of --mount=type=secret
	SSH        map[string]string // sockets of agents by the id of --mount=type=ssh
	Epoch      *time.Time        // SOURCE_DATE_EPOCH
	Format     Format
	Compress   layer.Compression
	Tag        string // of the manifest in the store
	NoCache    bool   // neither read nor write the cache
	// Without are folders that are part of no context: what the tool writes itself, which
	// would make every build differ from the one before.
	Without []string
}

// Secret yields the bytes of a secret when a RUN mounts it; its error names the
// secret.
type Secret func() ([]byte, error)

// Config is the world of a build.
type Config struct {
	Registry *registry.Client // brings base images
	Store    store.Store      // where the image goes
	// Check finds out whether the store takes an image. It is asked before anything is
	// built, and not at all when there is nothing to build; nil when there is no doubt.
	Check func(context.Context) error
	// CacheFrom are read in their order; CacheTo is written. They may be the same.
	CacheFrom []Cache
	CacheTo   *Cache
	// Sandbox is asked once, when a RUN has to run.
	Sandbox func() *sandbox.Sandbox
	// WorkDir is where stages are unpacked, "" for the place that suits the sandbox.
	// It is made, and what a killed build left there is removed.
	WorkDir string
	// CacheDir keeps the folders of --mount=type=cache from build to build.
	CacheDir string
	// Proxy are the variables with which programs find their proxy, NAME=value. A RUN
	// sees them; no image and no cache does.
	Proxy []string
	// Log gets the output of RUN in whole lines, prefixed by stage and step. Log and
	// Notify are used by several goroutines at once.
	Log    io.Writer
	Notify func(Event)
	Now    func() time.Time
	HTTP   *http.Client // for ADD of a URL
	// Environ is the environment of git, for ADD of a repository.
	Environ []string
}

// Cache is a place with records and the blobs of stages that are in no image.
type Cache struct {
	Store store.Store
	Tag   string
	Name  string // for messages
}

// Event tells what the build does.
type Event struct {
	Stage  string // name of the stage, "" for the whole build
	Step   int    // of the stage, from 1; 0 for none
	Of     int
	Text   string
	Status Status
	Took   time.Duration
	Pos    diag.Pos
}

// Status is what happened to a step.
type Status int

// The states of a step, and a warning.
const (
	Started Status = iota
	Cached
	Done
	Note
	Warning
)

// Result is what a build made.
type Result struct {
	Digest    v1.Hash `json:"digest"` // of the manifest, or of the index of several platforms
	MediaType string  `json:"mediaType"`
	Images    []Image `json:"images"`
	Raw       []byte  `json:"-"` // the manifest or index
}

// Image is the image of one platform.
type Image struct {
	Platform string  `json:"platform"`
	Digest   v1.Hash `json:"digest"`
	Config   v1.Hash `json:"config"`
	Layers   int     `json:"layers"`
	Size     int64   `json:"size"`   // bytes of the compressed layers
	Reused   int     `json:"reused"` // layers that the cache or the base gave
	manifest []byte
	media    string
}

// builder is one build with what its platforms share.
type builder struct {
	*Config
	opts    Options
	asked   bool   // opts.Platforms are what the caller asked for
	source  []byte // the Dockerfile
	cache   *cache.Cache
	blobs   *places
	context func() (*tree.Tree, error)
	named   map[string]func() (*tree.Tree, error)
	loaded  chan struct{}      // closed when the caches are read
	cold    bool               // they knew nothing
	tasks   *errgroup.Group    // what goes on beside the instructions
	writers chan *layer.Writer // free ones; nil for one that is not made yet
	// permitted asks once whether the store takes an image, and ends the build when it does
	// not. What runs a command or writes a blob asks it first; a build that finds everything
	// does not need to know. mayPush asks the same, and ends nothing.
	permitted func() error
	mayPush   func() error
	writes    atomic.Bool // something was about to be written
	box       func() *sandbox.Sandbox
	serial    chan struct{} // held while a sandbox that can run one stage at a time runs
	folder    func() (string, error)
	fetcher   func() (*copy.Fetcher, error)
	said      sync.Once // how RUN is kept apart
	unkept    sync.Once // that the cache does not take a layer

	mu      sync.Mutex
	closers []func() error
}

// Build builds the image and stores it. Errors that a user can mend are
// diag.Problems.
func Build(ctx context.Context, cfg Config, opts Options) (_ *Result, err error) {
	b, err := newBuilder(&cfg, opts)
	if err != nil {
		return nil, err
	}
	working, end := b.start(ctx) // ends with the first error of a task
	defer func() { err = errors.Join(err, end()) }()
	b.background(func() error { b.loadCache(working); return nil })
	result := &Result{}
	for _, platform := range b.opts.Platforms {
		img, err := b.platform(working, platform)
		if err != nil {
			err = cause(working, err)
			if _, failed := errors.AsType[*sandbox.ExitError](err); failed && ctx.Err() == nil {
				b.saveCache(ctx) // what went well before need not be done again
			}
			return nil, err
		}
		result.Images = append(result.Images, *img)
	}
	if err := b.tasks.Wait(); err != nil {
		return nil, cause(ctx, err)
	}
	if err := b.putManifests(ctx, result); err != nil {
		return nil, err
	}
	// A build that finds everything in the cache makes no folder, and so removes none that a
	// killed build left: this one is gone before the cache is written.
	err = b.close()
	b.saveCache(ctx)
	return result, err
}

// closed waits until a channel is.
func closed(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Plan describes the stages and steps of a Dockerfile without building anything.
func Plan(opts Options) (string, error) {
	b, err := newBuilder(&Config{}, opts)
	if err != nil {
		return "", err
	}
	file, err := b.parse(b.opts.Platforms[0])
	if err != nil {
		return "", err
	}
	return file.Describe(), nil
}

func (b *builder) notef(status Status, pos diag.Pos, format string, args ...any) {
	b.Notify(Event{Status: status, Pos: pos, Text: fmt.Sprintf(format, args...)})
}
