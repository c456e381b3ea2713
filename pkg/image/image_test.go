package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/registry"
)

func TestMain(m *testing.M) {
	if sandbox.Main(os.Args) {
		return
	}
	os.Exit(m.Run())
}

// world is a registry, a context and a builder that uses them.
type world struct {
	t      *testing.T
	host   string
	client *registry.Client
	dir    string // the context
	work   string
	cache  string
	log    bytes.Buffer
	ctx    context.Context // of the build; that of the test when it is nil

	mu       sync.Mutex
	requests []string
	events   []image.Event
}

func newWorld(t *testing.T, files ...string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), work: t.TempDir(), cache: t.TempDir()}
	handler := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.requests = append(w.requests, r.Method+" "+r.URL.Path)
		w.mu.Unlock()
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.host = strings.TrimPrefix(server.URL, "http://")
	w.client = registry.New(registry.Config{})
	w.write(files...)
	return w
}

// write writes files into the context: name, content, name, content.
func (w *world) write(files ...string) {
	w.t.Helper()
	for i := 0; i+1 < len(files); i += 2 {
		path := filepath.Join(w.dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) repo(path string) name.Repository {
	repo, err := name.NewRepository(w.host + "/" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	return repo
}

// build builds the Dockerfile of the context and pushes it to the repository.
func (w *world) build(repo string, change ...func(*image.Config, *image.Options)) (*image.Result, error) {
	w.t.Helper()
	target := &store.Repository{Client: w.client, Name: w.repo(repo)}
	records := image.Cache{Store: target, Tag: "devs-cache", Name: "test"}
	cfg := image.Config{
		Registry: w.client, Store: target, CacheFrom: []image.Cache{records}, CacheTo: &records,
		Sandbox: func() *sandbox.Sandbox { return sandbox.Probe(sandbox.Config{}) },
		WorkDir: w.work, CacheDir: w.cache, Log: &w.log, Now: time.Now, HTTP: http.DefaultClient,
		Environ: os.Environ(),
		Notify: func(e image.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
	}
	opts := image.Options{Context: w.dir, Tag: "v1", Args: map[string]string{"HOST": w.host}}
	for _, c := range change {
		c(&cfg, &opts)
	}
	w.mu.Lock() // the registry may still answer what an earlier build gave up
	w.events, w.requests = nil, nil
	w.mu.Unlock()
	parent := w.ctx
	if parent == nil {
		parent = w.t.Context()
	}
	ctx, cancel := context.WithTimeout(parent, 2*time.Minute)
	defer cancel()
	return image.Build(ctx, cfg, opts)
}

func (w *world) mustBuild(repo string, change ...func(*image.Config, *image.Options)) *image.Result {
	w.t.Helper()
	r, err := w.build(repo, change...)
	if err != nil {
		w.t.Fatalf("build: %s\n%s", diag.Render(err), w.log.String())
	}
	return r
}

// count returns how many requests began with a prefix and held a text.
func (w *world) count(method, part string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, r := range w.requests {
		if strings.HasPrefix(r, method+" ") && strings.Contains(r, part) {
			n++
		}
	}
	return n
}

// cachedSteps counts the steps that the cache gave.
func (w *world) cachedSteps() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.events {
		if e.Status == image.Cached {
			n++
		}
	}
	return n
}

// walk reads the layers of an image.
func (w *world) walk(repo, tag string, fn func(*layer.Entry, io.Reader) error) {
	w.t.Helper()
	ctx := w.t.Context()
	img, err := w.client.Image(ctx, w.repo(repo).Tag(tag), image.Native(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range img.Layers {
		in, err := w.client.Blob(ctx, w.repo(repo), l.Descriptor)
		if err != nil {
			w.t.Fatal(err)
		}
		err = layer.Read(ctx, in, layer.Limits{}, fn)
		if err = errors.Join(err, in.Close()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// files returns path, mode and content of all files of an image.
func (w *world) files(repo, tag string) map[string]string {
	w.t.Helper()
	all := map[string]string{}
	w.walk(repo, tag, func(e *layer.Entry, content io.Reader) error {
		data, err := io.ReadAll(content)
		if e.Type == layer.Whiteout {
			delete(all, e.Path)
		} else {
			all[e.Path] = fmt.Sprintf("%o %d:%d %s%s", e.Mode, e.UID, e.GID, e.Linkname, data)
		}
		return err
	})
	return all
}

// busybox pushes a base image with a shell.
func (w *world) busybox() {
	w.t.Helper()
	static := "/bin/busybox"
	if _, err := os.Stat(static); err != nil {
		w.t.Skip("busybox-static is not installed")
	}
	if os.Getuid() != 0 {
		w.t.Skip("RUN is tested as root")
	}
	base := newWorldAt(w, w.t.TempDir())
	bin := filepath.Join(base.dir, "root", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if out, err := exec.Command("cp", static, filepath.Join(bin, "busybox")).CombinedOutput(); err != nil {
		w.t.Fatalf("cp: %v %s", err, out)
	}
	for _, applet := range []string{"sh", "cat", "ls", "mkdir", "rm", "chmod", "cp", "mv", "ln", "env", "id", "test", "sleep", "touch", "grep", "true", "false", "stat", "pwd"} {
		if err := os.Symlink("busybox", filepath.Join(bin, applet)); err != nil {
			w.t.Fatal(err)
		}
	}
	base.write("root/etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n",
		"root/etc/group", "root:x:0:\napp:x:1000:\nextra:x:2000:app\n",
		"Dockerfile", "FROM scratch\nCOPY root /\nENV PATH=/bin\n")
	base.mustBuild("base")
}

func newWorldAt(w *world, dir string) *world {
	return &world{t: w.t, host: w.host, client: w.client, dir: dir, work: w.work, cache: w.cache}
}

func TestCopyOnly(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nLABEL a=b\nCOPY . /app/\nWORKDIR /app/sub/x\nCMD [\"/app/run\"]\n",
		"run", "#!/bin/sh\n", "sub/file", "text", ".dockerignore", "ignored\n", "ignored/secret", "no")
	first := w.mustBuild("app")
	if got, want := w.files("app", "v1")["app/sub/file"], "644 0:0 text"; got != want {
		t.Errorf("app/sub/file is %q, not %q", got, want)
	}
	if _, ok := w.files("app", "v1")["app/ignored/secret"]; ok {
		t.Error("an ignored file is in the image")
	}
	if _, ok := w.files("app", "v1")["app/sub/x"]; !ok {
		t.Error("WORKDIR made no folder")
	}
	img, err := w.client.Image(t.Context(), w.repo("app").Tag("v1"), image.Native(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if img.Digest != first.Digest || img.Config.Config.WorkingDir != "/app/sub/x" || img.Config.Config.Labels["a"] != "b" {
		t.Errorf("config %+v of %s", img.Config.Config, img.Digest)
	}
	layers := 0
	for _, h := range img.Config.History {
		if !h.EmptyLayer {
			layers++
		}
	}
	if layers != len(img.Layers) || len(img.Config.RootFS.DiffIDs) != layers {
		t.Errorf("history has %d layers, the image %d", layers, len(img.Layers))
	}
}

func TestSameSourcesSameDigest(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nCOPY . /app/\n")
	for i := range 60 {
		w.write(fmt.Sprintf("dir-%d/file", i), strings.Repeat(fmt.Sprint("line ", i, "\n"), 60000))
	}
	first := w.mustBuild("app")
	if first.Images[0].Layers < 2 {
		t.Fatalf("%d bytes became %d layer", first.Images[0].Size, first.Images[0].Layers)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(w.dir, "dir-3/file"), past, past); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*image.Config, *image.Options){
		"from the cache":    func(*image.Config, *image.Options) {},
		"without the cache": func(_ *image.Config, o *image.Options) { o.NoCache = true },
		"with nothing kept": func(c *image.Config, _ *image.Options) {
			c.Store, c.CacheFrom, c.CacheTo = store.Discard{}, nil, nil
		},
	} {
		if again := w.mustBuild("app", change); again.Digest != first.Digest {
			t.Errorf("%s the digest is %s, not %s", what, again.Digest, first.Digest)
		}
	}
}

func TestNothingChangedSendsNothing(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nCOPY . /app/\n", "file", "text")
	w.mustBuild("app")
	w.mustBuild("app")
	if n := w.count("POST", ""); n != 0 {
		t.Errorf("%d uploads began: %v", n, w.requests)
	}
	if n := w.count("GET", "/blobs/"); n != 0 {
		t.Errorf("%d blobs were read: %v", n, w.requests)
	}
}

func TestEditSendsOneLayer(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nCOPY . /app/\n")
	for i := range 60 {
		w.write(fmt.Sprintf("dir-%d/file", i), strings.Repeat(fmt.Sprint("line ", i, "\n"), 60000))
	}
	w.mustBuild("app")
	w.write("dir-3/file", strings.Repeat("line 3\n", 60000)+"one more\n")
	r := w.mustBuild("app")
	if changed := r.Images[0].Layers - r.Images[0].Reused; changed != 1 {
		t.Errorf("%d of %d layers were made anew", changed, r.Images[0].Layers)
	}
}

func TestRun(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("input", "hello", "Dockerfile", `ARG HOST
FROM $HOST/base:v1 AS build
WORKDIR /src
COPY input .
ARG WHO=world
RUN test "$WHO" = world && test "$(pwd)" = /src && test "$HOME" = /root && cat input > /out && chmod 4755 /out
USER app
RUN test "$(id -u):$(id -g)" = 1000:1000 && id -G | grep 2000
FROM scratch AS unused
RUN this stage is never built
FROM $HOST/base:v1
COPY --from=build --chown=app /out /result
RUN rm /bin/false && mkdir -p /var/run && touch /var/run/there
`)
	first := w.mustBuild("app")
	files := w.files("app", "v1")
	if got, want := files["result"], "4755 1000:1000 hello"; got != want {
		t.Errorf("/result is %q, not %q", got, want)
	}
	if _, ok := files["bin/false"]; ok {
		t.Error("/bin/false was not removed")
	}
	if _, ok := files["var/run/there"]; !ok {
		t.Error("/var/run/there is not in the image")
	}
	for path := range files {
		if strings.HasPrefix(path, "proc/") || strings.HasPrefix(path, "dev/") || strings.HasPrefix(path, "sys/") || path == "etc/resolv.conf" {
			t.Errorf("%s of the machine is in the image", path)
		}
	}
	second := w.mustBuild("app")
	if second.Digest != first.Digest {
		t.Errorf("the cache gave %s, not %s", second.Digest, first.Digest)
	}
	for _, e := range w.events {
		if strings.HasPrefix(e.Text, "RUN ") && e.Status == image.Done {
			t.Errorf("the second build ran %s", e.Text)
		}
	}
	if left, _ := os.ReadDir(w.work); len(left) > 1 { // the lock stays
		t.Errorf("the build left %v", left)
	}
	w.write("input", "other")
	if r := w.mustBuild("app"); r.Digest == first.Digest {
		t.Error("another input gave the same image")
	}
	if got := w.files("app", "v1")["result"]; !strings.HasSuffix(got, " other") {
		t.Errorf("/result is %q", got)
	}
}

func TestRunFails(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("Dockerfile", "ARG HOST\nFROM $HOST/base:v1 AS first\n\nRUN cat /etc/group && \\\n    exit 7\n")
	_, err := w.build("app")
	if err == nil || !strings.Contains(err.Error(), "Dockerfile:4:1: ") || !strings.Contains(err.Error(), "exit code 7") {
		t.Errorf("the error is %v", err)
	}
	if code := diag.ExitCode(err); code != diag.ExitComponent {
		t.Errorf("the exit code is %d", code)
	}
	if !strings.Contains(w.log.String(), "[first 1/1] root:x:0:") {
		t.Errorf("the output is %q", w.log.String())
	}
	if left, _ := os.ReadDir(w.work); len(left) > 1 {
		t.Errorf("the build left %v", left)
	}
}

const canary = "canary-5f0f3c1d9b"

func TestSecretsStayOut(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	t.Setenv("BUILDER_TOKEN", canary)
	w.write("Dockerfile", `ARG HOST
FROM $HOST/base:v1
RUN --mount=type=secret,id=token case "$(cat /run/secrets/token)" in canary-*) ;; *) exit 1 ;; esac && stat -c %a /run/secrets/token | grep 400
RUN --mount=type=secret,id=token,env=TOKEN test -n "$TOKEN"
RUN test ! -e /run/secrets/token && test -z "$TOKEN" && test -z "$BUILDER_TOKEN"
`)
	w.mustBuild("app", func(_ *image.Config, o *image.Options) {
		o.Secrets = map[string]image.Secret{"token": func() ([]byte, error) { return []byte(canary), nil }}
	})
	if strings.Contains(w.log.String(), canary) {
		t.Error("the secret is in the log")
	}
	for path, content := range w.files("app", "v1") {
		if strings.Contains(content, canary) || strings.Contains(path, canary) {
			t.Errorf("the secret is in %s", path)
		}
		if strings.HasPrefix(path, "run/secrets/") {
			t.Errorf("%s is in the image", path)
		}
	}
	for _, tag := range []string{"v1", "devs-cache"} {
		raw, _, err := w.client.GetRaw(t.Context(), w.repo("app").Tag(tag))
		if err != nil || bytes.Contains(raw, []byte(canary)) {
			t.Errorf("the manifest %s holds the secret, or is not there: %v", tag, err)
		}
	}
	img, err := w.client.Image(t.Context(), w.repo("app").Tag("v1"), image.Native(), nil)
	if err != nil || bytes.Contains(img.RawConfig, []byte(canary)) {
		t.Errorf("the config holds the secret, or is not there: %v", err)
	}
}

func TestPlatforms(t *testing.T) {
	both := func(_ *image.Config, o *image.Options) {
		o.Platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	}
	w := newWorld(t, "Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY app-$TARGETARCH /app\n", "app-amd64", "one", "app-arm64", "two")
	r := w.mustBuild("app", both)
	if len(r.Images) != 2 || !strings.Contains(r.MediaType, "manifest.list") {
		t.Fatalf("the result is %+v", r)
	}
	for arch, want := range map[string]string{"amd64": "one", "arm64": "two"} {
		img, err := w.client.Image(t.Context(), w.repo("app").Tag("v1"), v1.Platform{OS: "linux", Architecture: arch}, nil)
		if err != nil || img.Config.Architecture != arch {
			t.Fatalf("%s: %v %v", arch, img, err)
		}
		var got bytes.Buffer
		in, err := w.client.Blob(t.Context(), w.repo("app"), img.Layers[0].Descriptor)
		if err != nil {
			t.Fatal(err)
		}
		if err := layer.Read(t.Context(), in, layer.Limits{}, func(_ *layer.Entry, c io.Reader) error { _, err := io.Copy(&got, c); return err }); err != nil || got.String() != want {
			t.Errorf("%s has %q, %v", arch, got.String(), err)
		}
	}
	w.write("Dockerfile", "FROM scratch\nCOPY app-arm64 /\nRUN [\"/app-arm64\"]\n")
	foreign := "arm64"
	if image.Native().Architecture == foreign {
		foreign = "amd64"
	}
	_, err := w.build("app", func(_ *image.Config, o *image.Options) {
		o.Platforms = []v1.Platform{{OS: "linux", Architecture: foreign}}
	})
	if err == nil || !strings.Contains(err.Error(), "Dockerfile:3:1") || !strings.Contains(err.Error(), "linux/"+foreign) {
		t.Errorf("the error is %v", err)
	}
}

func TestBrokenCacheIsNoHarm(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nCOPY file /\n", "file", "text")
	first := w.mustBuild("app")
	empty := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.devs.cache.v1+json",` +
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[],"annotations":{"devs.cache.records":%q}}`
	for _, annotation := range []string{
		"no JSON", `[{"key":"","layers":[{"digest":"sha256:zz"}]}]`,
		`[{"key":"layer/x","layers":[{"digest":"sha256:` + strings.Repeat("0", 64) + `","diffId":"sha256:` + strings.Repeat("0", 64) + `","size":1,"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip"}]}]`,
	} {
		raw := fmt.Sprintf(empty, annotation)
		if _, err := w.client.PutManifest(t.Context(), w.repo("app").Tag("devs-cache"), "application/vnd.oci.image.manifest.v1+json", []byte(raw)); err != nil {
			t.Fatal(err)
		}
		if r := w.mustBuild("app"); r.Digest != first.Digest {
			t.Errorf("a broken cache changed the image")
		}
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("Dockerfile", "ARG HOST\nFROM $HOST/base:v1\nRUN sleep 300\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.ctx = ctx
	_, err := w.build("app", func(c *image.Config, _ *image.Options) {
		notify := c.Notify
		c.Notify = func(e image.Event) {
			notify(e)
			if strings.HasPrefix(e.Text, "RUN sleep") && e.Status == image.Started {
				time.AfterFunc(300*time.Millisecond, cancel)
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if left, _ := os.ReadDir(w.work); len(left) > 1 {
		t.Errorf("the build left %v", left)
	}
}

func TestUnknownTarget(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch AS one\nCOPY file /\n", "file", "")
	_, err := w.build("app", func(_ *image.Config, o *image.Options) { o.Target = "two" })
	if err == nil || !slices.ContainsFunc(diag.List(err), func(e error) bool { return strings.Contains(e.Error(), "two") }) {
		t.Errorf("the error is %v", err)
	}
}

// What went well before a command failed is in the cache.
func TestFailedBuildKeepsItsCache(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	text := "ARG HOST\nFROM $HOST/base:v1\nRUN echo long > /long\nRUN %s\n"
	w.write("Dockerfile", fmt.Sprintf(text, "false"))
	if _, err := w.build("app"); err == nil {
		t.Fatal("the build went well")
	}
	w.write("Dockerfile", fmt.Sprintf(text, "true"))
	w.mustBuild("app")
	for _, e := range w.events {
		if strings.Contains(e.Text, "echo long") && e.Status == image.Done {
			t.Error("the first command ran again")
		}
	}
}

// A script of a heredoc is there for its command alone.
func TestScriptsStayOut(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("Dockerfile", "ARG HOST\nFROM $HOST/base:v1\nRUN <<EOF\n#!/bin/sh\necho from a script > /made\nEOF\nRUN test ! -e /.heredocs && cat /made > /again\n")
	w.mustBuild("app")
	files := w.files("app", "v1")
	if !strings.HasSuffix(files["again"], "from a script\n") {
		t.Errorf("/again is %q", files["again"])
	}
	for path := range files {
		if strings.Contains(path, "heredocs") {
			t.Errorf("%s is in the image", path)
		}
	}
}
