package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/cache"
	"github.com/devs/deploy/pkg/registry"
)

// base is an image that others are built on, or take files from.
type base struct {
	repo   name.Repository
	config *v1.ConfigFile
	parts  []*part
	key    string
	stage  *stage // the image as a source of files

	startInterval time.Duration // of its health check, which config has no field for
}

// image finds an image of a registry, once for each reference and platform.
func (p *platformBuild) image(ctx context.Context, ref string, platform v1.Platform) (*base, error) {
	key := ref + " " + platform.String()
	p.mu.Lock()
	get := p.images[key]
	if get == nil {
		get = sync.OnceValues(func() (*base, error) { return p.resolve(ctx, ref, platform) })
		p.images[key] = get
	}
	p.mu.Unlock()
	return get()
}

func (p *platformBuild) resolve(ctx context.Context, text string, platform v1.Platform) (*base, error) {
	ref, err := name.ParseReference(text)
	if err != nil {
		return nil, diag.Errorf("%q is no reference of an image: %v", text, err).
			WithHint("write it as registry/repository:tag")
	}
	var asked []v1.Hash
	img, err := p.Registry.Image(ctx, ref, platform, func(h v1.Hash) []byte {
		asked = append(asked, h)
		return p.data(ctx, h)
	})
	if _, ok := errors.AsType[*diag.Problem](err); err != nil && !ok && ctx.Err() == nil {
		return nil, diag.Errorf("the image %s cannot be read: %v", text, err).WithCode(diag.ExitComponent).WithCause(err).
			WithHint("check its name, that this machine reaches the registry, and the credentials for it")
	}
	if err != nil {
		return nil, err
	}
	if have := img.Config.Platform(); have != nil && have.Architecture != "" && (have.Architecture != platform.Architecture || have.OS != platform.OS) {
		p.notef(Warning, diag.Pos{}, "the image %s is for %s, and not for %s", text, registry.PlatformString(*have), registry.PlatformString(platform))
	}
	for _, h := range asked {
		switch h {
		case img.Digest:
			p.keepData(h, img.RawManifest)
		case img.Manifest.Config.Digest:
			p.keepData(h, img.RawConfig)
		}
	}
	b := &base{repo: ref.Context(), config: img.Config, key: keyOf("image", img.Digest.String()), startInterval: startInterval(img.RawConfig)}
	for _, l := range img.Layers {
		d := l.Descriptor
		b.parts = append(b.parts, blobPart(
			cache.Layer{Digest: d.Digest, DiffID: l.DiffID, Size: d.Size, Media: d.MediaType},
			func(ctx context.Context) (io.ReadCloser, error) { return p.Registry.Blob(ctx, b.repo, d) },
		))
	}
	return b, nil
}

// startInterval reads Healthcheck.StartInterval of a config, 0 where it has none.
func startInterval(config []byte) time.Duration {
	var file struct {
		Config struct {
			Healthcheck struct{ StartInterval time.Duration }
		} `json:"config"`
	}
	if err := json.Unmarshal(config, &file); err != nil {
		return 0 // it was read before, but for this field
	}
	return max(0, file.Config.Healthcheck.StartInterval)
}

// maxData bounds what a record of the cache keeps itself, in bytes.
const maxData = 16 << 10

func dataKey(h v1.Hash) string { return "data/" + h.String() }

// data returns what the cache has of a digest, nil when it has nothing.
func (b *builder) data(ctx context.Context, h v1.Hash) []byte {
	if closed(ctx, b.loaded) != nil {
		return nil
	}
	r, _ := b.cache.Get(dataKey(h))
	return r.Data
}

// keepData keeps what has a digest for later builds.
func (b *builder) keepData(h v1.Hash, data []byte) {
	if b.scratchStore() == nil || len(data) > maxData {
		return
	}
	if r, _ := b.cache.Get(dataKey(h)); !bytes.Equal(r.Data, data) {
		b.cache.Put(cache.Record{Key: dataKey(h), Data: data})
	}
}
