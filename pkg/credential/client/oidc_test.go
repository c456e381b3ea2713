package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/credential/client"
)

const roleARN = "acs:ram::1234567890123456:role/deploy"

func role(url string, tokens *int) client.Role {
	return client.Role{
		Endpoint: url, ARN: roleARN, Session: "devs-o-r-7", Duration: time.Hour,
		Token: func(context.Context) (string, error) { *tokens++; return fmt.Sprint("canary-token-", *tokens), nil },
		Pause: func(context.Context, time.Duration) error { return nil },
	}
}

func TestAssumeRoleWithOIDC(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.FormValue("OIDCToken"))
		if r.URL.RawQuery != "" || r.FormValue("Action") != "AssumeRoleWithOIDC" || r.FormValue("RoleArn") != roleARN || r.FormValue("RoleSessionName") != "devs-o-r-7" ||
			r.FormValue("OIDCProviderArn") != "acs:ram::1234567890123456:oidc-provider/github-actions" || r.FormValue("DurationSeconds") != "3600" {
			t.Errorf("%s %v", r.URL, r.Form)
		}
		if len(seen) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"Credentials":{"AccessKeyId":"STS.id","AccessKeySecret":"key","SecurityToken":"token"},"AssumedRoleUser":{"Arn":"acs:ram::1234567890123456:role/deploy/devs-o-r-7"}}`)
	}))
	defer server.Close()
	tokens := 0
	c, err := client.AssumeRoleWithOIDC(context.Background(), role(server.URL, &tokens))
	if err != nil || c.AccountID != "1234567890123456" || c.AccessKeyID.Reveal() != "STS.id" || c.SecurityToken.Reveal() != "token" {
		t.Fatalf("%v, %v", c, err)
	}
	if len(seen) != 2 || seen[0] == seen[1] {
		t.Errorf("each try needs a token of its own: %q", seen)
	}
}

func TestAssumeRoleRefuses(t *testing.T) {
	answers := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, strings.ReplaceAll(body, "TOKEN", r.FormValue("OIDCToken")))
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	other := `{"Credentials":{"AccessKeyId":"a","AccessKeySecret":"b","SecurityToken":"c"},"AssumedRoleUser":{"Arn":"acs:ram::9999:role/deploy/x"}}`
	for name, tt := range map[string]struct {
		url    string
		change func(*client.Role)
		tokens int
		want   string
	}{
		"denied":              {answers(403, `{"Code":"NoPermission","Message":"not TOKEN"}`), nil, 1, "NoPermission"},
		"always busy":         {answers(503, `no`), nil, 3, "503"},
		"nobody there":        {"http://127.0.0.1:1", nil, 3, "127.0.0.1:1"},
		"no keys":             {answers(200, `{}`), nil, 1, "has no keys"},
		"of another account":  {answers(200, other), nil, 1, "of another account, 9999"},
		"no ARN":              {"http://127.0.0.1:1", func(r *client.Role) { r.ARN = "deploy" }, 0, "role-to-assume"},
		"account of somebody": {"http://127.0.0.1:1", func(r *client.Role) { r.Account = "77" }, 0, "account-id is 77"},
	} {
		tokens := 0
		r := role(tt.url, &tokens)
		if tt.change != nil {
			tt.change(&r)
		}
		_, err := client.AssumeRoleWithOIDC(context.Background(), r)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") || tokens != tt.tokens {
			t.Errorf("%s: %d tokens, %v", name, tokens, err)
		}
	}
}
