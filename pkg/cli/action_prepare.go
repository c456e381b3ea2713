package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/shlex"

	"github.com/devs/deploy/pkg/ci"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/credential/client"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/internal/wait"
)

// verbs are the commands of which the action knows more than how to run them.
func verbs() []string { return []string{"plan", "deploy", "remove", "build", "publish", "comment"} }

// noCredential is the error of a run that has no keys, or keys that nobody takes.
type noCredential struct{ error }

func (n *noCredential) Unwrap() error { return n.error }

// prepare decides what is run, with which rights, and as whom.
func (a *action) prepare(ctx context.Context) error {
	if err := a.enter(); err != nil {
		return err
	}
	if err := a.parse(); err != nil {
		return err
	}
	a.setInputs()
	if err := a.assume(ctx); err != nil {
		return err
	}
	return a.mistrust()
}

// enter changes to the working directory.
func (a *action) enter() error {
	if a.in.WorkingDirectory == "" {
		return nil
	}
	dir := a.path(a.in.WorkingDirectory)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return diag.Errorf("the working-directory %s is no folder", a.in.WorkingDirectory).WithHint("it is relative to the workspace; is the repository checked out?")
	}
	a.Dir = filepath.Clean(dir)
	return nil
}

// parse splits the command into words and decides what it means.
func (a *action) parse() error {
	words, err := shlex.Split(a.in.Command)
	if err != nil {
		return diag.Errorf("the input command cannot be split into words: %v", err).WithHint("close every quote")
	}
	if len(words) > 0 && (words[0] == "s" || words[0] == "devs") {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{"deploy"}
		if a.run.PullRequest > 0 && a.run.Event != "workflow_run" || a.run.Event == "merge_group" { // what is in the queue is not merged yet
			words = []string{"plan"}
		}
	}
	if a.in.RequireApprovedPlan && !slices.Contains([]string{"deploy", "plan", "build", "comment"}, words[0]) {
		return diag.Errorf("require-approved-plan cannot be kept with the command %q", a.in.Command).
			WithHint("use command: deploy, and the input services for some of them")
	}
	if !slices.Contains(verbs(), words[0]) {
		if a.in.DryRun {
			return diag.Errorf("dry-run cannot be kept with the command %q", a.in.Command).WithHint("use it with plan, deploy, remove, build or publish")
		}
		a.words = words
		return nil
	}
	a.verb = words[0]
	if a.args, err = a.extract(words[1:], a.allFlags()); err != nil {
		return err
	}
	a.Template, a.Access = cmp.Or(a.in.Template, a.Template), cmp.Or(a.in.Access, a.Access)
	if a.in.DryRun {
		a.dry()
	}
	a.addFlags()
	return nil
}

// dry turns the command into one that changes nothing.
func (a *action) dry() {
	switch a.verb {
	case "deploy":
		a.verb = "plan"
	case "remove":
		a.verb, a.args = "plan", append([]string{"--plan-type", "remove"}, a.args...)
	case "publish":
		a.args = append(a.args, "--dry-run")
	}
}

// addFlags adds what the inputs say to the arguments of the command.
func (a *action) addFlags() {
	if a.verb == "comment" {
		return
	}
	given := func(names ...string) bool {
		return slices.ContainsFunc(a.args, func(arg string) bool {
			name, _, _ := strings.Cut(arg, "=")
			return slices.Contains(names, name)
		})
	}
	if a.in.Region != "" && !given("--region") {
		a.args = append(a.args, "--region", a.in.Region)
	}
	if slices.Contains([]string{"plan", "deploy"}, a.verb) && !given("--drift", "--use-local", "--use-remote") && !given("remove", "--plan-type") {
		a.args = append(a.args, "--drift", a.in.Drift)
	}
	if a.verb == "remove" && !given("-y", "--assume-yes") {
		a.args = append(a.args, "-y")
	}
}

// setInputs puts what the inputs say into the environment of the commands, where it beats
// what was there.
func (a *action) setInputs() {
	if !a.in.AccessKeyID.IsZero() {
		a.setCredential(&credential.Credential{
			AccountID: a.in.AccountID, AccessKeyID: a.in.AccessKeyID, AccessKeySecret: a.in.AccessKeySecret, SecurityToken: a.in.SecurityToken,
		})
	} else if a.in.AccountID != "" && a.env(credential.FieldAccountID) == "" {
		a.set(credential.FieldAccountID, a.in.AccountID)
	}
	if a.in.RegistryUsername != "" || !a.in.RegistryPassword.IsZero() {
		a.set(envRegistry, a.in.Registry)
		a.set(envRegistryUser, a.in.RegistryUsername)
		a.set(envRegistryPassword, a.in.RegistryPassword.Reveal())
	}
	if a.in.ImageTag != "" {
		a.set("image", a.in.ImageTag)
	}
}

// set sets a variable of the commands.
func (a *action) set(name, value string) {
	a.Environ = slices.DeleteFunc(a.Environ, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	a.Environ = append(a.Environ, name+"="+value)
}

// setCredential makes the keys those of every service, and of the commands in hooks.
func (a *action) setCredential(c *credential.Credential) {
	a.set(credential.FieldAccountID, c.AccountID)
	a.set(credential.FieldAccessKeyID, c.AccessKeyID.Reveal())
	a.set(credential.FieldAccessKeySecret, c.AccessKeySecret.Reveal())
	a.set(credential.FieldSecurityToken, c.SecurityToken.Reveal())
	a.set("DEVS_ACCESS_ENV_FIRST", "true")
	a.envFirst = true
}

// assume gets temporary keys for the role that the job shall have. The pull request of a
// fork has no OIDC token, and goes without.
func (a *action) assume(ctx context.Context) error {
	if a.in.RoleToAssume == "" || a.run.Fork && a.env("ACTIONS_ID_TOKEN_REQUEST_URL") == "" {
		return nil
	}
	c, err := client.AssumeRoleWithOIDC(ctx, client.Role{
		Endpoint: a.env("DEVS_STS_ENDPOINT"), ARN: a.in.RoleToAssume, Provider: a.in.OIDCProvider, Account: a.in.AccountID,
		Session: sessionName(a.run), Duration: time.Hour,
		Token: func(ctx context.Context) (string, error) {
			token, err := a.log.IDToken(ctx, a.in.OIDCAudience)
			a.hide(token)
			return token, err
		},
		Pause: wait.For,
	})
	if err != nil {
		return &noCredential{err}
	}
	a.hide(c.AccessKeyID.Reveal(), c.AccessKeySecret.Reveal(), c.SecurityToken.Reveal())
	a.setCredential(c)
	return nil
}

// hide keeps secrets that came up on the way out of everything that is written.
func (a *action) hide(secrets ...string) {
	a.log.Mask(secrets...)
	a.redactor.Always(secrets...)
}

// sessionName tells the audit log of the cloud which run acts: 2 to 64 letters, digits and
// .@-_ (AssumeRoleWithOIDC, STS 2015-04-01).
func sessionName(run *ci.Run) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".@-_", r) {
			return r
		}
		return '-'
	}, run.Repository)
	end := "-" + run.ID
	if room := 64 - len("devs-") - len(end); len(name) > room {
		name = name[:max(room, 0)]
	}
	return "devs-" + name + end
}

// mistrust decides what may be done with the code of a fork. None of it is run in a job
// that may hold secrets; without keys there is a plan of what its file wants.
func (a *action) mistrust() error {
	if !a.run.Fork || a.verb == "comment" { // which looks at no application
		return nil
	}
	a.plain = a.verb == "plan" && !a.hasCredential()
	if a.in.AllowForkHooks && !a.plain {
		return nil
	}
	if a.verb != "plan" {
		return diag.Errorf("%s is not run for the pull request of a fork", strings.Join(append([]string{a.verb}, a.words...), "")).
			WithHint("use command: plan, which runs no code of the fork; allow-fork-hooks: true lets this job run everything")
	}
	a.distrust, a.SkipActions, a.AllowUnresolved = true, true, true
	a.components = components(a.readFile(a.Dir))
	if !a.plain {
		return nil
	}
	dir, err := os.MkdirTemp("", "devs-plan-")
	if err != nil {
		return fmt.Errorf("making a folder for the plan: %w", err)
	}
	a.Embedded, a.scratch = true, dir
	a.set(envEmbeddedDir, filepath.Join(dir, "cloud"))
	a.log.Note("this pull request comes from a fork, and this job holds no credential: the plan tells what the file wants, not what is online")
	return nil
}

// hasCredential reports whether there are keys to ask the cloud with.
func (a *action) hasCredential() bool {
	if a.Embedded || a.truthy(envEmbedded) {
		return true
	}
	_, err := credential.NewResolver(a.credentialConfig(a.getenv)).Resolve(a.in.Access)
	return err == nil
}
