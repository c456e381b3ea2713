package image_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/registry"
)

// The layers of a base are looked at once, however small and many they are: what is
// known of them then is kept.
func TestWarmBuildReadsNoLayerOfItsBase(t *testing.T) {
	base := "FROM scratch\n"
	for i := range 12 {
		base += fmt.Sprintf("COPY file /f%d\n", i)
	}
	w := newWorld(t, "Dockerfile", base, "file", "text")
	w.mustBuild("base")
	w.write("Dockerfile", "ARG HOST\nFROM ${HOST}/base:v1\nCOPY file /app/\n")
	w.mustBuild("app")
	w.mustBuild("app")
	if n := w.count("GET", "/base/blobs/"); n > 1 { // its config
		t.Errorf("%d blobs of the base were read: %v", n, w.requests)
	}
}

// A build of which nothing has changed writes nothing, and asks for little, each once:
// the bases and caches, whether the blobs are there, and what the tag leads to.
func TestWarmBuildWritesNothing(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nCOPY file /f\n", "file", "text")
	w.mustBuild("base")
	w.write("Dockerfile", "ARG HOST\nFROM ${HOST}/base:v1\nCOPY file /app/\n")
	checks := 0
	counted := func(c *image.Config, _ *image.Options) {
		c.Check = func(ctx context.Context) error { checks++; return ctx.Err() }
	}
	w.mustBuild("app", counted)
	w.mustBuild("app", counted)
	if checks != 1 {
		t.Errorf("the right to push was asked for %d times", checks)
	}
	for _, r := range w.requests {
		if method, _, _ := strings.Cut(r, " "); method != "GET" && method != "HEAD" {
			t.Errorf("the warm build writes: %s", r)
		}
	}
	// base: manifest; app: cache; two layers, config, manifest
	if len(w.requests) > 6 {
		t.Errorf("%d requests: %s", len(w.requests), strings.Join(w.requests, "\n"))
	}
	leads := func(tag string, r *image.Result) {
		if d, err := w.client.Resolve(t.Context(), w.repo("app").Tag(tag)); err != nil || d.Digest != r.Digest {
			t.Errorf("the tag %s leads to %s, not to %s: %v", tag, d.Digest, r.Digest, err)
		}
	}
	leads("v2", w.mustBuild("app", counted, func(_ *image.Config, o *image.Options) { o.Tag = "v2" }))
	if checks != 2 {
		t.Errorf("the right to write another tag was asked for %d times", checks-1)
	}
	w.write("file", "other text")
	leads("v1", w.mustBuild("app"))
}

// Nothing is written before it is known that it may be, however long that takes, and
// nothing at all when it may not.
func TestCheckComesBeforeWriting(t *testing.T) {
	w := newWorld(t)
	severalStages(w)
	denied := errors.New("denied")
	if _, err := w.build("none", func(c *image.Config, _ *image.Options) {
		c.Check = func(context.Context) error { return denied }
	}); !errors.Is(err, denied) {
		t.Errorf("the build ends with %v", err)
	}
	for _, e := range w.events {
		if e.Step > 0 {
			t.Errorf("a step began before the right to push was asked for: %+v", e)
		}
	}
	refused := errors.New("you may not push")
	_, err := w.build("app", func(c *image.Config, _ *image.Options) {
		c.Sandbox = func() *sandbox.Sandbox {
			t.Error("a command is run")
			return sandbox.Probe(sandbox.Config{})
		}
		c.Check = func(context.Context) error {
			time.Sleep(100 * time.Millisecond) // for the rest to come as far as it may
			return refused
		}
	})
	if !errors.Is(err, refused) {
		t.Errorf("the build ends with %v", err)
	}
	for _, r := range w.requests {
		if method, _, _ := strings.Cut(r, " "); method != "GET" && method != "HEAD" {
			t.Errorf("something is written: %s", r)
		}
	}
}

// shy denies every question until somebody asked for the right to push, as some registries
// do for a repository that is not there yet.
type shy struct {
	store.Store
	allowed atomic.Bool
}

func (s *shy) Has(ctx context.Context, d v1.Descriptor) (bool, error) {
	if !s.allowed.Load() {
		return false, registry.ErrDenied
	}
	return s.Store.Has(ctx, d)
}

func (s *shy) Manifest(ctx context.Context, tag string) ([]byte, error) {
	if !s.allowed.Load() {
		return nil, registry.ErrDenied
	}
	return s.Store.Manifest(ctx, tag)
}

func TestFirstPushToARepository(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nCOPY file /f\n", "file", "text")
	w.mustBuild("base")
	for _, file := range []string{"COPY file /app/\n", "WORKDIR /work\n", "LABEL a=b\n"} {
		w.write("Dockerfile", "ARG HOST\nFROM ${HOST}/base:v1\n"+file)
		target := &shy{Store: &store.Repository{Client: w.client, Name: w.repo("new")}}
		w.mustBuild("new", func(c *image.Config, _ *image.Options) {
			cache := image.Cache{Store: target, Tag: "devs-cache", Name: "own"}
			c.Store, c.CacheFrom, c.CacheTo = target, []image.Cache{cache}, &cache
			c.Check = func(context.Context) error { target.allowed.Store(true); return nil }
		})
		for _, e := range w.events {
			if e.Status == image.Warning {
				t.Errorf("%s: %s", file, e.Text)
			}
		}
	}
}

// Who may not push, and has nothing to push, is told nothing; a cache elsewhere is
// written, also when another one knew everything.
func TestReadOnlyBuildOfWhatIsThere(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nCOPY file /f\n", "file", "text")
	w.mustBuild("base")
	w.write("Dockerfile", "ARG HOST\nFROM ${HOST}/base:v1\nCOPY file /app/\n")
	both := func(c *image.Config, o *image.Options) {
		o.Platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	}
	for name, change := range map[string]func(*image.Config, *image.Options){"one": func(*image.Config, *image.Options) {}, "two": both} {
		first := w.mustBuild(name, change)
		folder := filepath.Join(t.TempDir(), "cache")
		again := w.mustBuild(name, change, func(c *image.Config, _ *image.Options) {
			layout, err := store.OpenLayout(folder, w.client, true)
			if err != nil {
				t.Fatal(err)
			}
			c.CacheTo = &image.Cache{Store: layout, Tag: "c", Name: "folder"}
			c.Check = func(context.Context) error { return errors.New("you may not push") }
		})
		if again.Digest != first.Digest {
			t.Errorf("%s: %s, then %s", name, first.Digest, again.Digest)
		}
		for _, e := range w.events {
			if e.Status == image.Warning && !strings.Contains(e.Text, "is for linux/") {
				t.Errorf("%s: %s", name, e.Text)
			}
		}
		for _, r := range w.requests {
			if method, _, _ := strings.Cut(r, " "); method != "GET" && method != "HEAD" {
				t.Errorf("%s writes: %s", name, r)
			}
		}
		if _, err := os.Stat(filepath.Join(folder, "index.json")); err != nil {
			t.Errorf("%s: the cache was not written: %v", name, err)
		}
	}
}

// severalStages has a COPY --from of a stage, and one of an image, in a stage that is in
// no image.
func severalStages(w *world) {
	w.t.Helper()
	w.busybox()
	w.write("other/file", "of another image", "Dockerfile", "FROM scratch\nCOPY other /\n")
	w.mustBuild("other")
	w.write("input", "input", "Dockerfile", `ARG HOST
FROM $HOST/base:v1 AS source
RUN mkdir /made && echo made > /made/file
FROM $HOST/base:v1 AS middle
COPY --from=source /made /from-stage
COPY --from=`+w.host+`/other:v1 /file /from-image
WORKDIR /work
COPY input /input
RUN cat /from-stage/file /from-image /input > all
FROM scratch
ARG HOST
COPY --from=middle /work/all /from-stage /
`)
}

// TestWarmBuildOfSeveralStages downloads and unpacks nothing, however the stages hang
// together.
func TestWarmBuildOfSeveralStages(t *testing.T) {
	w := newWorld(t)
	severalStages(w)
	first := w.mustBuild("app")
	work := filepath.Join(t.TempDir(), "none")
	again := w.mustBuild("app", func(c *image.Config, _ *image.Options) {
		c.WorkDir = work
		c.Sandbox = func() *sandbox.Sandbox {
			t.Error("the warm build asks for a sandbox")
			return sandbox.Probe(sandbox.Config{})
		}
	})
	if again.Digest != first.Digest {
		t.Errorf("warm %s, cold %s", again.Digest, first.Digest)
	}
	if _, err := os.Stat(work); !os.IsNotExist(err) {
		t.Errorf("the warm build unpacked something: %v", err)
	}
	layers := map[string]bool{}
	for _, repo := range []string{"base", "other", "app"} {
		img, err := w.client.Image(t.Context(), w.repo(repo).Tag("v1"), image.Native(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range img.Layers {
			layers[l.Descriptor.Digest.String()] = true
		}
	}
	if steps := w.cachedSteps(); steps != 5 {
		t.Errorf("%d steps are cached, want all but WORKDIR and COPY of the context", steps)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.requests {
		for digest := range layers {
			if strings.HasPrefix(r, "GET ") && strings.HasSuffix(r, digest) {
				t.Errorf("the warm build downloads a layer: %s", r)
			}
		}
	}
}

// deaf is a store that takes no layer.
type deaf struct{ store.Store }

func (deaf) Send(context.Context, store.Producer) error { return errors.New("quota used up") }

// TestCacheThatTakesNoLayer checks that a build goes on without a cache that does not
// take the layers of stages that are in no image.
func TestCacheThatTakesNoLayer(t *testing.T) {
	w := newWorld(t)
	severalStages(w)
	want := w.mustBuild("app")
	cache := image.Cache{Store: deaf{&store.Repository{Client: w.client, Name: w.repo("cache")}}, Tag: "t", Name: "elsewhere"}
	got, err := w.build("app2", func(c *image.Config, _ *image.Options) { c.CacheFrom, c.CacheTo = nil, &cache })
	if err != nil || got == nil || len(got.Images) != len(want.Images) {
		t.Fatalf("%v, %v", got, err)
	}
	warned := 0
	for _, e := range w.events {
		if e.Status == image.Warning && strings.Contains(e.Text, "the cache elsewhere gets not all layers: quota used up") {
			warned++
		}
	}
	if warned != 1 {
		t.Errorf("warned %d times: %v", warned, w.events)
	}
}

// watched tells when the manifest of the cache is written.
type watched struct {
	store.Store
	put func()
}

func (w *watched) PutManifest(ctx context.Context, tag, mediaType string, raw []byte) error {
	w.put()
	return w.Store.PutManifest(ctx, tag, mediaType, raw)
}

// A build that is killed when its cache is written has left nothing: the next one may find
// everything in it, and look at no folder.
func TestFolderIsGoneBeforeTheCache(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("Dockerfile", "ARG HOST\nFROM $HOST/base:v1\nRUN touch /x\n")
	puts := 0
	w.mustBuild("app", func(c *image.Config, _ *image.Options) {
		records := *c.CacheTo
		records.Store = &watched{records.Store, func() {
			puts++
			if left, err := filepath.Glob(filepath.Join(w.work, "build-*")); err != nil || len(left) > 0 {
				t.Errorf("%v is there, %v", left, err)
			}
		}}
		c.CacheTo = &records
	})
	if puts != 1 {
		t.Errorf("the cache was written %d times", puts)
	}
}
