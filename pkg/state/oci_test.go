package state_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/registry"
	"github.com/devs/deploy/pkg/state"
)

// memoryRegistry starts go-containerregistry's registry and counts its requests.
func memoryRegistry(t *testing.T) (host string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	h := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), requests
}

// dockerRegistry starts Debian's docker-registry.
func dockerRegistry(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed here: the test against it does not run")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	file := filepath.Join(t.TempDir(), "config.yml")
	config := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage:\n  filesystem: {rootdirectory: %s}\nhttp: {addr: %s}\n", t.TempDir(), host)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 500 {
		if resp, err := http.Get("http://" + host + "/v2/"); err == nil {
			resp.Body.Close()
			return host
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("docker-registry does not answer")
	return ""
}

// oci returns the store in a repository of a host.
func oci(t *testing.T, host, extra string) state.OCI {
	t.Helper()
	client := registry.New(registry.Config{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	o, err := state.NewOCI(client, "oci://"+host+"/team/records", extra)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOCI(t *testing.T) {
	host, requests := memoryRegistry(t)
	testStore(t, oci(t, host, ""), oci(t, host, "s3cret"))
	store := oci(t, host, "")
	b, _ := fullBook(testKey(1))
	if err := store.Save(t.Context(), at, b); err != nil {
		t.Fatal(err)
	}
	before := requests.Load()
	if err := store.Save(t.Context(), at, b); err != nil {
		t.Fatal(err)
	}
	if n := requests.Load() - before; n > 3 {
		t.Errorf("a save makes %d requests", n)
	}
}

func TestOCIInADockerRegistry(t *testing.T) {
	host := dockerRegistry(t)
	testStore(t, oci(t, host, ""), oci(t, host, "s3cret"))
}

func TestOCIRefusesWhatIsNoRecord(t *testing.T) {
	host, _ := memoryRegistry(t)
	store := oci(t, host, "")
	b, _ := fullBook(testKey(1))
	if err := store.Save(t.Context(), at, b); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + host + "/v2/team/records/tags/list")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	list, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	tag := store.Repo.Tag(strings.Split(string(list), `"`)[7])
	good, _, err := store.Client.GetRaw(t.Context(), tag)
	if err != nil {
		t.Fatal(string(list), err)
	}
	const media = "application/vnd.devs.record.v1+json"
	for name, text := range map[string]string{
		"an image":  strings.ReplaceAll(string(good), media, "application/vnd.oci.image.layer.v1.tar"),
		"no layer":  `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}`,
		"no JSON":   `{`,
		"too large": strings.ReplaceAll(string(good), `"size":`, `"size":9000000000`),
		"no blob":   strings.ReplaceAll(string(good), "sha256:"+digestIn(string(good)), "sha256:"+strings.Repeat("0", 64)),
	} {
		put(t, host, tag.TagStr(), text)
		got, err := store.Load(t.Context(), at)
		if p, ok := errors.AsType[*diag.Problem](err); got != nil || !ok || p.Hint == "" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func digestIn(manifest string) string {
	_, rest, _ := strings.Cut(manifest, "sha256:")
	return rest[:64]
}

// put stores a manifest, whatever it is.
func put(t *testing.T, host, tag, text string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+host+"/v2/team/records/manifests/"+tag, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", string(types.OCIManifestSchema1))
	resp, err := http.DefaultClient.Do(q)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
}

func TestAddressesOfRepositories(t *testing.T) {
	for address, ok := range map[string]bool{
		"oci://registry.example.com/team/records": true, "oci://localhost:5000/r": true,
		"registry.example.com/team/records": false, "oci://": false, "oci://registry.example.com/team/records:tag": false, "oci://Registry/UPPER": false, "": false,
	} {
		_, err := state.NewOCI(nil, address, "")
		p, isProblem := errors.AsType[*diag.Problem](err)
		if ok != (err == nil) || !ok && (!isProblem || p.Hint == "") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if !state.IsOCI("oci://x") || state.IsOCI("./folder") {
		t.Error("IsOCI is wrong")
	}
}
