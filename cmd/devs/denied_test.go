package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// deny answers requests for tags as the cloud does when the credential may not use them.
func deny(cloud http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/tag") {
			cloud.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"ErrorCode":"AccessDenied","ErrorMessage":"you may not"}`))
	})
}

// TestTagsThatMayNotBeUsed deploys with a credential that may do all but use tags: one
// warning names what is missing, the folder keeps the record, and on a fresh runner it is
// told that there is none.
func TestTagsThatMayNotBeUsed(t *testing.T) {
	a := must(newArena("", deny))(t)
	defer func() { _ = a.close() }()
	first, second := duelists[0], duelists[1]
	if err := a.files("one", duel(first, 0)); err != nil {
		t.Fatal(err)
	}
	out := must(a.run("one", "deploy"))(t)
	if n := strings.Count(out.stderr, "warning:"); out.code != 0 || n != 1 || !strings.Contains(out.stderr, "fc:") {
		t.Errorf("%d warnings, want one that names the action: %s", n, out)
	}
	if err := a.files("one", duel(second, 1)); err != nil {
		t.Fatal(err)
	}
	if out := must(a.run("one", "deploy"))(t); out.code != 0 {
		t.Errorf("the folder has the record: %s", out)
	}
	if err := a.files("one", duel(first, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(a.path("one", ".s")); err != nil {
		t.Fatal(err)
	}
	if out := must(a.run("one", "plan"))(t); out.code != 0 || !strings.Contains(out.stdout, "record unknown") {
		t.Errorf("a plan without a record: %s", out)
	}
	if out := must(a.run("one", "deploy"))(t); out.code != 101 || !strings.Contains(out.stderr, "no deploy of it is recorded") {
		t.Errorf("a deploy without a record: %s", out)
	}
}
