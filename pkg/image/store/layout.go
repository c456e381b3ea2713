package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/renameio/v2"

	"github.com/devs/deploy/pkg/registry"
)

// The files of an OCI image layout (image-spec, image-layout.md) and of ours beside
// them.
const (
	layoutFile  = "oci-layout"
	indexFile   = "index.json"
	originsFile = "origins.json" // of a sparse layout: digest to repository
	refName     = "org.opencontainers.image.ref.name"
)

// maxManifest bounds a manifest in memory; registries take no more than 4 MiB.
const maxManifest = 8 << 20

// Layout stores in a folder, as an OCI image layout. Several builds and processes may
// use one folder at once: blobs are named when they are whole, and index.json and
// origins.json change under a lock of the folder and by a rename.
type Layout struct {
	Dir    string
	Client *registry.Client // for Import, and for Open of what a sparse layout left elsewhere
	// Sparse leaves imported blobs where they are and only notes their repository.
	Sparse bool
}

// OpenLayout makes the folder, or uses it when it is a layout already. What killed
// processes left in it is removed.
func OpenLayout(dir string, client *registry.Client, sparse bool) (*Layout, error) {
	l := &Layout{Dir: dir, Client: client, Sparse: sparse}
	if err := os.MkdirAll(l.blobs(), 0o755); err != nil {
		return nil, err
	}
	return l, l.locked(func() error {
		l.sweep()
		if info, err := os.Stat(filepath.Join(dir, layoutFile)); err != nil || info.Size() == 0 {
			// In place: the file is the lock as well.
			if err := os.WriteFile(filepath.Join(dir, layoutFile), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
				return err
			}
		}
		if _, err := os.Stat(filepath.Join(dir, indexFile)); errors.Is(err, fs.ErrNotExist) {
			return l.writeIndex([]v1.Descriptor{})
		}
		return nil
	})
}

// locked does something while nobody else, of this process or another, changes the
// folder.
func (l *Layout) locked(do func() error) error {
	lock := flock.New(filepath.Join(l.Dir, layoutFile), flock.SetPermissions(0o644))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("locking %s: %w", layoutFile, err)
	}
	defer lock.Close()
	return do()
}

// sweep removes the blobs that were not whole when their process was killed: those
// that nobody holds locked.
func (l *Layout) sweep() {
	left, _ := filepath.Glob(filepath.Join(l.blobs(), newBlob))
	for _, path := range left {
		lock := flock.New(path)
		if ok, err := lock.TryLock(); ok && err == nil {
			_ = os.Remove(path)
		}
		_ = lock.Close()
	}
}

func (l *Layout) blobs() string { return filepath.Join(l.Dir, "blobs", "sha256") }

// newBlob is the pattern of blobs that are being written.
const newBlob = ".new-*"

func (l *Layout) blobPath(digest v1.Hash) string {
	return filepath.Join(l.Dir, "blobs", digest.Algorithm, digest.Hex)
}

// Has looks for the file of the blob. One that is not whole is not there.
func (l *Layout) Has(_ context.Context, d v1.Descriptor) (bool, error) {
	info, err := os.Stat(l.blobPath(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size() == d.Size, err
}

// Open reads the file of the blob, or the blob from where a sparse layout left it.
func (l *Layout) Open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	f, err := os.Open(l.blobPath(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		from, err := l.Origin(d.Digest)
		if err != nil {
			return nil, err
		}
		if l.Client == nil {
			return nil, fmt.Errorf("the blob %s is not in the layout, but in %s", d.Digest, from)
		}
		return l.Client.Blob(ctx, from, d)
	}
	if err != nil {
		return nil, err
	}
	return &checked{f: f, want: d, sum: sha256.New()}, nil
}

// checked reads a file and compares it with its descriptor at its end.
type checked struct {
	f    *os.File
	want v1.Descriptor
	sum  hash.Hash
	n    int64
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.f.Read(p)
	c.sum.Write(p[:n])
	c.n += int64(n)
	if c.n > c.want.Size || err == io.EOF && (c.n != c.want.Size || hex.EncodeToString(c.sum.Sum(nil)) != c.want.Digest.Hex) {
		return n, fmt.Errorf("the blob %s is damaged in its folder", c.want.Digest)
	}
	return n, err
}

func (c *checked) Close() error { return c.f.Close() }

// Send writes the blob to a file beside the blobs, and names it when it is whole.
func (l *Layout) Send(_ context.Context, produce Producer) (err error) {
	f, release, err := l.begin()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	digest, err := produce(f)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), l.blobPath(digest))
}

// begin makes the file of a new blob, locked as long as somebody writes it.
func (l *Layout) begin() (f *os.File, release func() error, err error) {
	err = l.locked(func() error {
		if f, err = os.CreateTemp(l.blobs(), newBlob); err != nil {
			return err
		}
		lock := flock.New(f.Name())
		release = lock.Close
		return lock.Lock()
	})
	return f, release, err
}

// Import notes where the blob is, or copies it.
func (l *Layout) Import(ctx context.Context, from name.Repository, d v1.Descriptor) error {
	if found, err := l.Has(ctx, d); err != nil || found {
		return err
	}
	if l.Sparse {
		return l.setOrigin(d.Digest, from)
	}
	in, err := l.Client.Blob(ctx, from, d)
	if err != nil {
		return err
	}
	defer in.Close()
	return l.Send(ctx, func(w io.Writer) (v1.Hash, error) {
		_, err := io.Copy(w, in)
		return d.Digest, err
	})
}

// Origin tells the repository of a blob that a sparse layout left there.
func (l *Layout) Origin(digest v1.Hash) (name.Repository, error) {
	origins, err := l.origins()
	if err != nil {
		return name.Repository{}, err
	}
	repo, ok := origins[digest.String()]
	if !ok {
		return name.Repository{}, fmt.Errorf("the blob %s is not in the layout", digest)
	}
	return name.NewRepository(repo)
}

func (l *Layout) origins() (map[string]string, error) {
	origins := map[string]string{}
	raw, err := os.ReadFile(filepath.Join(l.Dir, originsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return origins, nil
	}
	if err != nil {
		return nil, err
	}
	return origins, json.Unmarshal(raw, &origins)
}

func (l *Layout) setOrigin(digest v1.Hash, from name.Repository) error {
	return l.locked(func() error {
		origins, err := l.origins()
		if err != nil {
			return err
		}
		origins[digest.String()] = from.Name()
		raw, err := json.Marshal(origins)
		if err != nil {
			return err
		}
		return renameio.WriteFile(filepath.Join(l.Dir, originsFile), raw, 0o644)
	})
}

// Manifest reads the manifest that index.json names.
func (l *Layout) Manifest(ctx context.Context, tag string) ([]byte, error) {
	index, err := l.readIndex()
	if err != nil {
		return nil, err
	}
	at := named(index, tag)
	if at < 0 {
		return nil, nil
	}
	if index[at].Size > maxManifest {
		return nil, fmt.Errorf("the manifest %s has %d bytes", tag, index[at].Size)
	}
	in, err := l.Open(ctx, index[at])
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(in)
}

// PutManifest stores the manifest as a blob, and names it in index.json; an image of
// several platforms is named once, by its tag.
func (l *Layout) PutManifest(ctx context.Context, tag, mediaType string, raw []byte) error {
	digest, err := Put(ctx, l, raw, nil)
	if err != nil || tag == "" {
		return err
	}
	entry := v1.Descriptor{
		MediaType: types.MediaType(mediaType), Digest: digest, Size: int64(len(raw)),
		Annotations: map[string]string{refName: tag},
	}
	return l.locked(func() error {
		index, err := l.readIndex()
		if err != nil {
			return err
		}
		if at := named(index, tag); at >= 0 {
			index[at] = entry
			return l.writeIndex(index)
		}
		return l.writeIndex(append(index, entry))
	})
}

func named(index []v1.Descriptor, tag string) int {
	return slices.IndexFunc(index, func(d v1.Descriptor) bool { return d.Annotations[refName] == tag })
}

func (l *Layout) readIndex() ([]v1.Descriptor, error) {
	raw, err := os.ReadFile(filepath.Join(l.Dir, indexFile))
	if err != nil {
		return nil, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("reading %s: %w", indexFile, err)
	}
	return index.Manifests, nil
}

func (l *Layout) writeIndex(manifests []v1.Descriptor) error {
	raw, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: manifests})
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(l.Dir, indexFile), raw, 0o644)
}
