package image_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/image/store"
)

func noCache(_ *image.Config, o *image.Options) { o.NoCache = true }

// fitting checks that the history of an image has an entry for each layer.
func (w *world) fitting(repo string) {
	w.t.Helper()
	img, err := w.client.Image(w.t.Context(), w.repo(repo).Tag("v1"), image.Native(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, h := range img.Config.History {
		if !h.EmptyLayer {
			n++
		}
	}
	if n != len(img.Layers) {
		w.t.Errorf("the history has %d layers, the image %d", n, len(img.Layers))
	}
}

// TestStageOnStageOnRun has a RUN in a stage whose nearest stage with a root is not the
// one that it is based on, and files that one RUN made and the next one changed.
func TestStageOnStageOnRun(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("input", "input", "Dockerfile", `ARG HOST
FROM $HOST/base:v1 AS one
RUN echo first > /f && echo gone > /g && ln /f /linked
RUN echo the second > /f && rm /g
FROM one AS two
COPY input /input
FROM two
RUN test "$(cat /f)" = "the second" && test "$(cat /input)" = input && test ! -e /g
COPY --from=one /f /copied
`)
	w.mustBuild("app", noCache)
	files := w.files("app", "v1")
	if got := files["copied"]; !strings.HasSuffix(got, "the second\n") {
		t.Errorf("/copied is %q", got)
	}
	w.fitting("app")
}

func TestCopyOfNothing(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nCOPY file /\nCOPY empty/ /\n", "file", "text")
	if err := os.Mkdir(filepath.Join(w.dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if r := w.mustBuild("app"); r.Images[0].Layers != 1 {
		t.Errorf("the image has %d layers", r.Images[0].Layers)
	}
	w.fitting("app")
}

// TestFromFolder builds on a folder, also on one without files.
func TestFromFolder(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM files\nCOPY file /file\n", "file", "text")
	folder := t.TempDir()
	use := func(_ *image.Config, o *image.Options) { o.Contexts = map[string]string{"files": folder} }
	if r := w.mustBuild("app", use); r.Images[0].Layers != 1 {
		t.Errorf("the image has %d layers", r.Images[0].Layers)
	}
	if err := os.WriteFile(filepath.Join(folder, "there"), []byte("yes"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.mustBuild("app", use)
	if got := w.files("app", "v1")["there"]; got != "644 0:0 yes" {
		t.Errorf("/there is %q", got)
	}
	w.fitting("app")
}

// TestCacheMounts has two stages that use two caches in another order, and a command
// that has one cache in two places: nobody waits for ever.
func TestCacheMounts(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("Dockerfile", `ARG HOST
FROM $HOST/base:v1 AS one
RUN --mount=type=cache,id=a,target=/a --mount=type=cache,id=b,target=/b,mode=1777 sleep 0.2; touch /a/one /b/one && stat -c %a /b | grep 1777 && touch /done
FROM $HOST/base:v1 AS two
RUN --mount=type=cache,id=b,target=/b,mode=1777 --mount=type=cache,id=a,target=/a sleep 0.2; touch /a/two /b/two && touch /done
FROM $HOST/base:v1
COPY --from=one /done /one
COPY --from=two /done /two
RUN --mount=type=cache,id=a,target=/a ls /a/one /a/two
`)
	w.mustBuild("app", noCache)
	for path := range w.files("app", "v1") {
		if strings.HasPrefix(path, "a/") || strings.HasPrefix(path, "b/") {
			t.Errorf("%s of a cache is in the image", path)
		}
	}
}

// TestOneErrorOfManyStages has stages that fail together, each with its own place.
func TestOneErrorOfManyStages(t *testing.T) {
	w := newWorld(t, "Dockerfile", "ARG HOST\nFROM $HOST/none:v1 AS one\nFROM $HOST/none:v1 AS two\nFROM scratch\nCOPY --from=one /a /\nCOPY --from=two /a /\n")
	for range 5 {
		_, err := w.build("app")
		if err == nil || !strings.Contains(err.Error(), "Dockerfile:") || strings.Contains(err.Error(), "canceled") {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestContextThatIsNone(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nCOPY file /\n", "file", "")
	_, err := w.build("app", func(_ *image.Config, o *image.Options) {
		o.Dockerfile, o.Context = filepath.Join(w.dir, "Dockerfile"), filepath.Join(w.dir, "none")
	})
	if err == nil || !strings.Contains(err.Error(), "Dockerfile:2:1") {
		t.Errorf("the error is %v", err)
	}
}

// failing is a store whose disk is full.
type failing struct{ store.Discard }

var errFull = errors.New("no space left on device")

func (failing) Send(context.Context, store.Producer) error { return errFull }

// TestFirstCause checks that a build which a failing store ends says so, and not that
// the command which ran meanwhile was killed.
func TestFirstCause(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("file", "text", "Dockerfile", "ARG HOST\nFROM $HOST/base:v1\nCOPY file /\nRUN sleep 60\n")
	_, err := w.build("app", func(c *image.Config, o *image.Options) {
		c.Store, c.CacheFrom, c.CacheTo, o.NoCache = failing{}, nil, nil, true
	})
	if !errors.Is(err, errFull) {
		t.Errorf("the error is %v", err)
	}
}

// TestBaseOfAnotherPlatform checks that it is said when a base fits the image badly.
func TestBaseOfAnotherPlatform(t *testing.T) {
	foreign := "arm64"
	if image.Native().Architecture == foreign {
		foreign = "amd64"
	}
	on := func(arch string) func(*image.Config, *image.Options) {
		return func(_ *image.Config, o *image.Options) {
			o.Platforms = []v1.Platform{{OS: "linux", Architecture: arch}}
		}
	}
	w := newWorld(t, "file", "", "Dockerfile", "FROM scratch\nCOPY file /\n")
	w.mustBuild("base", on(foreign))
	w.write("Dockerfile", "ARG HOST\nFROM $HOST/base:v1\nCOPY file /other\n")
	w.mustBuild("app", on(image.Native().Architecture))
	warned := false
	for _, e := range w.events {
		warned = warned || e.Status == image.Warning && strings.Contains(e.Text, "linux/"+foreign)
	}
	if !warned {
		t.Errorf("nothing was said: %v", w.events)
	}
}

// TestCacheOfAnotherStore takes results from one cache and keeps them in another: all
// that the new one names is there.
func TestCacheOfAnotherStore(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nCOPY file /\nCOPY other /\n", "file", "text", "other", "more")
	first := w.mustBuild("app")
	dir := t.TempDir()
	layout, err := store.OpenLayout(dir, w.client, false)
	if err != nil {
		t.Fatal(err)
	}
	folder := image.Cache{Store: layout, Tag: "devs-cache", Name: "folder"}
	w.write("other", "changed")
	w.mustBuild("app", func(c *image.Config, _ *image.Options) { c.CacheTo = &folder })
	w.write("other", "more")
	again := w.mustBuild("another", func(c *image.Config, _ *image.Options) {
		c.CacheFrom, c.CacheTo = []image.Cache{folder}, nil
	})
	if again.Digest != first.Digest || again.Images[0].Reused != 2 {
		t.Errorf("%s with %d layers of the cache, want %s with 2", again.Digest, again.Images[0].Reused, first.Digest)
	}
	if err := os.RemoveAll(filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	if r, err := w.build("third", func(c *image.Config, _ *image.Options) {
		c.CacheFrom, c.CacheTo = []image.Cache{folder}, nil
	}); err != nil || r.Digest != first.Digest {
		t.Errorf("a cache without its blobs gives %v, %s", r, diag.Render(err))
	}
}

// A cache whose blobs are cut off is a cache without them, also for what only another
// stage reads.
func TestCacheOfHalfBlobs(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	const file = "ARG HOST\nFROM $HOST/base:v1 AS s\nRUN ls -l /bin >/x\nFROM $HOST/base:v1\nCOPY --from=s /x "
	w.write("Dockerfile", file+"/y\n")
	dir := t.TempDir()
	layout, err := store.OpenLayout(dir, w.client, false)
	if err != nil {
		t.Fatal(err)
	}
	folder := image.Cache{Store: layout, Tag: "devs-cache", Name: "folder"}
	use := func(c *image.Config, _ *image.Options) { c.CacheFrom, c.CacheTo = []image.Cache{folder}, &folder }
	w.mustBuild("app", use)
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatalf("%v %v", blobs, err)
	}
	for _, path := range blobs {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(data, []byte("{")) {
			if err := os.Truncate(path, int64(len(data)/2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.write("Dockerfile", file+"/z\n")
	if r, err := w.build("another", use); err != nil {
		t.Errorf("the cache of half blobs gives %v, %s", r, diag.Render(err))
	}
	again := w.mustBuild("third", use)
	if w.cachedSteps() == 0 {
		t.Errorf("nothing of %s was cached in the end", again.Digest)
	}
}
