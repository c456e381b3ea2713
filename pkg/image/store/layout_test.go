package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/registry"
)

const media = "application/vnd.oci.image.manifest.v1+json"

func openLayout(t *testing.T, dir string, sparse bool) *Layout {
	t.Helper()
	l, err := OpenLayout(dir, registry.New(registry.Config{}), sparse)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newRepository(t *testing.T, path string) *Repository {
	t.Helper()
	server := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repo, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return &Repository{Client: registry.New(registry.Config{}), Name: repo}
}

func descriptor(data string) v1.Descriptor {
	sum := sha256.Sum256([]byte(data))
	return v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}, Size: int64(len(data))}
}

func read(t *testing.T, s Store, d v1.Descriptor) (string, error) {
	t.Helper()
	in, err := s.Open(t.Context(), d)
	if err != nil {
		return "", err
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	return string(data), err
}

// TestStores checks the promises of Store on each that keeps something.
func TestStores(t *testing.T) {
	for what, s := range map[string]Store{
		"layout":        openLayout(t, t.TempDir(), false),
		"sparse layout": openLayout(t, t.TempDir(), true),
		"repository":    newRepository(t, "app"),
	} {
		ctx, d := t.Context(), descriptor("content")
		if found, err := s.Has(ctx, d); found || err != nil {
			t.Errorf("%s: an empty store has the blob: %v %v", what, found, err)
		}
		if raw, err := s.Manifest(ctx, "v1"); raw != nil || err != nil {
			t.Errorf("%s: an empty store has the manifest %s, %v", what, raw, err)
		}
		for range 2 {
			if got, err := Put(ctx, s, []byte("content"), nil); got != d.Digest || err != nil {
				t.Errorf("%s: put %s, %v", what, got, err)
			}
		}
		if found, err := s.Has(ctx, d); !found || err != nil {
			t.Errorf("%s: the blob is not there: %v", what, err)
		}
		if got, err := read(t, s, d); got != "content" || err != nil {
			t.Errorf("%s: the blob is %q, %v", what, got, err)
		}
		for _, raw := range []string{`{"schemaVersion":2,"mediaType":"` + media + `","config":{},"layers":[]}`, `{"schemaVersion":2,"mediaType":"` + media + `","config":{}, "layers":[]}`} {
			if err := s.PutManifest(ctx, "v1", media, []byte(raw)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if got, err := s.Manifest(ctx, "v1"); string(got) != raw || err != nil {
				t.Errorf("%s: the manifest is %s, %v", what, got, err)
			}
		}
		if err := s.PutManifest(ctx, "", media, []byte(`{"schemaVersion":2}`)); err != nil {
			t.Errorf("%s: a manifest without a tag: %v", what, err)
		}
	}
}

func TestDiscard(t *testing.T) {
	var s Discard
	var seen bytes.Buffer
	err := s.Send(t.Context(), func(w io.Writer) (v1.Hash, error) {
		_, err := io.Copy(io.MultiWriter(w, &seen), strings.NewReader("content"))
		return descriptor("content").Digest, err
	})
	if err != nil || seen.String() != "content" {
		t.Errorf("%q, %v", seen.String(), err)
	}
	if _, err := s.Open(t.Context(), descriptor("content")); err == nil {
		t.Error("what was thrown away can be read")
	}
}

func TestLayoutFailedSendLeavesNothing(t *testing.T) {
	l := openLayout(t, t.TempDir(), false)
	broken := errors.New("broken")
	err := l.Send(t.Context(), func(w io.Writer) (v1.Hash, error) {
		_, _ = io.WriteString(w, "half")
		return descriptor("half and more").Digest, broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	if left, _ := os.ReadDir(l.blobs()); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestLayoutSweep checks that opening a layout removes what a killed process left,
// and not what another one is writing.
func TestLayoutSweep(t *testing.T) {
	dir := t.TempDir()
	l := openLayout(t, dir, false)
	dead := filepath.Join(l.blobs(), ".new-1")
	if err := os.WriteFile(dead, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := l.Send(t.Context(), func(w io.Writer) (v1.Hash, error) {
		openLayout(t, dir, false)
		_, err := io.WriteString(w, "content")
		return descriptor("content").Digest, err
	})
	if err != nil {
		t.Errorf("the blob of a living writer was removed: %v", err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the blob of a dead writer is there: %v", err)
	}
}

// TestLayoutDamaged checks that a blob that changed in the folder is an error.
func TestLayoutDamaged(t *testing.T) {
	for _, now := range []string{"contenT", "cont", "content and more", ""} {
		l := openLayout(t, t.TempDir(), false)
		digest, err := Put(t.Context(), l, []byte("content"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.blobPath(digest), []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := read(t, l, descriptor("content")); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q is read as %q, %v", now, got, err)
		}
	}
}

// TestLayoutLostManifest checks that a manifest whose blob is gone is an error, and
// does not wait for itself.
func TestLayoutLostManifest(t *testing.T) {
	l := openLayout(t, t.TempDir(), true)
	raw := []byte(`{"schemaVersion":2}`)
	if err := l.PutManifest(t.Context(), "latest", media, raw); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(l.blobPath(descriptor(string(raw)).Digest)); err != nil {
		t.Fatal(err)
	}
	if raw, err := l.Manifest(t.Context(), "latest"); err == nil || !strings.Contains(err.Error(), "not in the layout") {
		t.Errorf("the manifest is %s, %v", raw, err)
	}
}

func TestLayoutIsOneForOthers(t *testing.T) {
	dir := t.TempDir()
	l := openLayout(t, dir, false)
	if err := l.PutManifest(t.Context(), "latest", media, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	var version struct{ ImageLayoutVersion string }
	raw, err := os.ReadFile(filepath.Join(dir, "oci-layout"))
	if err != nil || json.Unmarshal(raw, &version) != nil || version.ImageLayoutVersion != "1.0.0" {
		t.Errorf("oci-layout is %s, %v", raw, err)
	}
	var index v1.IndexManifest
	raw, err = os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil || json.Unmarshal(raw, &index) != nil || len(index.Manifests) != 1 {
		t.Fatalf("index.json is %s, %v", raw, err)
	}
	if m := index.Manifests[0]; m.Annotations["org.opencontainers.image.ref.name"] != "latest" || m.Size != 2 || string(m.MediaType) != media {
		t.Errorf("the entry is %+v", m)
	}
}

func TestImport(t *testing.T) {
	from := newRepository(t, "base")
	d := descriptor("a layer of a base")
	if _, err := Put(t.Context(), from, []byte("a layer of a base"), nil); err != nil {
		t.Fatal(err)
	}
	whole, sparse := openLayout(t, t.TempDir(), false), openLayout(t, t.TempDir(), true)
	for _, l := range []*Layout{whole, sparse} {
		if err := l.Import(t.Context(), from.Name, d); err != nil {
			t.Fatal(err)
		}
		if got, err := read(t, l, d); got != "a layer of a base" || err != nil {
			t.Errorf("the blob is %q, %v", got, err)
		}
		if found, _ := l.Has(t.Context(), d); found == l.Sparse {
			t.Errorf("the folder of a layout (sparse: %v) has the blob: %v", l.Sparse, found)
		}
	}
	if repo, err := sparse.Origin(d.Digest); err != nil || repo.Name() != from.Name.Name() {
		t.Errorf("the blob is in %s, %v", repo, err)
	}
	other := &Repository{Client: from.Client, Name: from.Name.Registry.Repo("other")}
	if err := errors.Join(other.Import(t.Context(), from.Name, d), from.Import(t.Context(), from.Name, d)); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, other, d); got != "a layer of a base" || err != nil {
		t.Errorf("the blob is %q, %v", got, err)
	}
	sparse.Client = nil
	if _, err := read(t, sparse, d); err == nil {
		t.Error("a blob of elsewhere was read without a client")
	}
}

// TestLayoutSharedByMany opens one folder many times, as several builds of one
// application do: nothing that one of them notes gets lost.
func TestLayoutSharedByMany(t *testing.T) {
	dir := t.TempDir()
	repo, err := name.NewRepository("registry.example.com/base")
	if err != nil {
		t.Fatal(err)
	}
	group, ctx := errgroup.WithContext(context.Background())
	for i := range 8 {
		group.Go(func() error {
			l, err := OpenLayout(dir, nil, true)
			if err != nil {
				return err
			}
			return errors.Join(
				l.Import(ctx, repo, descriptor(fmt.Sprint("layer ", i))),
				l.PutManifest(ctx, fmt.Sprint("tag-", i), media, []byte(fmt.Sprint("manifest ", i))),
			)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	l := openLayout(t, dir, true)
	for i := range 8 {
		if _, err := l.Origin(descriptor(fmt.Sprint("layer ", i)).Digest); err != nil {
			t.Error(err)
		}
		if raw, err := l.Manifest(t.Context(), fmt.Sprint("tag-", i)); string(raw) != fmt.Sprint("manifest ", i) || err != nil {
			t.Errorf("tag-%d is %s, %v", i, raw, err)
		}
	}
}
