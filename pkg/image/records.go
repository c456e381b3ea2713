package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/cache"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/registry"
)

// keyOf makes one key of several texts. Their lengths are part of it, so that no two
// lists of texts give the same one.
func keyOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// places are the stores in which blobs of this build may be: the image's own first,
// then those of the caches.
type places struct {
	target  store.Store
	caches  []Cache
	allowed func() error // see store.Has
}

// all returns the stores, the image's own first.
func (p *places) all() []store.Store {
	list := []store.Store{p.target}
	for _, c := range p.caches {
		list = append(list, c.Store)
	}
	return list
}

// find returns the store that has the blob, nil when none does. A cache that cannot
// be asked has nothing.
func (p *places) find(ctx context.Context, d v1.Descriptor) (store.Store, error) {
	if found, err := store.Has(ctx, p.target, d, p.allowed); err != nil {
		return nil, err
	} else if found {
		return p.target, nil
	}
	for _, c := range p.caches {
		if found, err := c.Store.Has(ctx, d); err == nil && found {
			return c.Store, nil
		}
	}
	return nil, nil
}

// cacheTimeout bounds the reading of caches: a registry that does not answer must not
// hold up a build that does without.
const cacheTimeout = 20 * time.Second

// loadCache reads the records of all caches. A cache that cannot be read is a note:
// the build is slower, not wrong.
func (b *builder) loadCache(ctx context.Context) {
	defer func() {
		b.cold = len(b.cache.Records()) == 0
		close(b.loaded)
	}()
	if b.opts.NoCache {
		return
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	for _, from := range b.CacheFrom {
		raw, err := from.Store.Manifest(ctx, from.Tag)
		if from.Store == b.Store && errors.Is(err, registry.ErrDenied) {
			continue // the first push makes the repository; where it may not, the build says so
		}
		if err != nil { // do not ask it for every blob again
			b.blobs.caches = slices.DeleteFunc(b.blobs.caches, func(c Cache) bool { return c.Store == from.Store })
		}
		if err == nil && raw != nil {
			var old *cache.Cache
			if old, err = cache.Decode(raw); err == nil {
				b.cache.Merge(old)
			}
		}
		if err != nil && outer.Err() == nil {
			b.notef(Warning, diag.Pos{}, "the cache %s cannot be used: %v", from.Name, err)
		}
	}
}

// saveCache writes the records, with the blobs that they need. That it fails is a
// note as well.
func (b *builder) saveCache(ctx context.Context) {
	if b.opts.NoCache || b.CacheTo == nil {
		return
	}
	read := slices.ContainsFunc(b.CacheFrom, func(c Cache) bool { return c.Store == b.CacheTo.Store && c.Tag == b.CacheTo.Tag })
	if !b.cache.Changed() && (read || len(b.cache.Records()) == 0) {
		return
	}
	if err := b.storeCache(ctx); err != nil {
		b.notef(Warning, diag.Pos{}, "the cache %s was not written: %v", b.CacheTo.Name, err)
	}
}

func (b *builder) storeCache(ctx context.Context) error {
	to := b.CacheTo.Store
	if err := b.gather(ctx, to); err != nil {
		return err
	}
	if _, err := store.Put(ctx, to, []byte(cache.EmptyConfig), b.mayWrite(to)); err != nil {
		return err
	}
	raw, err := b.cache.Encode()
	if err != nil {
		return err
	}
	return to.PutManifest(ctx, b.CacheTo.Tag, cache.MediaType, raw)
}

// parallelBlobs is how many blobs are asked for at a time.
const parallelBlobs = 8

// gather brings the blobs of all records to the store of the cache, and forgets the
// records whose blobs are nowhere: a registry takes no manifest that names them.
func (b *builder) gather(ctx context.Context, to store.Store) error {
	if to == b.blobs.target && len(b.blobs.caches) == 0 {
		return nil // all of them came from there, or went there
	}
	var mu sync.Mutex
	lost := map[v1.Hash]bool{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelBlobs)
	for _, d := range b.cache.Blobs() {
		group.Go(func() error {
			if found, err := to.Has(ctx, d); err != nil || found {
				return err
			}
			from, err := b.blobs.find(ctx, d)
			if err != nil {
				return err
			}
			if from == nil {
				mu.Lock()
				defer mu.Unlock()
				lost[d.Digest] = true
				return nil
			}
			return store.Transfer(ctx, from, to, d)
		})
	}
	err := group.Wait()
	b.cache.DropLost(lost)
	return err
}

// lookup finds a record whose blobs are all there still. keep says that the layers
// become part of the image.
func (b *builder) lookup(ctx context.Context, key string, keep bool) (cache.Record, bool) {
	r, ok := b.cache.Get(key)
	if !ok {
		return r, false
	}
	for _, l := range r.Layers {
		from, err := b.blobs.find(ctx, l.Descriptor())
		if err == nil && from != nil && from != b.blobs.target && keep {
			if err = b.permitted(); err == nil {
				err = store.Transfer(ctx, from, b.blobs.target, l.Descriptor())
			}
		}
		if err != nil || from == nil {
			b.cache.Drop(key)
			return r, false
		}
	}
	return r, true
}

// mayWrite returns what is asked before the cache is written: that it may not be is no
// error of the build.
func (b *builder) mayWrite(to store.Store) func() error {
	if to == b.Store {
		return b.mayPush
	}
	return nil
}

// scratchStore is where layers of stages that are in no image go, so that the cache
// can have them; nil when nobody would use them.
func (b *builder) scratchStore() store.Store {
	if b.opts.NoCache || b.CacheTo == nil {
		return nil
	}
	return b.CacheTo.Store
}
