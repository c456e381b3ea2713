// Package publish builds the images of functions and pushes them: it keeps what was
// built in the folder of the application, so that the build and the deploy can be two
// commands of a pipeline. It knows images and registries, and no component.
package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/registry"
)

// Config is the world of a Publisher.
type Config struct {
	Dir string // of the application; images are kept below .s/build/images
	// Client returns a client that has the credentials for an image.
	Client func(ctx context.Context, ref component.ImageRef) (*registry.Client, error)
	// Apart builds an image in another process, where that can do more; reason tells why
	// it did not, and then the image is built here. Nil when there is no such process.
	Apart func(ctx context.Context, b component.ImageBuild) (digest, reason string, err error)
	// Image returns the world of a build that uses the client; unmapped is the reason of
	// Apart.
	Image func(client *registry.Client, unmapped string) *image.Config
	// Options are those that every build has.
	Options func() (image.Options, error)
}

// Publisher implements component.Images.
type Publisher struct {
	Config

	mu   sync.Mutex
	from map[string]component.ImageBuild // what each image was built from, by its name
	held map[string]*flock.Flock         // by the name of the image
}

// latest is the tag under which the folder of an image keeps the last one, records
// that of what its steps gave.
const (
	latest  = "latest"
	records = "devs-cache"
)

var odd = regexp.MustCompile(`[^a-zA-Z0-9._-]+`)

// maxName bounds what a folder's name shows of the reference; file systems take 255
// bytes.
const maxName = 120

// folder is where the image of a reference is kept. The sum keeps a/b:v1, a_b:v1 and
// a/b_v1 apart.
func (p *Publisher) folder(ref component.ImageRef) string {
	shown := odd.ReplaceAllString(ref.Name, "_")
	sum := sha256.Sum256([]byte(ref.Name))
	return filepath.Join(p.Dir, ".s", "build", "images", fmt.Sprintf("%s-%x", shown[:min(len(shown), maxName)], sum[:6]))
}

func parse(ref component.ImageRef) (name.Tag, error) {
	tag, err := name.NewTag(ref.Name)
	if err != nil {
		return tag, diag.At(ref.Pos, "the image %q is no reference with a tag: %v", ref.Name, err).
			WithHint("write it as registry/namespace/repository:tag").WithCode(diag.ExitComponent)
	}
	return tag, nil
}

// claim refuses to build an image over that of another function.
func (p *Publisher) claim(b component.ImageBuild) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, ok := p.from[b.Name]
	if ok && (first.Context != b.Context || first.Dockerfile != b.Dockerfile) {
		return diag.At(b.Pos, "the image %s is built from %s as well: one function would get the files of the other", b.Name, first.Dockerfile).
			WithHint("give each of them an image of its own").WithCode(diag.ExitComponent)
	}
	if p.from == nil {
		p.from = map[string]component.ImageBuild{}
	}
	p.from[b.Name] = b
	return nil
}

// Build builds the image and keeps it.
func (p *Publisher) Build(ctx context.Context, b component.ImageBuild) (string, error) {
	tag, err := parse(b.ImageRef)
	if err != nil {
		return "", err
	}
	if err := p.claim(b); err != nil {
		return "", err
	}
	unmapped := ""
	if p.Apart != nil {
		var digest string
		if digest, unmapped, err = p.Apart(ctx, b); unmapped == "" || err != nil {
			return digest, err
		}
	}
	return p.build(ctx, b, tag, unmapped)
}

// build builds the image in this process.
func (p *Publisher) build(ctx context.Context, b component.ImageBuild, tag name.Tag, unmapped string) (string, error) {
	if err := p.hold(b); err != nil {
		return "", err
	}
	client, err := p.Client(ctx, b.ImageRef)
	if err != nil {
		return "", err
	}
	layout, err := store.OpenLayout(p.folder(b.ImageRef), client, true)
	if err != nil {
		return "", diag.Errorf("making the folder of the image: %v", err).WithHint("the folder of the application must be writable")
	}
	cfg := p.Image(client, unmapped)
	cfg.Store = layout
	own := image.Cache{Store: layout, Tag: records, Name: "of the application"}
	shared := image.Cache{Store: &store.Repository{Client: client, Name: tag.Context()}, Tag: records, Name: tag.Context().Tag(records).Name()}
	cfg.CacheFrom, cfg.CacheTo = []image.Cache{own, shared}, &own
	opts, err := p.Options()
	if err != nil {
		return "", err
	}
	opts.Context, opts.Dockerfile, opts.Tag = b.Context, b.Dockerfile, latest
	opts.Without = append(slices.Clone(opts.Without), filepath.Dir(layout.Dir))
	if b.PushTo != nil {
		cfg.Check = func(ctx context.Context) error { return p.check(ctx, cfg, *b.PushTo) }
	}
	result, err := image.Build(ctx, *cfg, opts)
	if err != nil {
		return "", err
	}
	return result.Digest.String(), nil
}

// checkTimeout bounds the question whether a registry takes a push.
const checkTimeout = 20 * time.Second

// check finds out before a build whether the registry will take the image. One that
// cannot be reached from here is a warning: the job that deploys may be elsewhere.
func (p *Publisher) check(ctx context.Context, cfg *image.Config, to component.ImageRef) error {
	limited, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := p.CanPush(limited, to)
	if err == nil || errors.Is(err, registry.ErrDenied) || ctx.Err() != nil {
		return err
	}
	cfg.Notify(image.Event{Status: image.Warning, Pos: to.Pos, Text: fmt.Sprintf("whether %s can be pushed is not known: %v", to.Name, err)})
	return nil
}

// CanPush asks the registry.
func (p *Publisher) CanPush(ctx context.Context, to component.ImageRef) error {
	tag, err := parse(to)
	if err != nil {
		return err
	}
	client, err := p.Client(ctx, to)
	if err != nil {
		return err
	}
	return client.CheckPush(ctx, tag.Context())
}

// Built returns the digest of the image that was built last.
func (p *Publisher) Built(ref component.ImageRef) (string, error) {
	raw, _, err := p.kept(context.Background(), ref)
	if err != nil || raw == nil {
		return "", err
	}
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	return digest.String(), err
}

// kept returns the manifest of the image that was built, nil when there is none.
func (p *Publisher) kept(ctx context.Context, ref component.ImageRef) ([]byte, *store.Layout, error) {
	dir := p.folder(ref)
	if _, err := os.Stat(filepath.Join(dir, "index.json")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	layout := &store.Layout{Dir: dir, Sparse: true}
	raw, err := layout.Manifest(ctx, latest)
	if err != nil {
		return nil, nil, diag.At(ref.Pos, "reading the image that was built: %v", err).
			WithHint("build it again with devs build").WithCode(diag.ExitComponent)
	}
	return raw, layout, nil
}

// Digest returns what the reference leads to in the registry.
func (p *Publisher) Digest(ctx context.Context, ref component.ImageRef) (string, error) {
	at, err := name.ParseReference(ref.Name)
	if err != nil {
		return "", diag.At(ref.Pos, "the image %q is no reference: %v", ref.Name, err).
			WithHint("write it as registry/namespace/repository:tag").WithCode(diag.ExitComponent)
	}
	client, err := p.Client(ctx, ref)
	if err != nil {
		return "", err
	}
	found, err := client.Resolve(ctx, at)
	if errors.Is(err, registry.ErrNotFound) {
		return "", nil
	}
	return found.Digest.String(), err
}

// Push pushes what was built, and then adds to the cache beside it what the build
// found out. That the cache is not written is a warning.
func (p *Publisher) Push(ctx context.Context, ref, to component.ImageRef) (string, error) {
	raw, layout, err := p.kept(ctx, ref)
	if err != nil {
		return "", err
	}
	if raw == nil {
		return "", diag.At(ref.Pos, "there is no image to push: %s was not built here", ref.Name).
			WithHint("build it with devs build, or push it yourself and use --skip-push").WithCode(diag.ExitComponent)
	}
	tag, err := parse(to)
	if err != nil {
		return "", err
	}
	client, err := p.Client(ctx, to)
	if err != nil {
		return "", err
	}
	layout.Client = client
	target := &store.Repository{Client: client, Name: tag.Context()}
	if err := client.CheckPush(ctx, tag.Context()); err != nil {
		return "", err
	}
	if err := push(ctx, layout, target, tag.TagStr(), raw); err != nil {
		return "", fmt.Errorf("pushing %s: %w", to.Name, err)
	}
	if err := pushCache(ctx, layout, target); err != nil && ctx.Err() == nil {
		p.Image(client, "").Notify(image.Event{Status: image.Warning, Text: fmt.Sprintf("the cache %s was not written: %v", tag.Context().Tag(records), err)})
	}
	found, err := client.Resolve(ctx, tag)
	if err != nil {
		return "", fmt.Errorf("looking at %s after the push: %w", to.Name, err)
	}
	return found.Digest.String(), nil
}

// parallel is how many blobs are moved at a time.
const parallel = 4

// push moves the blobs that a manifest names, and then the manifest.
func push(ctx context.Context, from *store.Layout, to *store.Repository, tag string, raw []byte) error {
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, d := range append(m.Layers, m.Config) {
		group.Go(func() error { return move(groupCtx, from, to, d) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return to.PutManifest(ctx, tag, string(m.MediaType), raw)
}

// move brings one blob: from the folder, or from where the base image lies.
func move(ctx context.Context, from *store.Layout, to *store.Repository, d v1.Descriptor) error {
	here, err := from.Has(ctx, d)
	if err != nil {
		return err
	}
	if !here {
		origin, err := from.Origin(d.Digest)
		if err != nil {
			return err
		}
		return to.Import(ctx, origin, d)
	}
	return store.Transfer(ctx, from, to, d)
}
