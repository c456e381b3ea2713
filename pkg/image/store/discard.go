package store

import (
	"context"
	"errors"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Discard keeps nothing: it is for builds that only want to know whether a Dockerfile
// works, and the digest.
type Discard struct{}

// Has always tells that the blob is missing.
func (Discard) Has(context.Context, v1.Descriptor) (bool, error) { return false, nil }

// Open fails, as there is nothing to read.
func (Discard) Open(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	return nil, errors.New("nothing was kept of this build")
}

// Send throws the blob away.
func (Discard) Send(_ context.Context, produce Producer) error {
	_, err := produce(io.Discard)
	return err
}

// Import does nothing.
func (Discard) Import(context.Context, name.Repository, v1.Descriptor) error { return nil }

// Manifest finds nothing.
func (Discard) Manifest(context.Context, string) ([]byte, error) { return nil, nil }

// PutManifest does nothing.
func (Discard) PutManifest(context.Context, string, string, []byte) error { return nil }
