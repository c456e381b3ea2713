package fc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/registry"
	"github.com/devs/deploy/pkg/resource"
)

const (
	imageName = "registry-vpc.cn-hangzhou.aliyuncs.com/shop/api:v1"
	digestOne = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	digestTwo = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

// fakeImages answers as told, and records what it was asked to do.
type fakeImages struct {
	built, remote, pushed string
	builtLater            string // from the second question on
	err, denied           error
	did                   []string
	build                 component.ImageBuild
}

func (f *fakeImages) Build(_ context.Context, b component.ImageBuild) (string, error) {
	f.build = b
	return f.built, f.err
}

func (f *fakeImages) Built(component.ImageRef) (string, error) {
	now := f.built
	if f.builtLater != "" {
		f.built = f.builtLater
	}
	return now, nil
}

func (f *fakeImages) Digest(_ context.Context, ref component.ImageRef) (string, error) {
	f.did = append(f.did, "ask "+ref.Name)
	return f.remote, f.err
}

func (f *fakeImages) CanPush(_ context.Context, to component.ImageRef) error {
	f.did = append(f.did, "may push "+to.Name)
	return f.denied
}

func (f *fakeImages) Push(_ context.Context, ref, to component.ImageRef) (string, error) {
	f.did = append(f.did, "push "+ref.Name+" to "+to.Name)
	return f.pushed, f.err
}

// storeImage brings an image into the registry of the embedded cloud.
func (w *world) storeImage() (digest string) {
	w.t.Helper()
	repo, err := name.NewRepository(strings.TrimPrefix(w.url, "http://") + "/registry.cn-hangzhou.aliyuncs.com/shop/api")
	if err != nil {
		w.t.Fatal(err)
	}
	to := &store.Repository{Client: registry.New(registry.Config{}), Name: repo}
	config := []byte(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`)
	sum, err := store.Put(w.t.Context(), to, config, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		types.DockerManifestSchema2, types.DockerConfigJSON, sum.String(), len(config))
	if err := to.PutManifest(w.t.Context(), "v1", string(types.DockerManifestSchema2), raw); err != nil {
		w.t.Fatal(err)
	}
	hash, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	return hash.String()
}

func containerProps(image string) string {
	return `{"region": "cn-hangzhou", "service": {"name": "demo"},
		"function": {"name": "api", "runtime": "custom-container", "caPort": 9000, "codeUri": "./code",
			"customContainerConfig": {"image": "` + image + `", "command": "[\"/run\"]"}}}`
}

// imageCall is a call of a deploy with images.
func (w *world) imageCall(images *fakeImages, image string, args ...any) *component.Call {
	call := w.call("deploy", containerProps(image), args...)
	call.Images = images
	return call
}

// wanted returns the function as the component wants it.
func (w *world) wanted(call *component.Call) (*resource.Resource, error) {
	w.t.Helper()
	desired, err := w.component().Desired(context.Background(), call)
	if err != nil {
		return nil, err
	}
	w.t.Cleanup(func() { _ = desired.Close() })
	for _, r := range desired.Resources {
		if r.Kind == props.FunctionKind {
			return r, nil
		}
	}
	w.t.Fatal("there is no function")
	return nil, nil
}

func imageOf(r *resource.Resource) any {
	return r.Attrs["customContainerConfig"].(map[string]any)["image"]
}

func TestImageIsPinned(t *testing.T) {
	const repo = "registry-vpc.cn-hangzhou.aliyuncs.com/shop/api"
	internet := strings.Replace(imageName, "-vpc", "", 1)
	for what, c := range map[string]struct {
		images fakeImages
		image  string
		args   []any
		want   string
		did    string // without a push
		pushes bool
	}{
		"built here":          {fakeImages{built: digestOne, remote: digestTwo}, imageName, nil, repo + "@" + digestOne, "", true},
		"in the registry":     {fakeImages{remote: digestTwo}, imageName, nil, repo + "@" + digestTwo, "ask " + imageName, false},
		"--skip-push":         {fakeImages{built: digestOne, remote: digestTwo}, imageName, []any{"skip-push", true}, repo + "@" + digestTwo, "ask " + imageName, false},
		"--push-registry":     {fakeImages{built: digestOne}, imageName, []any{"push-registry", "acr-internet"}, repo + "@" + digestOne, "", true},
		"both":                {fakeImages{remote: digestTwo}, imageName, []any{"skip-push", true, "push-registry", "acr-internet"}, repo + "@" + digestTwo, "ask " + internet, false},
		"a digest":            {fakeImages{built: digestOne}, repo + "@" + digestTwo, nil, repo + "@" + digestTwo, "", false},
		"a tag and a digest":  {fakeImages{}, imageName + "@" + digestTwo, nil, imageName + "@" + digestTwo, "", false},
		"no tag, but a port":  {fakeImages{remote: digestTwo}, "127.0.0.1:5000/shop/api", nil, "127.0.0.1:5000/shop/api@" + digestTwo, "ask 127.0.0.1:5000/shop/api", false},
		"a tag and no digest": {fakeImages{remote: digestTwo}, "127.0.0.1:5000/api:v1", nil, "127.0.0.1:5000/api@" + digestTwo, "ask 127.0.0.1:5000/api:v1", false},
	} {
		w := newWorld(t)
		r, err := w.wanted(w.imageCall(&c.images, c.image, c.args...))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got := imageOf(r); got != c.want {
			t.Errorf("%s: the image is %v, not %s", what, got, c.want)
		}
		if got := strings.Join(c.images.did, ", "); got != c.did {
			t.Errorf("%s: did %q, not %q", what, got, c.did)
		}
		if (r.Prepare != nil) != c.pushes {
			t.Errorf("%s: pushes: %v", what, r.Prepare != nil)
		}
		if command := r.Attrs["customContainerConfig"].(map[string]any)["command"]; command == nil {
			t.Errorf("%s: the command is lost", what)
		}
	}
}

func TestImageIsNowhere(t *testing.T) {
	w := newWorld(t)
	denied := errors.New("denied")
	for what, c := range map[string]struct {
		images fakeImages
		args   []any
		want   string
	}{
		"not in the registry":          {fakeImages{}, nil, "is not in its registry, and was not built here"},
		"--skip-push":                  {fakeImages{built: digestOne}, []any{"skip-push", true}, "is not in its registry"},
		"nothing to push":              {fakeImages{remote: digestTwo}, []any{"push-registry", "acr-vpc"}, "there is no image to push"},
		"--push-registry is not one":   {fakeImages{built: digestOne}, []any{"push-registry", "acr-moon"}, "acr-moon"},
		"the registry does not answer": {fakeImages{err: denied}, nil, "denied"},
	} {
		_, err := w.wanted(w.imageCall(&c.images, imageName, c.args...))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v", what, err)
		}
	}
}

// TestImageOfAHook checks that a plan before the hooks ran does not name an image that
// they will replace.
func TestImageOfAHook(t *testing.T) {
	w := newWorld(t)
	images := &fakeImages{built: digestOne, remote: digestTwo}
	call := w.imageCall(images, imageName)
	call.CodeLater = true
	r, err := w.wanted(call)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := imageOf(r).(app.UnknownValue); !ok || len(images.did) > 0 {
		t.Errorf("the image is %v, did %v", imageOf(r), images.did)
	}
}

// TestDeployOfContainer checks that the push comes before the function, and that
// nothing is deployed when it fails or when it gave something else.
func TestDeployOfContainer(t *testing.T) {
	denied := errors.New("denied")
	for what, c := range map[string]struct {
		images fakeImages
		pushes bool
		err    string
	}{
		"push fails":         {fakeImages{built: digestOne, err: denied}, true, "denied"},
		"the tag is another": {fakeImages{built: digestOne, pushed: digestTwo}, true, "after the push"},
		"built anew":         {fakeImages{built: digestOne, builtLater: digestTwo, pushed: digestTwo}, false, "built anew since the plan"},
		"all is well":        {fakeImages{}, true, ""},
	} {
		w := newWorld(t)
		if c.err == "" {
			c.images.built = w.storeImage()
			c.images.pushed = c.images.built
			w.took()
		}
		_, _, err := w.bring(w.imageCall(&c.images, imageName, "push-registry", "acr-internet"))
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: the error is %v", what, err)
		}
		want := ""
		if c.pushes {
			want = "push " + imageName + " to " + strings.Replace(imageName, "-vpc", "", 1)
		}
		if got := strings.Join(c.images.did, ", "); got != want {
			t.Errorf("%s: did %q, not %q", what, got, want)
		}
		sent := false
		for _, call := range w.took() {
			sent = sent || strings.HasPrefix(call, "POST ") && strings.HasSuffix(call, "/functions")
		}
		if sent != (c.err == "") {
			t.Errorf("%s: the function was made: %v", what, sent)
		}
		if c.err != "" {
			continue
		}
		changes, _, err := w.bring(w.imageCall(&fakeImages{built: c.images.built}, imageName))
		for _, change := range changes {
			if change.Action != plan.None {
				t.Errorf("%s: the second deploy does %s with %s", what, change.Action, change.Resource)
			}
		}
		if err != nil {
			t.Errorf("%s: the second deploy: %v", what, err)
		}
	}
}

func TestBuildOfImage(t *testing.T) {
	w := newWorld(t)
	build := func(images *fakeImages, args ...any) error {
		call := w.call("build", containerProps(imageName), args...)
		call.Images = images
		_, err := w.runCall(call)
		return err
	}
	if err := build(&fakeImages{built: digestOne}); err == nil || !strings.Contains(err.Error(), "no Dockerfile") {
		t.Errorf("without a Dockerfile the error is %v", err)
	}
	for _, c := range []struct {
		file, context string // of the build
		args          []any
	}{
		{"Dockerfile", ".", nil},
		{"code/Dockerfile", "code", nil},
		{"other/File", "other", []any{"dockerfile", "other/File"}},
		{"other/File", "code", []any{"dockerfile", "other/File", "context", "code"}},
	} {
		w.write(c.file, "FROM scratch\n")
		images := &fakeImages{built: digestOne}
		if err := build(images, c.args...); err != nil {
			t.Errorf("%v: %v", c, err)
		}
		if b := images.build; b.Dockerfile != filepath.Join(w.dir, c.file) || b.Context != filepath.Join(w.dir, c.context) || b.Name != imageName {
			t.Errorf("%v: built %+v", c, b)
		}
	}
	denied := errors.New("denied")
	if err := build(&fakeImages{err: denied}); !errors.Is(err, denied) {
		t.Errorf("the error is %v", err)
	}
}

func TestPushIsAllowedFirst(t *testing.T) {
	w := newWorld(t)
	images := &fakeImages{built: digestOne, denied: diag.Errorf("no right to push")}
	call := w.imageCall(images, imageName, "push-registry", "acr-internet")
	call.Preview = true
	if _, err := w.wanted(call); err == nil || !strings.Contains(err.Error(), "no right to push") {
		t.Errorf("a deploy that may not push began: %v", err)
	}
	if want := "may push " + strings.Replace(imageName, "-vpc", "", 1); len(images.did) != 1 || images.did[0] != want {
		t.Errorf("it did %v, not %s", images.did, want)
	}
}

// With --type config the image stays what it is: it is the code.
func TestConfigLeavesTheImage(t *testing.T) {
	w := newWorld(t)
	r, err := w.wanted(w.imageCall(&fakeImages{}, imageName, "type", "config"))
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(r.Managed, "customContainerConfig") || !slices.Contains(r.Managed, "memorySize") {
		t.Errorf("it manages %v", r.Managed)
	}
}
