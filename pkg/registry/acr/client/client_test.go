package client_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/registry/acr"
	"github.com/devs/deploy/pkg/registry/acr/client"
	"github.com/devs/deploy/pkg/secret"
)

func keys(token string) credential.Credential {
	return credential.Credential{
		AccessKeyID: secret.New("canary-id"), AccessKeySecret: secret.New("canary-secret"), SecurityToken: secret.New(token),
	}
}

func registry(t *testing.T, host string) acr.Registry {
	t.Helper()
	r, ok := acr.Parse(host)
	if !ok {
		t.Fatal(host)
	}
	return r
}

func sign(text, key string) string {
	h := hmac.New(sha1.New, []byte(key))
	_, _ = io.WriteString(h, text)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// checkROA verifies a signature as "ROA request syntax and signature" of Alibaba Cloud
// describes it, independently of the library that made it.
func checkROA(r *http.Request) error {
	var headers []string
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-acs-") {
			headers = append(headers, lower+":"+r.Header.Get(name)+"\n")
		}
	}
	sort.Strings(headers)
	text := strings.Join([]string{r.Method, r.Header.Get("Accept"), "", "", r.Header.Get("Date"), strings.Join(headers, "") + r.URL.Path}, "\n")
	if want := "acs canary-id:" + sign(text, "canary-secret"); r.Header.Get("Authorization") != want {
		return errors.New("signature")
	}
	return nil
}

// checkRPC verifies a signature as "RPC request syntax and signature" describes it.
func checkRPC(form url.Values) error {
	given := form.Get("Signature")
	form.Del("Signature")
	escape := func(s string) string {
		return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(s))
	}
	var pairs []string
	for name := range form {
		pairs = append(pairs, escape(name)+"="+escape(form.Get(name)))
	}
	sort.Strings(pairs)
	if given != sign("POST&%2F&"+escape(strings.Join(pairs, "&")), "canary-secret&") {
		return errors.New("signature")
	}
	return nil
}

func TestPersonal(t *testing.T) {
	for _, token := range []string{"", "canary-sts"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := checkROA(r); err != nil || r.URL.Path != "/tokens" || r.Header.Get("X-Acs-Version") != "2016-06-07" || r.Header.Get("X-Acs-Security-Token") != token {
				t.Errorf("%s %s %v: %v", r.Method, r.URL, r.Header, err)
			}
			fmt.Fprint(w, `{"data":{"authorizationToken":"pass","tempUserName":"cr_temp_user","expireDate":1571242083000},"requestId":"r"}`)
		}))
		defer server.Close()
		c := client.New(client.Config{Endpoint: server.URL})
		p, err := c.Password(context.Background(), keys(token), registry(t, "registry-vpc.cn-hangzhou.aliyuncs.com"), "")
		if err != nil || p.Username != "cr_temp_user" || p.Password.Reveal() != "pass" || !p.Expires.Equal(time.Unix(1571242083, 0)) {
			t.Errorf("got %+v, %v", p, err)
		}
	}
}

func TestEnterprise(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got := []string{r.PostForm.Get("Action"), r.PostForm.Get("Version"), r.PostForm.Get("InstanceId"), r.PostForm.Get("SecurityToken")}
		if err := checkRPC(r.PostForm); err != nil || r.URL.RawQuery != "" || !slices.Equal(got, []string{"GetAuthorizationToken", "2018-12-01", "cri-1", "canary-sts"}) {
			t.Errorf("%v: %v", got, err)
		}
		fmt.Fprint(w, `{"Code":"success","IsSuccess":true,"AuthorizationToken":"pass","TempUsername":"cr_temp_user","ExpireTime":0}`)
	}))
	defer server.Close()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := client.New(client.Config{Endpoint: server.URL, Now: func() time.Time { return now }})
	p, err := c.Password(context.Background(), keys("canary-sts"), registry(t, "shop-registry.cn-hangzhou.cr.aliyuncs.com"), "cri-1")
	if err != nil || p.Username != "cr_temp_user" || p.Password.Reveal() != "pass" || !p.Expires.Equal(now.Add(30*time.Minute)) {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := c.Password(context.Background(), keys(""), registry(t, "shop-registry.cn-hangzhou.cr.aliyuncs.com"), ""); err == nil || !strings.Contains(diag.Render(err), "instanceID") {
		t.Errorf("without an instance: %v", err)
	}
}

// Whatever goes wrong, no part of the credential is in the error, no other host is
// asked, and there is a hint.
func TestErrorsHoldNoKey(t *testing.T) {
	var reached atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer other.Close()
	serve := func(h http.HandlerFunc) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	status := func(code int, body string) string {
		return serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, body) })
	}
	for name, tt := range map[string]struct{ endpoint, want string }{
		"refused":    {"http://127.0.0.1:1", "127.0.0.1:1: dial tcp"},
		"no address": {"http://canary-pw%zz", "not an address"},
		"cut off":    {serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "EOF"},
		"redirect": {serve(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}), "HTTP 307"},
		"page":       {status(200, "<html>"), "holds no password"},
		"empty":      {status(200, `{"data":{}}`), "holds no password"},
		"no success": {status(200, `{"IsSuccess":false,"Code":"INSTANCE_NOT_EXIST"}`), "INSTANCE_NOT_EXIST"},
		"forbidden":  {status(403, `{"code":"NoPermission","message":"no canary-id"}`), "cr:GetAuthorizationToken"},
		"echo":       {status(400, `{"Code":"SignatureDoesNotMatch","Message":"canary-id\ncanary-secret canary-sts"}`), "SignatureDoesNotMatch: *** *** ***"},
	} {
		for _, host := range []string{"registry.cn-hangzhou.aliyuncs.com", "shop-registry.cn-hangzhou.cr.aliyuncs.com"} {
			_, err := client.New(client.Config{Endpoint: tt.endpoint}).Password(context.Background(), keys("canary-sts"), registry(t, host), "cri-1")
			if err == nil || !strings.Contains(diag.Render(err), tt.want) || !strings.Contains(diag.Render(err), "hint:") {
				t.Errorf("%s: got %v, want %s", name, err, tt.want)
				continue
			}
			if text := fmt.Sprintf("%v %+v %v", err, errors.Unwrap(err), diag.Render(err)); strings.Contains(text, "canary") {
				t.Errorf("%s: a part of the credential is in %s", name, text)
			}
		}
	}
	if reached.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A registry over the VPC is asked about inside the VPC when the internet is not there.
func TestEndpoints(t *testing.T) {
	for host, want := range map[string][]string{
		"registry.cn-hangzhou.aliyuncs.com":                {"cr.cn-hangzhou.aliyuncs.com"},
		"registry-vpc.cn-beijing.aliyuncs.com":             {"cr.cn-beijing.aliyuncs.com", "cr-vpc.cn-beijing.aliyuncs.com"},
		"shop-registry-vpc.cn-shanghai.cr.aliyuncs.com":    {"cr.cn-shanghai.aliyuncs.com", "cr-vpc.cn-shanghai.aliyuncs.com"},
		"crpi-1a.cn-hangzhou.personal.cr.aliyuncs.com":     {"cr.cn-hangzhou.aliyuncs.com"},
		"crpi-1a-vpc.cn-hangzhou.personal.cr.aliyuncs.com": {"cr.cn-hangzhou.aliyuncs.com", "cr-vpc.cn-hangzhou.aliyuncs.com"},
	} {
		var asked []string
		c := client.New(client.Config{HTTP: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Host)
			return nil, &net.OpError{Op: "dial", Err: errors.New("no route")}
		})})
		_, err := c.Password(context.Background(), keys(""), registry(t, host), "cri-1")
		if err == nil || !slices.Equal(asked, want) {
			t.Errorf("%s: asked %v, %v", host, asked, err)
		}
	}
}
