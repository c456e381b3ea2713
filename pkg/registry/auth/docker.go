package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	helper "github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/devs/deploy/pkg/secret"
)

const (
	maxConfig   = 1 << 20 // bytes of a Docker config
	helperLimit = 30 * time.Second
)

// ReadDockerConfig reads a config.json; nil when it is not there.
func ReadDockerConfig(file string) (*DockerConfig, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Docker config: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("reading the Docker config %s: %w", file, err)
	}
	if len(data) > maxConfig {
		return nil, fmt.Errorf("reading the Docker config %s: it is larger than %d bytes", file, maxConfig)
	}
	return &DockerConfig{Source: file, JSON: secret.New(string(data))}, nil
}

// fromDocker looks up a repository in a Docker config: an entry for its path or a
// folder above, then the credential helper of the host, then the entry of the host. It
// returns nil when there is nothing.
func (k *Keychain) fromDocker(ctx context.Context, file *configfile.ConfigFile, host, repo string) (*authn.AuthConfig, error) {
	for p := repo; p != ""; p = p[:max(0, strings.LastIndexByte(p, '/'))] {
		if entry, ok := file.AuthConfigs[host+"/"+p]; ok && !empty(entry) {
			return convert(entry), nil
		}
	}
	found, err := k.fromHelper(ctx, file, host)
	if found != nil {
		return found, nil
	}
	keys := make([]string, 0, len(file.AuthConfigs))
	for key := range file.AuthConfigs {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		_, below, _ := strings.Cut(bare(key), "/")
		if entry := file.AuthConfigs[key]; canonical(key) == host && (below == "" || below == "v1" || below == "v2") && !empty(entry) {
			return convert(entry), nil
		}
	}
	return nil, err
}

func empty(a types.AuthConfig) bool {
	return a.Username == "" && a.Password == "" && a.IdentityToken == "" && a.RegistryToken == ""
}

func convert(a types.AuthConfig) *authn.AuthConfig {
	return &authn.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken}
}

var helperName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// fromHelper asks the credential helper that a Docker config names for a host.
func (k *Keychain) fromHelper(ctx context.Context, file *configfile.ConfigFile, host string) (*authn.AuthConfig, error) {
	name := file.CredentialsStore
	for key, h := range file.CredentialHelpers {
		if canonical(key) == host {
			name = h
		}
	}
	if name == "" {
		return nil, nil
	}
	if !helperName.MatchString(name) {
		return nil, errors.New("the name of its credential helper is malformed")
	}
	server := host
	if host == "index.docker.io" {
		server = "https://index.docker.io/v1/"
	}
	ctx, cancel := context.WithTimeout(ctx, helperLimit)
	defer cancel()
	got, err := helper.Get(func(args ...string) helper.Program {
		cmd := exec.CommandContext(ctx, "docker-credential-"+name, args...)
		cmd.Env = k.cfg.Environ
		cmd.WaitDelay = time.Second
		return &program{cmd}
	}, server)
	switch {
	case credentials.IsErrCredentialsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("its credential helper docker-credential-%s failed: %w", name, whatHelper(ctx, err))
	case got.Username == "<token>":
		return &authn.AuthConfig{Username: got.Username, IdentityToken: got.Secret}, nil
	case got.Username == "" && got.Secret == "":
		return nil, nil
	}
	return &authn.AuthConfig{Username: got.Username, Password: got.Secret}, nil
}

// whatHelper returns what is wrong with a helper, without what it printed: that may
// be a secret.
func whatHelper(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound), strings.Contains(err.Error(), exec.ErrNotFound.Error()):
		return exec.ErrNotFound
	}
	return errors.New("it gave no credentials")
}

// program runs a helper.
type program struct{ cmd *exec.Cmd }

// Output implements helper.Program.
func (p *program) Output() ([]byte, error) {
	var out bytes.Buffer
	p.cmd.Stdout = &limited{&out}
	err := p.cmd.Run()
	return out.Bytes(), err
}

// Input implements helper.Program.
func (p *program) Input(in io.Reader) { p.cmd.Stdin = in }

// limited takes no more than maxConfig bytes.
type limited struct{ buf *bytes.Buffer }

// Write implements io.Writer.
func (l *limited) Write(b []byte) (int, error) {
	if l.buf.Len()+len(b) > maxConfig {
		return 0, errors.New("it printed too much")
	}
	return l.buf.Write(b)
}
