// Package githubapi is a double of GitHub's API for tests: it keeps comments and
// deployments, lets tokens do what they are given, and fails when it is told to. Every
// request is checked against the API's published description, and so are the answers
// about comments and deployments.
package githubapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Comment is a comment on a pull request.
type Comment struct {
	ID     int64
	Issue  int
	Body   string
	Author string
}

// Deployment is a deployment with the states that it went through.
type Deployment struct {
	ID          int64
	Ref         string
	Environment string
	States      []string
	URL         string // of the environment, as told last
}

// API is the double of one repository.
type API struct {
	URL string

	// Users are the logins of tokens; that of a workflow has "".
	Users map[string]string
	// Denied are the tokens that may not write.
	Denied map[string]bool
	// Pulls are the pull requests of commits.
	Pulls map[string][]int
	// Open are those that were not merged.
	Open map[int]bool
	// Apps are the logins of tokens that belong to an app.
	Apps map[string]string
	// Fault may answer in the place of the API; nil does not.
	Fault func(w http.ResponseWriter, r *http.Request, next http.Handler) bool

	mu          sync.Mutex
	last        int64
	comments    []*Comment
	deployments []*Deployment
	calls       []string
	wrong       []string
	spec        *spec
}

// Start serves the double until close. description is the path of GitHub's OpenAPI file; with
// "" nothing is checked.
func Start(description string) (api *API, close func(), err error) {
	a := &API{Users: map[string]string{}, Denied: map[string]bool{}, Pulls: map[string][]int{}, Open: map[int]bool{}, Apps: map[string]string{}}
	if description != "" {
		if a.spec, err = loaded(description); err != nil {
			return nil, nil, err
		}
	}
	server := httptest.NewServer(a)
	a.URL = server.URL
	return a, server.Close, nil
}

// Comments returns a copy of the comments.
func (a *API) Comments() []Comment {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []Comment
	for _, c := range a.comments {
		list = append(list, *c)
	}
	return list
}

// Add adds a comment by somebody.
func (a *API) Add(issue int, author, body string) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	a.comments = append(a.comments, &Comment{ID: a.last, Issue: issue, Body: body, Author: author})
	return a.last
}

// Edit changes a comment as its page does.
func (a *API) Edit(id int64, edit func(string) string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.comments {
		if c.ID == id {
			c.Body = edit(c.Body)
		}
	}
}

// Deployments returns a copy of the deployments.
func (a *API) Deployments() []Deployment {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []Deployment
	for _, d := range a.deployments {
		list = append(list, *d)
	}
	return list
}

// Calls returns the requests, as "METHOD path".
func (a *API) Calls() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

// Wrong returns what did not fit the description of the API.
func (a *API) Wrong() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.wrong)
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	a.mu.Lock()
	a.calls = append(a.calls, r.Method+" "+r.URL.Path)
	a.mu.Unlock()
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.checked(w, r, body) })
	if a.Fault != nil && a.Fault(w, r, next) {
		return
	}
	next.ServeHTTP(w, r)
}

func (a *API) checked(w http.ResponseWriter, r *http.Request, body []byte) {
	rec := httptest.NewRecorder()
	r.Body = io.NopCloser(bytes.NewReader(body))
	a.route(rec, r, body)
	if a.spec != nil && r.URL.Path != "/graphql" { // the description is of the REST API
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err := a.spec.check(r, rec.Code, rec.Header(), rec.Body.Bytes()); err != nil {
			a.mu.Lock()
			a.wrong = append(a.wrong, fmt.Sprintf("%s %s: %v", r.Method, r.URL, err))
			a.mu.Unlock()
		}
	}
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// route finds what a request is about. The paths are those of the description.
func (a *API) route(w http.ResponseWriter, r *http.Request, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) == 1 && parts[0] == "user" {
		if a.Users[token] == "" {
			reply(w, http.StatusForbidden, failure("Resource not accessible by integration"))
			return
		}
		reply(w, http.StatusOK, user(a.Users[token]))
		return
	}
	if r.URL.Path == "/graphql" {
		login := cmp.Or(a.Users[token], a.Apps[token], "github-actions[bot]")
		reply(w, http.StatusOK, map[string]any{"data": map[string]any{"viewer": map[string]any{"login": login}}})
		return
	}
	if len(parts) < 4 || parts[0] != "repos" || token == "" {
		reply(w, http.StatusNotFound, failure("Not Found"))
		return
	}
	if r.Method != http.MethodGet && a.Denied[token] {
		reply(w, http.StatusForbidden, failure("Resource not accessible by integration"))
		return
	}
	author := a.Users[token]
	if author == "" {
		author = cmp.Or(a.Apps[token], "github-actions[bot]")
	}
	at := parts[3:]
	switch {
	case at[0] == "issues" && len(at) == 3 && at[2] == "comments":
		a.issueComments(w, r, number(at[1]), author, body)
	case at[0] == "issues" && len(at) == 3 && at[1] == "comments":
		a.comment(w, r, int64(number(at[2])), body)
	case at[0] == "commits" && len(at) == 3 && at[2] == "pulls":
		a.pulls(w, at[1])
	case at[0] == "deployments" && len(at) == 1:
		a.deploymentList(w, r, body)
	case at[0] == "deployments" && len(at) == 3 && at[2] == "statuses":
		a.statuses(w, r, int64(number(at[1])), body)
	default:
		reply(w, http.StatusNotFound, failure("Not Found"))
	}
}

func (a *API) issueComments(w http.ResponseWriter, r *http.Request, issue int, author string, body []byte) {
	if r.Method == http.MethodPost {
		a.last++
		c := &Comment{ID: a.last, Issue: issue, Body: textOf(body, "body"), Author: author}
		if len(c.Body) > 65536 {
			reply(w, http.StatusUnprocessableEntity, failure("Body is too long (maximum is 65536 characters)"))
			return
		}
		a.comments = append(a.comments, c)
		reply(w, http.StatusCreated, a.json(c))
		return
	}
	var of []any
	for _, c := range a.comments {
		if c.Issue == issue {
			of = append(of, a.json(c))
		}
	}
	size, page := number(r.URL.Query().Get("per_page")), max(number(r.URL.Query().Get("page")), 1)
	if size == 0 {
		size = 30
	}
	from, to := min((page-1)*size, len(of)), min(page*size, len(of))
	if to < len(of) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?per_page=%d&page=%d>; rel="next"`, a.URL, r.URL.Path, size, page+1))
	}
	reply(w, http.StatusOK, append([]any{}, of[from:to]...))
}

func (a *API) comment(w http.ResponseWriter, r *http.Request, id int64, body []byte) {
	i := slices.IndexFunc(a.comments, func(c *Comment) bool { return c.ID == id })
	switch {
	case i < 0:
		reply(w, http.StatusNotFound, failure("Not Found"))
	case r.Method == http.MethodDelete:
		a.comments = slices.Delete(a.comments, i, i+1)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPatch:
		a.comments[i].Body = textOf(body, "body")
		reply(w, http.StatusOK, a.json(a.comments[i]))
	default:
		reply(w, http.StatusOK, a.json(a.comments[i]))
	}
}

func (a *API) pulls(w http.ResponseWriter, sha string) {
	list := []any{}
	for _, n := range a.Pulls[sha] {
		p := map[string]any{"number": n, "merged_at": stamp(), "state": "closed", "base": map[string]any{"ref": "main", "repo": map[string]any{"default_branch": "main"}}}
		if a.Open[n] {
			p["merged_at"], p["state"] = nil, "open"
		}
		list = append(list, p)
	}
	reply(w, http.StatusOK, list)
}

func (a *API) deploymentList(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Method == http.MethodPost {
		a.last++
		d := &Deployment{ID: a.last, Ref: textOf(body, "ref"), Environment: textOf(body, "environment")}
		a.deployments = append(a.deployments, d)
		reply(w, http.StatusCreated, a.deploymentJSON(d))
		return
	}
	list := []any{}
	for _, d := range slices.Backward(a.deployments) {
		if e := r.URL.Query().Get("environment"); e == "" || e == d.Environment {
			list = append(list, a.deploymentJSON(d))
		}
	}
	reply(w, http.StatusOK, list)
}

func (a *API) statuses(w http.ResponseWriter, r *http.Request, id int64, body []byte) {
	i := slices.IndexFunc(a.deployments, func(d *Deployment) bool { return d.ID == id })
	if i < 0 {
		reply(w, http.StatusNotFound, failure("Not Found"))
		return
	}
	d := a.deployments[i]
	if r.Method == http.MethodPost {
		d.States = append(d.States, textOf(body, "state"))
		if url := textOf(body, "environment_url"); url != "" {
			d.URL = url
		}
		a.last++
		reply(w, http.StatusCreated, a.statusJSON(d, d.States[len(d.States)-1], a.last))
		return
	}
	list := []any{}
	for i, s := range slices.Backward(d.States) {
		list = append(list, a.statusJSON(d, s, int64(1000+i)))
	}
	reply(w, http.StatusOK, list)
}

func number(text string) int { n, _ := strconv.Atoi(text); return n }

func textOf(body []byte, field string) string {
	var m map[string]any
	_ = json.Unmarshal(body, &m)
	text, _ := m[field].(string)
	return text
}

func stamp() string { return time.Now().UTC().Format(time.RFC3339) }

func failure(message string) map[string]any {
	return map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest"}
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
