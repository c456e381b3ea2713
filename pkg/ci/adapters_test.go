package ci_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/ci"
	"github.com/devs/deploy/pkg/ci/gitee"
	"github.com/devs/deploy/pkg/ci/gitlab"
	"github.com/devs/deploy/pkg/ci/rest"
	"github.com/devs/deploy/pkg/secret"
)

// notes keeps the notes of one merge request, as GitLab and Gitee do.
type notes struct {
	mu    sync.Mutex
	list  []map[string]any
	busy  int // how many requests are turned away first
	deny  bool
	token string // as the header has it
}

const noteToken = "canary-note-token"

func (n *notes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.token = r.Header.Get("Private-Token") + r.Header.Get("Authorization")
	switch {
	case n.busy > 0:
		n.busy--
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case n.deny || r.URL.RawQuery != "" && strings.Contains(r.URL.RawQuery, "canary"):
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"message":"403 Forbidden"}`)
		return
	case r.URL.Path == "/user":
		fmt.Fprint(w, `{"login":"bot","username":"bot"}`)
		return
	}
	parts := strings.Split(r.URL.Path, "/")
	id, _ := strconv.Atoi(parts[len(parts)-1])
	switch r.Method {
	case http.MethodGet:
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
		from, to := min((page-1)*size, len(n.list)), min(page*size, len(n.list))
		_ = json.NewEncoder(w).Encode(append([]map[string]any{}, n.list[from:to]...))
	case http.MethodPost:
		n.list = append(n.list, n.note(len(n.list)+1, r))
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(n.list[len(n.list)-1])
	case http.MethodPatch, http.MethodPut:
		n.list[id-1] = n.note(id, r)
		_ = json.NewEncoder(w).Encode(n.list[id-1])
	case http.MethodDelete:
		n.list = append(n.list[:id-1], n.list[id:]...)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (n *notes) note(id int, r *http.Request) map[string]any {
	var in struct{ Body string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	bot := map[string]any{"login": "bot", "username": "bot"}
	return map[string]any{"id": id, "body": in.Body, "user": bot, "author": bot, "created_at": time.Unix(int64(id), 0).UTC(), "updated_at": time.Unix(int64(id), 0).UTC()}
}

func TestAdapters(t *testing.T) {
	client := rest.NewHTTP(nil, func(context.Context, time.Duration) error { return nil })
	for name, make := range map[string]func(url string) ci.Comments{
		"gitee": func(url string) ci.Comments {
			return gitee.New(gitee.Config{BaseURL: url, Repository: "o/r", PullRequest: 7, Token: secret.New(noteToken), HTTP: client})
		},
		"gitlab": func(url string) ci.Comments {
			return gitlab.New(gitlab.Config{BaseURL: url, ProjectID: "group/project", MergeRequest: 7, Token: secret.New(noteToken), HTTP: client, URL: url + "/mr"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := &notes{}
			server := httptest.NewServer(n)
			defer server.Close()
			c, ctx := make(server.URL), context.Background()
			for i := range 130 {
				if made, err := c.Create(ctx, fmt.Sprint("note ", i)); err != nil || made.Author != "bot" {
					t.Fatalf("%+v, %v", made, err)
				}
			}
			n.busy = 2
			list, err := c.List(ctx)
			if err != nil || len(list) != 130 || list[0].Body != "note 0" || list[129].ID != "130" {
				t.Fatalf("%d notes, %v", len(list), err)
			}
			if made, err := c.Update(ctx, "130", "changed"); err != nil || made.Body != "changed" {
				t.Errorf("%+v, %v", made, err)
			}
			if err := c.Delete(ctx, "130"); err != nil || len(n.list) != 129 {
				t.Error(err)
			}
			if self, err := c.Self(ctx); err != nil || self != "bot" || !strings.Contains(n.token, noteToken) {
				t.Errorf("%q, %v, %q", self, err, n.token)
			}
			if made, err := c.Create(ctx, "text\n/approve\n"); name == "gitlab" && (err != nil || made.Body != "text\n /approve\n") {
				t.Errorf("a quick action: %+v, %v", made, err)
			}
			n.deny = true
			_, err = c.Create(ctx, "x")
			if denied, ok := errors.AsType[*ci.Denied](err); !ok || !strings.Contains(denied.Needs, "access token") || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v", err)
			}
			server.Close()
			if _, err := c.List(ctx); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v", err)
			}
		})
	}
}
