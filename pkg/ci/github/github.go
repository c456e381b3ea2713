// Package github speaks to the API of GitHub, and of GitHub Enterprise Server: comments on
// pull requests, the pull requests of a commit, and deployments.
package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-github/v57/github"

	"github.com/devs/deploy/pkg/ci"
	"github.com/devs/deploy/pkg/secret"
)

// Config is which API is asked, about which repository.
type Config struct {
	BaseURL    string // $GITHUB_API_URL, "" for github.com
	Repository string // owner/name
	Token      secret.String
	UserAgent  string
	HTTP       *http.Client // without the token; see rest.NewHTTP
}

// Client asks about one repository.
type Client struct {
	api         *github.Client
	owner, repo string
}

// New returns a client.
func New(cfg Config) (*Client, error) {
	owner, repo, ok := strings.Cut(cfg.Repository, "/")
	if !ok || owner == "" || repo == "" {
		return nil, fmt.Errorf("%q is no repository of GitHub", cfg.Repository)
	}
	base := cfg.BaseURL
	if base == "" {
		base = "https://api.github.com"
	}
	at, err := url.Parse(strings.TrimRight(base, "/") + "/")
	if err != nil || at.Host == "" {
		return nil, errors.New("GITHUB_API_URL is no address")
	}
	api := github.NewClient(cfg.HTTP).WithAuthToken(cfg.Token.Reveal())
	api.BaseURL, api.UserAgent = at, cfg.UserAgent
	return &Client{api: api, owner: owner, repo: repo}, nil
}

// PullRequest is a pull request that a commit is part of.
type PullRequest struct {
	Number  int
	Merged  bool
	Base    string // the branch that it is for
	Default string // the default branch of the repository
}

// PullRequests returns the pull requests that a commit is part of, merged ones first.
func (c *Client) PullRequests(ctx context.Context, sha string) ([]PullRequest, error) {
	found, _, err := c.api.PullRequests.ListPullRequestsWithCommit(ctx, c.owner, c.repo, sha, &github.ListOptions{PerPage: 100})
	if err != nil {
		return nil, explain("looking for the pull request of the commit", "pull-requests: read", err)
	}
	var list []PullRequest
	for _, p := range found {
		list = append(list, PullRequest{
			Number: p.GetNumber(), Merged: p.MergedAt != nil,
			Base: p.GetBase().GetRef(), Default: p.GetBase().GetRepo().GetDefaultBranch(),
		})
	}
	slices.SortStableFunc(list, func(a, b PullRequest) int { return rank(a) - rank(b) })
	return list, nil
}

func rank(p PullRequest) int {
	if p.Merged {
		return 0
	}
	return 1
}

// Comments returns the comments of a pull request.
func (c *Client) Comments(pullRequest int) ci.Comments { return &comments{c, pullRequest} }

type comments struct {
	*Client
	number int
}

const maxPages = 30

func (c *comments) List(ctx context.Context) ([]ci.Comment, error) {
	opts := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: 100}}
	var all []ci.Comment
	for range maxPages {
		list, resp, err := c.api.Issues.ListComments(ctx, c.owner, c.repo, c.number, opts)
		if err != nil {
			return nil, explain("reading the comments", writing, err)
		}
		for _, g := range list {
			all = append(all, *of(g))
		}
		if resp.NextPage == 0 {
			break
		}
		opts.Page = resp.NextPage
	}
	return all, nil
}

func of(g *github.IssueComment) *ci.Comment {
	return &ci.Comment{
		ID: strconv.FormatInt(g.GetID(), 10), Body: g.GetBody(), Author: g.GetUser().GetLogin(), URL: g.GetHTMLURL(),
		Created: g.GetCreatedAt().Time, Updated: g.GetUpdatedAt().Time,
	}
}

// writing is the permission that comments need.
const writing = "pull-requests: write"

// Create makes a comment. Where nobody can tell whether it arrived, it looks.
func (c *comments) Create(ctx context.Context, body string) (*ci.Comment, error) {
	made, _, err := c.api.Issues.CreateComment(ctx, c.owner, c.repo, c.number, &github.IssueComment{Body: &body})
	if err == nil {
		return of(made), nil
	}
	if e := (*github.ErrorResponse)(nil); errors.As(err, &e) && e.Response.StatusCode < 500 {
		return nil, explain("writing the comment", writing, err)
	}
	all, listErr := c.List(ctx)
	if listErr != nil {
		return nil, explain("writing the comment", writing, err)
	}
	for _, have := range slices.Backward(all) {
		if strings.TrimSpace(have.Body) == strings.TrimSpace(body) {
			return &have, nil
		}
	}
	made, _, err = c.api.Issues.CreateComment(ctx, c.owner, c.repo, c.number, &github.IssueComment{Body: &body})
	if err != nil {
		return nil, explain("writing the comment", writing, err)
	}
	return of(made), nil
}

func (c *comments) Update(ctx context.Context, id, body string) (*ci.Comment, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, err
	}
	made, _, err := c.api.Issues.EditComment(ctx, c.owner, c.repo, n, &github.IssueComment{Body: &body})
	if err != nil {
		return nil, explain("writing the comment", writing, err)
	}
	return of(made), nil
}

func (c *comments) Delete(ctx context.Context, id string) error {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return err
	}
	resp, err := c.api.Issues.DeleteComment(ctx, c.owner, c.repo, n)
	if resp != nil && resp.StatusCode == http.StatusNotFound {
		return nil // another job did it
	}
	return explain("deleting a comment", writing, err)
}

// Bot is who writes with the GITHUB_TOKEN of a workflow.
const Bot = "github-actions[bot]"

// Self returns the login of the token. Tokens of workflows and apps may not ask for a
// user; the GraphQL API tells them whose they are. Where that fails, it is the bot's.
func (c *comments) Self(ctx context.Context) (string, error) {
	user, resp, err := c.api.Users.Get(ctx, "")
	if resp != nil && (resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized) {
		return cmp.Or(c.viewer(ctx), Bot), nil
	}
	if err != nil {
		return "", explain("asking whose the token is", "", err)
	}
	return user.GetLogin(), nil
}

// viewer asks the GraphQL API whose the token is, "" when it does not say.
func (c *comments) viewer(ctx context.Context) string {
	// It is beside the REST API: /graphql at GitHub, /api/graphql on a server of one's own.
	at := *c.api.BaseURL
	at.Path = strings.TrimSuffix(strings.TrimSuffix(at.Path, "/"), "/v3") + "/graphql"
	req, err := c.api.NewRequest(http.MethodPost, at.String(), map[string]string{"query": "{viewer{login}}"})
	if err != nil {
		return ""
	}
	var answer struct {
		Data struct {
			Viewer struct {
				Login string `json:"login"`
			} `json:"viewer"`
		} `json:"data"`
	}
	if _, err := c.api.Do(ctx, req, &answer); err != nil {
		return ""
	}
	return answer.Data.Viewer.Login
}

// explain says what was tried, and which permission is missing when the token may not.
func explain(what, permission string, err error) error {
	if err == nil {
		return nil
	}
	var failed *github.ErrorResponse
	if !errors.As(err, &failed) {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return fmt.Errorf("%s on GitHub: %w", what, err)
	}
	out := fmt.Errorf("%s on GitHub: HTTP %d: %.300s", what, failed.Response.StatusCode, failed.Message)
	switch failed.Response.StatusCode {
	case http.StatusForbidden, http.StatusNotFound, http.StatusUnauthorized:
		if permission != "" {
			return &ci.Denied{Err: out, Needs: "add to the job:\npermissions:\n  contents: read\n  " + permission}
		}
	}
	return out
}
