package client_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/credential/client"
	"github.com/devs/deploy/pkg/secret"
)

func TestAccountLookup(t *testing.T) {
	const canary = "canary-secret-value"
	var action string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		action = r.Header.Get("X-Acs-Action")
		if id := r.Header.Get("Authorization") + r.FormValue("AccessKeyId"); !strings.Contains(id, "known") {
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]string{"Code": "InvalidAccessKeyId.NotFound", "Message": "no such key"})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"AccountId": "1234567890123456", "RequestId": "r"})
	}))
	defer server.Close()
	lookup := client.AccountLookup(server.URL)

	id, err := lookup(context.Background(), credential.Credential{AccessKeyID: secret.New("known"), AccessKeySecret: secret.New(canary)})
	if err != nil || id != "1234567890123456" {
		t.Fatalf("got %q, %v", id, err)
	}
	if action != "GetCallerIdentity" {
		t.Errorf("asked for %q", action)
	}
	_, err = lookup(context.Background(), credential.Credential{AccessKeyID: secret.New("other"), AccessKeySecret: secret.New(canary)})
	if err == nil || !strings.Contains(err.Error(), "InvalidAccessKeyId.NotFound") {
		t.Errorf("unknown key: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), canary) {
		t.Error("the secret is in the error")
	}
}
