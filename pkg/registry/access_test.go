package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/registry"
)

// login is a keychain with one login for every registry.
type login struct{ authn.AuthConfig }

func (l login) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(l.AuthConfig), nil
}

func as(user, password string) registry.Config {
	cfg := fast()
	cfg.Keychain = login{authn.AuthConfig{Username: user, Password: password}}
	return cfg
}

// protected serves a fake that wants credentials.
func protected(t testing.TB, kind string) *fake {
	t.Helper()
	f := newFake()
	f.auth, f.life = kind, 300
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	// The token server of a registry that is an address must be that address.
	f.host = strings.TrimPrefix(s.URL, "http://")
	return f
}

// A build of which nothing has changed needs few requests: the ping and the token once
// for each repository, then one for each question.
func TestRoundTrips(t *testing.T) {
	ctx := context.Background()
	f := protected(t, "bearer")
	base, app := repository(t, f.host, "base/os"), repository(t, f.host, "team/app")
	d := putImage(t, registry.New(as("user", "pass")), base, "1", v1.Platform{OS: "linux", Architecture: "amd64"})
	putImage(t, registry.New(as("user", "pass")), app, "devs-cache", v1.Platform{OS: "linux", Architecture: "amd64"})
	f.requests()

	c := registry.New(as("user", "pass"))
	if got, err := c.Resolve(ctx, base.Tag("1")); err != nil || got.Digest != d.Digest {
		t.Fatal(got, err)
	}
	if err := c.CheckPush(ctx, app); err != nil {
		t.Fatal(err)
	}
	raw, _, err := c.GetRaw(ctx, app.Tag("devs-cache"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Has(ctx, app, digestOf([]byte("layer"))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutManifest(ctx, app.Tag("v1"), "application/vnd.oci.image.manifest.v1+json", raw); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET /v2/", "GET /token", "HEAD /v2/base/os/manifests/1",
		"GET /token", "POST /v2/team/app/blobs/uploads/", "DELETE /v2/team/app/blobs/uploads/",
		"GET /v2/team/app/manifests/devs-cache", "HEAD /v2/team/app/blobs/", "PUT /v2/team/app/manifests/v1",
	}
	got := f.requests()
	if len(got) != len(want) {
		t.Fatalf("%d requests: %s", len(got), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("request %d is %s, not %s", i, got[i], want[i])
		}
	}
}

// Many first requests at the same time ping once and ask for one token.
func TestParallel(t *testing.T) {
	f := protected(t, "bearer")
	repo := repository(t, f.host, "team/app")
	c := registry.New(as("user", "pass"))
	var g errgroup.Group
	for i := range 32 {
		g.Go(func() error {
			data := noise(uint64(i), 1<<20+i*200_000)
			if err := push(c, repo, data); err != nil {
				return err
			}
			got, err := pull(c, repo, data)
			if err == nil && !bytes.Equal(got, data) {
				err = fmt.Errorf("blob %d: other bytes", i)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if pings, tokens := f.count("GET /v2/")-f.count("GET /v2/team"), f.count("GET /token"); pings != 1 || tokens != 1 {
		t.Errorf("%d pings, %d tokens", pings, tokens)
	}
}

// A token that ends is renewed before it is used; one that is withdrawn in the middle
// of an upload is renewed, and the chunk sent again.
func TestTokensEnd(t *testing.T) {
	f := protected(t, "bearer")
	repo := repository(t, f.host, "team/app")
	cfg := as("user", "pass")
	now := time.Now()
	var mu sync.Mutex
	cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	c := registry.New(cfg)
	ctx := context.Background()
	for _, step := range []struct {
		after  time.Duration
		tokens int
	}{{0, 1}, {239 * time.Second, 1}, {2 * time.Second, 2}} {
		mu.Lock()
		now = now.Add(step.after)
		mu.Unlock()
		if err := c.CheckPush(ctx, repo); err != nil {
			t.Fatal(err)
		}
		if n := f.count("GET /token"); n != step.tokens {
			t.Errorf("after %s: %d tokens", step.after, n)
		}
	}
	data := noise(1, 13<<20)
	u, err := c.Upload(ctx, repo)
	if err != nil {
		t.Fatal(err)
	}
	for rest := data; len(rest) > 0; rest = rest[min(len(rest), 3<<20):] {
		f.mu.Lock()
		clear(f.tokens)
		f.mu.Unlock()
		if _, err := u.Write(rest[:min(len(rest), 3<<20)]); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Commit(ctx, digestOf(data)); err != nil {
		t.Fatal(err)
	}
	if got, err := pull(c, repo, data); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestWaysToLogIn(t *testing.T) {
	for _, tt := range []struct {
		kind     string
		pingOpen bool
		cfg      registry.Config
	}{
		{"basic", false, as("user", "pass")},
		{"basic", true, as("user", "pass")},
		{"bearer", false, as("user", "pass")},
		{"bearer", true, as("user", "pass")},
		{"", false, as("user", "pass")},
		{"", false, fast()},
	} {
		f := protected(t, tt.kind)
		f.pingOpen = tt.pingOpen
		c := registry.New(tt.cfg)
		repo := repository(t, f.host, "team/app")
		data := noise(1, 5<<20)
		if err := errors.Join(c.CheckPush(context.Background(), repo), push(c, repo, data)); err != nil {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestDenied(t *testing.T) {
	readOnly := func(user, scope string) bool { return user != "" && !strings.Contains(scope, "push") }
	for name, tt := range map[string]struct {
		kind   string
		cfg    registry.Config
		rights func(user, scope string) bool
		want   string
	}{
		"basic, none":      {"basic", fast(), nil, "there are no credentials for"},
		"basic, wrong":     {"basic", as("user", "canary"), nil, "(user user) were refused"},
		"bearer, none":     {"bearer", fast(), readOnly, "there are no credentials for"},
		"bearer, wrong":    {"bearer", as("user", "canary"), nil, "(user user) were refused"},
		"bearer, too few":  {"bearer", as("user", "pass"), readOnly, "(user user) were refused"},
		"odd name of user": {"basic", as("u\x1b[31m\nx", "canary"), nil, "(user u [31m x) were refused"},
	} {
		f := protected(t, tt.kind)
		f.rights = tt.rights
		err := registry.New(tt.cfg).CheckPush(context.Background(), repository(t, f.host, "team/app"))
		text := diag.Render(err)
		if !errors.Is(err, registry.ErrDenied) || !strings.Contains(text, tt.want) || !strings.Contains(text, "hint:") || diag.ExitCode(err) != diag.ExitComponent {
			t.Errorf("%s: %v", name, text)
		}
		if strings.Contains(text, "canary") || strings.Contains(text, "\x1b") {
			t.Errorf("%s: %q", name, text)
		}
		if n := len(f.requests()); n > 4 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			fail(w, 403, "DENIED")
		}
	}))
	err := registry.New(as("user", "pass")).CheckPush(context.Background(), repository(t, host, "team/app"))
	if !errors.Is(err, registry.ErrDenied) || !strings.Contains(err.Error(), "DENIED: as the test wants (HTTP 403)") {
		t.Errorf("403: %v", err)
	}
}

// Blobs that lie elsewhere are fetched from there, without credentials; plain HTTP
// after https is refused.
func TestRedirects(t *testing.T) {
	data := noise(1, 100_000)
	var mu sync.Mutex
	var leaked []string
	storage := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		leaked = append(leaked, r.Header.Values("Authorization")...)
		leaked = append(leaked, r.Header.Values("Referer")...)
		mu.Unlock()
		_, _ = w.Write(data)
	})
	to := serve(t, storage)
	redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _, _, ok := r.BasicAuth(); {
		case !ok:
			w.Header().Set("WWW-Authenticate", "Basic realm=x")
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v2/":
		default:
			http.Redirect(w, r, "http://"+to+"/signed?Signature=canary", http.StatusTemporaryRedirect)
		}
	})
	got, err := pull(registry.New(as("user", "pass")), repository(t, serve(t, redirect), "a/b"), data)
	if err != nil || !bytes.Equal(got, data) || len(leaked) > 0 {
		t.Errorf("%d bytes, %v; leaked %v", len(got), err, leaked)
	}
	secure := httptest.NewTLSServer(redirect)
	defer secure.Close()
	cfg := as("user", "pass")
	repo, err := name.NewRepository(strings.Replace(strings.TrimPrefix(secure.URL, "https://"), "127.0.0.1", "example.com", 1) + "/a/b")
	if err != nil {
		t.Fatal(err)
	}
	transport := secure.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(secure.URL, "https://"))
	}
	cfg.HTTP = transport
	if _, err = pull(registry.New(cfg), repo, data); err == nil || !strings.Contains(err.Error(), "plain http is refused") || strings.Contains(err.Error(), "canary") {
		t.Errorf("from https to http: %v", err)
	}
}

func TestRetries(t *testing.T) {
	for _, tt := range []struct {
		status     int
		retryAfter string
		requests   int
		waits      []time.Duration
		want       string
	}{
		{400, "", 1, nil, "HTTP 400"},
		{404, "1", 1, nil, "HTTP 404"},
		{416, "", 1, nil, "HTTP 416"},
		{501, "", 1, nil, "HTTP 501"},
		{503, "", 5, []time.Duration{200e6, 400e6, 800e6, 1600e6}, "HTTP 503"},
		{500, "0", 5, []time.Duration{200e6, 400e6, 800e6, 1600e6}, "HTTP 500"},
		{429, "7", 5, []time.Duration{7e9, 7e9, 7e9, 7e9}, "HTTP 429"},
		{429, "Thu, 01 Jan 2026 00:00:20 GMT", 5, []time.Duration{20e9, 20e9, 20e9, 20e9}, "HTTP 429"},
		{429, "3600", 1, nil, "come back in 1h0m0s"},
		{429, "-5", 5, []time.Duration{200e6, 400e6, 800e6, 1600e6}, "HTTP 429"},
		{503, "soon", 5, []time.Duration{200e6, 400e6, 800e6, 1600e6}, "HTTP 503"},
	} {
		var requests atomic.Int32
		host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			requests.Add(1)
			w.Header().Set("Retry-After", tt.retryAfter)
			w.WriteHeader(tt.status)
		}))
		var waits []time.Duration
		cfg := fast()
		cfg.Now = func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }
		cfg.Sleep = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
		err := registry.New(cfg).CheckPush(context.Background(), repository(t, host, "a/b"))
		if err == nil || !strings.Contains(err.Error(), tt.want) || int(requests.Load()) != tt.requests || !slices.Equal(waits, tt.waits) {
			t.Errorf("%d %q: %d requests, waits %v, %v", tt.status, tt.retryAfter, requests.Load(), waits, err)
		}
	}
}

func TestCancel(t *testing.T) {
	f := newFake()
	repo := repository(t, serve(t, f), "a/b")
	ctx, cancel := context.WithCancel(context.Background())
	c := registry.New(registry.Config{})
	u, err := c.Upload(ctx, repo)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(noise(1, 6<<20)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := u.Commit(ctx, digestOf(noise(1, 6<<20))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	u.Cancel()
	u.Cancel()
	if f.deleted != 1 || len(f.uploads) != 0 {
		t.Errorf("%d uploads were cancelled, %d are left", f.deleted, len(f.uploads))
	}
	if _, err := u.Write([]byte("x")); err == nil {
		t.Error("a cancelled upload is written to")
	}
	if err := c.CheckPush(ctx, repo); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	f.auth = "basic"
	slow := registry.New(registry.Config{})
	ctx, cancel = context.WithCancel(context.Background())
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	if err := slow.CheckPush(ctx, repository(t, host, "a/b")); !errors.Is(err, context.Canceled) {
		t.Errorf("in a wait: %v", err)
	}
}
