package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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

// Whatever goes wrong, neither the signed address nor a part of the credential is
// in the error, and no other host is asked.
func TestErrorsHoldNoKey(t *testing.T) {
	var reached atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]string{"AccountId": "1"})
	}))
	defer other.Close()
	keys := credential.Credential{
		AccessKeyID: secret.New("canary-id"), AccessKeySecret: secret.New("canary-secret"), SecurityToken: secret.New("canary-token"),
	}
	serve := func(h http.HandlerFunc) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	for name, tt := range map[string]struct{ endpoint, want string }{
		"refused":    {"http://127.0.0.1:1", "127.0.0.1:1: dial tcp"},
		"password":   {"http://user:canary-pw@127.0.0.1:1", "not an address"},
		"no address": {"http://canary-pw%zz", "not an address"},
		"cut off":    {serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "EOF"},
		"redirect": {serve(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}), "HTTP 307"},
		"bare status": {serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }), "HTTP 503"},
		"page":        {serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }), "names no account"},
		"echo": {serve(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"Code": "SignatureDoesNotMatch", "Message": "signed: " + r.URL.String() + " canary-secret"})
		}), "SignatureDoesNotMatch"},
	} {
		_, err := client.AccountLookup(tt.endpoint)(context.Background(), keys)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
			continue
		}
		if text := fmt.Sprintf("%v %+v", err, errors.Unwrap(err)); strings.Contains(text, "canary") {
			t.Errorf("%s: a part of the credential is in %s", name, text)
		}
	}
	if reached.Load() != 0 {
		t.Error("a redirect was followed")
	}
}
