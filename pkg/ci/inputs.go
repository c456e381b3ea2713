package ci

import (
	"slices"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// Inputs are what the action was told, as action.yml describes it. What was not given
// has the default that stands there.
type Inputs struct {
	Command          string
	Template         string
	WorkingDirectory string
	Services         []string

	Access          string
	AccountID       string
	AccessKeyID     secret.String
	AccessKeySecret secret.String
	SecurityToken   secret.String
	RoleToAssume    string
	OIDCProvider    string
	OIDCAudience    string
	Region          string

	Drift            string
	Registry         string
	RegistryUsername string
	RegistryPassword secret.String
	ImageTag         string

	Comment        string
	CommentKey     string
	CommentSection string
	Environment    string
	PlanFile       string

	VersionOnTag bool
	Alias        string
	Canary       string
	CanaryPause  string
	CanaryCheck  string

	RequireApprovedPlan bool
	ApprovalKey         secret.String
	AllowForkHooks      bool
	GitHubToken         secret.String
	DryRun              bool
}

// The choices of inputs that have some.
var (
	drifts   = []string{"fail", "local", "remote"}
	comments = []string{"auto", "always", "on-change", "never"}
)

// Prefixes are the beginnings of the variables that inputs come in: those of GitHub
// Actions, and those of Drone and Woodpecker.
func Prefixes() []string { return []string{"INPUT_", "PLUGIN_"} }

// InputNames returns the names of the inputs, as action.yml has them.
func InputNames() []string {
	return []string{
		"command", "template", "working-directory", "services", "access", "account-id", "access-key-id", "access-key-secret",
		"security-token", "role-to-assume", "oidc-provider", "oidc-audience", "region", "drift", "registry", "registry-username",
		"registry-password", "image-tag", "comment", "comment-key", "comment-section", "environment", "plan-file",
		"version-on-tag", "alias", "canary", "canary-pause", "canary-check", "require-approved-plan", "approval-key",
		"allow-fork-hooks", "github-token", "dry-run",
	}
}

// ReadInputs reads the inputs from the environment. An input that is empty counts as not
// given: GitHub hands over every input that action.yml declares. Dashes in names may
// also be written as underscores.
func ReadInputs(getenv func(name string) string) (*Inputs, error) {
	r := reader{getenv: getenv}
	in := &Inputs{
		Command: r.text("command"), Template: r.text("template"), WorkingDirectory: r.text("working-directory"),
		Services: r.list("services"),
		Access:   r.text("access"), AccountID: r.text("account-id"),
		AccessKeyID: r.secret("access-key-id"), AccessKeySecret: r.secret("access-key-secret"), SecurityToken: r.secret("security-token"),
		RoleToAssume: r.text("role-to-assume"), OIDCProvider: r.text("oidc-provider"), OIDCAudience: r.or("oidc-audience", "sts.aliyuncs.com"),
		Region: r.text("region"),
		Drift:  r.choice("drift", drifts), Registry: r.text("registry"), RegistryUsername: r.text("registry-username"),
		RegistryPassword: r.secret("registry-password"), ImageTag: r.text("image-tag"),
		Comment: r.choice("comment", comments), CommentKey: r.or("comment-key", "default"), CommentSection: r.text("comment-section"),
		Environment: r.text("environment"), PlanFile: r.text("plan-file"),
		VersionOnTag: r.yes("version-on-tag", true), Alias: r.text("alias"), Canary: r.text("canary"),
		CanaryPause: r.duration("canary-pause", "60s"), CanaryCheck: r.text("canary-check"),
		RequireApprovedPlan: r.yes("require-approved-plan", false), ApprovalKey: r.secret("approval-key"),
		AllowForkHooks: r.yes("allow-fork-hooks", false), GitHubToken: r.secret("github-token"), DryRun: r.yes("dry-run", false),
	}
	if (in.AccessKeyID.IsZero()) != (in.AccessKeySecret.IsZero()) && r.err == nil {
		r.err = diag.Errorf("of access-key-id and access-key-secret only one is given").
			WithHint("check that both secrets are set and handed to this job; pull requests from forks get none")
	}
	return in, r.err
}

// Secrets returns the values that no log may show.
func (in *Inputs) Secrets() []secret.String {
	all := []secret.String{in.AccessKeyID, in.AccessKeySecret, in.SecurityToken, in.RegistryPassword, in.ApprovalKey, in.GitHubToken}
	return slices.DeleteFunc(all, secret.String.IsZero)
}

// reader reads inputs and keeps the first error.
type reader struct {
	getenv func(string) string
	err    error
}

func (r *reader) text(name string) string {
	upper := strings.ToUpper(name)
	for _, prefix := range Prefixes() {
		for _, spelled := range []string{upper, strings.ReplaceAll(upper, "-", "_")} {
			if v := strings.TrimSpace(r.getenv(prefix + spelled)); v != "" {
				return v
			}
		}
	}
	return ""
}

func (r *reader) or(name, value string) string {
	if text := r.text(name); text != "" {
		return text
	}
	return value
}

func (r *reader) secret(name string) secret.String { return secret.New(r.text(name)) }

// list splits at commas and white space.
func (r *reader) list(name string) []string {
	return strings.FieldsFunc(r.text(name), func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r' })
}

func (r *reader) fail(name, value, hint string) {
	if r.err == nil {
		r.err = diag.Errorf("the input %s is %q", name, value).WithHint("%s", hint)
	}
}

// choice returns one of the choices, of which the first is the default.
func (r *reader) choice(name string, choices []string) string {
	v := r.or(name, choices[0])
	if !slices.Contains(choices, v) {
		r.fail(name, v, "it can be "+strings.Join(choices, ", "))
	}
	return v
}

// yes reads a boolean as GitHub's own actions do (YAML 1.2, core schema).
func (r *reader) yes(name string, value bool) bool {
	switch v := r.text(name); v {
	case "":
		return value
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	default:
		r.fail(name, v, "write true or false")
	}
	return value
}

func (r *reader) duration(name, value string) string {
	v := r.or(name, value)
	if d, err := time.ParseDuration(v); err != nil || d < 0 {
		r.fail(name, v, "write a duration, such as 60s or 5m")
	}
	return v
}
