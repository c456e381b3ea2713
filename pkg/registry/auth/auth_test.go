package auth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/devs/deploy/pkg/registry/acr"
	"github.com/devs/deploy/pkg/registry/auth"
	"github.com/devs/deploy/pkg/secret"
)

// found returns "user:password" of a repository, or what else there is.
func found(t *testing.T, k *auth.Keychain, repo string) string {
	t.Helper()
	r, err := name.NewRepository(repo)
	if err != nil {
		t.Fatal(err)
	}
	a, err := authn.Resolve(context.Background(), k, r)
	if err != nil {
		return "error: " + err.Error()
	}
	cfg, err := authn.Authorization(context.Background(), a)
	switch {
	case err != nil:
		return "error: " + err.Error()
	case cfg.IdentityToken != "":
		return "identity " + cfg.IdentityToken
	case cfg.RegistryToken != "":
		return "token " + cfg.RegistryToken
	case *cfg == authn.AuthConfig{}:
		return ""
	}
	return cfg.Username + ":" + cfg.Password
}

func docker(json string) auth.DockerConfig {
	return auth.DockerConfig{Source: "input docker-config", JSON: secret.New(json)}
}

func entry(user, password string) string {
	return fmt.Sprintf(`{"auth":%q}`, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// helper writes a credential helper that prints out, and returns an environment with
// it. Programs are looked for in the PATH of this process.
func helper(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestOrder(t *testing.T) {
	helper(t, "good", `read host; case $host in helped.example) echo '{"ServerURL":"x","Username":"hu","Secret":"hs"}';;
token.example) echo '{"Username":"<token>","Secret":"idt"}';;
*) echo "credentials not found in native keychain"; exit 1;; esac`)
	var secrets []string
	k, err := auth.New(auth.Config{
		Logins: []auth.Login{
			{Host: "https://Explicit.example/v2/", Username: "eu", Password: secret.New("es")},
			{Host: "registry.cn-hangzhou.aliyuncs.com", Username: "au", Password: secret.New("as")},
			{Host: "docker.io", Username: "du", Password: secret.New("ds")},
		},
		Docker: []auth.DockerConfig{
			docker(`{"auths":{"explicit.example":` + entry("no", "no") + `,"https://file.example/v1/":` + entry("fu", "f:s") +
				`,"file.example/team/app":` + entry("pu", "ps") + `,"tok.example":{"identitytoken":"rt"},"plain.example":{"username":"u","password":"p"},` +
				`"emptied.example":{},"registry-vpc.cn-beijing.aliyuncs.com":` + entry("bu", "bs") + `},"credsStore":"good"}`),
			docker(`{"auths":{"file.example":` + entry("second", "second") + `,"only.example":` + entry("ou", "os") + `}}`),
		},
		Password: func(_ context.Context, r acr.Registry) (*acr.Password, error) {
			if r.Region == "cn-shanghai" {
				return nil, errors.New("no such instance")
			}
			if r.Region == "cn-shenzhen" {
				return nil, nil
			}
			return &acr.Password{Username: "cr_temp_user", Password: secret.New("temp-" + r.Region), Expires: time.Now().Add(time.Hour)}, nil
		},
		Secret: func(v string) { secrets = append(secrets, v) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for repo, want := range map[string]string{
		"explicit.example/a":                        "eu:es",
		"registry.cn-hangzhou.aliyuncs.com/a/b":     "au:as",
		"registry-vpc.cn-hangzhou.aliyuncs.com/a/b": "au:as",
		"busybox":                                    "du:ds",
		"file.example/other/app":                     "fu:f:s",
		"file.example/team/app":                      "pu:ps",
		"file.example/team/app/sub":                  "pu:ps",
		"tok.example/a":                              "identity rt",
		"plain.example/a":                            "u:p",
		"emptied.example/a":                          "",
		"registry.cn-beijing.aliyuncs.com/a/b":       "bu:bs",
		"only.example/a":                             "ou:os",
		"helped.example/a":                           "hu:hs",
		"token.example/a":                            "identity idt",
		"unknown.example/a":                          "",
		"explicit.example.evil.example/a":            "",
		"registry.cn-zhangjiakou.aliyuncs.com/a/b":   "cr_temp_user:temp-cn-zhangjiakou",
		"x-registry.cn-shanghai.cr.aliyuncs.com/a/b": "error: asking for a temporary password of x-registry.cn-shanghai.cr.aliyuncs.com: no such instance",
		"registry.cn-shenzhen.aliyuncs.com/a/b":      "",
	} {
		if got := found(t, k, repo); got != want {
			t.Errorf("%s: %q, want %q", repo, got, want)
		}
	}
	for _, want := range []string{"es", "f:s", "hs", "idt", "temp-cn-zhangjiakou"} {
		if !strings.Contains("\n"+strings.Join(secrets, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("%s was not told as a secret", want)
		}
	}
}

func TestHelperThatFails(t *testing.T) {
	helper(t, "bad", "echo canary-output; echo canary-error >&2; exit 3")
	for store, want := range map[string]string{"bad": "it gave no credentials", "missing": "executable file not found", "../bad": "malformed"} {
		var warnings []string
		k, err := auth.New(auth.Config{
			Docker: []auth.DockerConfig{docker(fmt.Sprintf(`{"credsStore":%q}`, store)), docker(`{"auths":{"a.example":` + entry("u", "p") + `}}`)},
			Warn:   func(text string) { warnings = append(warnings, text) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := found(t, k, "a.example/x"); got != "u:p" {
			t.Errorf("%s: %q", store, got)
		}
		if text := strings.Join(warnings, "\n"); !strings.Contains(text, want) || strings.Contains(text, "canary") {
			t.Errorf("%s: warned of %q", store, text)
		}
	}
}

// A temporary password is asked for once, also for other networks, and anew before it
// ends.
func TestTemporaryPassword(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	asked := 0
	k, err := auth.New(auth.Config{
		Now: func() time.Time { return now },
		Password: func(context.Context, acr.Registry) (*acr.Password, error) {
			asked++
			return &acr.Password{Username: "u", Password: secret.New(fmt.Sprint("p", asked)), Expires: now.Add(time.Hour)}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	repo, _ := name.NewRepository("registry.cn-hangzhou.aliyuncs.com/a/b")
	a, err := k.Resolve(repo)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, "p1"}, {49 * time.Minute, "p1"}, {2 * time.Minute, "p2"}} {
		now = now.Add(step.after)
		cfg, err := authn.Authorization(context.Background(), a)
		if err != nil || cfg.Password != step.want {
			t.Errorf("after %s: %+v, %v", step.after, cfg, err)
		}
	}
	if got := found(t, k, "registry-vpc.cn-hangzhou.aliyuncs.com/c/d"); got != "u:p2" || asked != 2 {
		t.Errorf("another network: %s, asked %d times", got, asked)
	}
}

func TestBadConfig(t *testing.T) {
	for _, text := range []string{"{", "[]", `{"auths":{"a":{"auth":"canary!"}}}`, `{"auths":{"a":{"auth":"Y2FuYXJ5"}}}`} {
		_, err := auth.New(auth.Config{Docker: []auth.DockerConfig{docker(text)}})
		if err == nil || !strings.Contains(err.Error(), "input docker-config is no Docker config") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := auth.New(auth.Config{Logins: []auth.Login{{Host: "a.example", Username: "u"}}}); err == nil {
		t.Error("a login without a password is taken")
	}
	if d, err := auth.ReadDockerConfig(filepath.Join(t.TempDir(), "none")); d != nil || err != nil {
		t.Errorf("no file: %v, %v", d, err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(`{"auths":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := auth.ReadDockerConfig(file); err != nil || d.Source != file || d.JSON.Reveal() != `{"auths":{}}` {
		t.Errorf("a file: %v, %v", d, err)
	}
	if err := os.WriteFile(file, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.ReadDockerConfig(file); err == nil {
		t.Error("a huge file is read")
	}
}

func FuzzDockerConfig(f *testing.F) {
	f.Add(`{"auths":{"a.example":{"auth":"dTpw"}}}`, "a.example")
	f.Add("", "") // a path that begins with a slash
	f.Add(`{"auths":{"https://index.docker.io/v1/":{"identitytoken":"t"}}}`, "docker.io")
	f.Fuzz(func(t *testing.T, text, host string) {
		if strings.Contains(strings.ToLower(text), "cred") {
			return // runs no programs
		}
		repo, err := name.NewRepository(host + "/a/b")
		if err != nil {
			return
		}
		k, err := auth.New(auth.Config{Docker: []auth.DockerConfig{docker(text)}})
		if err != nil {
			return
		}
		if _, err := k.Resolve(repo); err != nil {
			t.Error(err)
		}
	})
}
