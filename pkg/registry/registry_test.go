package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/registry"
)

// both runs a test against Debian's registry and go-containerregistry's.
func both(t *testing.T, run func(t *testing.T, host string)) {
	t.Helper()
	t.Run("docker-registry", func(t *testing.T) { run(t, dockerRegistry(t)) })
	t.Run("in memory", func(t *testing.T) { run(t, serve(t, memoryRegistry())) })
}

func TestBlobs(t *testing.T) {
	both(t, func(t *testing.T, host string) {
		ctx := context.Background()
		c := registry.New(fast())
		repo := repository(t, host, "team/app")
		if err := c.CheckPush(ctx, repo); err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{0, 1, 1000, 1 << 20, 4<<20 - 1, 4 << 20, 4<<20 + 1, 5 << 20, 6<<20 + 3, 17<<20 + 5} {
			data := noise(uint64(size), size)
			if there, err := c.Has(ctx, repo, digestOf(data)); err != nil || there {
				t.Fatalf("%d bytes: there before: %v, %v", size, there, err)
			}
			if err := push(c, repo, data); err != nil {
				t.Fatalf("pushing %d bytes: %v", size, err)
			}
			if there, err := c.Has(ctx, repo, digestOf(data)); err != nil || !there {
				t.Fatalf("%d bytes: there: %v, %v", size, there, err)
			}
			got, err := pull(c, repo, data)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("pulling %d bytes: %d bytes, %v", size, len(got), err)
			}
		}
	})
}

func TestCopyAndMount(t *testing.T) {
	both(t, func(t *testing.T, host string) {
		ctx := context.Background()
		c := registry.New(fast())
		from, to := repository(t, host, "base/os"), repository(t, host, "team/app")
		data := noise(1, 6<<20)
		if err := push(c, from, data); err != nil {
			t.Fatal(err)
		}
		d := v1.Descriptor{Digest: digestOf(data), Size: int64(len(data))}
		mounts := t.Name() == "TestCopyAndMount/docker-registry" // the other one does not
		if ok, err := c.Mount(ctx, to, d.Digest, from); err != nil || ok != mounts {
			t.Errorf("mounting: %v, %v", ok, err)
		}
		other := repository(t, serve(t, memoryRegistry()), "copy/of")
		if ok, err := c.Mount(ctx, other, d.Digest, from); err != nil || ok {
			t.Errorf("mounting from another registry: %v, %v", ok, err)
		}
		for _, target := range []name.Repository{repository(t, host, "third/app"), other} {
			if err := c.Copy(ctx, from, target, d); err != nil {
				t.Fatal(err)
			}
			if got, err := pull(c, target, data); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes, %v", target, len(got), err)
			}
		}
	})
}

// putImage puts an image of one layer and returns its manifest.
func putImage(t testing.TB, c *registry.Client, repo name.Repository, tag string, p v1.Platform) v1.Descriptor {
	t.Helper()
	layer := noise(7, 5000)
	config, _ := json.Marshal(v1.ConfigFile{
		OS: p.OS, Architecture: p.Architecture, Variant: p.Variant,
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{digestOf([]byte("uncompressed"))}},
	})
	for _, blob := range [][]byte{layer, config} {
		if err := push(c, repo, blob); err != nil {
			t.Fatal(err)
		}
	}
	manifest, _ := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.DockerManifestSchema2,
		Config: v1.Descriptor{MediaType: types.DockerConfigJSON, Size: int64(len(config)), Digest: digestOf(config)},
		Layers: []v1.Descriptor{{MediaType: types.DockerLayer, Size: int64(len(layer)), Digest: digestOf(layer)}},
	})
	d, err := c.PutManifest(context.Background(), repo.Tag(tag), types.DockerManifestSchema2, manifest)
	if err != nil {
		t.Fatal(err)
	}
	d.Platform = &p
	return d
}

// What is known by its digest is not read again; what only claims to be it is.
func TestImageThatIsKnown(t *testing.T) {
	f := newFake()
	repo := repository(t, serve(t, f), "base/os")
	c := registry.New(fast())
	platform := v1.Platform{OS: "linux", Architecture: "amd64"}
	putImage(t, c, repo, "1", platform)
	img, err := c.Image(context.Background(), repo.Tag("1"), platform, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		data  []byte
		reads int
	}{"the config": {img.RawConfig, 0}, "something else": {[]byte(`{"os":"linux"}`), 1}, "nothing": {nil, 1}} {
		f.requests()
		got, err := c.Image(context.Background(), repo.Tag("1"), platform, func(v1.Hash) []byte { return tt.data })
		if err != nil || !bytes.Equal(got.RawConfig, img.RawConfig) {
			t.Errorf("%s: %v", what, err)
		}
		if n := f.count("GET /v2/base/os/blobs/"); n != tt.reads {
			t.Errorf("%s: %d reads", what, n)
		}
	}
}

// Of an index that is known, only the index itself is read. Manifests need not tell their
// media type (OCI image-spec, manifest.md).
func TestImageOfAnIndexThatIsKnown(t *testing.T) {
	f := newFake()
	repo := repository(t, serve(t, f), "base/os")
	c := registry.New(fast())
	platform := v1.Platform{OS: "linux", Architecture: "amd64"}
	config := []byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}`)
	child := fmt.Appendf(nil, `{"schemaVersion":2,"config":{"mediaType":%q,"size":%d,"digest":%q},"layers":[]}`, types.OCIConfigJSON, len(config), digestOf(config))
	index := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"size":%d,"digest":%q,"platform":{"os":"linux","architecture":"amd64"}}]}`,
		types.OCIImageIndex, types.OCIManifestSchema1, len(child), digestOf(child))
	if _, err := c.PutManifest(context.Background(), repo.Tag("1"), types.OCIImageIndex, index); err != nil {
		t.Fatal(err)
	}
	f.requests()
	img, err := c.Image(context.Background(), repo.Tag("1"), platform, func(h v1.Hash) []byte {
		return map[v1.Hash][]byte{digestOf(config): config, digestOf(child): child}[h]
	})
	if err != nil || img.Digest != digestOf(child) || img.Config.Architecture != "amd64" {
		t.Errorf("%+v, %v", img, err)
	}
	if got := f.requests(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestImage(t *testing.T) {
	both(t, func(t *testing.T, host string) {
		ctx := context.Background()
		c := registry.New(fast())
		repo := repository(t, host, "base/os")
		index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.DockerManifestList}
		for _, p := range []v1.Platform{
			{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64", Variant: "v8"},
			{OS: "linux", Architecture: "arm", Variant: "v5"}, {OS: "linux", Architecture: "arm", Variant: "v6"},
		} {
			index.Manifests = append(index.Manifests, putImage(t, c, repo, p.Architecture+p.Variant, p))
		}
		raw, _ := json.Marshal(index)
		list, err := c.PutManifest(ctx, repo.Tag("latest"), types.DockerManifestList, raw)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := c.Resolve(ctx, repo.Tag("latest")); err != nil || d.Digest != list.Digest || d.Size != list.Size || d.MediaType != types.DockerManifestList {
			t.Errorf("resolving: %+v, %v", d, err)
		}
		for want, got := range map[string]string{"linux/amd64": "amd64", "linux/arm64": "arm64", "linux/arm": "arm", "linux/arm/v7": "arm"} {
			p, _ := v1.ParsePlatform(want)
			img, err := c.Image(ctx, repo.Tag("latest"), *p, nil)
			if err != nil || img.Config.Architecture != got || len(img.Layers) != 1 {
				t.Fatalf("%s: %+v, %v", want, img, err)
			}
			if got == "arm" && img.Config.Variant != "v6" {
				t.Errorf("%s: got variant %s", want, img.Config.Variant)
			}
			if _, err := c.Image(ctx, repo.Digest(img.Digest.String()), *p, nil); err != nil {
				t.Errorf("by digest: %v", err)
			}
		}
		_, err = c.Image(ctx, repo.Tag("latest"), v1.Platform{OS: "linux", Architecture: "s390x"}, nil)
		if err == nil || err.Error() != repo.Name()+":latest has no image for linux/s390x" {
			t.Errorf("platform that is not there: %v", err)
		}
		for _, missing := range []name.Reference{repo.Tag("none"), repository(t, host, "no/such").Tag("none")} {
			if _, _, err = c.GetRaw(ctx, missing); !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("%s: %v", missing, err)
			}
			if _, err = c.Resolve(ctx, missing); !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("resolving %s: %v", missing, err)
			}
		}
	})
}

func BenchmarkUpload(b *testing.B) {
	host := dockerRegistry(b)
	for _, mb := range []int{1, 4, 8, 64} {
		b.Run(fmt.Sprintf("%dMiB", mb), func(b *testing.B) {
			c := registry.New(registry.Config{})
			repo := repository(b, host, "bench/app")
			data := noise(uint64(mb), mb<<20)
			b.SetBytes(int64(len(data)))
			i := 0
			for b.Loop() {
				data[0], data[1], data[2], i = byte(i), byte(i>>8), byte(b.N), i+1
				digest := digestOf(data)
				u, _ := c.Upload(context.Background(), repo)
				if _, err := io.Copy(struct{ io.Writer }{u}, bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
				if err := u.Commit(context.Background(), digest); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParallelUpload pushes 32 layers of 5 MiB, four at a time.
func BenchmarkParallelUpload(b *testing.B) {
	host := dockerRegistry(b)
	c := registry.New(registry.Config{})
	repo := repository(b, host, "bench/app")
	b.SetBytes(32 * 5 << 20)
	i := 0
	for b.Loop() {
		i++
		var g errgroup.Group
		g.SetLimit(4)
		for layer := range 32 {
			g.Go(func() error {
				data := noise(uint64(layer), 5<<20)
				data[0], data[1], data[2] = byte(i), byte(i>>8), byte(b.N)
				return push(c, repo, data)
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
	}
}
