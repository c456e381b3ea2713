// Package gitlab writes notes on merge requests of GitLab (API v4).
package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/ci"
	"github.com/devs/deploy/pkg/ci/rest"
	"github.com/devs/deploy/pkg/secret"
)

// Config is where the notes are.
type Config struct {
	BaseURL      string // $CI_API_V4_URL
	ProjectID    string // or its path
	MergeRequest int    // its iid
	URL          string // where people look at the merge request, "" when that is not known
	Token        secret.String
	HTTP         *http.Client
}

type notes struct {
	api  rest.Client
	path string
	url  string
}

// New returns the notes of a merge request as comments.
func New(cfg Config) ci.Comments {
	return &notes{
		api:  rest.Client{Base: cfg.BaseURL, HTTP: cfg.HTTP, Header: http.Header{"Private-Token": {cfg.Token.Reveal()}}},
		path: "/projects/" + url.PathEscape(cfg.ProjectID) + "/merge_requests/" + strconv.Itoa(cfg.MergeRequest) + "/notes",
		url:  cfg.URL,
	}
}

type note struct {
	ID     int64  `json:"id"`
	Body   string `json:"body"`
	System bool   `json:"system"`
	Author struct {
		Username string `json:"username"`
	} `json:"author"`
	Created time.Time `json:"created_at"`
	Updated time.Time `json:"updated_at"`
}

func (n *notes) of(g note) ci.Comment {
	c := ci.Comment{ID: strconv.FormatInt(g.ID, 10), Body: g.Body, Author: g.Author.Username, Created: g.Created, Updated: g.Updated}
	if n.url != "" {
		c.URL = n.url + "#note_" + c.ID
	}
	return c
}

func (n *notes) List(ctx context.Context) ([]ci.Comment, error) {
	list, err := rest.List[note](ctx, &n.api, n.path, url.Values{"sort": {"asc"}, "order_by": {"created_at"}})
	if err != nil {
		return nil, explain("reading the notes", err)
	}
	var all []ci.Comment
	for _, one := range list {
		if !one.System {
			all = append(all, n.of(one))
		}
	}
	return all, nil
}

func (n *notes) Create(ctx context.Context, body string) (*ci.Comment, error) {
	return n.write(ctx, http.MethodPost, n.path, body)
}

func (n *notes) Update(ctx context.Context, id, body string) (*ci.Comment, error) {
	return n.write(ctx, http.MethodPut, n.path+"/"+url.PathEscape(id), body)
}

func (n *notes) write(ctx context.Context, method, path, body string) (*ci.Comment, error) {
	var got note
	if _, err := n.api.Do(ctx, method, path, nil, map[string]string{"body": quiet(body)}, &got); err != nil {
		return nil, explain("writing the note", err)
	}
	c := n.of(got)
	return &c, nil
}

// quiet keeps lines from being taken for quick actions (/merge, /approve), which GitLab
// carries out with the rights of the token.
func quiet(body string) string {
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "/") {
			lines[i] = " " + line
		}
	}
	return strings.Join(lines, "\n")
}

func (n *notes) Delete(ctx context.Context, id string) error {
	_, err := n.api.Do(ctx, http.MethodDelete, n.path+"/"+url.PathEscape(id), nil, nil, nil)
	if rest.Gone(err) {
		return nil // another job did it
	}
	return explain("deleting a note", err)
}

func (n *notes) Self(ctx context.Context) (string, error) {
	var user struct {
		Username string `json:"username"`
	}
	_, err := n.api.Do(ctx, http.MethodGet, "/user", nil, nil, &user)
	return user.Username, explain("asking whose the token is", err)
}

// explain says what was tried, and what is missing when the token may not.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	out := fmt.Errorf("%s on GitLab: %w", what, err)
	if rest.Forbidden(err) {
		return &ci.Denied{Err: out, Needs: "give github-token a project access token with the scope api; the CI_JOB_TOKEN may not write notes"}
	}
	return out
}
