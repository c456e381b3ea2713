package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/devs/deploy/pkg/registry/acr"
)

// renewBefore is how long before its end a temporary password is made anew. It covers
// the longest single request.
const renewBefore = 10 * time.Minute

// fromCloud returns an authenticator for a registry of ACR when there is a cloud key,
// else the anonymous one.
func (k *Keychain) fromCloud(ctx context.Context, host string) (authn.Authenticator, error) {
	r, ok := acr.Parse(host)
	if !ok || k.cfg.Password == nil {
		return authn.Anonymous, nil
	}
	a := &temporary{k: k, r: r}
	cfg, err := a.AuthorizationContext(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Username == "" {
		return authn.Anonymous, nil
	}
	return a, nil
}

// temporary is an authenticator whose password ends, and is made anew.
type temporary struct {
	k *Keychain
	r acr.Registry
}

// Authorization implements authn.Authenticator.
func (a *temporary) Authorization() (*authn.AuthConfig, error) {
	return a.AuthorizationContext(context.Background())
}

// AuthorizationContext implements authn.ContextAuthenticator.
func (a *temporary) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	a.k.mu.Lock()
	defer a.k.mu.Unlock()
	key := a.r.On(acr.Internet).Host()
	p := a.k.passwords[key]
	if p == nil || !a.k.cfg.Now().Add(renewBefore).Before(p.Expires) {
		made, err := a.k.cfg.Password(ctx, a.r)
		if err != nil {
			return nil, fmt.Errorf("asking for a temporary password of %s: %w", a.r.Host(), err)
		}
		if made == nil {
			made = &acr.Password{Expires: a.k.cfg.Now().Add(24 * time.Hour)} // none, and none later
		}
		a.k.cfg.Secret(made.Password.Reveal())
		p = made
		a.k.passwords[key] = p
	}
	return &authn.AuthConfig{Username: p.Username, Password: p.Password.Reveal()}, nil
}
