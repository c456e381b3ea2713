package images

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// served is a registry that listens.
type served struct {
	*Registry
	t    *testing.T
	dir  string
	host string
	now  time.Time
}

func serve(t *testing.T, dir string, now time.Time) *served {
	t.Helper()
	r, err := Open(Config{Dir: dir, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return &served{Registry: r, t: t, dir: dir, host: strings.TrimPrefix(s.URL, "http://"), now: now}
}

func newServed(t *testing.T) *served {
	t.Helper()
	return serve(t, filepath.Join(t.TempDir(), "registry"), time.Now())
}

// reopened is the registry of the same folder as another process finds it after a
// crash: nothing was closed or flushed.
func (s *served) reopened() *served { s.t.Helper(); return serve(s.t, s.dir, s.now) }

func (s *served) tag(image string) name.Tag {
	s.t.Helper()
	tag, err := name.NewTag(s.host + "/" + image)
	if err != nil {
		s.t.Fatal(err)
	}
	return tag
}

// do sends a request and checks its status.
func (s *served) do(want int, method, path string, body io.Reader, headers ...string) *http.Response {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.host+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	if resp.StatusCode != want {
		s.t.Fatalf("%s %s: %d %s, want %d", method, path, resp.StatusCode, text, want)
	}
	return resp
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func randomImage(t *testing.T, layers int64) v1.Image {
	t.Helper()
	image, err := random.Image(3000, layers)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Cmd = []string{"/serve"}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

func hashOf(t *testing.T, of interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	h, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestPushPullAndRestart(t *testing.T) {
	s := newServed(t)
	image := randomImage(t, 3)
	for _, repo := range []string{"app:v1", "registry.cn-hangzhou.aliyuncs.com/ns/app:v1", "a/blobs/manifests:tags"} {
		if err := remote.Write(s.tag(repo), image); err != nil {
			t.Fatal(err)
		}
	}
	if err := remote.Tag(s.tag("app:v2"), image); err != nil {
		t.Fatal(err)
	}
	other := randomImage(t, 1)
	if err := remote.Write(s.tag("app:v1"), other); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = s.reopened()
		got, err := remote.Image(s.tag("app:v1"))
		if err != nil {
			t.Fatal(err)
		}
		layers, err := got.Layers()
		if err != nil || hashOf(t, got) != hashOf(t, other) {
			t.Fatalf("app:v1 is %v after a restart (%v)", hashOf(t, got), err)
		}
		for _, l := range layers {
			r, err := l.Compressed()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
		byDigest := s.tag("app:v1").Context().Digest(hashOf(t, image).String())
		if _, err := remote.Image(byDigest); err != nil {
			t.Errorf("an image without a tag is gone: %v", err)
		}
		tags, err := remote.List(s.tag("app:v1").Context())
		if err != nil || strings.Join(tags, " ") != "v1 v2" {
			t.Errorf("tags %v, %v", tags, err)
		}
		resp := s.do(200, "GET", "/v2/_catalog", nil)
		if text, _ := io.ReadAll(resp.Body); !strings.Contains(string(text), "registry.cn-hangzhou.aliyuncs.com/ns/app") {
			t.Errorf("catalogue: %s", text)
		}
	}
}

// TestBelow pushes to and pulls from a repository with a prefix, and finds it with the
// prefix.
func TestBelow(t *testing.T) {
	s := newServed(t)
	below := httptest.NewServer(s.Below("registry.cn-hangzhou.aliyuncs.com"))
	defer below.Close()
	image := randomImage(t, 2)
	tag, err := name.NewTag(strings.TrimPrefix(below.URL, "http://") + "/ns/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []name.Tag{tag, s.tag("registry.cn-hangzhou.aliyuncs.com/ns/app:v1")} {
		if got, err := remote.Image(tag); err != nil || hashOf(t, got) != hashOf(t, image) {
			t.Errorf("%s: %v", tag, err)
		}
		if tags, err := remote.List(tag.Context()); err != nil || len(tags) != 1 {
			t.Errorf("%s: %v %v", tag, tags, err)
		}
	}
	if _, err := remote.Image(s.tag("ns/app:v1")); err == nil {
		t.Error("the image is there without its prefix, too")
	}
}

func TestIndexes(t *testing.T) {
	s := newServed(t)
	image := randomImage(t, 1)
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: randomImage(t, 1), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
	raw, err := index.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	s.do(404, "PUT", "/v2/app/manifests/v1", bytes.NewReader(raw), "Content-Type", "application/vnd.oci.image.index.v1+json")
	if err := remote.WriteIndex(s.tag("app:v1"), index); err != nil {
		t.Fatal(err)
	}
	s = s.reopened()
	got, err := s.Image("app", "v1", v1.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil || got.Digest != hashOf(t, image) || len(got.Layers) != 1 || got.Config.Config.Cmd[0] != "/serve" {
		t.Errorf("%+v, %v", got, err)
	}
	h, err := s.Resolve("app", "v1")
	if err != nil || h != hashOf(t, index) {
		t.Errorf("v1 is %v, %v", h, err)
	}
	if _, err = s.Image("app", h.String(), v1.Platform{OS: "linux", Architecture: "s390x"}); err == nil ||
		!strings.Contains(err.Error(), "linux/amd64, linux/arm64") {
		t.Errorf("another platform: %v", err)
	}
	for _, missing := range []string{"v2", "sha256:" + strings.Repeat("0", 64), ""} {
		if _, err := s.Resolve("app", missing); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", missing, err)
		}
	}
	if _, err := s.Resolve("other", "v1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("another repository: %v", err)
	}
}

func TestUploads(t *testing.T) {
	s := newServed(t)
	data := []byte("0123456789")
	up := func() string {
		return s.do(202, "POST", "/v2/app/blobs/uploads/", nil).Header.Get("Location")
	}
	place := up()
	resp := s.do(202, "PATCH", place, strings.NewReader("0123"), "Content-Range", "0-3")
	if resp.Header.Get("Range") != "0-3" || resp.Header.Get("Location") != place {
		t.Errorf("after a piece: %v", resp.Header)
	}
	for _, wrong := range []string{"0-3", "5-9", "9", "4-2"} {
		resp := s.do(416, "PATCH", place, strings.NewReader("4567"), "Content-Range", wrong)
		if resp.Header.Get("Range") != "0-3" {
			t.Errorf("%s: %v", wrong, resp.Header)
		}
	}
	s.do(202, "PATCH", place, strings.NewReader("45"))
	if got := s.do(204, "GET", place, nil).Header.Get("Range"); got != "0-5" {
		t.Errorf("so far %q", got)
	}
	s.do(400, "PUT", place, nil)
	resp = s.do(201, "PUT", place+"?digest="+digestOf(data), strings.NewReader("6789"), "Content-Range", "6-9")
	if resp.Header.Get("Docker-Content-Digest") != digestOf(data) {
		t.Errorf("%v", resp.Header)
	}
	s.do(404, "GET", place, nil)
	blob := resp.Header.Get("Location")
	for header, want := range map[string]string{"": "0123456789", "bytes=2-4": "234", "bytes=7-": "789", "bytes=-2": "89"} {
		status := 206
		if header == "" {
			status = 200
		}
		resp := s.do(status, "GET", blob, nil, "Range", header)
		if text, _ := io.ReadAll(resp.Body); string(text) != want {
			t.Errorf("range %q: %q", header, text)
		}
	}
	if resp := s.do(200, "HEAD", blob, nil); resp.ContentLength != 10 {
		t.Errorf("HEAD: %d bytes", resp.ContentLength)
	}
	s.do(201, "POST", "/v2/other/blobs/uploads/?from=app&mount="+digestOf(data), nil)
	s.do(202, "POST", "/v2/other/blobs/uploads/?from=app&mount="+digestOf(nil), nil)
	s.do(201, "POST", "/v2/other/blobs/uploads/?digest="+digestOf([]byte("at once")), strings.NewReader("at once"))
	s.do(400, "POST", "/v2/other/blobs/uploads/?digest="+digestOf([]byte("at once")), strings.NewReader("something else"))
	s.do(400, "PUT", up()+"?digest="+digestOf(data), strings.NewReader("other"))
	s.do(404, "GET", strings.Replace(up(), "/app/", "/other/", 1), nil)
	place = up()
	s.do(204, "DELETE", place, nil)
	s.do(404, "PATCH", place, strings.NewReader("x"))
	s.do(404, "GET", "/v2/app/blobs/"+digestOf([]byte("none")), nil)
	s.do(405, "DELETE", blob, nil)
}

// TestLostConnection breaks a connection in the middle of a piece: what came counts.
func TestLostConnection(t *testing.T) {
	s := newServed(t)
	place := s.do(202, "POST", "/v2/app/blobs/uploads/", nil).Header.Get("Location")
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write([]byte("0123"))
		for s.size(place) < 4 { // the first half has arrived
			time.Sleep(time.Millisecond)
		}
		w.CloseWithError(errors.New("cut"))
	}()
	req, _ := http.NewRequest("PATCH", "http://"+s.host+place, r)
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Fatal("the request was not cut")
	}
	if got := s.do(204, "GET", place, nil).Header.Get("Range"); got != "0-3" {
		t.Fatalf("%q came", got)
	}
	data := "0123456789"
	s.do(201, "PUT", place+"?digest="+digestOf([]byte(data)), strings.NewReader(data[4:]), "Content-Range", "4-9")
}

func (s *served) size(place string) int64 {
	s.uploading.Lock()
	u := s.uploads[filepath.Base(place)]
	s.uploading.Unlock()
	info, err := os.Stat(u.file.Name())
	if err != nil {
		return 0
	}
	return info.Size()
}

// TestMemory sends a large blob and checks that neither way holds it in memory.
func TestMemory(t *testing.T) {
	s := newServed(t)
	const size = 96 << 20
	sum := sha256.New()
	_, _ = io.Copy(sum, io.LimitReader(zeros{}, size))
	digest := "sha256:" + hex.EncodeToString(sum.Sum(nil))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	place := s.do(202, "POST", "/v2/app/blobs/uploads/", nil).Header.Get("Location")
	s.do(202, "PATCH", place, io.LimitReader(zeros{}, size/2))
	s.do(201, "PUT", place+"?digest="+digest, io.LimitReader(zeros{}, size/2))
	resp, err := http.Get("http://" + s.host + "/v2/app/blobs/" + digest)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if n != size || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > size/8 {
		t.Errorf("%d MB were allocated for a blob of %d MB", used>>20, size>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestManifestsThatAreRefused(t *testing.T) {
	s := newServed(t)
	const oci = "application/vnd.oci.image.manifest.v1+json"
	manifest := `{"schemaVersion": 2, "config": {"digest": "` + digestOf([]byte("no config")) + `"}}`
	put := func(status int, code, path, kind, body string) {
		t.Helper()
		resp := s.do(status, "PUT", path, strings.NewReader(body), "Content-Type", kind)
		text, _ := io.ReadAll(resp.Body)
		var answer struct{ Errors []struct{ Code string } }
		if json.Unmarshal(text, &answer) != nil || len(answer.Errors) != 1 || answer.Errors[0].Code != code {
			t.Errorf("%s: %s, want %s", path, text, code)
		}
	}
	put(404, "MANIFEST_BLOB_UNKNOWN", "/v2/app/manifests/v1", oci, manifest)
	put(400, "MANIFEST_INVALID", "/v2/app/manifests/v1", oci, "{")
	put(400, "MANIFEST_INVALID", "/v2/app/manifests/v1", oci, `{"config": {"digest": "sha256:../../x"}}`)
	put(400, "MANIFEST_INVALID", "/v2/app/manifests/v1", "application/vnd.docker.distribution.manifest.v1+json", "{}")
	put(400, "MANIFEST_INVALID", "/v2/app/manifests/v1", "text/html", "{}")
	put(400, "DIGEST_INVALID", "/v2/app/manifests/"+digestOf(nil), oci, manifest)
	put(400, "TAG_INVALID", "/v2/app/manifests/-v", oci, manifest)
	put(400, "NAME_INVALID", "/v2/App/manifests/v1", oci, manifest)
	put(400, "NAME_INVALID", "/v2/a/../b/manifests/v1", oci, manifest)
	put(400, "NAME_INVALID", "/v2/"+strings.Repeat("a/", 200)+"b/manifests/v1", oci, manifest)
	put(413, "SIZE_INVALID", "/v2/app/manifests/v1", oci, strings.Repeat(" ", maxManifest+1))
	s.do(404, "GET", "/v2/app/manifests/v1", nil)
	s.do(404, "GET", "/v2/other", nil)
	s.do(405, "DELETE", "/v2/app/manifests/v1", nil)
	s.do(400, "GET", "/v2/_catalog?n=-1", nil)
	s.do(200, "GET", "/v2/", nil)
	s.do(200, "GET", "/v2", nil)
	if left, _ := os.ReadDir(filepath.Join(s.dir, dirRepos)); len(left) != 0 {
		t.Errorf("refused manifests left %v", left)
	}
}

func TestLeftovers(t *testing.T) {
	s := newServed(t)
	s.do(202, "PATCH", s.do(202, "POST", "/v2/app/blobs/uploads/", nil).Header.Get("Location"), strings.NewReader("half"))
	s.do(201, "POST", "/v2/app/blobs/uploads/?digest="+digestOf([]byte("stray")), strings.NewReader("stray"))
	if err := remote.Write(s.tag("app:v1"), randomImage(t, 2)); err != nil {
		t.Fatal(err)
	}
	count := func(sub string) int {
		entries, err := os.ReadDir(filepath.Join(s.dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if s = s.reopened(); count(dirUploads) != 0 || count("blobs/sha256") != 4 {
		t.Errorf("%d uploads, %d blobs after a crash", count(dirUploads), count("blobs/sha256"))
	}
	s.now = s.now.Add(25 * time.Hour)
	if s = s.reopened(); count("blobs/sha256") != 3 {
		t.Errorf("%d blobs a day later", count("blobs/sha256"))
	}
	if _, err := remote.Image(s.tag("app:v1")); err != nil {
		t.Error(err)
	}
}

func TestUploadsThatAreForgotten(t *testing.T) {
	now := time.Now()
	r, err := Open(Config{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	busy, err := r.begin("app")
	if err != nil {
		t.Fatal(err)
	}
	busy.busy <- struct{}{}
	for range maxUploads + 10 {
		now = now.Add(time.Millisecond)
		if _, err := r.begin("app"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.uploads); n != maxUploads || r.uploads[busy.id] == nil {
		t.Errorf("%d uploads; the one at work is kept: %v", n, r.uploads[busy.id] != nil)
	}
	now = now.Add(2 * time.Hour)
	if _, err := r.begin("app"); err != nil {
		t.Fatal(err)
	}
	files, _ := os.ReadDir(r.path(dirUploads))
	if len(r.uploads) != 2 || len(files) != 2 {
		t.Errorf("%d uploads and %d files after two hours", len(r.uploads), len(files))
	}
}

func TestDamage(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(dir string) error
		want   string
	}{
		{"document", func(dir string) error { return overwrite(dir, dirRepos, "{") }, "is damaged"},
		{"manifest", func(dir string) error { return overwrite(dir, dirManifests+"/sha256", "{}") }, "has other content"},
		{"missing", func(dir string) error { return os.RemoveAll(filepath.Join(dir, dirManifests)) }, "is damaged"},
		{"name", func(dir string) error { return overwrite(dir, dirRepos, `{"name": "../x"}`) }, "another repository"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServed(t)
			if err := remote.Write(s.tag("app:v1"), randomImage(t, 1)); err != nil {
				t.Fatal(err)
			}
			if err := c.damage(s.dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(Config{Dir: s.dir}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func overwrite(dir, sub, text string) error {
	entries, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil || len(entries) != 1 {
		return fmt.Errorf("%d files: %w", len(entries), err)
	}
	return os.WriteFile(filepath.Join(dir, sub, entries[0].Name()), []byte(text), 0o600)
}

// FuzzServe sends arbitrary requests: none is answered with an internal error, and
// none writes beside the registry's folders.
func FuzzServe(f *testing.F) {
	f.Add("GET", "/v2/", "", "")
	f.Add("PUT", "/v2/app/manifests/v1", "application/vnd.oci.image.manifest.v1+json", `{"layers": [{"digest": "sha256:00"}]}`)
	f.Add("PUT", "/v2/app/manifests/v1", "application/vnd.oci.image.index.v1+json", `{"manifests": [{"mediaType": "application/vnd.oci.image.index.v1+json"}]}`)
	f.Add("POST", "/v2/app/blobs/uploads/?digest=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "", "")
	f.Add("GET", "/v2/app/blobs/../../../x", "", "")
	f.Add("GET", "/v2/app/tags/list?n=1&last=x", "", "")
	f.Add("GET", "#", "", "") // no path at all
	dir := filepath.Join(f.TempDir(), "registry")
	r, err := Open(Config{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, kind, body string) {
		req, err := http.NewRequest(method, "http://registry", strings.NewReader(body))
		if err != nil {
			return
		}
		if req.URL, err = req.URL.Parse(path); err != nil {
			return
		}
		req.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Errorf("%s %q: %d %s", method, path, w.Code, w.Body)
		}
		if beside, _ := os.ReadDir(filepath.Dir(dir)); len(beside) != 1 {
			t.Errorf("%s %q wrote outside: %v", method, path, beside)
		}
	})
}
