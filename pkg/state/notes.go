package state

import (
	"context"
	"errors"
)

// ErrNoRoom is returned by Notes.Write when the holder cannot hold as many notes.
var ErrNoRoom = errors.New("there is no room for another note")

// Notes are short texts that the cloud keeps beside a resource, such as the tags of a
// Function Compute service (at most 20, TagResource of its API). What holds them is
// called the holder.
type Notes interface {
	// Read returns all notes; exists is false when there is no holder. It returns
	// *resource.Forbidden when the credential may not.
	Read(ctx context.Context) (notes map[string]string, exists bool, err error)
	// Write sets and removes notes, all others stay. It is no error to remove what is not
	// there. It returns *resource.Forbidden when the credential may not, and ErrNoRoom when
	// there is no room.
	Write(ctx context.Context, set map[string]string, remove []string) error
}
