// Package layer is the content of one image layer: its entries, the one pass that
// turns them into a compressed tar with its digests, and the careful reading of the
// layers of others. It knows files only through Entry, and no registry.
package layer

import (
	"io"
	"time"
)

// Type is the type of an entry.
type Type byte

// The types of entries. Whiteout removes the path from the layers below, Opaque hides
// what the layers below have in the directory (OCI image-spec, layer.md).
const (
	Dir Type = iota + 1
	File
	Symlink
	Hardlink
	Char
	Block
	Fifo
	Whiteout
	Opaque
)

// Entry is one file of a layer, with a way to read its content.
type Entry struct {
	// Path is relative to the root of the image, clean, separated by slashes, without
	// a leading slash; "." is the root directory itself.
	Path string
	Type Type
	// Mode holds the permission bits, with 04000 for setuid, 02000 for setgid and
	// 01000 for the sticky bit, as in a tar header.
	Mode     uint32
	UID, GID int
	Size     int64 // of a File, in bytes
	ModTime  time.Time
	// Linkname is the target of a Symlink as it is written, or the Path of the first
	// name of a Hardlink.
	Linkname     string
	Major, Minor uint32 // of Char and Block
	// Xattrs are the extended attributes by their full name, such as
	// security.capability.
	Xattrs map[string]string
	// Open reads the content of a File, exactly Size bytes.
	Open func() (io.ReadCloser, error)
}
