package component

import (
	"context"

	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
)

// ImageRef names the image of a function.
type ImageRef struct {
	Name string // registry/repository:tag, as the file has it
	Pos  diag.Pos
	// InstanceID is that of the enterprise registry (ACR), "" for others.
	InstanceID string
	// Credential of the cloud, from which the registry's is made where no other is
	// given.
	Credential func() (*credential.Credential, error)
}

// ImageBuild says what to build.
type ImageBuild struct {
	ImageRef
	Context    string // folder, absolute
	Dockerfile string // path, absolute
	// PushTo is where the image is going to be pushed: that the registry takes it is
	// found out before anything is built. Nil when somebody else pushes it.
	PushTo *ImageRef
}

// Images builds images and brings them to registries, for functions whose code is
// one. What Build made is kept with the application until it is pushed, so that the
// build and the deploy can be two commands.
type Images interface {
	// Build builds the image and keeps it; it returns its digest.
	Build(ctx context.Context, b ImageBuild) (digest string, err error)
	// Built returns the digest of the image that was built for the reference last, ""
	// when none was.
	Built(ref ImageRef) (digest string, err error)
	// Digest returns what the reference leads to in the registry now, "" when nothing
	// is there.
	Digest(ctx context.Context, ref ImageRef) (digest string, err error)
	// CanPush returns an error when the registry of to does not take a push with the
	// credentials that are there.
	CanPush(ctx context.Context, to ImageRef) error
	// Push pushes the image that was built for ref to the registry of to, which names
	// the same repository, perhaps by another address of it, and returns the digest
	// that the registry has afterwards. It does nothing when it is there.
	Push(ctx context.Context, ref, to ImageRef) (digest string, err error)
}
