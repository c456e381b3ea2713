package cli

import (
	"cmp"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/state"
)

// envStateKey is a secret that is mixed into the fingerprints of secrets.
const envStateKey = "DEVS_STATE_KEY"

// envKeepCode keeps code packages beside the record, as --keep-code does.
const envKeepCode = "DEVS_KEEP_CODE"

// records says where the record of deploys is kept: in tags of the cloud and a folder
// beside the application, or where `state` of the application file says.
func (t *tool) records(a *app.App, getenv func(string) (string, bool), cloud *embedded) (engine.Records, error) {
	extra, _ := getenv(envStateKey)
	t.redactor.Add(extra)
	r := engine.Records{Extra: extra, Rand: rand.Reader, Lock: state.LockConfig{Who: t.who(), Process: state.ThisProcess(), Now: t.Now}}
	r.KeepCode = t.truthy(envKeepCode)
	if held := t.env(engine.HeldLocks); held != "" {
		r.Lock.Parents = strings.Split(held, ",")
	}
	where := a.Root.Get("state")
	switch {
	case where.IsNull():
		r.Store = &state.Folder{Dir: filepath.Join(a.Dir, ".s", "state"), Extra: extra}
		return r, nil
	case where.Kind == app.String && len(where.Exprs) > 0:
		return r, diag.At(where.Pos, "state must stand as it is, without ${...}").WithHint("write a folder, or oci://registry/repository")
	case where.Kind != app.String || where.Str() == "":
		return r, diag.At(where.Pos, "state is no text").WithHint("write a folder, or oci://registry/repository")
	}
	r.Alone = true
	if state.IsOCI(where.Str()) {
		store, err := state.NewOCI(nil, where.Str(), extra)
		if err != nil {
			return r, diag.At(where.Pos, "state: %v", err).WithHint("write oci://registry/repository, without a tag")
		}
		store.Client, err = t.newRegistryClient(cloud, store.Repo.RegistryStr(), t.defaultPassword(cloud))
		r.Store = store
		return r, err
	}
	if scheme, _, other := strings.Cut(where.Str(), "://"); other {
		return r, diag.At(where.Pos, "state: records cannot be kept in %s://", scheme).WithHint("write a folder, or oci://registry/repository")
	}
	folder := where.Str()
	if !filepath.IsAbs(folder) {
		folder = filepath.Join(a.Dir, folder)
	}
	r.Store = &state.Folder{Dir: folder, Extra: extra}
	return r, nil
}

// who tells those who wait for the lock of this run who has it.
func (t *tool) who() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	run := cmp.Or(t.env("GITHUB_RUN_ID"), t.env("CI_PIPELINE_ID"), t.env("BUILD_NUMBER"), t.env("GITEE_PIPELINE_BUILD_NUMBER"))
	if run == "" {
		return host
	}
	return "run " + run + " on " + host
}
