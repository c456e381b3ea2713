package publish

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/registry"
)

// world is a registry and an application that is published to it.
type world struct {
	t    *testing.T
	host string
	dir  string
	p    *Publisher

	mu       sync.Mutex
	requests []string
	deny     string // requests with this method get 403,
	denyPath string // those whose path has this
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	handler := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.requests = append(w.requests, r.Method+" "+r.URL.Path)
		denied := r.Method == w.deny && strings.Contains(r.URL.Path, w.denyPath)
		w.mu.Unlock()
		if denied {
			rw.WriteHeader(http.StatusForbidden)
			return
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.host = strings.TrimPrefix(server.URL, "http://")
	client := registry.New(registry.Config{})
	work, caches := t.TempDir(), t.TempDir()
	w.p = &Publisher{Config: Config{
		Dir:    w.dir,
		Client: func(context.Context, component.ImageRef) (*registry.Client, error) { return client, nil },
		Image: func(c *registry.Client, _ string) *image.Config {
			return &image.Config{
				Registry: c, Sandbox: func() *sandbox.Sandbox { return sandbox.Probe(sandbox.Config{}) },
				WorkDir: work, CacheDir: caches, Log: io.Discard, Notify: func(image.Event) {}, Now: time.Now, HTTP: http.DefaultClient,
			}
		},
		Options: func() (image.Options, error) { return image.Options{}, nil },
	}}
	return w
}

func (w *world) write(files ...string) {
	w.t.Helper()
	for i := 0; i+1 < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(w.dir, files[i]), []byte(files[i+1]), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) ref(path string) component.ImageRef {
	return component.ImageRef{Name: w.host + "/" + path}
}

func (w *world) build(ref component.ImageRef) string {
	w.t.Helper()
	digest, err := w.p.Build(w.t.Context(), component.ImageBuild{ImageRef: ref, Context: w.dir, Dockerfile: filepath.Join(w.dir, "Dockerfile")})
	if err != nil {
		w.t.Fatal(err)
	}
	return digest
}

// sent returns what changed the registry since the last time.
func (w *world) sent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, r := range w.requests {
		if !strings.HasPrefix(r, "GET ") && !strings.HasPrefix(r, "HEAD ") {
			all = append(all, r)
		}
	}
	w.requests = nil
	return all
}

func (w *world) denied(method string) { w.refuse(method, "") }

func (w *world) refuse(method, path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deny, w.denyPath = method, path
}

// base pushes an image to build on.
func (w *world) base() {
	w.t.Helper()
	w.write("Dockerfile", "FROM scratch\nCOPY base /\n", "base", "a file of the base")
	repo, err := name.NewRepository(w.host + "/base")
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := w.p.Image(registry.New(registry.Config{}), "")
	cfg.Registry = registry.New(registry.Config{})
	cfg.Store = &store.Repository{Client: cfg.Registry, Name: repo}
	if _, err := image.Build(w.t.Context(), *cfg, image.Options{Context: w.dir, Tag: "v1"}); err != nil {
		w.t.Fatal(err)
	}
	w.write("Dockerfile", "FROM "+w.host+"/base:v1\nCOPY file /\n", "file", "text")
}

func TestBuildThenPush(t *testing.T) {
	w := newWorld(t)
	w.base()
	ref := w.ref("shop/api:v1")
	if built, err := w.p.Built(ref); built != "" || err != nil {
		t.Errorf("before the build: %q, %v", built, err)
	}
	w.sent()
	digest := w.build(ref)
	if sent := w.sent(); len(sent) > 0 {
		t.Errorf("the build sent %v", sent)
	}
	if built, err := w.p.Built(ref); built != digest || err != nil {
		t.Errorf("built %q, %v", built, err)
	}
	if found, err := w.p.Digest(t.Context(), ref); found != "" || err != nil {
		t.Errorf("before the push the registry has %q, %v", found, err)
	}
	for range 2 {
		if pushed, err := w.p.Push(t.Context(), ref, ref); pushed != digest || err != nil {
			t.Errorf("pushed %q, %v; want %s", pushed, err, digest)
		}
	}
	if found, err := w.p.Digest(t.Context(), ref); found != digest || err != nil {
		t.Errorf("the registry has %q, %v", found, err)
	}
	if built, err := w.p.Built(w.ref("shop/api:v2")); built != "" || err != nil {
		t.Errorf("of another tag: %q, %v", built, err)
	}
	w.write("file", "changed")
	if again := w.build(ref); again == digest {
		t.Error("another file gave the same image")
	}
}

// TestBuildAgain checks that the second build takes its layers from the folder of the
// application, and gives the same image.
func TestBuildAgain(t *testing.T) {
	w := newWorld(t)
	w.base()
	ref := w.ref("shop/api:v1")
	if first, second := w.build(ref), w.build(ref); first != second {
		t.Errorf("%s, then %s", first, second)
	}
}

func TestPushFails(t *testing.T) {
	w := newWorld(t)
	w.base()
	ref := w.ref("shop/api:v1")
	if _, err := w.p.Push(t.Context(), ref, ref); err == nil || !strings.Contains(err.Error(), "was not built here") {
		t.Errorf("without a build the error is %v", err)
	}
	w.build(ref)
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		w.denied(method)
		if pushed, err := w.p.Push(t.Context(), ref, ref); err == nil {
			t.Errorf("pushed %s although %s is denied", pushed, method)
		}
	}
	w.denied("")
	if found, err := w.p.Digest(t.Context(), ref); found != "" || err != nil {
		t.Errorf("after failed pushes the registry has %q, %v", found, err)
	}
}

// TestPushOfDamaged checks that what changed in the folder is not pushed.
func TestPushOfDamaged(t *testing.T) {
	w := newWorld(t)
	w.base()
	ref := w.ref("shop/api:v1")
	w.build(ref)
	blobs, err := filepath.Glob(filepath.Join(w.p.folder(ref), "blobs", "sha256", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatalf("%v, %v", blobs, err)
	}
	for _, path := range blobs {
		if err := os.WriteFile(path, []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if pushed, err := w.p.Push(t.Context(), ref, ref); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("pushed %q, %v", pushed, err)
	}
}

func TestNamesThatAreNone(t *testing.T) {
	w := newWorld(t)
	for _, text := range []string{"UPPER/case:v1", w.host + "/a@sha256:00", "a b"} {
		ref := component.ImageRef{Name: text}
		if _, err := w.p.Build(t.Context(), component.ImageBuild{ImageRef: ref, Context: w.dir}); err == nil {
			t.Errorf("%s was built", text)
		}
		if _, err := w.p.Digest(t.Context(), ref); err == nil {
			t.Errorf("%s was found", text)
		}
	}
}

// TestManyBuildsOfOneImage builds one image from several goroutines, as services of
// one application that share it do.
func TestManyBuildsOfOneImage(t *testing.T) {
	w := newWorld(t)
	w.base()
	ref := w.ref("shop/api:v1")
	digests := make(chan string, 3)
	for range cap(digests) {
		go func() {
			digest, err := w.p.Build(context.Background(), component.ImageBuild{ImageRef: ref, Context: w.dir, Dockerfile: filepath.Join(w.dir, "Dockerfile")})
			if err != nil {
				t.Error(err)
			}
			digests <- digest
		}()
	}
	first := <-digests
	for range cap(digests) - 1 {
		if other := <-digests; other != first {
			t.Errorf("%s and %s", first, other)
		}
	}
	if pushed, err := w.p.Push(t.Context(), ref, ref); pushed != first || err != nil {
		t.Errorf("pushed %q, %v", pushed, err)
	}
}
