// Package auth finds the credentials for a registry: those given explicitly, those of
// Docker configs with their credential helpers, a temporary password of Alibaba Cloud
// Container Registry made from a cloud key, else none; the first that is there wins.
// An ACR registry is the same one on all its networks, and so are its credentials.
//
// The package knows diag, secret and acr of the project. Files, the environment, the
// clock and the cloud come in through Config.
package auth

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/registry/acr"
	"github.com/devs/deploy/pkg/secret"
)

// Config is where credentials come from.
type Config struct {
	Logins  []Login        // given explicitly, for example by inputs of a CI
	Docker  []DockerConfig // the first that knows a registry wins
	Environ []string       // the environment of credential helpers; nil means ours
	// Password makes a temporary password for a registry of ACR. Nil means that
	// there is no cloud key. nil without an error means that it has none for
	// this registry.
	Password func(ctx context.Context, r acr.Registry) (*acr.Password, error)
	// Secret is told every password that is found, so that it is kept out of
	// logs; may be nil.
	Secret func(value string)
	// Warn is told of sources that failed while another one may do; may be nil.
	Warn func(text string)
	Now  func() time.Time // nil means time.Now
}

// Login is a user name and a password for one registry.
type Login struct {
	Host     string // "ghcr.io", "docker.io", "https://registry.example.com"
	Username string
	Password secret.String
}

// DockerConfig is the content of a config.json.
type DockerConfig struct {
	Source string // for messages: "/root/.docker/config.json", "input docker-config"
	JSON   secret.String
}

// Keychain implements authn.Keychain and authn.ContextKeychain. It is safe for
// concurrent use.
type Keychain struct {
	cfg   Config
	files []*configfile.ConfigFile // beside cfg.Docker

	mu        sync.Mutex
	passwords map[string]*acr.Password // by the public host
}

// New returns a keychain. It fails when a Docker config cannot be read.
func New(cfg Config) (*Keychain, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Secret == nil {
		cfg.Secret = func(string) {}
	}
	if cfg.Warn == nil {
		cfg.Warn = func(string) {}
	}
	k := &Keychain{cfg: cfg, passwords: map[string]*acr.Password{}}
	for _, d := range cfg.Docker {
		file, err := parse(d)
		if err != nil {
			return nil, err
		}
		k.files = append(k.files, file)
	}
	for _, l := range cfg.Logins {
		cfg.Secret(l.Password.Reveal())
		if l.Username == "" || l.Password.IsZero() {
			return nil, diag.Errorf("the login for the registry %s has no user name or no password", l.Host).
				WithHint("give both; check that the secret is set and handed to this job: pull requests from forks get none")
		}
	}
	return k, nil
}

// parse reads a Docker config. The error shows nothing of its content.
func parse(d DockerConfig) (*configfile.ConfigFile, error) {
	file := configfile.New("")
	if err := file.LoadFromReader(bytes.NewReader([]byte(d.JSON.Reveal()))); err != nil {
		return nil, diag.Errorf("%s is no Docker config", d.Source).
			WithHint(`write {"auths": {"<registry>": {"auth": "<base64 of user:password>"}}}, as docker login does`)
	}
	return file, nil
}

// Resolve implements authn.Keychain.
func (k *Keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain.
func (k *Keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	hosts := acr.Hosts(canonical(target.RegistryStr()))
	path := strings.TrimPrefix(strings.TrimPrefix(target.String(), target.RegistryStr()), "/")
	for _, host := range hosts {
		for _, l := range k.cfg.Logins {
			if canonical(l.Host) == host {
				return authn.FromConfig(authn.AuthConfig{Username: l.Username, Password: l.Password.Reveal()}), nil
			}
		}
	}
	for i, file := range k.files {
		for _, host := range hosts {
			found, err := k.fromDocker(ctx, file, host, path)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				k.cfg.Warn(fmt.Sprintf("%s: %s", k.cfg.Docker[i].Source, err))
			}
			if found != nil {
				k.cfg.Secret(found.Password)
				k.cfg.Secret(found.IdentityToken)
				k.cfg.Secret(found.RegistryToken)
				return authn.FromConfig(*found), nil
			}
		}
	}
	return k.fromCloud(ctx, hosts[0])
}

// canonical returns the host that a registry is known by: without scheme, path and
// upper case, and with one name for Docker Hub.
func canonical(host string) string {
	host, _, _ = strings.Cut(bare(host), "/")
	switch host = strings.ToLower(host); host {
	case "docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		return "index.docker.io"
	}
	return host
}

// bare returns a key of a Docker config without its scheme.
func bare(key string) string {
	key = strings.TrimSpace(key)
	for _, scheme := range []string{"https://", "http://"} {
		key = strings.TrimPrefix(key, scheme)
	}
	return strings.TrimSuffix(key, "/")
}
