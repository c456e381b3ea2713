package state

import (
	"cmp"
	"context"
	"strings"

	"github.com/devs/deploy/pkg/resource"
)

// Store keeps whole Books, one for each holder.
type Store interface {
	// Load returns the Book of a holder; nil and no error when there is none.
	Load(ctx context.Context, at Holder) (*Book, error)
	Save(ctx context.Context, at Holder, b *Book) error
}

// Holder names a Book: that of an application in a holder of resources.
type Holder struct {
	Account, Region string
	ID              resource.ID
	App             string
}

// Compare orders holders, for slices.SortFunc.
func (h Holder) Compare(o Holder) int {
	return cmp.Or(strings.Compare(h.Account, o.Account), strings.Compare(h.Region, o.Region),
		compareIDs(h.ID, o.ID), strings.Compare(h.App, o.App))
}
