// Package resource is the language that components and the engine share: what a
// resource is, how two states of one are compared, and what a handler of its kind
// can do. It holds data and pure functions; it knows no cloud and does no I/O.
package resource

import (
	"context"
	"fmt"
	"io"

	"github.com/devs/deploy/pkg/diag"
)

// Kind is the kind of a resource within its component, such as "function".
type Kind string

// ID names a resource within one account and region. Name holds the names of the
// parents too: "service/function/trigger".
type ID struct {
	Kind Kind
	Name string
}

// String returns "kind name".
func (id ID) String() string { return string(id.Kind) + " " + id.Name }

// Attributes is one state of a resource, under the field names of the cloud's API.
// Leaves are nil, bool, int64, float64, string, secret.String or app.UnknownValue;
// they nest in []any and map[string]any.
type Attributes map[string]any

// Resource is a resource as the user wants it.
type Resource struct {
	ID
	Attrs Attributes
	Deps  []ID                // must exist before this one; are deleted after it
	Pos   diag.Pos            // where the user's file declares it
	Field map[string]diag.Pos // where the file sets a top-level attribute

	// Managed restricts what is compared and sent to these top-level attributes;
	// nil means all. A resource with Managed set is never created: when it is
	// absent, that is an error.
	Managed []string

	// Code is the payload behind the attribute "code", nil when there is none.
	Code Payload

	// Prepare has to be done before the resource is made or changed, such as the push
	// of an image; nil when there is nothing. Handlers call it.
	Prepare func(context.Context) error `json:"-"`

	// Absent is set for a resource that the file says must not be there: when it
	// is found, it is deleted.
	Absent bool
}

// Payload is a code package, opened only when it has to be sent.
type Payload interface {
	Open() (io.ReadCloser, error)
	Size() int64      // bytes
	Checksum() string // as the cloud's API gives it
}

// Lister is a Payload that knows its files.
type Lister interface {
	// Files lists them, sorted by path.
	Files() []CodeFile
}

// CodeFile is one file of a code package.
type CodeFile struct {
	Path  string `json:"path"`
	Size  int64  `json:"size"` // bytes
	CRC32 uint32 `json:"crc32"`
}

// Found is a resource as the cloud has it.
type Found struct {
	Attrs Attributes
	ETag  string         // for If-Match; "" when the API gives none
	Info  map[string]any // what the cloud made, such as addresses and times; never compared
}

// Handler reads and changes the resources of one kind. Every method returns
// *Forbidden when the cloud denies access and *Conflict when what is online moved
// since it was read.
type Handler interface {
	// Read returns the resource online; nil and no error when it is absent.
	Read(ctx context.Context, id ID) (*Found, error)
	Create(ctx context.Context, want *Resource) (*Found, error)
	// Update changes the top-level fields named, all others stay.
	Update(ctx context.Context, want *Resource, found *Found, fields []string) (*Found, error)
	// Delete returns ErrNotEmpty when other resources still live in this one. A
	// resource that is gone already is no error.
	Delete(ctx context.Context, id ID, found *Found) error
}

// Type is all that the engine needs to know of a kind.
type Type struct {
	Schema  Schema
	Handler Handler
}

// ErrNotEmpty is returned by Handler.Delete.
var ErrNotEmpty = fmt.Errorf("other resources still live in it")

// Forbidden means that the credential may not do it: neither absent nor broken.
type Forbidden struct {
	ID     ID
	Action string // the permission missing, such as fc:GetService
	Err    error
}

func (e *Forbidden) Error() string {
	return fmt.Sprintf("%s: access denied (%s): %v", e.ID, e.Action, e.Err)
}

// Unwrap returns the cloud's error.
func (e *Forbidden) Unwrap() error { return e.Err }

// Conflict means that somebody else changed the resource since it was read.
type Conflict struct {
	ID  ID
	Err error
}

func (e *Conflict) Error() string {
	return fmt.Sprintf("%s was changed by somebody else since it was read; nothing was overwritten", e.ID)
}

// Unwrap returns the cloud's error.
func (e *Conflict) Unwrap() error { return e.Err }
