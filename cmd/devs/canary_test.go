package main

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/emulator"
)

// secrets are those of the canary test, by where they come from.
type secrets map[string]string

// newSecrets draws secrets. Those of the environment change with every round.
func newSecrets(key string) secrets {
	s := secrets{"domain key": key}
	for _, from := range []string{"env", "dotenv", "props", "payload", "key id", "key secret", "token", "alias id", "alias secret", "state key"} {
		s[from] = "canary-" + strings.ReplaceAll(from, " ", "-") + "-" + rand.Text()
	}
	return s
}

// traces are the forms in which a secret must not be found: as it is, encoded, and
// hashed without a key.
func (s secrets) traces() map[string]string {
	traces := map[string]string{}
	add := func(name, secret string) {
		sum, old := sha256.Sum256([]byte(secret)), md5.Sum([]byte(secret))
		for form, text := range map[string]string{
			"": secret, " in a URL": url.QueryEscape(secret), " in hexadecimal": hex.EncodeToString([]byte(secret)),
			" in base64":  strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
			", SHA-256":   hex.EncodeToString(sum[:]),
			", SHA-256 =": base64.RawStdEncoding.EncodeToString(sum[:]),
			", SHA-256 _": base64.RawURLEncoding.EncodeToString(sum[:]),
			", MD5":       hex.EncodeToString(old[:]),
		} {
			traces[text] = name + form
		}
	}
	for name, secret := range s {
		for i, line := range strings.Split(strings.TrimSpace(secret), "\n") {
			if !strings.HasPrefix(line, "-----") {
				add(fmt.Sprintf("%s, line %d", name, i+1), line)
			}
		}
	}
	return traces
}

// find returns which secrets are in data.
func (s secrets) find(data []byte) []string {
	var names []string
	for text, name := range s.traces() {
		if bytes.Contains(data, []byte(text)) {
			names = append(names, name)
		}
	}
	return names
}

// keyPair makes a certificate for a domain and its private key.
func keyPair(t *testing.T, domain string) (cert, key string) {
	t.Helper()
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: domain}, DNSNames: []string{domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der := must(x509.CreateCertificate(rand.Reader, about, about, &private.PublicKey, private))(t)
	keyDER := must(x509.MarshalPKCS8PrivateKey(private))(t)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// nest is the application of the canary test.
func nest(s secrets, cert string) map[string]string {
	return map[string]string{
		"s.yaml": `edition: 1.0.0
name: nest
services:
  bird:
    component: fc
    actions:
      pre-deploy:
        - run: echo "before ${env(TOKEN)} $TOKEN $AccessKeySecret $SecurityToken"; echo "$TOKEN" > hidden; echo "$TOKEN" >&2
      post-deploy:
        - run: echo "after $TOKEN"
    props:
      region: cn-hangzhou
      service: {name: nest, description: about birds}
      function:
        name: bird
        runtime: python3.9
        handler: index.handler
        codeUri: ./code
        environmentVariables:
          FROM_ENV: ${env(TOKEN)}
          WITHIN: 'mysql://app:${env(TOKEN)}@db.internal/x'
          FROM_DOTENV: ${env(OTHER_TOKEN)}
          FROM_PROPS: ` + s["props"] + `
      triggers:
        - {name: tick, type: timer, config: {cronExpression: '0 0 8 * * *', enable: true, payload: '${env(PAYLOAD)}'}}
        - {name: web, type: http, config: {authType: anonymous, methods: [GET]}}
      customDomains:
        - domainName: nest.example.com
          protocol: HTTP,HTTPS
          certConfig: {certName: nest, certificate: ./cert.pem, privateKey: ./key.pem}
          routeConfigs: [{path: /*}]
`,
		".env": "OTHER_TOKEN=" + s["dotenv"] + "\n", "cert.pem": cert, "key.pem": s["domain key"],
		"code/index.py": "def handler(event, context):\n    return 'tweet'\n",
	}
}

// gossip is a cloud that refuses changes at the paths with the suffix, and tells in the
// error all that it was sent.
type gossip struct{ about atomic.Pointer[string] }

// on makes it refuse; with "none" it works.
func (g *gossip) on(suffix string) { g.about.Store(&suffix) }

func (g *gossip) wrap(cloud http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || !strings.HasSuffix(r.URL.Path, *g.about.Load()) || strings.HasSuffix(r.URL.Path, "/tag") {
			cloud.ServeHTTP(w, r)
			return
		}
		var heard strings.Builder
		_ = r.Header.Write(&heard)
		body := hold(r)
		heard.Write(body)
		var sent any
		_ = json.Unmarshal(body, &sent)
		fmt.Fprintf(&heard, "\n%v", sent)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, text(map[string]any{"Code": "InvalidArgument", "Message": "what is " + heard.String() + "?"}))
	})
}

// TestNoSecretIsWritten looks for secrets in all that the commands wrote: what they
// printed, their files, and tags.
func TestNoSecretIsWritten(t *testing.T) {
	cert, key := keyPair(t, "nest.example.com")
	old := newSecrets(key)
	// The endpoint asks for no session token: what is signed with it is told apart by the
	// key alone.
	g := &gossip{}
	g.on("none")
	a := must(openArena(&arena{wrap: g.wrap, keys: map[string]string{old["key id"]: old["key secret"], old["alias id"]: old["alias secret"]}}, ""))(t)
	t.Cleanup(func() { _ = a.close() })
	w := &watch{arena: a, all: []secrets{old}}
	if err := a.files("app", nest(old, cert)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(a.path("tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	a.env = old.environ(a)

	w.run(t, 0, "plan")
	w.run(t, 0, "plan", "-o", "json")
	w.run(t, 0, "plan", "-o", "kept.json")
	for _, list := range []string{"/services", "/functions", "/triggers", "/custom-domains"} {
		g.on(list)
		if out := w.run(t, 101, "deploy", "--debug"); !strings.Contains(out.stderr, "what is") {
			t.Errorf("the cloud's error was not shown: %s", out)
		}
	}
	g.on("none")
	w.run(t, 0, "deploy", "--debug")
	w.run(t, 0, "deploy", "--debug")
	w.run(t, 0, "info")
	w.run(t, 0, "info", "-o", "json")

	// Everything changes, in the file and in the console.
	_, key = keyPair(t, "nest.example.com")
	changed := newSecrets(key)
	for _, same := range []string{"domain key", "key id", "key secret", "alias id", "alias secret", "state key"} {
		changed[same] = old[same]
	}
	w.all = append(w.all, changed)
	if err := a.files("app", nest(changed, cert)); err != nil {
		t.Fatal(err)
	}
	a.env = changed.environ(a)
	must(a.api("PUT", "/services/nest/functions/bird", map[string]any{"environmentVariables": map[string]any{
		"FROM_ENV": "canary-console-secret", "FROM_PROPS": old["props"], "ADDED": "canary-console-secret"}}))(t)
	w.all = append(w.all, secrets{"console": "canary-console-secret"})
	w.run(t, 0, "plan")
	w.run(t, 0, "plan", "-o", "json")
	w.run(t, 101, "deploy")
	w.run(t, 101, "deploy", "kept.json")
	w.run(t, 0, "plan", "-o", "kept.json", "--use-local")
	g.on("")
	w.run(t, 101, "deploy", "--use-local")
	g.on("none")
	w.run(t, 0, "config", "add", "--AccountID", emulator.DefaultAccountID, "--AccessKeyID", old["alias id"], "--AccessKeySecret", old["alias secret"], "-a", "nest", "-f")
	w.run(t, 0, "config", "get")
	w.run(t, 0, "deploy", "--use-local", "-a", "nest")
	w.run(t, 0, "remove", "-y")
	w.files(t)
	if w.bytes == 0 {
		t.Error("nothing was looked at")
	}
	fmt.Printf("%s: %d secrets, %d forms of each, looked for in %d bytes\n", t.Name(), len(old)+len(changed)-6+1, 8, w.bytes)
}

// environ are the variables with the secrets.
func (s secrets) environ(a *arena) []string {
	return []string{
		"TOKEN=" + s["env"], "PAYLOAD=" + s["payload"], "AccessKeyID=" + s["key id"], "AccessKeySecret=" + s["key secret"],
		"SecurityToken=" + s["token"], "DEVS_STATE_KEY=" + s["state key"], "TMPDIR=" + a.path("tmp"), "GITHUB_ACTIONS=true",
		"GITHUB_STEP_SUMMARY=" + a.path("summary"), "GITHUB_OUTPUT=" + a.path("output"), "GITHUB_ENV=" + a.path("env"),
	}
}

// watch runs commands and looks at what they write.
type watch struct {
	*arena
	all   []secrets
	bytes int
}

func (w *watch) run(t *testing.T, code int, args ...string) *outcome {
	t.Helper()
	out := must(w.arena.run("app", args...))(t)
	if out.code != code {
		t.Fatalf("%v: want exit code %d, got %s", args, code, out)
	}
	w.look(t, fmt.Sprintf("the standard output of %v", args), []byte(out.stdout))
	w.look(t, fmt.Sprintf("the standard error of %v", args), []byte(out.stderr))
	w.files(t)
	tags, err := w.tags("nest")
	if err != nil && !strings.Contains(err.Error(), "ServiceNotFound") {
		t.Fatal(err)
	}
	w.look(t, "the tags", []byte(text(tags)))
	return out
}

func (w *watch) look(t *testing.T, where string, data []byte) {
	t.Helper()
	w.bytes += len(data)
	for _, s := range w.all {
		for _, name := range s.find(data) {
			t.Errorf("the secret %s is in %s:\n%.4000s", name, where, data)
		}
	}
}

// files looks at all files of the arena but those that the test itself wrote, the one
// that hooks write, the cloud's, and the store of credentials.
func (w *watch) files(t *testing.T) {
	t.Helper()
	own := []string{"app/s.yaml", "app/.env", "app/key.pem", "app/hidden", ".s/access.yaml"}
	err := filepath.WalkDir(w.path(), func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(w.path(), file)
		if err != nil || name == "cloud" {
			return cmp.Or(err, fs.SkipDir)
		}
		if entry.IsDir() || slices.Contains(own, name) {
			return nil
		}
		data, err := os.ReadFile(file)
		w.look(t, name, append([]byte(name+"\n"), data...))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
