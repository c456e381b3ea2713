package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/registry"
)

// manifests serves manifests by their tag, whatever their type is.
func manifests(t testing.TB, all map[string]string, types map[string]string) name.Repository {
	t.Helper()
	return repository(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		w.Header().Set("Content-Type", types[key])
		_, _ = io.WriteString(w, all[key])
	})), "a/b")
}

func TestManifestsThatAreNoImages(t *testing.T) {
	const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	config := fmt.Sprintf(`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":%q}`, digest)
	image := func(rest string) string {
		return `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` + rest + `}`
	}
	layer := func(media, more string) string {
		return fmt.Sprintf(`{"mediaType":%q,"size":1,"digest":%q%s}`, media, digest, more)
	}
	self := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","size":1,"digest":"sha256:x"}]}`
	for name, tt := range map[string]struct{ manifest, media, want string }{
		"schema 1":   {`{"schemaVersion":1}`, string(types.DockerManifestSchema1Signed), "old format (schema 1)"},
		"helm":       {image(`"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json","size":2,"digest":"` + digest + `"},"layers":[]`), "", "is not an image"},
		"page":       {"<html>", "text/html", "is not an image"},
		"no JSON":    {"{", string(types.OCIManifestSchema1), "no JSON"},
		"twice":      {image(config+`,"layers":[]`) + "{}", string(types.OCIManifestSchema1), "no JSON"},
		"foreign":    {image(config + `,"layers":[` + layer(string(types.DockerForeignLayer), "") + `]`), "", "outside the registry"},
		"urls":       {image(config + `,"layers":[` + layer(string(types.OCILayer), `,"urls":["http://x"]`) + `]`), "", "outside the registry"},
		"odd layer":  {image(config + `,"layers":[` + layer("text/plain", "") + `]`), "", `media type "text/plain"`},
		"many":       {image(config + `,"layers":[` + strings.Repeat(layer(string(types.OCILayer), "")+",", 2000) + layer(string(types.OCILayer), "") + `]`), "", "2001 layers"},
		"digest":     {image(config + `,"layers":[{"mediaType":"` + string(types.OCILayer) + `","size":1,"digest":"sha256:aa"}]`), "", "no JSON"},
		"md5":        {image(config + `,"layers":[{"mediaType":"` + string(types.OCILayer) + `","size":1}]`), "", "malformed"},
		"negative":   {image(config + `,"layers":[{"mediaType":"` + string(types.OCILayer) + `","size":-1,"digest":"` + digest + `"}]`), "", "malformed"},
		"huge":       {strings.Repeat(" ", 5<<20), "", "larger than 4194304 bytes"},
		"big config": {image(strings.Replace(config, `"size":2`, `"size":99999999`, 1) + `,"layers":[]`), "", "99999999 bytes"},
		"no entry":   {`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`, "", "no image for linux/amd64"},
		"index":      {self, "", "no JSON"},
		"escapes":    {`{"mediaType":"text/\u001b[31m\nplain"}`, "", "is not an image"},
	} {
		repo := manifests(t, map[string]string{"x": tt.manifest}, map[string]string{"x": tt.media})
		_, err := registry.New(fast()).Image(context.Background(), repo.Tag("x"), v1.Platform{OS: "linux", Architecture: "amd64"}, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: %q, want %s", name, err, tt.want)
		}
	}
}

func TestNestedIndexes(t *testing.T) {
	all := map[string]string{}
	child, size := "sha256:"+strings.Repeat("a", 64), 1
	for range 6 {
		raw := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"size":%d,"digest":%q}]}`,
			types.OCIImageIndex, types.OCIImageIndex, size, child)
		child, size = digestOf([]byte(raw)).String(), len(raw)
		all[child] = raw
	}
	repo := manifests(t, all, nil)
	_, err := registry.New(fast()).Image(context.Background(), repo.Digest(child), v1.Platform{OS: "linux", Architecture: "amd64"}, nil)
	if err == nil || !strings.Contains(err.Error(), "nested too deeply") {
		t.Errorf("got %v", err)
	}
	other := "sha256:" + strings.Repeat("b", 64)
	if _, _, err = registry.New(fast()).GetRaw(context.Background(), manifests(t, map[string]string{other: all[child]}, nil).Digest(other)); err == nil || !strings.Contains(err.Error(), "the digest of the manifest is") {
		t.Errorf("a manifest with another digest: %v", err)
	}
}

// A server that answers an upload with nonsense gives an error.
func TestHostileUploads(t *testing.T) {
	for name, header := range map[string]http.Header{
		"no location":   {},
		"other scheme":  {"Location": {"file:///etc/passwd"}},
		"ftp":           {"Location": {"ftp://127.0.0.1/x"}},
		"user":          {"Location": {"http://u:p@127.0.0.1/x"}},
		"backwards":     {"Location": {"/x"}, "Range": {"5-1"}},
		"ahead":         {"Location": {"/x"}, "Range": {"0-999999999999"}},
		"no range":      {"Location": {"/x"}, "Range": {"everything"}},
		"chunk of text": {"Location": {"/x"}, "Oci-Chunk-Min-Length": {"many"}},
		"chunk below 0": {"Location": {"/x"}, "Oci-Chunk-Min-Length": {"-1"}},
	} {
		host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for key, v := range header {
				w.Header()[key] = v
			}
			switch r.Method {
			case http.MethodPost, http.MethodPatch:
				w.WriteHeader(http.StatusAccepted)
			case http.MethodPut:
				w.WriteHeader(http.StatusTeapot)
			}
		}))
		if err := send(registry.New(fast()), repository(t, host, "a/b"), noise(1, 9<<20)); err == nil {
			t.Errorf("%s: done", name)
		}
	}
}

// A transfer that stands still is taken up again.
func TestStall(t *testing.T) {
	data := noise(1, 200_000)
	var n atomic.Int32
	release := make(chan struct{})
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		if n.Add(1) > 1 {
			_, _ = w.Write(data)
			return
		}
		_, _ = w.Write(data[:100_000])
		w.(http.Flusher).Flush()
		<-release
	}))
	t.Cleanup(func() { close(release) })
	cfg := fast()
	cfg.Stall = 100 * time.Millisecond
	if got, err := pull(registry.New(cfg), repository(t, host, "a/b"), data); err != nil || !bytes.Equal(got, data) || n.Load() != 2 {
		t.Errorf("%d bytes, %v, %d requests", len(got), err, n.Load())
	}
}

// The memory that an upload asks for does not grow with the blob.
func TestUploadMemory(t *testing.T) {
	size := int64(0)
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", "/upload")
		switch r.Method {
		case http.MethodPost:
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPatch:
			size += n
			w.Header().Set("Range", fmt.Sprintf("0-%d", size-1))
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPut:
			size += n
			w.WriteHeader(http.StatusCreated)
		}
	}))
	piece := noise(1, 64<<10)
	const blob = 256 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := registry.New(fast()).Send(context.Background(), repository(t, host, "a/b"), func(w io.Writer) (v1.Hash, error) {
		for range blob / len(piece) {
			if _, err := w.Write(piece); err != nil {
				return v1.Hash{}, err
			}
		}
		return digestOf(nil), nil
	})
	runtime.ReadMemStats(&after)
	if err != nil || size != blob {
		t.Fatalf("%d bytes, %v", size, err)
	}
	// Pools forget much under the race detector, so the bound is wide.
	if asked := (after.TotalAlloc - before.TotalAlloc) >> 20; asked > blob>>20/2 {
		t.Errorf("%d MiB were allocated for a blob of %d MiB", asked, blob>>20)
	}
}

// A registry of another place is spoken to under its own name.
func TestRewrite(t *testing.T) {
	var mu sync.Mutex
	var hosts []string
	f := newFake()
	to := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		hosts = append(hosts, r.Host)
		mu.Unlock()
		f.ServeHTTP(w, r)
	}))
	cfg := fast()
	cfg.Rewrite = func(host string) (string, bool) { return to, strings.HasSuffix(host, ".aliyuncs.com") }
	if err := push(registry.New(cfg), repository(t, "registry.cn-hangzhou.aliyuncs.com", "a/b"), noise(1, 6<<20)); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if h != "registry.cn-hangzhou.aliyuncs.com" {
			t.Errorf("asked as %s", h)
		}
	}
}

func TestUnreachable(t *testing.T) {
	plain := serve(t, newFake())
	cfg := fast()
	transport := registry.NewTransport()
	transport.Proxy = nil
	cfg.HTTP = transport
	for host, want := range map[string]string{
		"127.0.0.1:1": "check the name of the registry",
		"0.0.0.0:" + plain[strings.LastIndexByte(plain, ':')+1:]: "it speaks plain HTTP",
		"no-such-host.invalid": "check the name of the registry",
	} {
		err := registry.New(cfg).CheckPush(context.Background(), repository(t, host, "a/b"))
		if text := diag.Render(err); !strings.Contains(text, want) || !strings.Contains(text, host) {
			t.Errorf("%s: %s", host, text)
		}
	}
	cfg.Insecure = []string{"0.0.0.0"}
	if err := registry.New(cfg).CheckPush(context.Background(), repository(t, "0.0.0.0:"+plain[strings.LastIndexByte(plain, ':')+1:], "a/b")); err != nil {
		t.Error(err)
	}
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1:80": true, "127.9.9.9": true, "[::1]:5000": true, "::1": true, "a.localhost": true,
		"localhost.example": false, "10.0.0.1": false, "127.0.0.1.example": false, "": false, "registry:5000": false,
	} {
		if registry.IsLoopback(host) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
}

// Whatever a registry says, an image is whole or there is an error.
func FuzzImage(f *testing.F) {
	d := `"size":2,"digest":"sha256:` + strings.Repeat("a", 64) + `"}`
	f.Add(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",`+d+`,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",`+d+`]}`,
		`{"rootfs":{"type":"layers","diff_ids":["sha256:`+strings.Repeat("b", 64)+`"]}}`, string(types.OCIManifestSchema1))
	ref, _ := name.ParseReference("registry.example.com/a/b:1")
	f.Fuzz(func(t *testing.T, manifest, config, media string) {
		img, err := registry.NewImage(ref, v1.Descriptor{MediaType: types.MediaType(media)}, []byte(manifest), []byte(config))
		if err != nil {
			return
		}
		if len(img.Layers) != len(img.Manifest.Layers) || img.Config == nil {
			t.Errorf("%+v", img)
		}
		for _, l := range img.Layers {
			if l.Descriptor.Size < 0 || len(l.Descriptor.Digest.Hex) != 64 || len(l.DiffID.Hex) != 64 {
				t.Errorf("%+v", l)
			}
		}
		if _, err := json.Marshal(img); err != nil {
			t.Error(err)
		}
	})
}
