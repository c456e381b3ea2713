package registry

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// host is one registry: how it is spoken to.
type host struct {
	c      *Client
	reg    name.Registry
	scheme string

	mu        sync.Mutex
	challenge *transport.Challenge // nil until the first request

	// emptyPut is set once the registry has refused the last bytes of an upload in
	// the request that ends it.
	emptyPut atomic.Bool
}

// session is one repository: its credentials and tokens.
type session struct {
	host *host
	repo name.Repository

	auth atomic.Pointer[authn.AuthConfig] // what was used last; nil until asked for

	mu     sync.Mutex
	source authn.Authenticator // nil until the keychain was asked
	grants map[string]*grant   // by scopes
}

// grant is a bearer token for some scopes.
type grant struct {
	token   string
	scopes  []string
	renewAt time.Time
}

// access is what a request needs: the right to pull from a repository, to push to it,
// or to push to it and pull from another one.
type access struct {
	push bool
	from *name.Repository
}

func (a access) scopes(repo name.Repository) []string {
	if !a.push {
		return []string{repo.Scope(transport.PullScope)}
	}
	scopes := []string{repo.Scope(transport.PushScope)}
	if a.from != nil && a.from.Name() != repo.Name() {
		scopes = append(scopes, a.from.Scope(transport.PullScope))
	}
	return scopes
}

// ping learns once how a registry wants to be spoken to.
func (h *host) ping(ctx context.Context) (*transport.Challenge, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.challenge != nil {
		return h.challenge, nil
	}
	var challenge *transport.Challenge
	err := h.c.retry(ctx, func() (err error) {
		challenge, err = h.ask(ctx)
		return err
	})
	if err != nil {
		return nil, h.unreachable(err)
	}
	h.adopt(challenge)
	return challenge, nil
}

// ask sends the ping. It is not transport.Ping that sends it, as that asks a second
// time when the first answer takes long.
func (h *host) ask(ctx context.Context) (*transport.Challenge, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.scheme+"://"+h.reg.RegistryStr()+"/v2/", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := h.c.http.Do(req)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusOK:
		drain(resp)
		return &transport.Challenge{}, nil
	case resp.StatusCode != http.StatusUnauthorized:
		return nil, h.c.failed(resp)
	}
	drain(resp)
	return parseChallenge(ctx, resp)
}

// parseChallenge reads the challenge of an answer with status 401 whose body is read.
// The parser is within transport.Ping, which gets the answer that is there.
func parseChallenge(ctx context.Context, resp *http.Response) (*transport.Challenge, error) {
	anywhere, err := name.NewRegistry("registry.invalid")
	if err != nil {
		return nil, err
	}
	resp.Body = http.NoBody
	return transport.Ping(ctx, anywhere, answer{resp})
}

// adopt takes a challenge; h.mu is held.
func (h *host) adopt(challenge *transport.Challenge) {
	challenge.Insecure = h.scheme == "http"
	challenge.Scheme = strings.ToLower(strings.TrimSpace(challenge.Scheme))
	h.challenge = challenge
}

// read takes the challenge of an answer with status 401 whose body is read. A
// registry may answer a ping without one and still ask for credentials later.
func (h *host) read(ctx context.Context, resp *http.Response) (*transport.Challenge, bool) {
	challenge, err := parseChallenge(ctx, resp)
	if err != nil || challenge.Scheme == "" {
		return nil, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.adopt(challenge)
	return challenge, true
}

// answer answers every request with one that is there.
type answer struct{ resp *http.Response }

// RoundTrip implements http.RoundTripper.
func (a answer) RoundTrip(*http.Request) (*http.Response, error) { return a.resp, nil }

// credentials asks the keychain once, and what it gave every time: it may renew
// passwords that end. s.mu is held.
func (s *session) credentials(ctx context.Context) (*authn.AuthConfig, error) {
	doing := "finding the credentials for " + s.repo.RegistryStr()
	if s.source == nil {
		source, err := authn.Resolve(ctx, s.host.c.cfg.Keychain, s.repo)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		s.source = source
	}
	cfg, err := authn.Authorization(ctx, s.source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	s.auth.Store(cfg)
	return cfg, nil
}

// authorize returns the Authorization header for a request, "" for none.
func (s *session) authorize(ctx context.Context, a access) (string, error) {
	challenge, err := s.host.ping(ctx)
	if err != nil {
		return "", err
	}
	switch challenge.Scheme {
	case "":
		return "", nil
	case "bearer":
		return s.bearer(ctx, challenge, a)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	cfg, err := s.credentials(ctx)
	if err != nil {
		return "", err
	}
	return basic(cfg), nil
}

func basic(cfg *authn.AuthConfig) string {
	switch {
	case cfg.RegistryToken != "":
		return "Bearer " + cfg.RegistryToken
	case cfg.Username != "" || cfg.Password != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(cfg.Username+":"+cfg.Password))
	case cfg.Auth != "":
		return "Basic " + cfg.Auth
	}
	return ""
}

// bearer returns a token for an access, from those that are there when one fits.
func (s *session) bearer(ctx context.Context, challenge *transport.Challenge, a access) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cfg, err := s.credentials(ctx)
	if err != nil {
		return "", err
	}
	if cfg.RegistryToken != "" {
		return "Bearer " + cfg.RegistryToken, nil
	}
	key := strings.Join(a.scopes(s.repo), " ")
	g := s.grants[key]
	if push := s.grants[strings.Join(access{push: true}.scopes(s.repo), " ")]; g == nil && !a.push && push != nil {
		g = push // who may push may pull
	}
	if g != nil && s.host.c.cfg.Now().Before(g.renewAt) {
		return "Bearer " + g.token, nil
	}
	scopes := a.scopes(s.repo)
	if g != nil {
		scopes = g.scopes
	}
	g, err = s.exchange(ctx, challenge, cfg, scopes)
	if err != nil {
		return "", err
	}
	s.grants[key] = g
	return "Bearer " + g.token, nil
}

// refused forgets the token that a request was refused with, and reports whether it
// is worth to ask for another one. challenge may name a scope that we did not think
// of. used is the header that was sent.
func (s *session) refused(challenge *transport.Challenge, a access, used string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if challenge.Scheme != "bearer" {
		return used == "" // no credentials were asked for before
	}
	if cfg := s.auth.Load(); cfg != nil && cfg.RegistryToken != "" {
		return false
	}
	key := strings.Join(a.scopes(s.repo), " ")
	scopes := a.scopes(s.repo)
	if want := challenge.Parameters["scope"]; want != "" && !slices.Contains(scopes, want) {
		scopes = append([]string{want}, scopes...) // some registries look at the first one only
	}
	if g := s.grants[key]; g == nil || "Bearer "+g.token == used {
		s.grants[key] = &grant{scopes: scopes} // to be renewed at once
	}
	return true
}

// exchange asks the token server of a registry for a token.
func (s *session) exchange(ctx context.Context, challenge *transport.Challenge, cfg *authn.AuthConfig, scopes []string) (*grant, error) {
	c := s.host.c
	begin := c.cfg.Now()
	var token *transport.Token
	err := c.retry(ctx, func() (err error) {
		token, err = transport.Exchange(ctx, s.host.reg, authn.FromConfig(*cfg), c.http.Transport, scopes, challenge)
		return err
	})
	if err != nil {
		return nil, s.noToken(err)
	}
	if token.AccessToken != "" {
		token.Token = token.AccessToken
	}
	life := time.Duration(token.ExpiresIn) * time.Second
	if life <= 0 {
		life = time.Minute // what the token specification says
	}
	// Renewed early: an upload must not be refused after its body was sent.
	return &grant{token: token.Token, scopes: scopes, renewAt: begin.Add(life - life/5)}, nil
}
