package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/registry"
)

// dockerRegistry starts Debian's docker-registry and returns its host.
func dockerRegistry(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed here: the test against it does not run")
	}
	dir := t.TempDir()
	host := freePort(t)
	config := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage:\n  filesystem: {rootdirectory: %s}\n  delete: {enabled: true}\nhttp: {addr: %s}\n",
		filepath.Join(dir, "data"), host)
	file := filepath.Join(dir, "config.yml")
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

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// memoryRegistry returns the handler of go-containerregistry's registry.
func memoryRegistry() http.Handler {
	return ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
}

// serve serves a handler and returns its host.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// fast returns a configuration whose waits take no time.
func fast() registry.Config {
	return registry.Config{
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Rand:  func() float64 { return 0.5 },
	}
}

func repository(t testing.TB, host, path string) name.Repository {
	t.Helper()
	repo, err := name.NewRepository(host + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// noise returns bytes that are always the same for a seed.
func noise(seed uint64, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(data)
	return data
}

func digestOf(data []byte) v1.Hash {
	h, _, _ := v1.SHA256(bytes.NewReader(data))
	return h
}

// push uploads data in writes of odd sizes.
func push(c *registry.Client, repo name.Repository, data []byte) error {
	ctx := context.Background()
	u, err := c.Upload(ctx, repo)
	if err != nil {
		return err
	}
	defer u.Cancel()
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 77_777)
		if _, err := u.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return u.Commit(ctx, digestOf(data))
}

// pull reads a blob.
func pull(c *registry.Client, repo name.Repository, data []byte) ([]byte, error) {
	r, err := c.Blob(context.Background(), repo, v1.Descriptor{Digest: digestOf(data), Size: int64(len(data))})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
