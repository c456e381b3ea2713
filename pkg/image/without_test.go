package image_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/image/store"
)

// A folder that the tool writes itself changes no image, wherever it lies; the context
// itself is never left out.
func TestWithout(t *testing.T) {
	w := newWorld(t, "f", "1", "sub/out/index.json", "{}", "out/keep", "2", "Dockerfile", "FROM scratch\nCOPY . /\n")
	without := func(_ *image.Config, o *image.Options) {
		o.Without = []string{filepath.Join(w.dir, "sub", "out"), w.dir, filepath.Join(w.dir, "..", "out"), filepath.Join(w.dir, "no", "such")}
	}
	first := w.mustBuild("without", without)
	var paths []string
	for path := range w.files("without", "v1") {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	if want := []string{"Dockerfile", "f", "out", "out/keep", "sub"}; !slices.Equal(paths, want) {
		t.Errorf("the image has %q, want %q", paths, want)
	}
	w.write("sub/out/index.json", "{ }", "sub/out/new", "3")
	if again := w.mustBuild("without", without); again.Digest != first.Digest {
		t.Errorf("the image changed from %s to %s", first.Digest, again.Digest)
	}
}

// Building into a folder of the context gives the same image again and again.
func TestOutputInContext(t *testing.T) {
	w := newWorld(t, "f", "1", "Dockerfile", "FROM scratch\nCOPY . /\n")
	build := func() *image.Result {
		layout, err := store.OpenLayout(filepath.Join(w.dir, "image"), w.client, false)
		if err != nil {
			t.Fatal(err)
		}
		return w.mustBuild("unused", func(c *image.Config, o *image.Options) {
			c.Store, c.CacheFrom, c.CacheTo = layout, nil, nil
			o.Without = []string{layout.Dir}
		})
	}
	if first, again := build(), build(); first.Digest != again.Digest {
		t.Errorf("the image changed from %s to %s", first.Digest, again.Digest)
	}
}
