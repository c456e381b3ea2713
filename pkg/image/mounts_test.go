package image_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/image"
)

// A file that has another name outside the folder of a bind is a file in it.
func TestBindOfHardLinks(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("a/f", "right 1", "b/a/f", "wrong", "Dockerfile",
		"ARG HOST\nFROM $HOST/base:v1\nRUN --mount=type=bind,source=b,target=/m cp /m/f /out && cat /m/g >>/out\n")
	for _, name := range []string{"b/f", "b/g"} {
		if err := os.Link(filepath.Join(w.dir, "a/f"), filepath.Join(w.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"right 1", "right 2"} {
		w.write("a/f", text) // in place, and so under all names
		w.mustBuild("app")
		if got := w.files("app", "v1")["out"]; !strings.HasSuffix(got, " "+text+text) {
			t.Errorf("got %s, want %s twice", got, text)
		}
	}
}

// The folder of a mount has the owner and the mode that it has where it comes from.
func TestFolderOfMounts(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("Dockerfile", `ARG HOST
FROM $HOST/base:v1 AS s
RUN mkdir /src && touch /src/f && chmod 700 /src && cp -p /bin/busybox /bin/chown && chown 33:34 /src
FROM $HOST/base:v1
RUN --mount=type=bind,from=s,source=/src,target=/m,rw stat -c %a:%u:%g /m >/bind
RUN --mount=type=cache,id=`+t.Name()+`,from=s,source=/src,target=/m stat -c %a:%u:%g /m >/cache
RUN --mount=type=cache,id=`+t.Name()+`2,from=s,source=/src,target=/m,mode=0750 stat -c %a:%u:%g /m >/mode
`)
	w.mustBuild("app", noCache)
	files := w.files("app", "v1")
	for name, want := range map[string]string{"bind": "700:33:34\n", "cache": "700:33:34\n", "mode": "750:0:0\n"} {
		if got := files[name]; !strings.HasSuffix(got, " "+want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// A cache that begins as something else is another one, and what ran with the first runs
// again.
func TestCacheFromStages(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	for _, from := range []string{"one", "two", "one"} {
		w.write("seed", from, "Dockerfile", `ARG HOST
FROM $HOST/base:v1 AS s
COPY seed /data/seed
FROM $HOST/base:v1
RUN --mount=type=cache,id=x,from=s,source=/data,target=/c cp /c/seed /out
`)
		w.mustBuild("app")
		if got := w.files("app", "v1")["out"]; !strings.HasSuffix(got, " "+from) {
			t.Errorf("got %s, want %s", got, from)
		}
	}
	if w.cachedSteps() == 0 {
		t.Error("nothing was cached the third time")
	}
}

// A step of the cache needs no secret; one that runs does.
func TestSecretOfACachedStep(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("Dockerfile", "ARG HOST\nFROM $HOST/base:v1\nRUN --mount=type=secret,id=token,required=true touch /out\n")
	w.mustBuild("app", func(_ *image.Config, o *image.Options) {
		o.Secrets = map[string]image.Secret{"token": func() ([]byte, error) { return []byte(canary), nil }}
	})
	w.mustBuild("app")
	if w.cachedSteps() != 1 {
		t.Errorf("%d steps were cached", w.cachedSteps())
	}
	if _, err := w.build("app", noCache); err == nil || !strings.Contains(err.Error(), "the secret token is not given") {
		t.Errorf("without the cache: %v", err)
	}
}
