package image_test

import (
	"io"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/image/layer"
)

// Where no platform is asked for, an image has that of its base.
func TestPlatformOfTheBase(t *testing.T) {
	foreign := "arm64"
	if image.Native().Architecture == foreign {
		foreign = "amd64"
	}
	w := newWorld(t, "file", "", "Dockerfile", "FROM scratch\nCOPY file /\n")
	w.mustBuild("base", func(_ *image.Config, o *image.Options) {
		o.Platforms = []v1.Platform{{OS: "linux", Architecture: foreign}}
	})
	for _, flag := range []string{"", "--platform=linux/" + foreign + " "} {
		w.write("Dockerfile", "ARG HOST\nFROM "+flag+"$HOST/base:v1 AS one\nFROM one\nCOPY file /other\n")
		r := w.mustBuild("app")
		img, err := w.client.Image(t.Context(), w.repo("app").Tag("v1"), v1.Platform{OS: "linux", Architecture: foreign}, nil)
		if err != nil || img.Config.Architecture != foreign || r.Images[0].Platform != "linux/"+foreign {
			t.Errorf("FROM %s: %s, %v", flag, r.Images[0].Platform, err)
		}
	}
}

func TestStartIntervalOfTheBase(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nHEALTHCHECK --interval=30s --start-interval=2s CMD true\n")
	w.mustBuild("base")
	w.write("Dockerfile", "ARG HOST\nFROM $HOST/base:v1\nLABEL a=b\n")
	w.mustBuild("app")
	img, err := w.client.Image(t.Context(), w.repo("app").Tag("v1"), image.Native(), nil)
	if err != nil || !strings.Contains(string(img.RawConfig), `"StartInterval":2000000000`) {
		t.Errorf("%s, %v", img.RawConfig, err)
	}
}

// What a stage made keeps its time when it is copied, as far as an epoch allows.
func TestTimeOfCopiesFromStages(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("file", "", "Dockerfile", `ARG HOST
FROM $HOST/base:v1 AS s
RUN mkdir /d && touch -d 2024-05-06T07:08:09Z /d/f || touch -d '2024-05-06 07:08:09' /d/f
FROM scratch
COPY --from=s /d /d
COPY file /
`)
	made, fixed := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC), time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	before := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		epoch      *time.Time
		stage, ctx time.Time
	}{{nil, made, fixed}, {&before, before, before}} {
		w.mustBuild("app", func(_ *image.Config, o *image.Options) { o.Epoch = c.epoch })
		times := w.times("app")
		if !times["d/f"].Equal(c.stage) || !times["file"].Equal(c.ctx) {
			t.Errorf("epoch %v: %v", c.epoch, times)
		}
	}
}

// times returns the times of all files of an image.
func (w *world) times(repo string) map[string]time.Time {
	w.t.Helper()
	all := map[string]time.Time{}
	w.walk(repo, "v1", func(e *layer.Entry, _ io.Reader) error {
		all[e.Path] = e.ModTime
		return nil
	})
	return all
}
