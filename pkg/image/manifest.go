package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/devs/deploy/pkg/image/cache"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/store"
)

// mediaTypes are the names of one family (OCI image-spec, media-types.md; Docker image
// manifest version 2, schema 2).
type mediaTypes struct{ manifest, index, config, gzip, plain, zstd types.MediaType }

func (f Format) media() mediaTypes {
	if f == OCI {
		return mediaTypes{types.OCIManifestSchema1, types.OCIImageIndex, types.OCIConfigJSON, types.OCILayer, types.OCIUncompressedLayer, types.OCILayerZStd}
	}
	return mediaTypes{manifest: types.DockerManifestSchema2, index: types.DockerManifestList, config: types.DockerConfigJSON, gzip: types.DockerLayer, plain: types.DockerUncompressedLayer}
}

// of returns the name of a layer that was made with a compression.
func (m mediaTypes) of(c layer.Compression) types.MediaType {
	switch c {
	case layer.Zstd:
		return m.zstd
	case layer.None:
		return m.plain
	default:
		return m.gzip
	}
}

// convert renames the layer of a base to this family.
func (m mediaTypes) convert(t types.MediaType) (types.MediaType, error) {
	switch t {
	case types.OCILayer, types.DockerLayer:
		return m.gzip, nil
	case types.OCIUncompressedLayer, types.DockerUncompressedLayer:
		return m.plain, nil
	case types.OCILayerZStd:
		if m.zstd != "" {
			return m.zstd, nil
		}
		return "", fmt.Errorf("the base has layers in zstd, which only OCI images can have")
	}
	return "", fmt.Errorf("the base has a layer of the type %s", t)
}

// assemble makes the config and the manifest of a finished stage and stores the
// config.
func (b *builder) assemble(ctx context.Context, s *stage) (*Image, error) {
	media := b.opts.Format.media()
	config := s.configFile(b.created())
	m := v1.Manifest{SchemaVersion: 2, MediaType: media.manifest, Layers: []v1.Descriptor{}}
	img := &Image{Platform: s.imagePlatform().String(), Layers: len(s.parts), media: string(media.manifest)}
	for _, p := range s.parts {
		l, err := p.wait(ctx)
		if err != nil {
			return nil, err
		}
		d := l.Descriptor()
		if d.MediaType, err = media.convert(d.MediaType); err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.DiffID)
		img.Size += d.Size
		if p.reused {
			img.Reused++
		}
	}
	raw, err := s.rawConfig(config)
	if err != nil {
		return nil, err
	}
	if img.Config, err = store.Put(ctx, b.Store, raw, b.permitted); err != nil {
		return nil, fmt.Errorf("storing the config of the image: %w", err)
	}
	m.Config = v1.Descriptor{MediaType: media.config, Digest: img.Config, Size: int64(len(raw))}
	if img.manifest, err = json.Marshal(m); err != nil {
		return nil, err
	}
	img.Digest, _, err = v1.SHA256(bytes.NewReader(img.manifest))
	return img, err
}

// rawConfig writes a config with the start interval of its health check, which the
// types of go-containerregistry do not have.
func (s *stage) rawConfig(config *v1.ConfigFile) ([]byte, error) {
	raw, err := json.Marshal(config)
	interval := s.state.StartInterval()
	if err != nil || interval == 0 || config.Config.Healthcheck == nil {
		return raw, err
	}
	var file, inner, health map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(raw, &file), json.Unmarshal(file["config"], &inner), json.Unmarshal(inner["Healthcheck"], &health)); err != nil {
		return nil, err
	}
	health["StartInterval"] = json.RawMessage(strconv.FormatInt(int64(interval), 10))
	if inner["Healthcheck"], err = json.Marshal(health); err != nil {
		return nil, err
	}
	if file["config"], err = json.Marshal(inner); err != nil {
		return nil, err
	}
	return json.Marshal(file)
}

// configFile is the config of a stage without its layers.
func (s *stage) configFile(created time.Time) *v1.ConfigFile {
	platform := s.imagePlatform()
	file := &v1.ConfigFile{
		Architecture: platform.Architecture,
		OS:           platform.OS,
		Variant:      platform.Variant,
		OSVersion:    platform.OSVersion,
		OSFeatures:   platform.OSFeatures,
		Created:      v1.Time{Time: created},
		Author:       s.state.Author(),
		Config:       s.state.Config(),
		History:      s.history,
		RootFS:       v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}},
	}
	if len(s.b.opts.Labels) > 0 {
		labels := maps.Clone(file.Config.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		maps.Copy(labels, s.b.opts.Labels)
		file.Config.Labels = labels
	}
	return file
}

// imagePlatform is the platform of the image: the one that was asked for, else that of what
// the stage is based on.
func (s *stage) imagePlatform() v1.Platform {
	if s.b.asked {
		return s.b.platform
	}
	return s.platform
}

// putManifests stores the manifest of the only platform under the tag, or those of
// all platforms and an index of them. Where nothing was written and the tag leads to it
// already, it is not put again: registries check all blobs of a manifest then, which takes
// them longer than to give one.
func (b *builder) putManifests(ctx context.Context, result *Result) error {
	if err := b.describe(result); err != nil {
		return err
	}
	if !b.writes.Load() && b.opts.Tag != "" {
		if old, err := b.Store.Manifest(ctx, b.opts.Tag); err == nil && bytes.Equal(old, result.Raw) {
			return nil
		}
	}
	if err := b.permitted(); err != nil {
		return err
	}
	if len(result.Images) > 1 {
		for _, img := range result.Images {
			if err := b.putManifest(ctx, "", img.media, img.manifest); err != nil {
				return err
			}
		}
	}
	return b.putManifest(ctx, b.opts.Tag, result.MediaType, result.Raw)
}

// describe sets what the tag is to lead to.
func (b *builder) describe(result *Result) error {
	if len(result.Images) == 1 {
		img := result.Images[0]
		result.Digest, result.MediaType, result.Raw = img.Digest, img.media, img.manifest
		return nil
	}
	media := b.opts.Format.media()
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: media.index}
	for i, img := range result.Images {
		index.Manifests = append(index.Manifests, v1.Descriptor{
			MediaType: types.MediaType(img.media), Digest: img.Digest, Size: int64(len(img.manifest)), Platform: &b.opts.Platforms[i],
		})
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	result.MediaType, result.Raw = string(media.index), raw
	result.Digest, _, err = v1.SHA256(bytes.NewReader(raw))
	return err
}

func (b *builder) putManifest(ctx context.Context, tag, media string, raw []byte) error {
	if err := b.Store.PutManifest(ctx, tag, media, raw); err != nil {
		return fmt.Errorf("storing the manifest of the image: %w", err)
	}
	return nil
}

// fixedTime stands for every time that the sources do not tell: the modification of
// files that are copied, and the making of the image. It is the first day that every
// format can name.
var fixedTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// created is the time that the image bears.
func (b *builder) created() time.Time {
	if b.opts.Epoch != nil {
		return *b.opts.Epoch
	}
	return fixedTime
}

// notAfterEpoch is the time of a file that a command made.
func (b *builder) notAfterEpoch(t time.Time) time.Time {
	if b.opts.Epoch != nil && t.After(*b.opts.Epoch) {
		return *b.opts.Epoch
	}
	return t
}

// layerOf describes what was written.
func (b *builder) layerOf(w layer.Written) cache.Layer {
	return cache.Layer{Digest: w.Digest, DiffID: w.DiffID, Size: w.Size, Media: b.opts.Format.media().of(b.opts.Compress)}
}
