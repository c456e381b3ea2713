// Package gitee writes comments on pull requests of Gitee (API v5).
package gitee

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/devs/deploy/pkg/ci"
	"github.com/devs/deploy/pkg/ci/rest"
	"github.com/devs/deploy/pkg/secret"
)

// Config is where the comments are.
type Config struct {
	BaseURL     string // such as https://gitee.com/api/v5
	Repository  string // owner/name
	PullRequest int
	Token       secret.String
	HTTP        *http.Client
}

type comments struct {
	api  rest.Client
	repo string
	pull string
}

// New returns the comments of a pull request.
func New(cfg Config) ci.Comments {
	return &comments{
		api:  rest.Client{Base: cfg.BaseURL, HTTP: cfg.HTTP, Header: http.Header{"Authorization": {"token " + cfg.Token.Reveal()}}},
		repo: "/repos/" + cfg.Repository + "/pulls", pull: "/" + strconv.Itoa(cfg.PullRequest) + "/comments",
	}
}

type comment struct {
	ID   int64  `json:"id"`
	Body string `json:"body"`
	URL  string `json:"html_url"`
	User struct {
		Login string `json:"login"`
	} `json:"user"`
	Created time.Time `json:"created_at"`
	Updated time.Time `json:"updated_at"`
}

func (c comment) of() *ci.Comment {
	return &ci.Comment{ID: strconv.FormatInt(c.ID, 10), Body: c.Body, Author: c.User.Login, URL: c.URL, Created: c.Created, Updated: c.Updated}
}

func (c *comments) List(ctx context.Context) ([]ci.Comment, error) {
	list, err := rest.List[comment](ctx, &c.api, c.repo+c.pull, nil)
	if err != nil {
		return nil, explain("reading the comments", err)
	}
	var all []ci.Comment
	for _, one := range list {
		all = append(all, *one.of())
	}
	slices.SortStableFunc(all, func(a, b ci.Comment) int { return a.Created.Compare(b.Created) })
	return all, nil
}

func (c *comments) Create(ctx context.Context, body string) (*ci.Comment, error) {
	return c.write(ctx, http.MethodPost, c.repo+c.pull, body)
}

func (c *comments) Update(ctx context.Context, id, body string) (*ci.Comment, error) {
	return c.write(ctx, http.MethodPatch, c.repo+"/comments/"+url.PathEscape(id), body)
}

func (c *comments) write(ctx context.Context, method, path, body string) (*ci.Comment, error) {
	var got comment
	if _, err := c.api.Do(ctx, method, path, nil, map[string]string{"body": body}, &got); err != nil {
		return nil, explain("writing the comment", err)
	}
	return got.of(), nil
}

func (c *comments) Delete(ctx context.Context, id string) error {
	_, err := c.api.Do(ctx, http.MethodDelete, c.repo+"/comments/"+url.PathEscape(id), nil, nil, nil)
	if rest.Gone(err) {
		return nil // another job did it
	}
	return explain("deleting a comment", err)
}

func (c *comments) Self(ctx context.Context) (string, error) {
	var user struct {
		Login string `json:"login"`
	}
	_, err := c.api.Do(ctx, http.MethodGet, "/user", nil, nil, &user)
	return user.Login, explain("asking whose the token is", err)
}

// explain says what was tried, and what is missing when the token may not.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	out := fmt.Errorf("%s on Gitee: %w", what, err)
	if rest.Forbidden(err) {
		return &ci.Denied{Err: out, Needs: "give github-token a personal access token of Gitee with the scopes pull_requests, notes and user_info"}
	}
	return out
}
