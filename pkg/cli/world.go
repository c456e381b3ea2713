package cli

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/ci"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/credential/client"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/hook"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/spec"
)

// world is all that one run on an application holds open.
type world struct {
	engine   *engine.Engine
	printer  *printer
	stateKey string // DEVS_STATE_KEY
	cleanup  []func()
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
	dotenv := map[string]string{}
	if !t.distrust { // a stranger's would decide where requests go
		if dotenv, err = spec.LoadDotEnv(a.Dir); err != nil {
			return nil, err
		}
	}
	getenv := spec.WithDotEnv(t.getenv, dotenv)
	cfg := engine.Config{
		App:      a,
		Access:   t.Access,
		Env:      getenv,
		ReadFile: t.readFile(a.Dir),
		Exists:   exists,
		Notify:   t.notify(w.printer),
		Redactor: t.redactor,
		Now:      t.Now,
		In:       t.IO.In,
		Stranger: t.distrust,
	}
	if t.Debug {
		cfg.Trace = func(line string) { w.printer.event(engine.Notice{Text: "request: " + line}) }
	}
	resolver := credential.NewResolver(t.credentialConfig(getenv))
	cfg.Credential = func(alias string) (*credential.Credential, error) { return t.credential(ctx, resolver, alias) }
	environ := t.Environ
	for name, value := range dotenv {
		if _, set := t.getenv(name); !set {
			environ = append(environ[:len(environ):len(environ)], name+"="+value)
		}
	}
	var cloud *embedded
	if t.Embedded || t.truthy(envEmbedded) {
		if cloud, err = t.openCloud(ctx, t.cloudDir(a.Dir)); err != nil {
			return nil, err
		}
		w.cleanup = append(w.cleanup, cloud.close)
		cfg.Credential = cloud.credential
		cfg.AutoDomain = autoDomain
		environ = append(environ[:len(environ):len(environ)], envEmbedded+"=1", envEmbeddedDir+"="+cloud.dir)
	}
	cfg.Images = t.images(a.Dir, cloud)
	if cfg.Records, err = t.records(a, getenv, cloud); err != nil {
		return nil, err
	}
	w.stateKey = cfg.Records.Extra
	if t.IO.Interactive() && !t.inCI() {
		cfg.Default = plan.Prompt
	}
	cfg.Hooks = engine.Hooks{Environ: append(environ[:len(environ):len(environ)], envNested+"=1"), Output: w.printer}
	if !t.SkipActions && hasActions(a) {
		links, remove, err := hook.LinkDir(os.TempDir(), t.Executable)
		if err != nil {
			return nil, diag.Errorf("making a folder for the hooks: %v", err).WithHint("let TMPDIR name a folder that can be written")
		}
		w.cleanup = append(w.cleanup, remove)
		cfg.Hooks.BinDir = links
	}
	if terminal, ok := t.IO.In.(*os.File); ok && t.IO.Interactive() {
		cfg.Hooks.Terminal = terminal
	}
	cfg.Components = t.finder(ctx, a, environ)
	w.engine = engine.New(cfg)
	return w, nil
}

func hasActions(a *app.App) bool {
	return len(a.Actions) > 0 || slices.ContainsFunc(a.Services, func(s *app.Service) bool { return len(s.Actions) > 0 })
}

// lookupTimeout bounds the question whose a credential is.
const lookupTimeout = 10 * time.Second

// credential finds the credential of an alias and fills in what it leaves out: the
// account, which STS knows, and the endpoint, which --endpoint and FC_ENDPOINT set.
func (t *tool) credential(ctx context.Context, resolver *credential.Resolver, alias string) (*credential.Credential, error) {
	resolve := resolver.Resolve
	if t.Access != "" { // named on the command line: nothing else will do
		resolve = resolver.ResolveNamed
	}
	found, err := resolve(alias)
	if err != nil {
		return nil, &noCredential{err}
	}
	cred := *found
	if cred.Fallback && alias != "default" {
		t.warn("the credential %s was not found; using the one of %s", alias, cred.Source)
	}
	if endpoint := cmp.Or(t.Endpoint, t.env("FC_ENDPOINT")); endpoint != "" {
		cred.Endpoint = endpoint
	}
	if cred.AccountID == "" && !cred.AccessKeySecret.IsZero() {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		if cred.AccountID, err = client.AccountLookup(t.env("DEVS_STS_ENDPOINT"))(ctx, cred); err != nil {
			return nil, diag.Errorf("the credential of %s has no AccountID, and STS did not tell it: %s", cred.Source, t.redactor.Redact(err.Error())).
				WithHint("set AccountID, beside AccessKeyID and AccessKeySecret")
		}
	}
	return &cred, nil
}

// credentialConfig tells the credential package of the world.
func (t *tool) credentialConfig(getenv func(string) (string, bool)) credential.Config {
	return credential.Config{
		Env:      getenv,
		Environ:  t.Environ,
		EnvFirst: t.envFirst,
		HomeDir:  t.env("HOME"),
		TempDir:  os.TempDir(),
		UID:      os.Getuid(),
		CI:       t.inCI(),
		Yunxiao:  t.env("PIPELINE_ID") != "" && t.env("PROJECT_DIR") != "",
		Redactor: t.redactor,
	}
}

// inCI reports whether a CI runs this command.
func (t *tool) inCI() bool { return ci.Detected(t.truthy) }

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

// notify returns what is told of the events of a run.
func (t *tool) notify(p *printer) func(engine.Event) {
	if t.watcher.event == nil {
		return p.event
	}
	return func(ev engine.Event) {
		p.event(ev)
		t.watcher.event(ev)
	}
}

// readFile returns what reads the files that an application in dir names: any, or, when
// it is a stranger's, those that lie in it, wherever links lead. What git keeps is not
// among them: a checkout leaves the job's token there.
func (t *tool) readFile(dir string) func(path string) ([]byte, error) {
	if !t.distrust {
		return os.ReadFile
	}
	return func(path string) ([]byte, error) {
		folder, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return nil, err
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil || !filepath.IsLocal(name) {
			return nil, errors.New("it lies outside the folder of the application")
		}
		if slices.ContainsFunc(strings.Split(name, string(filepath.Separator)), func(part string) bool { return strings.EqualFold(part, ".git") }) {
			return nil, errors.New("it belongs to git")
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		return root.ReadFile(name)
	}
}

// distrusted is the error for code of a stranger that would be run.
func distrusted(pos diag.Pos, what string) error {
	return diag.At(pos, "%s is code of another repository, which is not run here", what).
		WithHint("after a look at it, allow-fork-hooks: true lets this job run it")
}
