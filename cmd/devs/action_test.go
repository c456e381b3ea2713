package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/cli"
	"github.com/devs/deploy/pkg/emulator"
	"github.com/devs/deploy/pkg/stream"
	"github.com/devs/deploy/test/githubapi"
)

// job is a job of GitHub Actions: a workspace, a token, an event.
type job struct {
	t   *testing.T
	dir string
	api *githubapi.API
	env map[string]string
}

const jobToken = "canary-github-token"

// app is an application that a job can deploy; what is written behind it changes it.
func app(more string) string {
	return `edition: 1.0.0
name: shop
services:
  web:
    component: fc
    props:
      region: cn-hangzhou
      service: {name: shop, description: "` + more + `"}
      function: {name: web, runtime: python3.9, handler: index.handler, codeUri: ./code}
      triggers:
        - {name: http, type: http, config: {authType: anonymous, methods: [GET]}}
  back:
    component: fc
    props:
      region: cn-hangzhou
      service: {name: shop, description: "` + more + `"}
      function: {name: back, runtime: python3.9, handler: index.handler, codeUri: ./code, environmentVariables: {WEB: "${web.output.url.system_url}"}}
`
}

func newJob(t *testing.T) *job {
	t.Helper()
	api, stop, err := githubapi.Start(os.Getenv("GITHUB_OPENAPI"))
	if err != nil {
		t.Fatal(err)
	}
	j := &job{t: t, dir: t.TempDir(), api: api}
	t.Cleanup(func() {
		stop()
		for _, w := range api.Wrong() {
			t.Errorf("GitHub's description: %s", w)
		}
	})
	j.env = map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": t.TempDir(), "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": j.dir, "GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": "c0ffee",
		"GITHUB_RUN_ID": "77", "GITHUB_SERVER_URL": "https://github.invalid", "GITHUB_API_URL": api.URL, "GITHUB_JOB": "ship", "DEVS_EMBEDDED": "1",
		"INPUT_GITHUB-TOKEN": jobToken, "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_PATH": filepath.Join(t.TempDir(), "event.json"),
	}
	j.write("s.yaml", app("first"))
	j.write("code/index.py", "def handler(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n")
	return j
}

func (j *job) write(name, text string) {
	j.t.Helper()
	path := filepath.Join(j.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		j.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		j.t.Fatal(err)
	}
}

// pullRequest makes the event one of pull request 5, from the branch of a repository.
func (j *job) pullRequest(head string) {
	j.event("pull_request", "refs/pull/5/merge", `{"pull_request":{"number":5,"head":{"sha":"c0ffee","repo":{"full_name":"`+head+`"}},"base":{"repo":{"full_name":"o/r"}}}}`)
}

func (j *job) event(name, ref, content string) {
	j.env["GITHUB_EVENT_NAME"], j.env["GITHUB_REF"] = name, ref
	if err := os.WriteFile(j.env["GITHUB_EVENT_PATH"], []byte(content), 0o600); err != nil {
		j.t.Fatal(err)
	}
}

// step is what one run of the action left.
type step struct {
	code    int
	log     string
	outputs map[string]string
	summary string
}

// run runs the action with inputs: pairs of name and value.
func (j *job) run(inputs ...string) *step {
	j.t.Helper()
	output, summary := filepath.Join(j.t.TempDir(), "output"), filepath.Join(j.t.TempDir(), "summary")
	env := maps.Clone(j.env)
	env["GITHUB_OUTPUT"], env["GITHUB_STEP_SUMMARY"] = output, summary
	for i := 0; i+1 < len(inputs); i += 2 {
		env["INPUT_"+strings.ToUpper(inputs[i])] = inputs[i+1]
	}
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	var log bytes.Buffer
	code := cli.Main(context.Background(), &cli.Env{
		Args: []string{"action"}, IO: &stream.IO{In: strings.NewReader(""), Out: &log, Err: &log}, Environ: environ,
		Dir: j.dir, Executable: os.Args[0], Version: "test", Now: time.Now,
	})
	s := &step{code: code, log: log.String(), outputs: readOutputs(j.t, output)}
	data, _ := os.ReadFile(summary)
	s.summary = string(data)
	return s
}

func readOutputs(t *testing.T, path string) map[string]string {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("no outputs: %v", err)
	}
	outputs := map[string]string{}
	lines := strings.Split(string(data), "\n")
	for i := 0; i < len(lines); i++ {
		name, delimiter, ok := strings.Cut(lines[i], "<<")
		if !ok {
			continue
		}
		var value []string
		for i++; i < len(lines) && lines[i] != delimiter; i++ {
			value = append(value, lines[i])
		}
		outputs[name] = strings.Join(value, "\n")
	}
	return outputs
}

// want fails unless the step ended with the code and has what is wanted in its log.
func (j *job) want(s *step, code int, texts ...string) {
	j.t.Helper()
	if s.code != code {
		j.t.Fatalf("exit code %d, not %d:\n%s", s.code, code, s.log)
	}
	for _, text := range texts {
		if !strings.Contains(s.log, text) {
			j.t.Errorf("%q is not in the log:\n%s", text, s.log)
		}
	}
}

func TestActionFromPullRequestToRelease(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.pullRequest("o/r")
	s := j.run("services", "web,back")
	j.want(s, 0, "::group::plan", "::add-mask::"+jobToken)
	if s.outputs["has-changes"] != "true" || s.outputs["drift"] != "false" || s.outputs["plan"] != ".s/action/plan.json" || s.outputs["exit-code"] != "0" ||
		!strings.Contains(s.outputs["changes"], `"create":4`) {
		t.Errorf("outputs: %v", s.outputs)
	}
	comments := j.api.Comments()
	if len(comments) != 1 || comments[0].Issue != 5 || !strings.Contains(comments[0].Body, "**To be deployed** by [run 77]") || !strings.Contains(comments[0].Body, s.outputs["plan-digest"]) {
		t.Fatalf("comments: %+v", comments)
	}
	if !strings.Contains(s.outputs["comment-url"], "#issuecomment-") {
		t.Errorf("outputs: %v", s.outputs)
	}
	if !strings.Contains(s.summary, "flowchart LR") || !strings.Contains(s.summary, "Timings") {
		t.Errorf("summary:\n%s", s.summary)
	}

	// The merge deploys what the comment shows.
	j.event("push", "refs/heads/main", `{}`)
	j.api.Pulls["c0ffee"] = []int{5}
	s = j.run("services", "web,back", "require-approved-plan", "true", "environment", "production")
	j.want(s, 0, "was approved on pull request #5")
	if !strings.HasPrefix(s.outputs["url"], "http://") || !strings.Contains(s.outputs["urls"], `"web":`) {
		t.Errorf("outputs: %v", s.outputs)
	}
	j.want(j.run("services", "web,back", "require-approved-plan", "true"), 0) // once more, there is nothing to approve
	if c := j.api.Comments(); len(c) != 1 || !strings.Contains(c[0].Body, "**Deployed** by [run 77]") {
		t.Errorf("comments: %+v", c)
	}
	if d := j.api.Deployments(); len(d) != 1 || !slices.Equal(d[0].States, []string{"queued", "in_progress", "success"}) || d[0].URL != s.outputs["url"] || d[0].Environment != "production" {
		t.Errorf("deployments: %+v", d)
	}

	// A release tag publishes a version, once.
	j.event("push", "refs/tags/v1.0.0", `{}`)
	for range 2 {
		s = j.run("alias", "prod")
		j.want(s, 0)
		if s.outputs["version"] != "1" || s.outputs["alias"] != "prod" {
			t.Errorf("outputs: %v\n%s", s.outputs, s.log)
		}
	}
	j.write("s.yaml", app("second"))
	j.event("push", "refs/tags/v1.1.0", `{}`)
	s = j.run("alias", "prod")
	j.want(s, 0)
	if s.outputs["version"] != "2" || s.outputs["previous-version"] != "1" {
		t.Errorf("outputs: %v\n%s", s.outputs, s.log)
	}
}

// A deploy without approval finds the comment of its commit too, and makes none.
func TestActionDeployUpdatesTheComment(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.want(j.run(), 0)
	if c := j.api.Comments(); len(c) != 0 {
		t.Fatalf("comments: %+v", c)
	}
	j.write("s.yaml", app("second"))
	j.pullRequest("o/r")
	j.want(j.run(), 0)
	j.event("push", "refs/heads/main", `{}`)
	j.api.Pulls["c0ffee"] = []int{5}
	j.want(j.run(), 0)
	if c := j.api.Comments(); len(c) != 1 || !strings.Contains(c[0].Body, "**Deployed** by [run 77]") {
		t.Errorf("comments: %+v", c)
	}
}

func TestActionRefusesWhatWasNotApproved(t *testing.T) {
	t.Parallel()
	plan := func(t *testing.T, key string) (*job, *step) {
		j := newJob(t)
		j.pullRequest("o/r")
		s := j.run("approval-key", key)
		j.want(s, 0)
		j.event("push", "refs/heads/main", `{}`)
		j.api.Pulls["c0ffee"] = []int{5}
		return j, s
	}
	for name, tt := range map[string]struct {
		change func(j *job)
		key    string
		want   string
	}{
		"another plan": {func(j *job) { j.write("s.yaml", app("other")) }, "", "another plan than the one on"},
		"an edited comment": {func(j *job) {
			j.api.Edit(1, func(b string) string { return strings.Replace(b, "Plan of", "Plan for", 1) })
		}, "", "was edited"},
		"another author": {func(j *job) {
			body := j.api.Comments()[0].Body
			j.api.Edit(1, func(string) string { return "gone" })
			j.api.Add(5, "mallory", body)
		}, "", "there is no plan by github-actions[bot]"},
		"no signature": {func(j *job) {}, "the deploy-only key", "another plan"},
		"not merged":   {func(j *job) { j.api.Open[5] = true }, "", "the pull request #5 of the commit c0ffee was not merged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, _ := plan(t, "")
			tt.change(j)
			s := j.run("require-approved-plan", "true", "approval-key", tt.key)
			j.want(s, 101, tt.want)
			if s.outputs["failure-reason"] != "approval" {
				t.Errorf("outputs: %v", s.outputs)
			}
			// What the refused run wrote on the pull request approves nothing.
			again := j.run("require-approved-plan", "true", "approval-key", tt.key)
			if again.code != 101 || again.outputs["failure-reason"] != "approval" {
				t.Errorf("run again: %d, %v", again.code, again.outputs)
			}
			if s := j.run("command", "web info"); s.code == 0 {
				t.Error("it was deployed")
			}
		})
	}
	j, _ := plan(t, "the deploy-only key")
	for _, command := range []string{"web deploy -y", "remove", "publish", "s deploy --use-local"} {
		want := "require-approved-plan cannot be kept"
		if command == "s deploy --use-local" {
			want = "another plan" // a plan by another policy
		}
		if s := j.run("require-approved-plan", "true", "approval-key", "another key", "command", command); s.code == 0 || !strings.Contains(s.log, want) {
			t.Errorf("%s: %d\n%s", command, s.code, s.log)
		}
	}
	j.want(j.run("require-approved-plan", "true", "approval-key", "the deploy-only key"), 0, "was approved")
}

// A deploy that fails takes nothing away from the approval, although one job does both.
func TestActionDeploysWhatWasApprovedAgain(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.write("s.yaml", strings.Replace(app("first"), "component: fc\n", "component: fc\n    actions: {pre-deploy: [{run: test -e works}]}\n", 1))
	j.pullRequest("o/r")
	j.want(j.run(), 0)
	j.event("push", "refs/heads/main", `{}`)
	j.api.Pulls["c0ffee"] = []int{5}
	j.want(j.run("require-approved-plan", "true"), 101, "was approved on pull request #5", "test -e works")
	j.write("works", "")
	j.want(j.run("require-approved-plan", "true"), 0, "was approved on pull request #5")
	if c := j.api.Comments(); len(c) != 1 || !strings.Contains(c[0].Body, "**Deployed** by [run 77]") || strings.Contains(c[0].Body, "failed") {
		t.Errorf("comments: %+v", c)
	}
}

func TestActionTellsOfDrift(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.want(j.run(), 0)
	j.write("console.yaml", strings.Replace(strings.Replace(app("first"), "name: shop", "name: console", 1), "codeUri: ./code}\n      triggers", "codeUri: ./code, timeout: 9}\n      triggers", 1))
	j.want(j.run("command", "web deploy function --type config --use-local -t console.yaml"), 0)
	if err := os.RemoveAll(filepath.Join(j.dir, ".s", "state")); err != nil {
		t.Fatal(err)
	}
	j.pullRequest("o/r")
	s := j.run("comment", "always")
	j.want(s, 0, "::warning ", "was changed online since the last deploy", "file=s.yaml")
	if s.outputs["drift"] != "true" {
		t.Errorf("outputs: %v", s.outputs)
	}
	s = j.run("command", "deploy")
	j.want(s, 101, "::error::what is online differs", "--use-local", "::warning col=")
	if s.outputs["failure-reason"] != "drift" {
		t.Errorf("outputs: %v", s.outputs)
	}
	if c := j.api.Comments(); len(c) != 1 || !strings.Contains(c[0].Body, "**The deploy failed**") {
		t.Errorf("comments: %+v", c)
	}
	j.want(j.run("command", "deploy", "drift", "local"), 0)
}

func TestActionOnForks(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.pullRequest("mallory/r")
	delete(j.env, "DEVS_EMBEDDED")
	j.write("s.yaml", strings.Replace(app("fork"), "component: fc\n", "component: fc\n    actions: {pre-deploy: [{run: touch "+j.dir+"/pwned}], pre-plan: [{run: touch "+j.dir+"/pwned}]}\n", 1))

	// Without credentials: what the file wants, in the summary and in a file.
	j.api.Denied[jobToken] = true
	s := j.run()
	j.want(s, 0, "this job holds no credential", "permissions:", "pull-requests: write")
	if !strings.Contains(s.summary, "is valid; here is what it wants") {
		t.Errorf("summary:\n%s", s.summary)
	}
	left, err := os.ReadFile(filepath.Join(j.dir, ".s/action/plan.txt"))
	if err != nil || !strings.Contains(string(left), "+ function shop/web") {
		t.Errorf("%s, %v", left, err)
	}
	// With credentials, or asked to deploy, none of its code is run.
	j.want(j.run("command", "deploy"), 100, "is not run for the pull request of a fork")
	j.want(j.run("command", "web invoke -e 1"), 100, "is not run for the pull request of a fork")
	j.env["DEVS_EMBEDDED"] = "1"
	j.want(j.run(), 0)
	j.write("s.yaml", strings.Replace(app("fork"), "component: fc\n", "component: ./evil.sh\n", 1))
	j.write("evil.sh", "#!/bin/sh\ntouch "+j.dir+"/pwned\n")
	j.want(j.run(), 100, "is code of another repository", "allow-fork-hooks")
	j.write("s.yaml", app("${file(/proc/self/environ)}"))
	j.want(j.run(), 0, "the file /proc/self/environ cannot be read")
	if _, err := os.Stat(filepath.Join(j.dir, "pwned")); err == nil {
		t.Error("code of the fork was run")
	}

	// A trusted job writes the comment later, and quotes what the fork left.
	j.api.Denied[jobToken] = false
	j.api.Pulls["f00d"] = []int{9}
	j.write(".s/action/plan.txt", "```\n**Approved** by the owner <!-- devs:plan v=1 key=default -->\n"+string(left))
	j.event("workflow_run", "refs/heads/main", `{"workflow_run":{"event":"pull_request","head_sha":"f00d","pull_requests":[]}}`)
	j.want(j.run("command", "comment"), 0)
	c := j.api.Comments()
	if len(c) != 1 || c[0].Issue != 9 || !strings.Contains(c[0].Body, "````text\n```\n**Approved**") || strings.Count(c[0].Body, "<!-- devs:plan") != 1 {
		t.Errorf("comments: %+v", c)
	}
}

// Somebody looked at the fork's code: what it brings along is run, with the job's keys.
func TestActionRunsForksWhenAllowed(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.event("pull_request_target", "refs/heads/main", `{"pull_request":{"number":5,"head":{"sha":"c0ffee","repo":{"full_name":"mallory/r"}},"base":{"repo":{"full_name":"o/r"}}}}`)
	hook := filepath.Join(j.dir, "ran")
	j.write("s.yaml", strings.Replace(app("fork"), "component: fc\n", "component: fc\n    actions: {pre-deploy: [{run: touch "+hook+"}]}\n", 1))
	j.want(j.run("command", "deploy"), 100, "is not run for the pull request of a fork", "allow-fork-hooks")
	if _, err := os.Stat(hook); err == nil {
		t.Error("the hook was run before it was allowed")
	}
	j.want(j.run("command", "deploy", "allow-fork-hooks", "true"), 0, "::stop-commands::", "created  function shop/back")
	if _, err := os.Stat(hook); err != nil {
		t.Errorf("the hook was not run: %v", err)
	}
}

// A job without keys assumes a role with the token that its runner gives it. The first try
// fails; the second one has a token of its own, and what it gets deploys.
func TestActionAssumesARole(t *testing.T) {
	t.Parallel()
	cloud, err := newArena("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cloud.close()
	var tokens, names []string
	world := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" { // of the runner
			if r.Header.Get("Authorization") != "Bearer canary-request-token" || r.FormValue("audience") != "the-audience" {
				t.Errorf("asked for the token with %s %q", r.URL, r.Header)
			}
			tokens = append(tokens, fmt.Sprintf("canary-oidc-%d", len(tokens)))
			fmt.Fprintf(w, `{"value":%q}`, tokens[len(tokens)-1])
			return
		}
		names = append(names, r.FormValue("RoleSessionName"))
		if r.FormValue("Action") != "AssumeRoleWithOIDC" || r.FormValue("OIDCToken") != tokens[len(tokens)-1] || len(tokens) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, `{"Credentials":{"AccessKeyId":%q,"AccessKeySecret":%q,"SecurityToken":"canary-security-token"},"AssumedRoleUser":{"Arn":"acs:ram::%[3]s:role/deploy/x"}}`,
			emulator.DefaultAccessKeyID, emulator.DefaultAccessKeySecret, emulator.DefaultAccountID)
	}))
	defer world.Close()

	j := newJob(t)
	delete(j.env, "DEVS_EMBEDDED")
	maps.Copy(j.env, map[string]string{
		"FC_ENDPOINT": cloud.server.URL, "DEVS_STS_ENDPOINT": world.URL,
		"ACTIONS_ID_TOKEN_REQUEST_URL": world.URL + "/token?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "canary-request-token",
	})
	role := []string{"role-to-assume", "acs:ram::" + emulator.DefaultAccountID + ":role/deploy", "oidc-audience", "the-audience"}
	s := j.run(role...)
	j.want(s, 0, "created  function shop/back")
	if len(tokens) != 2 || names[0] != "devs-o-r-77" {
		t.Errorf("tokens %q for %q", tokens, names)
	}
	for _, secret := range append(tokens, "canary-security-token", emulator.DefaultAccessKeySecret) {
		if n := strings.Count(s.log, secret); n != 1 || !strings.Contains(s.log, "::add-mask::"+secret) {
			t.Errorf("%s is %d times in the log", secret, n)
		}
	}
	s = j.run(append(role, "account-id", "42")...)
	if s.code == 0 || !strings.Contains(s.log, "account-id is 42") || s.outputs["failure-reason"] != "credentials" {
		t.Errorf("another account than that of the role: %d, %v\n%s", s.code, s.outputs, s.log)
	}
}

// What a stranger's file says is shown, so nothing of this job may get into it: not its
// variables, not the token in .git, no file elsewhere, and no password for a host that
// the file names.
func TestActionGivesForksNothing(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.event("pull_request_target", "refs/heads/main", `{"pull_request":{"number":5,"head":{"sha":"c0ffee","repo":{"full_name":"mallory/r"}},"base":{"repo":{"full_name":"o/r"}}}}`)
	j.env["NPM_TOKEN"] = "canary-npm-token"
	outside := t.TempDir()
	for name, text := range map[string]string{
		"base.json": `{"vars": {"x": "canary-of-a-parent"}}`, "env": "FROM_LINK=canary-of-dotenv\n", "pem": "-----BEGIN CERTIFICATE-----\ncanary-certificate\n-----END CERTIFICATE-----\n",
	} {
		if err := os.WriteFile(filepath.Join(outside, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + jobToken))
	j.write(".git/config", "extraheader = AUTHORIZATION: basic "+token+" canary-of-git\n")
	for link, target := range map[string]string{"link": ".git/config", ".env": filepath.Join(outside, "env")} {
		if err := os.Symlink(target, filepath.Join(j.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	var asked []string
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization"))
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer registry.Close()
	host := strings.Replace(strings.TrimPrefix(registry.URL, "http://"), "127.0.0.1", "localhost", 1)
	inputs := []string{
		"command", "plan", "comment", "always", "account-id", "1000000000000000", "access-key-id", "embedded", "access-key-secret", "canary-key-secret",
		"registry-username", "bob", "registry-password", "canary-password",
	}
	describe := func(text string) string {
		return strings.Replace(app("x"), `description: "x"`, "description: "+text, -1)
	}
	function := "function: {name: web, runtime: python3.9, handler: index.handler, codeUri: ./code}"
	for name, file := range map[string]string{
		"a variable":       describe(`"${env(NPM_TOKEN)} ${env(AccessKeySecret)} ${env(GITHUB_TOKEN)}"`),
		"a name":           strings.Replace(app("x"), "name: web, runtime", `name: "f-${env(NPM_TOKEN)}", runtime`, 1),
		"a key":            describe(`"${config(AccessKeySecret)} ${config('AccessKeySecret')}"`),
		"git":              describe(`"${file(.git/config)} ${file(./.GIT/config)} ${file(link)}"`),
		"dotenv":           describe(`"${env(FROM_LINK)}"`),
		"a parent":         "extend: " + outside + "/base.json\n" + describe(`"${vars.x}"`),
		"a certificate":    strings.Replace(app("x"), function, function+"\n      customDomains: [{domainName: x.example.com, protocol: HTTPS, certConfig: {certName: c, certificate: "+outside+"/pem, privateKey: "+outside+"/pem}, routeConfigs: [{path: /}]}]", 1),
		"another registry": strings.Replace(app("x"), function, "function: {name: web, runtime: custom-container, caPort: 9000, customContainerConfig: {image: "+host+"/x/y:1}}", 1),
	} {
		j.write("s.yaml", file)
		s := j.run(inputs...)
		var written strings.Builder
		for line := range strings.Lines(s.log) {
			if !strings.HasPrefix(line, "::add-mask::") {
				written.WriteString(line)
			}
		}
		fmt.Fprint(&written, s.outputs, s.summary, j.api.Comments())
		_ = filepath.WalkDir(filepath.Join(j.dir, ".s/action"), func(path string, _ fs.DirEntry, _ error) error {
			data, _ := os.ReadFile(path)
			written.Write(data)
			return nil
		})
		if text := written.String(); strings.Contains(text, "canary") || strings.Contains(text, token) {
			t.Errorf("%s: a secret is written:\n%s", name, text)
		}
		if !strings.Contains(written.String(), "shop") && !strings.Contains(s.log, "error") {
			t.Errorf("%s: there is no plan and no error:\n%s", name, s.log)
		}
	}
	if len(asked) == 0 {
		t.Error("the registry was not asked")
	}
	for _, header := range asked {
		if header != "" {
			t.Errorf("the registry of the fork got %s", header)
		}
	}
}

// A job that begins when another one is done may have checked out what that one was for.
func TestActionOnWorkflowRunOfForks(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.write("s.yaml", strings.Replace(app("fork"), "component: fc\n", "component: fc\n    actions: {pre-plan: [{run: touch "+j.dir+"/ran}], pre-deploy: [{run: touch "+j.dir+"/ran}]}\n", 1))
	for _, event := range []string{
		`{"workflow_run":{"event":"pull_request","head_sha":"f00d","head_repository":{"full_name":"mallory/r"},"pull_requests":[]}}`,
		`{"workflow_run":{"event":"pull_request","head_sha":"f00d"}}`, `{}`, `nonsense`,
	} {
		j.event("workflow_run", "refs/heads/main", event)
		j.want(j.run("command", "plan"), 0)
		j.want(j.run(), 100, "is not run for the pull request of a fork")
	}
	j.event("issue_comment", "refs/heads/main", `nonsense`)
	j.want(j.run(), 100, "is not run for the pull request of a fork")
	if _, err := os.Stat(filepath.Join(j.dir, "ran")); err == nil {
		t.Error("code of the fork was run")
	}
	j.event("workflow_run", "refs/heads/main", `{"workflow_run":{"event":"push","head_sha":"c0ffee","head_repository":{"full_name":"o/r"}}}`)
	j.want(j.run(), 0, "created  function shop/back")
}

// Nobody has said yes to what is in a merge queue.
func TestActionOnlyPlansInTheMergeQueue(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.event("merge_group", "refs/heads/gh-readonly-queue/main/pr-5-c0ffee", `{"merge_group":{"head_sha":"c0ffee"}}`)
	j.want(j.run(), 0, "4 to create")
	if s := j.run("command", "web info"); s.code == 0 {
		t.Error("it was deployed")
	}
}

// The token of an app may not ask whose it is, but for the GraphQL API.
func TestActionWithTheTokenOfAnApp(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.api.Apps[jobToken] = "our-app[bot]"
	j.pullRequest("o/r")
	for range 2 {
		j.want(j.run(), 0)
	}
	if c := j.api.Comments(); len(c) != 1 || c[0].Author != "our-app[bot]" {
		t.Errorf("comments: %+v", c)
	}
	j.event("push", "refs/heads/main", `{}`)
	j.api.Pulls["c0ffee"] = []int{5}
	j.want(j.run("require-approved-plan", "true"), 0, "was approved on pull request #5")
}

func TestActionFailsClearly(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.write("s.yaml", app("x")+"      unknown: 1\n")
	s := j.run("command", "deploy")
	j.want(s, 100, "::error col=7,file=s.yaml,line=18::")
	if s.outputs["failure-reason"] != "configuration" || s.outputs["exit-code"] != "100" {
		t.Errorf("outputs: %v", s.outputs)
	}
	j.want(j.run("working-directory", "nowhere"), 100, "is no folder")
	j.want(j.run("command", "'unclosed"), 100, "cannot be split")
	j.write("s.yaml", app("x"))
	j.want(j.run("command", "web invoke", "dry-run", "true"), 100, "dry-run")
	j.want(j.run("dry-run", "true"), 0, "4 to create")
	j.want(j.run(), 0)
	j.want(j.run("command", "remove", "dry-run", "true"), 0, "4 to delete")
	j.want(j.run("command", "remove"), 0, "deleted  function shop/web")
	delete(j.env, "DEVS_EMBEDDED")
	if s := j.run(); s.code == 0 || s.outputs["failure-reason"] != "credentials" {
		t.Errorf("%d, %v", s.code, s.outputs)
	}
}

// A secret that comes in with an input, or from the runner, is in nothing that is written:
// not in the log behind its mask, nor in outputs, files, comments and requests' paths.
func TestActionKeepsSecrets(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.pullRequest("o/r")
	j.env["SOME_SECRET"] = "canary-of-the-environment"
	j.write("s.yaml", strings.ReplaceAll(app("x"), "codeUri: ./code", `codeUri: ./code, description: "${env(SOME_SECRET)}"`))
	secrets := map[string]string{
		"access-key-id": "canary-id/1", "access-key-secret": "canary-key+2\"", "security-token": "canary-sts-3", "registry-password": "canary-pw-4",
		"approval-key": "canary-approval-5",
	}
	inputs := []string{"registry", "registry.example.com", "registry-username", "me", "comment", "always", "account-id", "1000000000000000"}
	for name, v := range secrets {
		inputs = append(inputs, name, v)
	}
	var written strings.Builder
	for _, command := range []string{"plan", "deploy", "web invoke -e {}", "publish"} {
		s := j.run(append(inputs, "command", command)...)
		for line := range strings.Lines(s.log) {
			if !strings.HasPrefix(line, "::add-mask::") {
				written.WriteString(line)
			}
		}
		fmt.Fprint(&written, s.outputs, s.summary)
	}
	for _, c := range j.api.Comments() {
		written.WriteString(c.Body)
	}
	err := filepath.WalkDir(filepath.Join(j.dir, ".s"), func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() == "cloud" {
			return filepath.SkipDir // what was deployed
		}
		if err == nil && d.Type().IsRegular() {
			data, _ := os.ReadFile(path)
			written.Write(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range append(slices.Collect(maps.Values(secrets)), jobToken, j.env["SOME_SECRET"]) {
		for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if strings.Contains(written.String(), form) {
				t.Errorf("%s is in what was written", form)
			}
		}
	}
	if !strings.Contains(written.String(), "shop/web") {
		t.Error("nothing was written")
	}
}
