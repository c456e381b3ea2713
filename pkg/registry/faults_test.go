package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/registry"
)

// send uploads with Send, so that a lost upload begins again.
func send(c *registry.Client, repo name.Repository, data []byte) error {
	_, err := c.Send(context.Background(), repo, func(w io.Writer) (v1.Hash, error) {
		_, err := io.Copy(struct{ io.Writer }{w}, bytes.NewReader(data))
		return digestOf(data), err
	})
	return err
}

// Every request of an upload goes wrong in every way, once each, before every kind of
// registry; the blob arrives always.
func TestUploadSurvivesEveryFault(t *testing.T) {
	backends := map[string]func(testing.TB) string{
		"docker-registry": dockerRegistry,
		"in memory":       func(t testing.TB) string { return serve(t, memoryRegistry()) },
		"strict":          func(t testing.TB) string { return serve(t, newFake()) },
	}
	for backend, start := range backends {
		t.Run(backend, func(t *testing.T) {
			p, host := behind(t, start(t))
			all := noise(1, 5<<20)
			for i, size := range []int{800_000, 4<<20 + 777_777} {
				p.reset(nil)
				repo := repository(t, host, "team/app")
				if err := send(registry.New(fast()), repo, noise(uint64(50+i), size)); err != nil {
					t.Fatal(err)
				}
				for n := range p.count() {
					for kind, f := range faults {
						data := all[:size]
						data[0], data[1], data[2] = byte(i), byte(n), byte(kind)
						p.reset(func(at int, _ *http.Request) *fault {
							if at == n {
								return &f
							}
							return nil
						})
						c := registry.New(fast())
						if err := send(c, repo, data); err != nil {
							t.Errorf("%d bytes, request %d, %s: %v", size, n, f.name, err)
							continue
						}
						p.reset(nil) // the registries check the digest themselves
						if there, err := c.Has(context.Background(), repo, digestOf(data)); err != nil || !there {
							t.Errorf("%d bytes, request %d, %s: there: %v, %v", size, n, f.name, there, err)
						}
					}
				}
			}
		})
	}
}

// A registry that tells where an upload is gets every byte once more at most: nothing
// is written anew.
func TestUploadResumes(t *testing.T) {
	backend := newFake()
	p, host := behind(t, serve(t, backend))
	repo := repository(t, host, "team/app")
	data := noise(9, 21<<20)
	patches := 0
	p.reset(func(_ int, r *http.Request) *fault {
		if r.Method != http.MethodPatch {
			return nil
		}
		patches++
		if patches%2 == 0 { // every second chunk, also the rest of one
			return &fault{cutRequest: 1 << 20}
		}
		return nil
	})
	if err := push(registry.New(fast()), repo, data); err != nil {
		t.Fatal(err)
	}
	p.reset(nil)
	if got, err := pull(registry.New(fast()), repo, data); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	posts, gets := backend.count("POST"), backend.count("GET /v2/team/app/blobs/uploads/")
	if posts != 1 || gets < 2 {
		t.Errorf("%d uploads were begun and %d times the registry was asked where it is", posts, gets)
	}
}

// What cannot be resumed is told as lost, and Send begins again.
func TestLost(t *testing.T) {
	p, host := behind(t, dockerRegistry(t))
	repo := repository(t, host, "team/app")
	cut := func(n int) func(int, *http.Request) *fault {
		patches := 0
		return func(_ int, r *http.Request) *fault {
			if r.Method != http.MethodPatch {
				return nil
			}
			if patches++; patches == n {
				return &fault{cutRequest: 1 << 20}
			}
			return nil
		}
	}
	data := noise(3, 14<<20)
	p.reset(cut(2))
	if err := push(registry.New(fast()), repo, data); !errors.Is(err, registry.ErrLost) {
		t.Errorf("the second chunk cut: %v", err)
	}
	p.reset(cut(2))
	if err := send(registry.New(fast()), repo, data); err != nil {
		t.Error(err)
	}
	data = noise(4, 14<<20)
	p.reset(cut(1)) // all bytes are still there
	if err := push(registry.New(fast()), repo, data); err != nil {
		t.Errorf("the first chunk cut: %v", err)
	}
}

// Downloads are cut again and again, by registries with and without ranges.
func TestBlobResumes(t *testing.T) {
	for _, noRange := range []bool{false, true} {
		backend := newFake()
		backend.noRange = noRange
		p, host := behind(t, serve(t, backend))
		repo := repository(t, host, "team/app")
		data := noise(5, 3<<20)
		if err := push(registry.New(fast()), repo, data); err != nil {
			t.Fatal(err)
		}
		for kind, f := range faults {
			p.reset(func(n int, r *http.Request) *fault {
				if n%2 == 1 && n < 8 {
					return &faults[kind]
				}
				return nil
			})
			if noRange && f.cutAnswer {
				continue // halves of the whole never bring the rest
			}
			if got, err := pull(registry.New(fast()), repo, data); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s, no ranges %v: %d bytes, %v", f.name, noRange, len(got), err)
			}
		}
	}
}

// A registry that is broken for good is given up, after a bounded number of requests.
func TestGivesUp(t *testing.T) {
	backend := newFake()
	p, host := behind(t, serve(t, backend))
	repo := repository(t, host, "team/app")
	data := noise(5, 1<<20)
	if err := push(registry.New(fast()), repo, data); err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		all := func(n int, r *http.Request) *fault {
			if n == 0 {
				return nil // the ping
			}
			return &f
		}
		c := func() *registry.Client { p.reset(all); return registry.New(fast()) }
		for doing, err := range map[string]error{
			"pull": func() error { _, err := pull(c(), repo, data); return err }(),
			"send": send(c(), repo, noise(6, 6<<20)),
			"has":  func() error { _, err := c().Has(context.Background(), repo, digestOf([]byte("x"))); return err }(),
			"put": func() error {
				_, err := c().PutManifest(context.Background(), repo.Tag("x"), "application/json", []byte("{}"))
				return err
			}(),
		} {
			if err == nil && !(f.cutAnswer && doing != "has") {
				t.Errorf("%s, %s: done", f.name, doing)
			}
			if err != nil && !strings.Contains(err.Error(), repo.Name()) {
				t.Errorf("%s, %s: the error names no repository: %v", f.name, doing, err)
			}
		}
		if n := p.count(); n > 60 {
			t.Errorf("%s: %d requests", f.name, n)
		}
	}
}

// A blob that is not what its descriptor says is never taken for complete.
func TestBlobIsVerified(t *testing.T) {
	data := noise(8, 300_000)
	answer := func(body []byte, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			for _, h := range header {
				key, value, _ := strings.Cut(h, ": ")
				w.Header().Set(key, value)
			}
			_, _ = w.Write(body)
		}
	}
	other := bytes.Clone(data)
	other[200_000] ^= 1
	for name, h := range map[string]http.HandlerFunc{
		"other bytes":  answer(other),
		"longer":       answer(append(bytes.Clone(data), 0), "Transfer-Encoding: chunked"),
		"longer, told": answer(append(bytes.Clone(data), 0)),
		"shorter":      answer(data[:299_999], "Transfer-Encoding: chunked"),
		"encoded":      answer(data[:299_000], "Content-Encoding: gzip"),
		"nothing":      answer(nil),
		"range": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				w.Header().Set("Content-Range", "bytes 10-299999/300000")
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(data[10:])
			}
		},
	} {
		c := registry.New(fast())
		got, err := pull(c, repository(t, serve(t, h), "a/b"), data)
		if err == nil {
			t.Errorf("%s: %d bytes are taken for the blob", name, len(got))
		}
	}
	for _, d := range []v1.Descriptor{{Size: -1, Digest: digestOf(data)}, {Size: 1, Digest: v1.Hash{Algorithm: "md5", Hex: "00"}}, {}} {
		if _, err := registry.New(fast()).Blob(context.Background(), repository(t, "127.0.0.1:1", "a/b"), d); err == nil {
			t.Errorf("%+v is taken", d)
		}
	}
}

func TestWrongDigestIsRefused(t *testing.T) {
	both(t, func(t *testing.T, host string) {
		for _, size := range []int{100, 6 << 20} {
			u, _ := registry.New(fast()).Upload(context.Background(), repository(t, host, "a/b"))
			_, _ = u.Write(noise(1, size))
			if err := u.Commit(context.Background(), digestOf([]byte("x"))); err == nil || !strings.Contains(err.Error(), "DIGEST_INVALID") {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
	})
}

// Registries with their own wishes for chunks get what they want.
func TestChunkWishes(t *testing.T) {
	for _, change := range []func(*fake){
		func(f *fake) { f.minChunk = 5 << 20 },
		func(f *fake) { f.minChunk = 11 << 20 },
		func(f *fake) { f.emptyPut = true },
	} {
		backend := newFake()
		change(backend)
		repo := repository(t, serve(t, backend), "a/b")
		c := registry.New(fast())
		for i, size := range []int{1 << 20, 4<<20 + 1, 23 << 20, 24<<20 + 5} {
			data := noise(uint64(i), size)
			if err := send(c, repo, data); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
			if !bytes.Equal(backend.blobs[digestOf(data).String()], data) {
				t.Errorf("%d bytes: other bytes arrived", size)
			}
		}
	}
	backend := newFake()
	backend.minChunk = 1 << 40
	if err := send(registry.New(fast()), repository(t, serve(t, backend), "a/b"), noise(1, 5<<20)); err == nil {
		t.Error("a terabyte would be kept")
	}
}

func ExampleClient_Send() {
	c := registry.New(registry.Config{})
	repo, _ := name.NewRepository("registry.example.com/team/app")
	digest, err := c.Send(context.Background(), repo, func(w io.Writer) (v1.Hash, error) {
		layer := []byte("what is written may be written again")
		_, err := w.Write(layer)
		return digestOf(layer), err
	})
	fmt.Println(digest, err)
}
