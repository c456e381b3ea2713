package component

import (
	"context"
	"io"

	"github.com/devs/deploy/pkg/resource"
)

// Archivist is a component whose cloud keeps earlier states of resources, as published
// versions of what they live in.
type Archivist interface {
	// Versions lists the versions of the holder of the call, the newest first; none when
	// there is no such holder.
	Versions(ctx context.Context, call *Call) ([]string, error)
	// At returns a resource as it is in a version; nil and no error when it is not in it,
	// or when versions hold nothing of its kind.
	At(ctx context.Context, call *Call, version string, id resource.ID) (*resource.Found, error)
	// Code fetches the code package of a resource in a version, "" for what is online now.
	// Its checksum is checked.
	Code(ctx context.Context, call *Call, version string, id resource.ID) (Package, error)
	// Sum returns the checksum of a code package, as resource.Payload has it.
	Sum(r io.Reader) (string, error)
}

// Package is a code package that has to be released when it is no longer needed.
type Package interface {
	resource.Payload
	io.Closer
}
