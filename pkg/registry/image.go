package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/devs/deploy/pkg/diag"
)

const (
	maxConfig = 8 << 20 // bytes of an image config
	maxLayers = 1024
	maxNested = 3 // indexes within indexes
)

// Image is an image of one platform in a registry.
type Image struct {
	Ref         name.Reference // as it was asked for
	Digest      v1.Hash        // of the manifest of the platform
	MediaType   types.MediaType
	Manifest    *v1.Manifest
	RawManifest []byte
	Config      *v1.ConfigFile
	RawConfig   []byte
	Layers      []Layer // lowest first
}

// Layer is one layer of an image.
type Layer struct {
	Descriptor v1.Descriptor
	DiffID     v1.Hash // of the uncompressed layer
}

// Image reads the manifest and the config of an image; of an index, the image that
// fits the platform. An image without an index is returned whatever its platform is:
// Config tells. What has a digest is not read when known returns it; nil knows nothing.
func (c *Client) Image(ctx context.Context, ref name.Reference, platform v1.Platform, known func(v1.Hash) []byte) (*Image, error) {
	raw, d, err := c.GetRaw(ctx, ref)
	for nested := 0; err == nil && d.MediaType.IsIndex(); nested++ {
		if nested == maxNested {
			return nil, wrap("reading "+ref.Name(), hostile("its indexes are nested too deeply"))
		}
		var child v1.Descriptor
		if child, err = pick(ref, raw, platform); err != nil {
			return nil, err
		}
		if raw = remembered(known, child.Digest); raw != nil {
			said := http.Header{"Content-Type": {string(child.MediaType)}} // what an answer would say
			d = v1.Descriptor{MediaType: mediaType(said, raw), Size: int64(len(raw)), Digest: child.Digest}
			continue
		}
		raw, d, err = c.GetRaw(ctx, ref.Context().Digest(child.Digest.String()))
	}
	if err != nil {
		return nil, err
	}
	manifest, err := parseManifest(ref, d, raw)
	if err != nil {
		return nil, err
	}
	config := remembered(known, manifest.Config.Digest)
	if config == nil {
		if config, err = c.small(ctx, ref.Context(), manifest.Config); err != nil {
			return nil, wrap("reading the config of "+ref.Name(), err)
		}
	}
	return NewImage(ref, d, raw, config)
}

// remembered returns what is known of a digest, nil for nothing. What has another digest
// is not it.
func remembered(known func(v1.Hash) []byte, digest v1.Hash) []byte {
	if known == nil {
		return nil
	}
	data := known(digest)
	if have, _, err := v1.SHA256(bytes.NewReader(data)); err != nil || have != digest {
		return nil
	}
	return data
}

// NewImage returns the image of a manifest and a config that are known already, both
// as they are in the registry.
func NewImage(ref name.Reference, d v1.Descriptor, manifest, config []byte) (*Image, error) {
	m, err := parseManifest(ref, d, manifest)
	if err != nil {
		return nil, err
	}
	img := &Image{Ref: ref, Digest: d.Digest, MediaType: d.MediaType, Manifest: m, RawManifest: manifest, RawConfig: config}
	if img.Config = new(v1.ConfigFile); decode(config, img.Config) != nil {
		return nil, wrap("reading the config of "+ref.Name(), hostile("it is no JSON of an image config"))
	}
	ids := img.Config.RootFS.DiffIDs
	if len(ids) != len(m.Layers) {
		return nil, wrap("reading the config of "+ref.Name(), hostile("it lists %d layers, the manifest %d", len(ids), len(m.Layers)))
	}
	for i, l := range m.Layers {
		if !isDigest(ids[i]) {
			return nil, wrap("reading the config of "+ref.Name(), hostile("the digest of layer %d is malformed", i))
		}
		img.Layers = append(img.Layers, Layer{Descriptor: l, DiffID: ids[i]})
	}
	return img, nil
}

// parseManifest reads a manifest and refuses what cannot be built on.
func parseManifest(ref name.Reference, d v1.Descriptor, raw []byte) (*v1.Manifest, error) {
	doing := "reading the manifest of " + ref.Name()
	switch d.MediaType {
	case types.OCIManifestSchema1, types.DockerManifestSchema2:
	case types.DockerManifestSchema1, types.DockerManifestSchema1Signed:
		return nil, diag.Errorf("%s is an image of the old format (schema 1)", ref.Name()).
			WithHint("pull it and push it again with a newer docker, or use a newer version of the image").WithCode(diag.ExitComponent)
	default:
		return nil, diag.Errorf("%s is not an image: its media type is %q", ref.Name(), clean(string(d.MediaType))).
			WithHint("check the name and the tag").WithCode(diag.ExitComponent)
	}
	m := new(v1.Manifest)
	if decode(raw, m) != nil || m.SchemaVersion != 2 {
		return nil, wrap(doing, hostile("it is no JSON of an image manifest"))
	}
	if len(m.Layers) > maxLayers {
		return nil, wrap(doing, hostile("it has %d layers", len(m.Layers)))
	}
	if !m.Config.MediaType.IsConfig() {
		return nil, diag.Errorf("%s is not an image: its config is %q", ref.Name(), clean(string(m.Config.MediaType))).WithCode(diag.ExitComponent)
	}
	for i, l := range slices.Concat([]v1.Descriptor{m.Config}, m.Layers) {
		if l.Size < 0 || !isDigest(l.Digest) {
			return nil, wrap(doing, hostile("descriptor %d is malformed", i))
		}
	}
	for i, l := range m.Layers {
		if !l.MediaType.IsDistributable() || len(l.URLs) > 0 {
			return nil, diag.Errorf("layer %d of %s lies outside the registry (a foreign layer), which is not supported", i+1, ref.Name()).
				WithHint("use a base image whose layers are all in its registry").WithCode(diag.ExitComponent)
		}
		if !l.MediaType.IsLayer() {
			return nil, diag.Errorf("layer %d of %s has the media type %q, which is not supported", i+1, ref.Name(), clean(string(l.MediaType))).WithCode(diag.ExitComponent)
		}
	}
	return m, nil
}

func isDigest(h v1.Hash) bool { return h.Algorithm == "sha256" && len(h.Hex) == 64 }

// pick returns the manifest of an index that fits a platform best.
func pick(ref name.Reference, raw []byte, want v1.Platform) (v1.Descriptor, error) {
	index := new(v1.IndexManifest)
	if decode(raw, index) != nil {
		return v1.Descriptor{}, wrap("reading the index of "+ref.Name(), hostile("it is no JSON of an image index"))
	}
	best, rank := -1, 0
	var have []string
	for i, m := range index.Manifests {
		if m.Platform == nil && (m.MediaType.IsImage() || m.MediaType.IsIndex()) && len(index.Manifests) == 1 {
			best = i // the only one, of an unknown platform
			break
		}
		if m.Platform == nil || m.Platform.OS == "unknown" || !m.MediaType.IsImage() && !m.MediaType.IsIndex() {
			continue // an attestation or something that is no image
		}
		have = append(have, clean(PlatformString(*m.Platform)))
		if r := fit(*m.Platform, want); r > rank {
			best, rank = i, r
		}
	}
	if best < 0 {
		slices.Sort(have)
		return v1.Descriptor{}, diag.Errorf("%s has no image for %s", ref.Name(), PlatformString(want)).
			WithHint("it has: %s", strings.Join(slices.Compact(have), ", ")).WithCode(diag.ExitComponent)
	}
	if d := index.Manifests[best]; isDigest(d.Digest) {
		return d, nil
	}
	return v1.Descriptor{}, wrap("reading the index of "+ref.Name(), hostile("descriptor %d is malformed", best))
}

// fit tells how well an image of platform have runs on want: 0 not at all. A variant
// runs on later ones (arm: v6 on v7; amd64: v1 on v2).
func fit(have, want v1.Platform) int {
	if have.OS != want.OS || have.Architecture != want.Architecture {
		return 0
	}
	h, w := variant(have), variant(want)
	switch {
	case h == w:
		return 100
	case h == 0 || h > w:
		return 0
	}
	return h
}

// variant returns the number of a variant, with the one that an architecture has when
// none is named; 0 when it is not understood.
func variant(p v1.Platform) int {
	if p.Variant == "" {
		return map[string]int{"arm": 7, "arm64": 8, "amd64": 1}[p.Architecture]
	}
	var n int
	if _, err := fmt.Sscanf(p.Variant, "v%d", &n); err != nil || n < 0 || n > 99 {
		return 0
	}
	return n
}

// PlatformString returns os/architecture/variant.
func PlatformString(p v1.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// small reads a blob that is no layer.
func (c *Client) small(ctx context.Context, repo name.Repository, d v1.Descriptor) ([]byte, error) {
	if d.Size > maxConfig {
		return nil, hostile("its size is %d bytes", d.Size)
	}
	r, err := c.Blob(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// decode reads JSON; what follows the value is an error.
func decode(raw []byte, into any) error { return json.Unmarshal(raw, into) }
