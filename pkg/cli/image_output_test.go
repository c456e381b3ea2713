package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/stream"
)

// The folders of the image and of the cache may lie in the context: they are no part of
// it, so that a build gives the same image again.
func TestImageOutputInContext(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY . /\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var digests []string
	for range 2 {
		io, out, failure := stream.Test("")
		code := Main(t.Context(), &Env{Args: []string{"image", "build", "-o", "image", "--cache-to", "./cache", "."}, IO: io, Dir: dir, Now: time.Now})
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, failure)
		}
		digests = append(digests, out.String())
	}
	if digests[0] != digests[1] {
		t.Errorf("the image changed from %s to %s", digests[0], digests[1])
	}
}
