package tree

import (
	"bytes"
	"context"
	"io"

	"github.com/devs/deploy/pkg/image/layer"
)

// Index is what is known of one layer without its files: the entries, and the
// contents of etc/passwd and etc/group, which tell who its users are.
type Index struct {
	entries []*layer.Entry
	kept    map[string][]byte // by path
}

// ReadIndex makes the index of a compressed layer from its stream, which it reads to
// the end.
func ReadIndex(ctx context.Context, stream io.Reader) (*Index, error) {
	x := &Index{}
	err := layer.Read(ctx, stream, layer.Limits{}, func(e *layer.Entry, content io.Reader) error {
		x.entries = append(x.entries, e)
		if !isUserFile(e) {
			return nil
		}
		data, err := io.ReadAll(content)
		x.keep(e, data)
		return err
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}

// NewIndex makes the index of a layer from the entries that it is written from.
func NewIndex(entries []*layer.Entry) (*Index, error) {
	x := &Index{entries: make([]*layer.Entry, 0, len(entries))}
	for _, e := range entries {
		c := *e
		c.Open = nil
		x.entries = append(x.entries, &c)
		if !isUserFile(e) {
			continue
		}
		var data []byte
		if e.Open != nil {
			var err error
			if data, err = readAll(e.Open, e.Size); err != nil {
				return nil, err
			}
		}
		x.keep(&c, data)
	}
	return x, nil
}

// Entries returns the entries of the layer in its order. Only etc/passwd and
// etc/group have an Open, unless they are larger than a megabyte.
func (x *Index) Entries() []*layer.Entry { return x.entries }

func isUserFile(e *layer.Entry) bool {
	return e.Type == layer.File && e.Size <= maxUserFile && (e.Path == passwdPath || e.Path == groupPath)
}

func (x *Index) keep(e *layer.Entry, data []byte) {
	if x.kept == nil {
		x.kept = map[string][]byte{}
	}
	x.kept[e.Path] = data
	e.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}
