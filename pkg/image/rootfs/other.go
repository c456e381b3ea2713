//go:build !linux

package rootfs

import (
	"context"
	"io"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
)

func unsupported() error {
	return diag.Errorf("the files of an image can be unpacked on Linux only").
		WithHint("run the build on Linux, for example in the container image of devs")
}

// Root is a folder with the files of a stage; on Linux only.
type Root struct{}

// Create returns an error.
func Create(string) (*Root, error) { return nil, unsupported() }

// Open returns an error.
func Open(string) (*Root, error) { return nil, unsupported() }

// Dir returns nothing.
func (*Root) Dir() string { return "" }

// ApplyLayer returns an error.
func (*Root) ApplyLayer(context.Context, io.Reader) error { return unsupported() }

// Apply returns an error.
func (*Root) Apply(context.Context, []*layer.Entry) error { return unsupported() }

// Unpack returns an error.
func (*Root) Unpack() (*Unpacker, error) { return nil, unsupported() }

// Clone returns an error.
func (*Root) Clone(context.Context, string) (*Root, error) { return nil, unsupported() }

// Remove does nothing.
func (*Root) Remove() error { return nil }

// Complete returns an error.
func (*Root) Complete() error { return unsupported() }

// Lacks returns nothing.
func (*Root) Lacks() ([]Lack, int) { return nil, 0 }

// Unpacker puts the entries of one layer into a root; on Linux only.
type Unpacker struct{}

// Entry returns an error.
func (*Unpacker) Entry(context.Context, *layer.Entry, io.Reader) error { return unsupported() }

// Close does nothing.
func (*Unpacker) Close() error { return nil }

// Snapshot is what the files of a folder were at one moment; on Linux only.
type Snapshot struct{}

// Take returns an error.
func Take(context.Context, string, func(string) bool) (*Snapshot, error) {
	return nil, unsupported()
}

// Entries returns an error.
func (*Snapshot) Entries() ([]*layer.Entry, error) { return nil, unsupported() }

// Diff returns an error.
func (*Snapshot) Diff(*Snapshot) ([]*layer.Entry, error) { return nil, unsupported() }
