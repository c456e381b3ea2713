package emulator

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	fc "github.com/alibabacloud-go/fc-open-20210406/v2/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/devs/deploy/pkg/emulator/imagepath"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/runner"
)

// leadHere takes the hosts of ACR to an address, as the product's client does.
type leadHere struct{ address string }

func (l leadHere) RoundTrip(in *http.Request) (*http.Response, error) {
	out := in.Clone(in.Context())
	if _, _, ok := imagepath.Registry(out.URL.Host); ok {
		out.Host, out.URL.Host, out.URL.Scheme = out.URL.Host, l.address, "http"
	}
	resp, err := http.DefaultTransport.RoundTrip(out)
	if resp != nil {
		resp.Request = in // its Location is relative to what was asked
	}
	return resp, err
}

// push pushes an image under a name to the embedded cloud.
func push(t *testing.T, url, image string, img v1.Image) v1.Hash {
	t.Helper()
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithTransport(leadHere{strings.TrimPrefix(url, "http://")})); err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// imageWith is an image of a single layer for this machine.
func imageWith(t *testing.T, layer v1.Layer, config v1.Config) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file.OS, file.Architecture, file.Config = "linux", goruntime.GOARCH, config
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	return img
}

func anyImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

const (
	publicHost = "registry.cn-hangzhou.aliyuncs.com"
	vpcHost    = "registry-vpc.cn-hangzhou.aliyuncs.com"
)

// container creates a function that is an image.
func (w *world) container(function, image string) error {
	_, err := w.CreateFunction(str("s"), &fc.CreateFunctionRequest{
		FunctionName: &function, Runtime: tea.String("custom-container"), Handler: tea.String("not-used"),
		CustomContainerConfig: &fc.CustomContainerConfig{Image: &image},
	})
	return err
}

// pin is what the function's image is pinned to.
func (w *world) pin(function string) string {
	w.t.Helper()
	doc, err := w.cloud.regions[DefaultRegion].store.service("s")
	w.ok(err)
	if doc.Functions[function].Image == nil {
		return ""
	}
	return doc.Functions[function].Image.Digest.String()
}

func TestImagesOfFunctions(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.fails(w.container("f", publicHost+"/ns/app:1"), 400, "InvalidArgument")
	first := push(t, w.server.URL, publicHost+"/ns/app:1", anyImage(t)).String()
	for function, image := range map[string]string{
		"public": publicHost + "/ns/app:1", "vpc": vpcHost + "/ns/app:1",
		"digest": "registry-internal.cn-hangzhou.aliyuncs.com/ns/app@" + first,
	} {
		if err := w.container(function, image); err != nil || w.pin(function) != first {
			t.Errorf("%s is pinned to %s, want %s (%v)", image, w.pin(function), first, err)
		}
	}
	for _, image := range []string{
		publicHost + "/ns/app:2", publicHost + "/ns/other:1", publicHost + "/ns/app@sha256:" + strings.Repeat("0", 64),
		"registry.cn-beijing.aliyuncs.com/ns/app:1", "other-registry.cn-hangzhou.cr.aliyuncs.com/ns/app:1",
		"docker.io/library/nginx", "nginx", "UPPER/case", "127.0.0.1:1/none:1",
	} {
		w.fails(w.container("f", image), 400, "InvalidArgument")
	}

	// The tag moves: the function stays what it was until its image is set again.
	second := push(t, w.server.URL, publicHost+"/ns/app:1", anyImage(t)).String()
	change := func(r *fc.UpdateFunctionRequest) error {
		_, err := w.UpdateFunction(str("s"), str("vpc"), r)
		return err
	}
	w.ok(change(&fc.UpdateFunctionRequest{Description: tea.String("changed")}))
	if w.pin("vpc") != first {
		t.Errorf("an update of something else moved the pin to %s", w.pin("vpc"))
	}
	w.ok(change(&fc.UpdateFunctionRequest{CustomContainerConfig: &fc.CustomContainerConfig{Image: tea.String(vpcHost + "/ns/app:1")}}))
	if w.pin("vpc") != second {
		t.Errorf("setting the image left the pin at %s", w.pin("vpc"))
	}
	w.fails(change(&fc.UpdateFunctionRequest{CustomContainerConfig: &fc.CustomContainerConfig{Image: tea.String(vpcHost + "/ns/app:2")}}), 400, "InvalidArgument")
	if w.pin("vpc") != second {
		t.Errorf("an update that was refused moved the pin to %s", w.pin("vpc"))
	}
	w.ok(change(&fc.UpdateFunctionRequest{Runtime: tea.String("python3"), Code: code(t, "echo")}))
	if w.pin("vpc") != "" {
		t.Errorf("a function that is no image is pinned to %s", w.pin("vpc"))
	}

	again := openWorld(t, w.dir)
	if again.pin("public") != first {
		t.Errorf("the pin is %q after a restart", again.pin("public"))
	}
	again.ok(again.container("after", publicHost+"/ns/app:1"))
	if again.pin("after") != second {
		t.Errorf("the tag leads to %q after a restart", again.pin("after"))
	}
}

func TestImagesOfOtherRegistries(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	other := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	defer other.Close()
	image := strings.TrimPrefix(other.URL, "http://") + "/ns/app:1"
	w.fails(w.container("f", image), 400, "InvalidArgument")
	digest := push(t, "", image, anyImage(t))
	w.ok(w.container("f", image))
	if w.pin("f") != digest.String() {
		t.Errorf("pinned to %s", w.pin("f"))
	}
	own := strings.TrimPrefix(w.server.URL, "http://") + "/ns/app:1"
	digest = push(t, "", own, anyImage(t))
	w.ok(w.container("own", own))
	if w.pin("own") != digest.String() {
		t.Errorf("an image at the cloud's own address is pinned to %s", w.pin("own"))
	}
	w.fails(w.container("g", publicHost+"/ns/app:1"), 400, "InvalidArgument") // that is another repository
}

// TestRegistryHosts checks under which names the registry is reached.
func TestRegistryHosts(t *testing.T) {
	w := newWorld(t)
	for host, want := range map[string]bool{
		"127.0.0.1:9090": true, "localhost": true, "[::1]:80": true, publicHost: true, "x-registry-vpc.cn-hangzhou.cr.aliyuncs.com": true,
		"rebound.example.com": false, "f.s.fc.localhost": false, "192.168.0.1": false,
	} {
		r := httptest.NewRequest("GET", "/v2/", nil)
		r.Host = host
		got := httptest.NewRecorder()
		w.cloud.ServeHTTP(got, r)
		if (got.Code == 200) != want {
			t.Errorf("%s: %d %s", host, got.Code, got.Body)
		}
	}
}

// layerFromFile is a layer with a program.
func layerFromFile(t *testing.T, program string) v1.Layer {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "serve", Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
		tarball.WithCompressionLevel(gzip.NoCompression))
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// TestRealContainers pushes images and runs functions that they are, with the runner
// of the product.
func TestRealContainers(t *testing.T) {
	if err := sandbox.Probe(sandbox.Config{LookPath: exec.LookPath}).Err(); err != nil {
		t.Skipf("this test needs a machine that runs images: %v", err)
	}
	program := filepath.Join(t.TempDir(), "server")
	build := exec.Command("go", "build", "-o", program, "../runner/testdata/server")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("this test needs go on PATH: %v %s", err, out)
	}
	s, err := Start(t.Context(), Config{Dir: t.TempDir(), Runner: runner.New(runner.Config{Dir: t.TempDir()})}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	layer := layerFromFile(t, program)
	push(t, s.URL, publicHost+"/ns/app:1", imageWith(t, layer, v1.Config{Entrypoint: []string{"/serve"}, Cmd: []string{"one"}}))
	l := &legacy{t: t, base: s.URL, id: DefaultAccessKeyID, secret: DefaultAccessKeySecret}
	invoke := func(function, event string) answer {
		l.header = map[string]string{"x-fc-log-type": "Tail"}
		defer func() { l.header = nil }()
		return l.do("POST", "/services/s/functions/"+function+"/invocations", event)
	}
	l.do("POST", "/services", object{"serviceName": "s"}).want(t, 200, "")
	config := object{"image": vpcHost + "/ns/app:1"}
	l.do("POST", "/services/s/functions", object{"functionName": "web", "runtime": "custom-container", "handler": "x", "timeout": 60, "caPort": 18917,
		"environmentVariables":  object{"READY_AFTER": "2"},
		"customContainerConfig": config, "customHealthCheckConfig": object{"httpGetUrl": "/ready", "periodSeconds": 1}}).want(t, 200, "")
	if a := invoke("web", "args"); a.raw != "/serve one" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	a := l.do("POST", "/services/s/functions/web/triggers", object{"triggerName": "h", "triggerType": "http",
		"triggerConfig": object{"authType": "anonymous", "methods": []string{"POST"}}})
	a.want(t, 200, "")
	resp, err := http.Post(a.body["urlInternet"].(string)+"x", "text/plain", strings.NewReader("over HTTP"))
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "over HTTP" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	resp.Body.Close()

	// A new image under the same tag is run once the function is updated.
	push(t, s.URL, publicHost+"/ns/app:1", imageWith(t, layer, v1.Config{Entrypoint: []string{"/serve"}, Cmd: []string{"two"}}))
	if a := invoke("web", "args"); a.raw != "/serve one" {
		t.Errorf("%d %s before the update", a.status, a.raw)
	}
	l.do("PUT", "/services/s/functions/web", object{"customContainerConfig": config}).want(t, 200, "")
	if a := invoke("web", "args"); a.raw != "/serve two" {
		t.Errorf("%d %s after the update", a.status, a.raw)
	}

	l.do("POST", "/services/s/functions", object{"functionName": "job", "runtime": "custom-container", "handler": "x", "timeout": 60,
		"customContainerConfig": object{"image": publicHost + "/ns/app:1", "webServerMode": false, "command": `["/serve"]`, "args": `["own"]`}}).want(t, 200, "")
	a = invoke("job", "args")
	printed, _ := base64.StdEncoding.DecodeString(a.header.Get("X-Fc-Log-Result"))
	if a.status != 200 || a.header.Get("X-Fc-Error-Type") != "" || !strings.Contains(string(printed), "ran once: /serve own\n") {
		t.Errorf("%d %s %s", a.status, a.raw, printed)
	}
	if a := invoke("job", "exit 7"); a.header.Get("X-Fc-Error-Type") == "" || !strings.Contains(a.raw, "exit status 7") {
		t.Errorf("%d %s %v", a.status, a.raw, a.header)
	}

	wrong := imageWith(t, layer, v1.Config{Entrypoint: []string{"/serve"}})
	file, _ := wrong.ConfigFile()
	file.Architecture = "s390x"
	wrong, err = mutate.ConfigFile(wrong, file)
	if err != nil {
		t.Fatal(err)
	}
	push(t, s.URL, publicHost+"/ns/wrong:1", wrong)
	l.do("POST", "/services/s/functions", object{"functionName": "wrong", "runtime": "custom-container", "handler": "x", "caPort": 18918,
		"customContainerConfig": object{"image": publicHost + "/ns/wrong:1"}}).want(t, 200, "")
	a = invoke("wrong", "x")
	a.want(t, 400, "FunctionNotStarted")
	if !strings.Contains(a.raw, "it is for s390x") {
		t.Errorf("%s", a.raw)
	}
}
