package publish

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/registry"
)

// watched keeps the events of the builds of a world from now on.
func (w *world) watched() *[]image.Event {
	events := &[]image.Event{}
	plain := w.p.Config.Image
	w.p.Config.Image = func(c *registry.Client, unmapped string) *image.Config {
		cfg := plain(c, unmapped)
		cfg.Notify = func(e image.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			*events = append(*events, e)
		}
		return cfg
	}
	return events
}

// afresh makes another runner of a world: the same sources in another folder, in which
// nothing was built.
func (w *world) afresh() {
	w.t.Helper()
	dir := w.t.TempDir()
	for _, name := range []string{"Dockerfile", "file"} {
		data, err := os.ReadFile(filepath.Join(w.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.dir = dir
	w.p = &Publisher{Config: w.p.Config}
	w.p.Dir = dir
}

// TestCacheOfAnotherRunner pushes from one folder and builds in a fresh one: all is
// known there, and no layer is downloaded.
func TestCacheOfAnotherRunner(t *testing.T) {
	w := newWorld(t)
	w.base()
	w.write("Dockerfile", "FROM scratch AS middle\nCOPY --from="+w.host+"/base:v1 /base /from-base\nCOPY file /file\nFROM "+w.host+"/base:v1\nCOPY --from=middle / /\n")
	ref := w.ref("shop/api:v1")
	events := w.watched()
	digest := w.build(ref)
	if _, err := w.p.Push(t.Context(), ref, ref); err != nil {
		t.Fatal(err)
	}
	w.sent()
	if _, err := w.p.Push(t.Context(), ref, ref); err != nil {
		t.Fatal(err)
	}
	for _, r := range w.sent() {
		if strings.Contains(r, "devs-cache") {
			t.Errorf("a push without news wrote the cache: %s", r)
		}
	}
	w.afresh()
	*events = nil
	if again := w.build(ref); again != digest {
		t.Errorf("the fresh folder has %s, want %s", again, digest)
	}
	cached := 0
	for _, e := range *events {
		if e.Status == image.Cached {
			cached++
		}
		if e.Status == image.Warning {
			t.Errorf("warned of %s", e.Text)
		}
	}
	if cached != 2 {
		t.Errorf("%d steps were known in the fresh folder, want both COPY --from", cached)
	}
	left, err := filepath.Glob(filepath.Join(w.p.folder(ref), "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if data, err := os.ReadFile(path); err != nil || len(data) > 2 && data[0] == 0x1f && data[1] == 0x8b {
			t.Errorf("the fresh folder has the layer %s (%v)", filepath.Base(path), err)
		}
	}
	if pushed, err := w.p.Push(t.Context(), ref, ref); err != nil || pushed != digest {
		t.Errorf("pushed %q, %v", pushed, err)
	}
}

// TestCacheThatIsRefused pushes to a repository whose cache is something else, and to
// one that does not take it: the image is pushed all the same.
func TestCacheThatIsRefused(t *testing.T) {
	w := newWorld(t)
	w.base()
	ref := w.ref("shop/api:v1")
	events := w.watched()
	digest := w.build(ref)
	tagged := component.ImageRef{Name: w.host + "/shop/api:devs-cache"}
	w.build(tagged)
	if _, err := w.p.Push(t.Context(), tagged, tagged); err != nil {
		t.Fatal(err)
	}
	*events = nil
	if pushed, err := w.p.Push(t.Context(), ref, ref); err != nil || pushed != digest {
		t.Errorf("pushed %q, %v", pushed, err)
	}
	w.refuse(http.MethodPut, "/manifests/devs-cache")
	other := w.ref("shop/web:v1")
	w.build(other)
	if _, err := w.p.Push(t.Context(), other, other); err != nil {
		t.Error(err)
	}
	var warnings []string
	for _, e := range *events {
		if e.Status == image.Warning {
			warnings = append(warnings, e.Text)
		}
	}
	all := strings.Join(warnings, "\n")
	for _, want := range []string{"/shop/api:devs-cache was not written: ", "/shop/web:devs-cache was not written: "} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in the warnings:\n%s", want, all)
		}
	}
}
