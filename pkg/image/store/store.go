// Package store is where the blobs and manifests of an image go: a repository of a
// registry, a folder in the OCI image layout, or nowhere. It knows no build.
package store

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/registry"
)

// Store keeps blobs and manifests.
type Store interface {
	// Has reports whether the blob is there.
	Has(ctx context.Context, d v1.Descriptor) (bool, error)
	// Open reads a blob; what it yields is checked against the descriptor before its
	// end is told.
	Open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)
	// Send stores the blob that produce writes, whose digest it returns. It may call
	// produce again when the first try was lost.
	Send(ctx context.Context, produce Producer) error
	// Import brings a blob from a repository.
	Import(ctx context.Context, from name.Repository, d v1.Descriptor) error
	// Manifest returns the manifest under a tag, nil when there is none.
	Manifest(ctx context.Context, tag string) ([]byte, error)
	// PutManifest stores a manifest under a tag, or by its digest alone when the tag
	// is "".
	PutManifest(ctx context.Context, tag, mediaType string, raw []byte) error
}

// Producer writes a blob and returns its digest.
type Producer func(w io.Writer) (v1.Hash, error)

// Has asks a store for a blob. Registries deny to answer for a repository that is not there
// yet, unless the right to push was given before: then allowed, if it is not nil, is asked
// for it.
func Has(ctx context.Context, s Store, d v1.Descriptor, allowed func() error) (bool, error) {
	found, err := s.Has(ctx, d)
	if allowed == nil || !errors.Is(err, registry.ErrDenied) {
		return found, err
	}
	if err := allowed(); err != nil {
		return false, err
	}
	return s.Has(ctx, d)
}

// Put stores a blob that is in memory. Where it is not there yet, allowed is asked first;
// nil allows it.
func Put(ctx context.Context, s Store, data []byte, allowed func() error) (v1.Hash, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return v1.Hash{}, err
	}
	if found, err := Has(ctx, s, v1.Descriptor{Digest: digest, Size: int64(len(data))}, allowed); err != nil || found {
		return digest, err
	}
	if allowed != nil {
		if err := allowed(); err != nil {
			return digest, err
		}
	}
	return digest, s.Send(ctx, func(w io.Writer) (v1.Hash, error) {
		_, err := w.Write(data)
		return digest, err
	})
}

// Transfer copies a blob from one store to another, which may have it already; a
// registry that has it mounts it.
func Transfer(ctx context.Context, from, to Store, d v1.Descriptor) error {
	if from == to {
		return nil
	}
	if repo, ok := from.(*Repository); ok {
		return to.Import(ctx, repo.Name, d)
	}
	if found, err := to.Has(ctx, d); err != nil || found {
		return err
	}
	return to.Send(ctx, func(w io.Writer) (v1.Hash, error) {
		in, err := from.Open(ctx, d)
		if err != nil {
			return v1.Hash{}, err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return d.Digest, err
	})
}
