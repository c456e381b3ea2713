package images

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxConfig is the size of the largest image configuration that is read, in bytes.
const maxConfig = 8 << 20

func tagsOf(d *repository) []string { return slices.Sorted(maps.Keys(d.Tags)) }

// fileName is the name of the file of a repository.
func fileName(repo string) string {
	sum := sha256.Sum256([]byte(repo))
	readable := strings.ReplaceAll(repo, "/", "_")
	return readable[max(0, len(readable)-100):] + "-" + hex.EncodeToString(sum[:8]) + ".json"
}

// Resolve returns the digest that a tag or digest of a repository has now.
func (r *Registry) Resolve(repo, reference string) (v1.Hash, error) {
	rec, err := r.record(repo, reference)
	return rec.Digest, err
}

func (r *Registry) record(repo, reference string) (manifestRecord, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if doc := r.repos[repo]; doc != nil {
		if rec, ok := doc.find(reference); ok {
			return rec, nil
		}
	}
	return manifestRecord{}, fmt.Errorf("finding the image %s of the repository %s: %w", reference, repo, ErrNotFound)
}

// Image is an image for one platform.
type Image struct {
	Digest v1.Hash // of its manifest, not of the index that led to it
	Config *v1.ConfigFile
	Layers []v1.Descriptor // lowest first
}

// Image returns the image of a tag or digest for a platform. An index without that
// platform is an error that says which ones there are.
func (r *Registry) Image(repo, reference string, platform v1.Platform) (*Image, error) {
	rec, err := r.record(repo, reference)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(r.file(dirManifests, rec.Digest))
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s: %w", rec.Digest, err)
	}
	if types.MediaType(rec.MediaType).IsIndex() {
		index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("reading the index %s: %w", rec.Digest, err)
		}
		digest, err := choose(index, platform)
		if err != nil {
			return nil, err
		}
		if rec, err = r.record(repo, digest.String()); err != nil {
			return nil, err
		}
		if raw, err = os.ReadFile(r.file(dirManifests, rec.Digest)); err != nil {
			return nil, fmt.Errorf("reading the manifest %s: %w", rec.Digest, err)
		}
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s: %w", rec.Digest, err)
	}
	image := &Image{Digest: rec.Digest, Layers: manifest.Layers}
	image.Config, err = r.config(manifest.Config.Digest)
	return image, err
}

// choose returns the manifest of an index for a platform.
func choose(index *v1.IndexManifest, platform v1.Platform) (v1.Hash, error) {
	var there []string
	for _, m := range index.Manifests {
		if m.Platform == nil || !m.MediaType.IsImage() {
			continue
		}
		if m.Platform.OS == platform.OS && m.Platform.Architecture == platform.Architecture {
			return m.Digest, nil
		}
		if m.Platform.OS != "unknown" { // attestations say so
			there = append(there, m.Platform.String())
		}
	}
	return v1.Hash{}, fmt.Errorf("the image is not for %s, but for %s", platform, strings.Join(there, ", "))
}

func (r *Registry) config(h v1.Hash) (*v1.ConfigFile, error) {
	f, err := r.Blob(h)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration %s: %w", h, err)
	}
	if len(data) > maxConfig {
		return nil, fmt.Errorf("reading the configuration %s: it has more than %d bytes", h, maxConfig)
	}
	config := new(v1.ConfigFile)
	if err := json.Unmarshal(data, config); err != nil {
		return nil, fmt.Errorf("reading the configuration %s: %w", h, err)
	}
	return config, nil
}
