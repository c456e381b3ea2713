// Package cache remembers which layers came out of which content. It holds no files:
// a record names blobs that are in a store already. It knows no Dockerfile; keys are
// made by the builder.
package cache

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Layer is one layer that is in the store.
type Layer struct {
	Digest v1.Hash         `json:"digest"`
	DiffID v1.Hash         `json:"diffId"`
	Size   int64           `json:"size"` // bytes, compressed
	Media  types.MediaType `json:"mediaType"`
}

// Descriptor returns the layer as a manifest names it.
func (l Layer) Descriptor() v1.Descriptor {
	return v1.Descriptor{MediaType: l.Media, Digest: l.Digest, Size: l.Size}
}

// Record is what came out of one step.
type Record struct {
	Key    string  `json:"key"`
	Layers []Layer `json:"layers,omitempty"` // none when the step changed no file
	// Index are the blobs that hold the index of each layer, where it is known.
	Index []v1.Descriptor `json:"index,omitempty"`
	// Content is the key of the files that a COPY added.
	Content string `json:"content,omitempty"`
	// Data is what is small: the config of a base, or the index of a layer.
	Data []byte `json:"data,omitempty"`
}

// The form in which records are stored: an OCI artifact whose layers are the blobs
// that the records need, so that the registry keeps them, and whose annotation is the
// records themselves, so that one request reads all.
const (
	artifactType = "application/vnd.devs.cache.v1+json"
	annotation   = "devs.cache.records"
	// MaxRecords and maxManifest (in bytes) bound the manifest, which registries limit
	// to 4 MiB.
	MaxRecords  = 1000
	maxManifest = 3 << 20
	// MediaType is that of the manifest.
	MediaType = string(types.OCIManifestSchema1)
	// EmptyConfig is the content of the empty descriptor of the OCI image-spec.
	EmptyConfig = "{}"
)

// Cache holds records, those used last at the end. It may be used by several
// goroutines.
type Cache struct {
	mu      sync.Mutex
	records []Record
	changed bool
}

// Get finds a record and marks it as used.
func (c *Cache) Get(key string) (Record, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.find(key)
	if i < 0 {
		return Record{}, false
	}
	r := c.records[i]
	c.records = append(slices.Delete(c.records, i, i+1), r)
	return r, true
}

func (c *Cache) find(key string) int {
	return slices.IndexFunc(c.records, func(r Record) bool { return r.Key == key })
}

// Put adds a record, in place of one with its key.
func (c *Cache) Put(r Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(r.Key)
	c.records = append(c.records, r)
	c.changed = true
}

// Drop forgets a record whose blobs are gone.
func (c *Cache) Drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(key)
	c.changed = true
}

func (c *Cache) remove(key string) {
	if i := c.find(key); i >= 0 {
		c.records = slices.Delete(c.records, i, i+1)
	}
}

// Merge adds the records of another cache that are not there yet, as the older ones.
func (c *Cache) Merge(other *Cache) {
	for _, r := range slices.Backward(other.Records()) {
		c.mu.Lock()
		if c.find(r.Key) < 0 {
			c.records = slices.Insert(c.records, 0, r)
		}
		c.mu.Unlock()
	}
}

// Records returns all records, those used last at the end.
func (c *Cache) Records() []Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.records)
}

// Changed reports whether there is something to store.
func (c *Cache) Changed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Blobs returns every blob that the records need, once.
func (c *Cache) Blobs() []v1.Descriptor {
	return blobs(c.Records())
}

func blobs(records []Record) []v1.Descriptor {
	var all []v1.Descriptor
	seen := map[v1.Hash]bool{}
	for _, r := range records {
		for _, l := range r.Layers {
			if !seen[l.Digest] {
				seen[l.Digest] = true
				all = append(all, l.Descriptor())
			}
		}
		for _, d := range r.Index {
			if !seen[d.Digest] {
				seen[d.Digest] = true
				all = append(all, d)
			}
		}
	}
	return all
}

type manifest struct {
	SchemaVersion int64             `json:"schemaVersion"`
	MediaType     types.MediaType   `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        v1.Descriptor     `json:"config"`
	Layers        []v1.Descriptor   `json:"layers"`
	Annotations   map[string]string `json:"annotations"`
}

// DropLost forgets the records that need a blob which is lost.
func (c *Cache) DropLost(lost map[v1.Hash]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = slices.DeleteFunc(c.records, func(r Record) bool {
		return slices.ContainsFunc(blobs([]Record{r}), func(d v1.Descriptor) bool { return lost[d.Digest] })
	})
}

// Encode returns the manifest that stores the records used last, as many as it holds.
func (c *Cache) Encode() ([]byte, error) {
	records := c.Records()
	if len(records) > MaxRecords {
		records = records[len(records)-MaxRecords:]
	}
	for {
		raw, err := encode(records)
		if err != nil || len(raw) <= maxManifest || len(records) == 0 {
			return raw, err
		}
		records = records[(len(records)+3)/4:]
	}
}

func encode(records []Record) ([]byte, error) {
	text, err := json.Marshal(records)
	if err != nil {
		return nil, err
	}
	empty, size, err := v1.SHA256(strings.NewReader(EmptyConfig))
	if err != nil {
		return nil, err
	}
	return json.Marshal(manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  artifactType,
		Config:        v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: empty, Size: size},
		Layers:        blobs(records),
		Annotations:   map[string]string{annotation: string(text)},
	})
}

// Decode reads a manifest that Encode made. A record that cannot be right is left
// out: it is only a cache. An error says that this is no cache at all.
func Decode(raw []byte) (*Cache, error) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("reading the cache: %w", err)
	}
	if m.ArtifactType != artifactType {
		return nil, fmt.Errorf("reading the cache: it is an image or something else (%q), no cache", m.ArtifactType)
	}
	var records []Record
	if err := json.Unmarshal([]byte(m.Annotations[annotation]), &records); err != nil {
		return nil, fmt.Errorf("reading the records of the cache: %w", err)
	}
	if len(records) > MaxRecords {
		records = records[len(records)-MaxRecords:]
	}
	return &Cache{records: slices.DeleteFunc(records, func(r Record) bool { return !r.sound() })}, nil
}

func (r Record) sound() bool {
	for _, l := range r.Layers {
		if !digestOK(l.Digest) || !digestOK(l.DiffID) || l.Size <= 0 || !l.Media.IsLayer() {
			return false
		}
	}
	for _, d := range r.Index {
		if !digestOK(d.Digest) || d.Size <= 0 {
			return false
		}
	}
	return r.Key != ""
}

func digestOK(h v1.Hash) bool {
	_, err := v1.NewHash(h.String())
	return err == nil && h.Algorithm == "sha256"
}
