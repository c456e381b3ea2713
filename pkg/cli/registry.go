package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/emulator/imagepath"
	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/publish"
	"github.com/devs/deploy/pkg/registry"
	"github.com/devs/deploy/pkg/registry/acr"
	"github.com/devs/deploy/pkg/registry/acr/client"
	"github.com/devs/deploy/pkg/registry/auth"
	"github.com/devs/deploy/pkg/secret"
)

// The variables that give the credentials of a registry explicitly.
const (
	envRegistry         = "DEVS_REGISTRY"
	envRegistryUser     = "DEVS_REGISTRY_USERNAME"
	envRegistryPassword = "DEVS_REGISTRY_PASSWORD"
	envDockerAuth       = "DOCKER_AUTH_CONFIG" // the content of a config.json, as GitLab has it
)

// envIsolation forces how commands of images are kept apart, as --isolation of devs
// image build does.
const envIsolation = "DEVS_ISOLATION"

// passwordFunc makes a temporary password for a registry of ACR.
type passwordFunc = func(ctx context.Context, r acr.Registry) (*acr.Password, error)

// newRegistryClient returns a client with the credentials of this environment; those
// of ACR come from password. The registries of ACR are those of the embedded cloud
// when there is one.
func (t *tool) newRegistryClient(cloud *embedded, host string, password passwordFunc) (*registry.Client, error) {
	cfg := auth.Config{Environ: t.Environ, Password: password, Secret: func(v string) { t.redactor.Add(v) }, Warn: func(text string) { t.warn("%s", text) }, Now: t.Now}
	named := t.env(envRegistry) != "" || !t.distrust // a stranger names no host that gets the password
	if user, pass := t.env(envRegistryUser), t.env(envRegistryPassword); named && (user != "" || pass != "") {
		if t.env(envRegistry) != "" {
			host = t.env(envRegistry)
		}
		if host == "" {
			return nil, diag.Errorf("%s is set, but not for which registry it is", envRegistryUser).WithHint("set %s to its host", envRegistry)
		}
		cfg.Logins = append(cfg.Logins, auth.Login{Host: host, Username: user, Password: secret.New(pass)})
	}
	if content := t.env(envDockerAuth); content != "" {
		cfg.Docker = append(cfg.Docker, auth.DockerConfig{Source: envDockerAuth, JSON: secret.New(content)})
	}
	file, err := auth.ReadDockerConfig(t.dockerConfig())
	if err != nil {
		return nil, err
	}
	if file != nil {
		cfg.Docker = append(cfg.Docker, *file)
	}
	keys, err := auth.New(cfg)
	if err != nil {
		return nil, err
	}
	world := registry.Config{Keychain: keys, UserAgent: "devs/" + t.Version, Now: t.Now, Insecure: strings.Fields(strings.ReplaceAll(t.env("DEVS_INSECURE_REGISTRIES"), ",", " "))}
	if cloud != nil {
		address := strings.TrimPrefix(cloud.url, "http://")
		world.Rewrite = func(host string) (string, bool) {
			_, _, ok := imagepath.Registry(host)
			return address, ok
		}
	}
	return registry.New(world), nil
}

// dockerConfig is where docker login keeps what it was given.
func (t *tool) dockerConfig() string {
	if dir := t.env("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(t.path(dir), "config.json")
	}
	if home := t.env("HOME"); home != "" {
		return filepath.Join(home, ".docker", "config.json")
	}
	return ""
}

// imageClient returns the client of devs image, whose key for ACR is that of the
// environment or of the default alias.
func (t *tool) imageClient(ctx context.Context, tag string) (*registry.Client, func(), error) {
	var cloud *embedded
	done := func() {}
	if t.Embedded || t.truthy(envEmbedded) {
		var err error
		if cloud, err = t.openCloud(ctx, t.cloudDir(t.Dir)); err != nil {
			return nil, nil, err
		}
		done = cloud.close
	}
	c, err := t.newRegistryClient(cloud, hostOf(tag), t.defaultPassword(cloud))
	if err != nil {
		done()
		return nil, nil, err
	}
	return c, done, nil
}

// defaultPassword makes passwords for ACR from the key of the environment or of the
// default alias.
func (t *tool) defaultPassword(cloud *embedded) passwordFunc {
	resolver := credential.NewResolver(t.credentialConfig(t.getenv))
	return func(ctx context.Context, r acr.Registry) (*acr.Password, error) {
		if cloud != nil {
			return nil, nil
		}
		cred, err := resolver.Resolve("default")
		if err != nil {
			return nil, nil // no key: the registry decides what anybody may do
		}
		return t.acrPassword(ctx, *cred, r, t.env("DEVS_ACR_INSTANCE_ID"))
	}
}

func (t *tool) acrPassword(ctx context.Context, cred credential.Credential, r acr.Registry, instanceID string) (*acr.Password, error) {
	return client.New(client.Config{Endpoint: t.env("DEVS_ACR_ENDPOINT"), Now: t.Now}).Password(ctx, cred, r, instanceID)
}

// hostOf returns the registry of a reference, "" when it is none.
func hostOf(text string) string {
	ref, err := name.ParseReference(text)
	if err != nil {
		return ""
	}
	return ref.Context().RegistryStr()
}

// functionPlatform is the platform of functions: Function Compute takes images for
// amd64 alone, the embedded cloud runs those of this machine.
func functionPlatform(cloud *embedded) v1.Platform {
	if cloud != nil {
		return image.Native()
	}
	return v1.Platform{OS: "linux", Architecture: "amd64"}
}

// images returns what components build and push images with.
func (t *tool) images(dir string, cloud *embedded) component.Images {
	return &publish.Publisher{Config: publish.Config{
		Dir: dir,
		Client: func(ctx context.Context, ref component.ImageRef) (*registry.Client, error) {
			password := func(ctx context.Context, r acr.Registry) (*acr.Password, error) {
				if cloud != nil || ref.Credential == nil {
					return nil, nil
				}
				cred, err := ref.Credential()
				if err != nil {
					return nil, nil
				}
				return t.acrPassword(ctx, *cred, r, ref.InstanceID)
			}
			return t.newRegistryClient(cloud, hostOf(ref.Name), password)
		},
		Apart: func(ctx context.Context, b component.ImageBuild) (digest, reason string, err error) {
			return t.buildMapped(ctx, dir, cloud, b)
		},
		Image: func(c *registry.Client, unmapped string) *image.Config {
			return t.imageConfig(c, sandboxConfig(t.env(envIsolation), unmapped))
		},
		Options: func() (image.Options, error) {
			epoch, err := t.sourceEpoch(nil)
			return image.Options{
				Epoch: epoch, Platforms: []v1.Platform{functionPlatform(cloud)},
				Without: []string{t.cloudDir(dir), t.cloudDir(dir) + ".users"},
			}, err
		},
	}}
}
