package store

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/devs/deploy/pkg/registry"
)

// Repository stores in one repository of a registry.
type Repository struct {
	Client *registry.Client
	Name   name.Repository
}

// Has asks the registry for the blob.
func (r *Repository) Has(ctx context.Context, d v1.Descriptor) (bool, error) {
	return r.Client.Has(ctx, r.Name, d.Digest)
}

// Open streams the blob from the registry.
func (r *Repository) Open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	return r.Client.Blob(ctx, r.Name, d)
}

// Send uploads the blob.
func (r *Repository) Send(ctx context.Context, produce Producer) error {
	_, err := r.Client.Send(ctx, r.Name, produce)
	return err
}

// Import mounts the blob from another repository of the same registry, or streams it.
func (r *Repository) Import(ctx context.Context, from name.Repository, d v1.Descriptor) error {
	if from.Name() == r.Name.Name() {
		return nil
	}
	return r.Client.Copy(ctx, from, r.Name, d)
}

// Manifest reads the manifest under a tag.
func (r *Repository) Manifest(ctx context.Context, tag string) ([]byte, error) {
	raw, _, err := r.Client.GetRaw(ctx, r.Name.Tag(tag))
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	return raw, err
}

// PutManifest pushes a manifest.
func (r *Repository) PutManifest(ctx context.Context, tag, mediaType string, raw []byte) error {
	var ref name.Reference = r.Name.Tag(tag)
	if tag == "" {
		digest, _, err := v1.SHA256(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		ref = r.Name.Digest(digest.String())
	}
	_, err := r.Client.PutManifest(ctx, ref, types.MediaType(mediaType), raw)
	return err
}
