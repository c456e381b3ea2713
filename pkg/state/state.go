// Package state is what was deployed last: fingerprints and, where a folder or a
// repository keeps them, the attributes of every resource, without their secrets. It
// travels in tags of the cloud's own service, in a folder, or as an OCI artifact. It
// knows resources and nothing of plans, components and the command line.
package state

import (
	"time"

	"github.com/devs/deploy/pkg/resource"
)

// Prints are fingerprints of the state of a resource under the key of a Book: 256 bits
// as base64url, or the beginning of it where tags leave no room for more.
type Prints struct {
	Config string `json:"config"`         // of all attributes but code
	Code   string `json:"code,omitempty"` // of the attribute code; "" when there is none
}

// Entry is what is remembered of one resource after it was deployed.
type Entry struct {
	Prints
	// Attrs are the attributes as they were found after the deploy, canonical and
	// sealed: a secret is a text that only tells it from others. Nil when only the
	// fingerprints are known.
	Attrs resource.Attributes `json:"attrs,omitzero"`
	// Files are those of the code package, nil when they are not known.
	Files []resource.CodeFile `json:"files,omitempty"`
	Time  time.Time           `json:"time,omitzero"`
	// Previous is what the last change replaced, without a Previous of its own.
	Previous *Entry `json:"previous,omitempty"`
	// Pending are the attributes, sealed, of a change that was begun and of which
	// nobody knows how it ended; nil for none.
	Pending resource.Attributes `json:"pending,omitzero"`
}

// Recorded is what the record says of a resource, beside what is online.
type Recorded struct {
	// Known is false when there is no record, or none that says anything of the
	// resource.
	Known bool
	// Config and Code tell whether what is online differs from the record. Both are set
	// for a resource that is recorded and absent online.
	Config, Code bool
	// Pending is set when a change was begun of which nobody knows how it ended: what
	// is online may be what it made, and is to be recorded anew.
	Pending bool
	// Attrs are those of the entry; nil when only fingerprints are known.
	Attrs resource.Attributes
	Files []resource.CodeFile
	// Seal brings other attributes of the same resource into the form of Attrs; nil when
	// Attrs is.
	Seal func(resource.Attributes) resource.Attributes
}

// Moved reports whether what is online is not what was deployed.
func (r Recorded) Moved() bool { return r.Config || r.Code }
