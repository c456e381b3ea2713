// Package registry speaks the OCI distribution protocol: it reads images and blobs,
// uploads blobs whose size and digest are not known when they begin, and puts
// manifests. Its memory is bounded whatever the size of a blob, it resumes what was
// cut, backs off where a registry asks for it, and trusts nothing that a registry
// sends: sizes are bounded, digests verified, and credentials go to no other host.
//
// References, credentials and the exchange of tokens are those of
// google/go-containerregistry. The package knows diag and no other package of the
// project; the network, the clock and randomness come in through Config.
package registry

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/devs/deploy/pkg/internal/wait"
)

// Config is what a Client needs to know of the world. The zero value works: no
// credentials, the proxy of the environment, the real clock.
type Config struct {
	// Keychain finds the credentials for a repository; nil means none.
	Keychain authn.Keychain
	// HTTP sends the requests; nil means NewTransport(). It must not decompress.
	HTTP http.RoundTripper
	// Insecure lists hosts ("host" or "host:port") that speak plain HTTP.
	// Registries of this machine (loopback) always do.
	Insecure []string
	// UserAgent names the program; "" means "devs".
	UserAgent string
	// Rewrite tells where a registry host really is, as host:port; for the
	// embedded cloud. Nil, or false, leaves the host as it is. The Host header
	// keeps the name of the registry.
	Rewrite func(host string) (string, bool)

	// Sleep waits, or returns the error of a context that ends first. Nil means
	// the real thing.
	Sleep func(ctx context.Context, d time.Duration) error
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Rand returns numbers from 0 to below 1 for the jitter of waits; nil means
	// math/rand.
	Rand func() float64
	// Stall is how long the body of an answer may bring no byte before it is
	// taken as cut; 0 means a minute.
	Stall time.Duration
}

// Client talks to registries. It is safe for concurrent use and keeps connections
// and tokens for its lifetime.
type Client struct {
	cfg  Config
	http *http.Client

	mu       sync.Mutex
	hosts    map[string]*host
	sessions map[string]*session
	pieces   sync.Pool // of *[]byte, each of pieceSize bytes
}

// New returns a client.
func New(cfg Config) *Client {
	if cfg.Keychain == nil {
		cfg.Keychain = authn.NewMultiKeychain()
	}
	if cfg.HTTP == nil {
		cfg.HTTP = NewTransport()
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "devs"
	}
	if cfg.Sleep == nil {
		cfg.Sleep = wait.For
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	if cfg.Stall == 0 {
		cfg.Stall = time.Minute
	}
	c := &Client{cfg: cfg, hosts: map[string]*host{}, sessions: map[string]*session{}}
	c.pieces.New = func() any { b := make([]byte, pieceSize); return &b }
	c.http = &http.Client{Transport: &wire{c}, CheckRedirect: checkRedirect}
	return c
}

// NewTransport returns an HTTP transport made for registries: HTTP/1.1, enough kept
// connections for many parallel transfers, no decompression behind our back.
func NewTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		Protocols:             protocols,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       50 * time.Second,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: 5 * time.Minute, // a registry may put a big blob together while it commits
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}
}

// host returns what is known of a registry.
func (c *Client) host(reg name.Registry) *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[reg.RegistryStr()]
	if h == nil {
		h = &host{c: c, reg: reg, scheme: "https"}
		if c.plain(reg.RegistryStr()) {
			h.scheme = "http"
		}
		c.hosts[reg.RegistryStr()] = h
	}
	return h
}

// session returns what is known of a repository.
func (c *Client) session(repo name.Repository) *session {
	h := c.host(repo.Registry)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[repo.Name()]
	if s == nil {
		s = &session{host: h, repo: repo, grants: map[string]*grant{}}
		c.sessions[repo.Name()] = s
	}
	return s
}

// plain reports whether a registry host speaks plain HTTP.
func (c *Client) plain(host string) bool {
	bare, _, err := net.SplitHostPort(host)
	if err != nil {
		bare = host
	}
	if slices.Contains(c.cfg.Insecure, host) || slices.Contains(c.cfg.Insecure, bare) {
		return true
	}
	return IsLoopback(host)
}

// IsLoopback reports whether a registry host, with or without a port, is this
// machine by its name.
func IsLoopback(host string) bool {
	if bare, _, err := net.SplitHostPort(host); err == nil {
		host = bare
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
