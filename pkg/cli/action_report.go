package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/devs/deploy/pkg/ci"
	"github.com/devs/deploy/pkg/ci/gitee"
	"github.com/devs/deploy/pkg/ci/github"
	"github.com/devs/deploy/pkg/ci/gitlab"
	"github.com/devs/deploy/pkg/ci/rest"
	"github.com/devs/deploy/pkg/ci/workflow"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/graph"
	"github.com/devs/deploy/pkg/internal/wait"
	"github.com/devs/deploy/pkg/report"
)

// unapproved is the error of a plan that nobody approved.
type unapproved struct{ error }

func (u *unapproved) Unwrap() error { return u.error }

// github returns a client of GitHub's API, nil where there is no token for it.
func (a *action) github() (*github.Client, error) {
	if a.run.Provider != ci.GitHub || a.in.GitHubToken.IsZero() {
		return nil, nil
	}
	return github.New(github.Config{
		BaseURL: a.run.APIURL, Repository: a.run.Repository, Token: a.in.GitHubToken, UserAgent: "devs/" + a.Version, HTTP: rest.NewHTTP(nil, wait.For),
	})
}

// comments returns the comments of a pull request, nil where there are none, or no token
// for them.
func (a *action) comments(number int) (ci.Comments, error) {
	if number == 0 || a.in.GitHubToken.IsZero() {
		return nil, nil
	}
	switch a.run.Provider {
	case ci.GitHub:
		c, err := a.github()
		if err != nil {
			return nil, err
		}
		return c.Comments(number), nil
	case ci.GitLab:
		return gitlab.New(gitlab.Config{
			BaseURL: a.run.APIURL, ProjectID: a.run.ProjectID, MergeRequest: number, Token: a.in.GitHubToken, HTTP: rest.NewHTTP(nil, wait.For),
			URL: a.env("CI_MERGE_REQUEST_PROJECT_URL") + "/-/merge_requests/" + strconv.Itoa(number),
		}), nil
	case ci.Gitee:
		return gitee.New(gitee.Config{
			BaseURL: cmp.Or(a.env("DEVS_GITEE_API"), a.run.APIURL), Repository: a.run.Repository, PullRequest: number, Token: a.in.GitHubToken, HTTP: rest.NewHTTP(nil, wait.For),
		}), nil
	}
	return nil, nil
}

// tell shows what kept a report from being written; the job goes on.
func (a *action) tell(err error) {
	if err == nil {
		return
	}
	_ = a.log.Plain(func() error {
		a.warn("%s", a.redactor.Redact(err.Error()))
		if denied, ok := errors.AsType[*ci.Denied](err); ok && denied.Needs != "" {
			a.note("%s", denied.Needs)
		}
		return nil
	})
}

// settle is how long the jobs of a matrix may take to write over each other's comment.
const settle = 1500 * time.Millisecond

// comment writes what came of a plan or a deploy on the pull request.
func (a *action) comment(ctx context.Context, err error) {
	n := a.runNote(err)
	if a.plain {
		a.leaveForTrusted(n)
	}
	if a.in.Comment == "never" || !slices.Contains([]string{"plan", "deploy"}, a.verb) || a.plain && a.in.GitHubToken.IsZero() {
		return
	}
	number, create := a.run.PullRequest, a.wantsComment(n)
	if number == 0 && a.verb == "deploy" {
		// A comment that shows the plan of this commit learns what came of it; there is none
		// to learn where the token may not look for it.
		number, _ = a.pullRequest(ctx)
		create = false
	}
	a.tell(a.say(ctx, number, n, create))
}

// wantsComment reports whether a comment is written where there is none yet: auto and
// on-change wait for something to say.
func (a *action) wantsComment(n report.RunNote) bool {
	if a.in.Comment == "always" || n.Failure != "" {
		return true
	}
	pending := n.Plan != nil && n.Plan.Counts().Pending() > 0
	return pending || a.in.Comment == "auto" && a.drifted()
}

// say writes this job's section of the comment.
func (a *action) say(ctx context.Context, number int, n report.RunNote, create bool) error {
	comments, err := a.comments(number)
	if err != nil || comments == nil {
		return err
	}
	name := cmp.Or(a.in.CommentSection, a.jobName())
	if n.Deployed { // what a deploy says of itself must not take the place of the plan that was approved
		name += " (deploy)"
	}
	about := ci.About(a.run.Repository, number, a.in.CommentKey)
	c, err := ci.Upsert{
		Comments: comments, Key: a.in.CommentKey, Create: create, Pause: wait.For, Settle: settle,
		Section: func(room int) report.Section {
			return report.Seal(name, a.redactor.Redact(n.Section(room)), n.Digest, a.in.ApprovalKey.Reveal(), about...)
		},
	}.Run(ctx)
	if c != nil {
		a.commentURL = c.URL
	}
	return err
}

// jobName tells this job's part of the comment from those of other jobs and steps.
func (a *action) jobName() string {
	name := cmp.Or(a.run.Job, "devs")
	if about := path.Join(filepath.ToSlash(a.in.WorkingDirectory), filepath.ToSlash(a.in.Template)); about != "" && about != "." {
		name += " " + about
	}
	return name
}

// runNote is what the reports say about a run that ended with err.
func (a *action) runNote(err error) report.RunNote {
	n := report.RunNote{
		Stranger: a.plain, Deployed: a.verb == "deploy", Commit: a.run.SHA, RunID: a.run.ID, RunURL: a.run.URL,
		Outcomes: outcomes(a.last().Services),
	}
	if a.seen != nil {
		n.Plan = a.last().Plan
	}
	if a.verb == "plan" { // what a deploy says of itself approves nothing
		n.Digest = a.digest
	}
	if a.failed(err) != "" {
		n.Failure = a.redactor.Redact(diag.Render(err))
	}
	return n
}

// forkNote is where the plan of a fork is left for a job that may write comments.
const forkNote = stateFolder + "/plan.txt"

// leaveForTrusted leaves the text of the comment in a file: this job may not write it.
func (a *action) leaveForTrusted(n report.RunNote) {
	text := n.Failure
	if text == "" && n.Plan != nil {
		text = report.PlanText(n.Plan)
	}
	err := os.MkdirAll(a.path(stateFolder), 0o755)
	if err == nil {
		err = renameio.WriteFile(a.path(forkNote), []byte(a.redactor.Redact(text)), 0o644)
	}
	a.tell(err)
}

// commentOfFork writes the comment that a job of a fork left in a file. Everything in the
// file may be made up by the fork: it is shown as a text that is quoted, and decides
// nothing. Which pull request it is about comes from the API.
func (a *action) commentOfFork(ctx context.Context) error {
	path := cmp.Or(a.in.PlanFile, forkNote)
	f, err := os.Open(a.path(path))
	if err != nil {
		return diag.Errorf("reading what the other run left: %v", err).WithHint("download its artifact, and name the file with plan-file")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, report.MaxComment/2))
	if err != nil {
		return err
	}
	number, err := a.pullRequest(ctx)
	if err != nil {
		return err
	}
	if number == 0 {
		return diag.Errorf("no pull request belongs to the commit %s", a.run.SHA).WithHint("run this on workflow_run")
	}
	return a.say(ctx, number, report.RunNote{Stranger: true, Quoted: string(text), Commit: a.run.SHA, RunID: a.run.ID, RunURL: a.run.URL}, true)
}

// approved checks that the plan of this run is the one that the comment shows. A plan that
// changes nothing needs nobody's approval.
func (a *action) approved(ctx context.Context) error {
	if a.last().Plan.Counts().Pending() == 0 {
		return nil
	}
	number, err := a.mergedWith(ctx)
	if err != nil {
		return &unapproved{err}
	}
	comments, err := a.comments(number)
	if err == nil && comments == nil {
		err = diag.Errorf("the comment with the plan cannot be looked for: there is no pull request, or no github-token").WithCode(diag.ExitComponent).
			WithHint("deploy what was merged with a pull request, or leave out require-approved-plan")
	}
	if err != nil {
		return &unapproved{err}
	}
	self, err := comments.Self(ctx)
	if err != nil {
		return &unapproved{err}
	}
	all, err := comments.List(ctx)
	if err != nil {
		return &unapproved{err}
	}
	err = ci.Approval{
		Comments: all, Self: self, Repository: a.run.Repository, PullRequest: number, Key: a.in.CommentKey, Digest: a.digest, Secret: a.in.ApprovalKey,
	}.Check()
	if err != nil {
		return &unapproved{err}
	}
	a.log.Note("the plan %.12s was approved on pull request #%d", a.digest, number)
	return nil
}

// pullRequest returns the pull request that the run, or its commit, belongs to, 0 for none.
func (a *action) pullRequest(ctx context.Context) (int, error) {
	if a.run.PullRequest > 0 {
		return a.run.PullRequest, nil
	}
	list, err := a.pullRequests(ctx)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	a.run.PullRequest = list[0].Number
	return list[0].Number, nil
}

// mergedWith returns the pull request with which the commit came to the branch of this run
// or to the default branch. On GitHub whoever may push can open one, and have a plan on
// it; only the merge tells that somebody wanted it.
func (a *action) mergedWith(ctx context.Context) (int, error) {
	if a.run.Provider != ci.GitHub {
		return a.pullRequest(ctx)
	}
	list, err := a.pullRequests(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range list {
		if p.Merged && (p.Base == p.Default || "refs/heads/"+p.Base == a.run.Ref) {
			a.run.PullRequest = p.Number
			return p.Number, nil
		}
	}
	if len(list) > 0 {
		return 0, diag.Errorf("the pull request #%d of the commit %s was not merged", list[0].Number, a.run.SHA).WithCode(diag.ExitComponent).
			WithHint("merge it first: who merges it approves the plan on it")
	}
	return 0, nil
}

// pullRequests returns those of the commit, none where there is no API to ask.
func (a *action) pullRequests(ctx context.Context) ([]github.PullRequest, error) {
	api, err := a.github()
	if err != nil || api == nil {
		return nil, err
	}
	return api.PullRequests(ctx, a.run.SHA)
}

// startDeployment tells GitHub of a deployment, if an environment is named. What it
// returns tells how it ended.
func (a *action) startDeployment(ctx context.Context) func(error) {
	none := func(error) {}
	api, err := a.github()
	if a.in.Environment == "" || api == nil || err != nil {
		a.tell(err)
		return none
	}
	d, err := api.StartDeployment(ctx, a.run.SHA, a.in.Environment, a.run.URL)
	if err != nil {
		a.tell(err)
		return none
	}
	a.tell(d.Set(ctx, github.InProgress, ""))
	return func(failure error) {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer stop()
		state := github.Success
		if failure != nil {
			state = github.Failure
		}
		a.tell(d.Set(ctx, state, a.firstAddress()))
	}
}

// firstAddress returns an address of what was deployed, "" for none.
func (a *action) firstAddress() string {
	urls := addresses(a.last().Services)
	for _, name := range slices.Sorted(maps.Keys(urls)) {
		return urls[name]
	}
	return ""
}

// summary returns the summary of the step.
func (a *action) summary(err error) string {
	s := report.StepSummary{Note: a.runNote(err), Whole: a.Now().Sub(a.began)}
	urls := addresses(a.last().Services)
	image, digest := imageOf(a.changes())
	for _, r := range a.last().Services {
		if urls[r.Name] != "" || a.released.version != "" {
			s.Outputs = append(s.Outputs, report.ServiceOutput{Service: r.Name, URL: urls[r.Name], Image: strings.Trim(image+"@"+digest, "@"), Version: a.released.version})
		}
	}
	if a.seen != nil {
		for _, n := range graph.Nodes(a.seen.app) {
			for _, d := range n.Deps {
				s.Order = append(s.Order, report.Edge{From: d.Name, To: n.Name})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.took)) {
		s.Took = append(s.Took, report.ServiceTime{Service: name, Took: a.took[name]})
	}
	return s.Markdown(workflow.MaxSummary / 2)
}
