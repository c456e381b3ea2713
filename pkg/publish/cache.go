package publish

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/image/cache"
	"github.com/devs/deploy/pkg/image/store"
)

// pushCache adds what the folder of an image knows of its steps to the cache beside the
// image, with the blobs that this needs, so that a build elsewhere begins with it.
func pushCache(ctx context.Context, from *store.Layout, to *store.Repository) error {
	raw, err := from.Manifest(ctx, records)
	if err != nil || raw == nil {
		return err
	}
	own, err := cache.Decode(raw)
	if err != nil {
		return err
	}
	shared := &cache.Cache{}
	if raw, err = to.Manifest(ctx, records); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	if raw != nil {
		if shared, err = cache.Decode(raw); err != nil {
			return err
		}
	}
	there := map[v1.Hash]bool{} // the registry keeps what a manifest names
	for _, d := range shared.Blobs() {
		there[d.Digest] = true
	}
	added := false
	for _, r := range own.Records() {
		if old, ok := shared.Get(r.Key); !ok || !reflect.DeepEqual(old, r) {
			shared.Put(r)
			added = true
		}
	}
	if !added {
		return nil
	}
	if err := moveAll(ctx, from, to, shared, there); err != nil {
		return err
	}
	if _, err := store.Put(ctx, to, []byte(cache.EmptyConfig), nil); err != nil {
		return err
	}
	if raw, err = shared.Encode(); err != nil {
		return err
	}
	return to.PutManifest(ctx, records, cache.MediaType, raw)
}

// moveAll brings the blobs of records, and forgets the records whose blobs are nowhere.
func moveAll(ctx context.Context, from *store.Layout, to *store.Repository, all *cache.Cache, there map[v1.Hash]bool) error {
	var mu sync.Mutex
	lost := map[v1.Hash]bool{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, d := range all.Blobs() {
		if there[d.Digest] {
			continue
		}
		group.Go(func() error {
			here, err := from.Has(ctx, d)
			if err != nil {
				return err
			}
			if _, err := from.Origin(d.Digest); !here && err != nil {
				mu.Lock()
				defer mu.Unlock()
				lost[d.Digest] = true
				return nil
			}
			return move(ctx, from, to, d)
		})
	}
	err := group.Wait()
	all.DropLost(lost)
	return err
}
