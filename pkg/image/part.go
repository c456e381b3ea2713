package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/image/cache"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/rootfs"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/image/tree"
)

// part is one layer of a stage. It is known by its entries, when this build made it,
// or by its blob, or by both.
type part struct {
	entries []*layer.Entry // with content; nil when only the blob is known
	open    func(context.Context) (io.ReadCloser, error)
	reused  bool // the cache or the base gave it
	kept    bool // it is in a store

	ready chan struct{} // closed when layer or err is set
	layer cache.Layer
	err   error

	mu    sync.Mutex
	index *tree.Index // of a blob, or of what a RUN made
}

// blobPart is a part that lies in a store or in a repository.
func blobPart(l cache.Layer, open func(context.Context) (io.ReadCloser, error)) *part {
	p := &part{layer: l, open: open, reused: true, ready: make(chan struct{})}
	close(p.ready)
	return p
}

// wait returns the layer when it is in the store.
func (p *part) wait(ctx context.Context) (cache.Layer, error) {
	select {
	case <-p.ready:
		return p.layer, p.err
	case <-ctx.Done():
		return cache.Layer{}, context.Cause(ctx)
	}
}

// list returns the entries of the part, those of a blob without their content.
func (p *part) list(ctx context.Context, b *builder) ([]*layer.Entry, error) {
	if p.entries != nil {
		return p.entries, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.index == nil {
		p.index = b.knownIndex(ctx, p.layer)
	}
	if p.index == nil {
		in, err := p.open(ctx)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		index, err := tree.ReadIndex(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("reading the layer %s: %w", p.layer.Digest, err)
		}
		p.index = index
		b.saveIndex(ctx, p.layer, index)
	}
	return p.index.Entries(), nil
}

// apply unpacks the part over what is in the root. A blob that is read for it yields
// its index too.
func (p *part) apply(ctx context.Context, b *builder, root *rootfs.Root) error {
	if p.entries != nil {
		return root.Apply(ctx, p.entries)
	}
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.index == nil {
		p.index = b.knownIndex(ctx, p.layer)
	}
	if p.index != nil {
		return root.ApplyLayer(ctx, in)
	}
	index, err := unpack(ctx, in, root)
	if err != nil {
		return fmt.Errorf("unpacking the layer %s: %w", p.layer.Digest, err)
	}
	p.index = index
	b.saveIndex(ctx, p.layer, index)
	return nil
}

// unpack unpacks a layer and makes its index from the same reading.
func unpack(ctx context.Context, in io.Reader, root *rootfs.Root) (_ *tree.Index, err error) {
	u, err := root.Unpack()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, u.Close()) }()
	var entries []*layer.Entry
	err = layer.Read(ctx, in, layer.Limits{}, func(e *layer.Entry, content io.Reader) error {
		entries = append(entries, e)
		if tellsUsers(e) {
			data, err := io.ReadAll(content)
			if err != nil {
				return err
			}
			e.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
			content = bytes.NewReader(data)
		}
		return u.Entry(ctx, e, content)
	})
	if err != nil {
		return nil, err
	}
	return tree.NewIndex(entries)
}

// tellsUsers reports whether an index keeps the content of the file.
func tellsUsers(e *layer.Entry) bool {
	return e.Type == layer.File && e.Size <= 1<<20 && (e.Path == "etc/passwd" || e.Path == "etc/group")
}

func indexKey(l cache.Layer) string { return "index/" + l.Digest.String() }

// knownIndex is the index of a layer as an earlier build left it, nil when it did not.
func (b *builder) knownIndex(ctx context.Context, l cache.Layer) *tree.Index {
	r, ok := b.cache.Get(indexKey(l))
	if !ok {
		return nil
	}
	index := &tree.Index{}
	if index.UnmarshalBinary(r.Data) == nil {
		return index
	}
	for _, d := range r.Index {
		for _, from := range b.blobs.all() {
			data, err := readBlob(ctx, from, d)
			if err == nil && index.UnmarshalBinary(data) == nil {
				return index
			}
		}
	}
	b.cache.Drop(r.Key)
	return nil
}

// maxIndex bounds an index in memory: about two million files.
const maxIndex = 64 << 20

func readBlob(ctx context.Context, from store.Store, d v1.Descriptor) ([]byte, error) {
	if d.Size > maxIndex {
		return nil, fmt.Errorf("the index of a layer has %d bytes", d.Size)
	}
	in, err := from.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(in)
}

// saveIndex keeps an index for later builds. That it fails only costs them time.
func (b *builder) saveIndex(ctx context.Context, l cache.Layer, index *tree.Index) {
	if b.scratchStore() != nil {
		b.background(func() error { b.storeIndex(ctx, l, index); return nil })
	}
}

func (b *builder) storeIndex(ctx context.Context, l cache.Layer, index *tree.Index) {
	data, err := index.MarshalBinary()
	if err != nil {
		return
	}
	if len(data) <= maxData {
		b.cache.Put(cache.Record{Key: indexKey(l), Data: data})
		return
	}
	if digest, err := store.Put(ctx, b.scratchStore(), data, b.mayWrite(b.scratchStore())); err == nil {
		b.cache.Put(cache.Record{Key: indexKey(l), Index: []v1.Descriptor{{MediaType: indexMedia, Digest: digest, Size: int64(len(data))}}})
	}
}

const indexMedia = "application/vnd.devs.index.v1+zstd"

// stream writes entries into a store as one layer.
func (b *builder) stream(ctx context.Context, to store.Store, entries []*layer.Entry) (l cache.Layer, err error) {
	if err := b.permitted(); err != nil {
		return l, err
	}
	writer, release, err := b.writer(ctx)
	if err != nil {
		return l, err
	}
	defer release()
	err = to.Send(ctx, func(w io.Writer) (v1.Hash, error) {
		written, err := writer.Write(ctx, w, entries)
		l = b.layerOf(written)
		return written.Digest, err
	})
	return l, err
}
