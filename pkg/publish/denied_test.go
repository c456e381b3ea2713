package publish

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/registry"
)

func newPublisher(t *testing.T, dir string) *Publisher {
	return &Publisher{Config: Config{
		Dir:     dir,
		Options: func() (image.Options, error) { return image.Options{}, nil },
		Client: func(context.Context, component.ImageRef) (*registry.Client, error) {
			return registry.New(registry.Config{}), nil
		},
		Image: func(c *registry.Client, _ string) *image.Config {
			return &image.Config{Registry: c, Now: time.Now, Notify: func(image.Event) {}, WorkDir: t.TempDir()}
		},
	}}
}

// The right to push is asked for before anything is built, unless another job pushes.
func TestDeniedPushStopsTheBuild(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			rw.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ref := component.ImageRef{Name: strings.TrimPrefix(server.URL, "http://") + "/app:v1"}
	p := newPublisher(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY Dockerfile /\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	build := component.ImageBuild{ImageRef: ref, Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), PushTo: &ref}
	if _, err := p.Build(t.Context(), build); !errors.Is(err, registry.ErrDenied) {
		t.Errorf("the error is %v", err)
	}
	if built, err := p.Built(ref); built != "" || err != nil {
		t.Errorf("%s was built, %v", built, err)
	}
	build.PushTo = nil
	if _, err := p.Build(t.Context(), build); err != nil {
		t.Errorf("a build that another job pushes: %v", err)
	}
}
