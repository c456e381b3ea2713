package cli

import (
	"context"
	"os"
	"path/filepath"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/hook"
	"github.com/devs/deploy/pkg/spec"
)

// world is all that one run on an application holds open.
type world struct {
	engine  *engine.Engine
	printer *printer
	cleanup []func()
}

func (w *world) close() {
	w.printer.stop()
	for i := len(w.cleanup) - 1; i >= 0; i-- {
		w.cleanup[i]()
	}
}

// open wires an engine for the application: its environment with .env, its
// credentials, the cloud it talks to, and what its hooks see.
func (t *tool) open(ctx context.Context, a *app.App) (_ *world, err error) {
	w := &world{printer: newPrinter(t.IO, t.Silent, t.Now)}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	dotenv, err := spec.LoadDotEnv(a.Dir)
	if err != nil {
		return nil, err
	}
	getenv := spec.WithDotEnv(t.getenv, dotenv)
	cfg := engine.Config{
		App:      a,
		Access:   t.Access,
		Env:      getenv,
		ReadFile: os.ReadFile,
		Exists:   exists,
		Notify:   w.printer.event,
		Redactor: t.redactor,
		Now:      t.Now,
		In:       t.IO.In,
	}
	resolver := credential.NewResolver(t.credentialConfig(getenv))
	cfg.Credential = t.withEndpoint(resolver.Resolve)
	environ := t.Environ
	for name, value := range dotenv {
		if _, set := t.getenv(name); !set {
			environ = append(environ[:len(environ):len(environ)], name+"="+value)
		}
	}
	if t.Embedded || t.truthy(envEmbedded) {
		cloud, err := t.openCloud(ctx, t.cloudDir(a.Dir))
		if err != nil {
			return nil, err
		}
		w.cleanup = append(w.cleanup, cloud.close)
		cfg.Credential = cloud.credential
		cfg.AutoDomain = cloud.autoDomain
		environ = append(environ[:len(environ):len(environ)], envEmbedded+"=1", envEmbeddedDir+"="+cloud.dir)
	}
	links, remove, err := hook.LinkDir(os.TempDir(), t.Executable)
	if err != nil {
		return nil, err
	}
	w.cleanup = append(w.cleanup, remove)
	cfg.Hooks = engine.Hooks{Environ: environ, BinDir: links, Output: t.IO.Err}
	cfg.Components = t.finder(ctx, a, environ)
	w.engine = engine.New(cfg)
	return w, nil
}

// withEndpoint lets --endpoint and FC_ENDPOINT point elsewhere than the credential.
func (t *tool) withEndpoint(resolve func(string) (*credential.Credential, error)) func(string) (*credential.Credential, error) {
	return func(alias string) (*credential.Credential, error) {
		cred, err := resolve(alias)
		if err != nil {
			return nil, err
		}
		endpoint := t.Endpoint
		if endpoint == "" {
			endpoint = t.env("FC_ENDPOINT")
		}
		if endpoint == "" {
			return cred, nil
		}
		c := *cred
		c.Endpoint = endpoint
		return &c, nil
	}
}

// credentialConfig tells the credential package of the world.
func (t *tool) credentialConfig(getenv func(string) (string, bool)) credential.Config {
	return credential.Config{
		Env:      getenv,
		Environ:  t.Environ,
		HomeDir:  t.env("HOME"),
		TempDir:  os.TempDir(),
		UID:      os.Getuid(),
		CI:       t.inCI(),
		Yunxiao:  t.env("PIPELINE_ID") != "" && t.env("PROJECT_DIR") != "",
		Redactor: t.redactor,
	}
}

// inCI reports whether a CI runs this command.
func (t *tool) inCI() bool {
	for _, name := range []string{"CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "GITEE_PIPELINE_BUILD_NUMBER", "PIPELINE_ID", "SERVERLESS_DEVS_CICD", "SERVERLESS_CD"} {
		if t.truthy(name) {
			return true
		}
	}
	return false
}

// cloudDir is the state folder of the embedded cloud.
func (t *tool) cloudDir(base string) string {
	if dir := t.env(envEmbeddedDir); dir != "" {
		return t.path(dir)
	}
	return filepath.Join(base, ".s", "cloud")
}

// notAlone is returned where a question would have to be asked and nobody is there.
func notAlone(question, flag string) error {
	return diag.Errorf("%s", question).WithCode(diag.ExitComponent).
		WithHint("nobody can be asked here; say yes with %s", flag)
}
