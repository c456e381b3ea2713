package github_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/ci"
	"github.com/devs/deploy/pkg/ci/github"
	"github.com/devs/deploy/pkg/ci/rest"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/test/githubapi"
)

const token = "canary-token-of-github"

// start serves the double, whose requests have to fit GitHub's description.
func start(t *testing.T) *githubapi.API {
	t.Helper()
	api, stop, err := githubapi.Start(os.Getenv("GITHUB_OPENAPI"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		for _, w := range api.Wrong() {
			t.Error(w)
		}
	})
	return api
}

func client(t *testing.T, api *githubapi.API) *github.Client {
	t.Helper()
	c, err := github.New(github.Config{
		BaseURL: api.URL, Repository: "o/r", Token: secret.New(token), UserAgent: "devs/test",
		HTTP: rest.NewHTTP(nil, func(context.Context, time.Duration) error { return nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRequestsFitTheDescription(t *testing.T) {
	if os.Getenv("GITHUB_OPENAPI") == "" {
		if os.Getenv("DEVS_REQUIRE") != "" {
			t.Fatal("GITHUB_OPENAPI is not set: test/githubapi/openapi.sh prints it")
		}
		t.Skip("GITHUB_OPENAPI is not set: requests are not checked against GitHub's description")
	}
	api, stop, err := githubapi.Start(os.Getenv("GITHUB_OPENAPI"))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	req, err := http.NewRequest(http.MethodPost, api.URL+"/repos/o/r/issues/1/comments", strings.NewReader(`{"text":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer x")
	req.Header.Set("Accept", "application/vnd.github.v3+json")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if len(api.Wrong()) == 0 {
		t.Error("a comment without a body passes for one that fits")
	}
}

func TestComments(t *testing.T) {
	api := start(t)
	ctx := context.Background()
	for i := range 250 {
		api.Add(7, "someone", fmt.Sprint("comment ", i))
	}
	api.Add(8, "someone", "on another pull request")
	c := client(t, api).Comments(7)
	if self, err := c.Self(ctx); err != nil || self != github.Bot {
		t.Errorf("self: %q, %v", self, err)
	}
	api.Users[token] = "robot"
	if self, err := c.Self(ctx); err != nil || self != "robot" {
		t.Errorf("self: %q, %v", self, err)
	}
	made, err := c.Create(ctx, "ours")
	if err != nil || made.Author != "robot" || made.URL == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	if _, err := c.Update(ctx, made.ID, "ours, changed"); err != nil {
		t.Fatal(err)
	}
	list, err := c.List(ctx)
	if err != nil || len(list) != 251 || list[250].Body != "ours, changed" || list[0].Body != "comment 0" {
		t.Fatalf("%d comments, %v", len(list), err)
	}
	if err := errors.Join(c.Delete(ctx, made.ID), c.Delete(ctx, made.ID)); err != nil {
		t.Errorf("deleted by another job meanwhile: %v", err)
	}
}

// A request that is not answered may have arrived: no comment is written twice.
func TestCreateIsNotRepeatedBlindly(t *testing.T) {
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request, next http.Handler){
		"lost answer": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(&discard{w.Header().Clone()}, r)
			panic(http.ErrAbortHandler)
		},
		"lost request": func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) },
		"bad gateway":  func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusBadGateway) },
		"rate limit": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusForbidden)
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := start(t)
			var hit atomic.Bool
			api.Fault = func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
				if r.Method != http.MethodPost || hit.Swap(true) {
					return false
				}
				fault(w, r, next)
				return true
			}
			made, err := client(t, api).Comments(7).Create(context.Background(), "once")
			if err != nil || made.Body != "once" {
				t.Fatalf("%+v, %v", made, err)
			}
			if n := len(api.Comments()); n != 1 {
				t.Errorf("there are %d comments", n)
			}
		})
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func TestDenied(t *testing.T) {
	api := start(t)
	api.Denied[token] = true
	c := client(t, api)
	_, err := c.Comments(7).Create(context.Background(), "x")
	denied, ok := errors.AsType[*ci.Denied](err)
	if !ok || !strings.Contains(denied.Needs, "permissions:\n  contents: read\n  pull-requests: write") {
		t.Errorf("%v", err)
	}
	_, deployErr := c.StartDeployment(context.Background(), "abc", "production", "")
	if denied, ok := errors.AsType[*ci.Denied](deployErr); !ok || !strings.Contains(denied.Needs, "deployments: write") {
		t.Errorf("%v", deployErr)
	}
	if strings.Contains(fmt.Sprint(err, deployErr), "canary") {
		t.Error("the token is in the error")
	}
}

func TestDeployments(t *testing.T) {
	api := start(t)
	c, ctx := client(t, api), context.Background()
	for range 2 {
		d, err := c.StartDeployment(ctx, "0123456789", "production", "https://github.invalid/run/1")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Set(ctx, github.InProgress, ""), d.Set(ctx, github.Success, "https://app.invalid/")); err != nil {
			t.Fatal(err)
		}
	}
	failed, err := c.StartDeployment(ctx, "0123456789", "production", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := failed.Set(ctx, github.Failure, ""); err != nil {
		t.Fatal(err)
	}
	list := api.Deployments()
	for i, want := range [][]string{
		{"queued", "in_progress", "success", "inactive"}, {"queued", "in_progress", "success"}, {"queued", "failure"},
	} {
		if !slices.Equal(list[i].States, want) {
			t.Errorf("deployment %d: %v", i, list[i].States)
		}
	}
	if list[1].URL != "https://app.invalid/" {
		t.Errorf("the address is %q", list[1].URL)
	}
}

func TestPullRequests(t *testing.T) {
	api := start(t)
	api.Pulls["abc"], api.Open[3] = []int{3, 4}, true
	want := []github.PullRequest{{Number: 4, Merged: true, Base: "main", Default: "main"}, {Number: 3, Base: "main", Default: "main"}}
	if got, err := client(t, api).PullRequests(context.Background(), "abc"); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}
