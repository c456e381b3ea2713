package fc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// pair makes a certificate with its key, as PEM.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func TestDomainWithCertificate(t *testing.T) {
	w := newWorld(t)
	cert, key := pair(t)
	w.write("key.pem", key)
	w.deploy(bareProps)
	certJSON, _ := json.Marshal(map[string]string{"certName": "c", "certificate": cert, "privateKey": "key.pem"})
	https := strings.Replace(bareProps, `"protocol": "HTTP"`, `"protocol": "HTTP,HTTPS", "certConfig": `+string(certJSON), 1)
	w.took()
	got, _ := w.deploy(https)
	if diff := cmp.Diff(map[string]string{"customDomain www.example.com": "update certConfig,protocol"}, got); diff != "" {
		t.Error(diff)
	}
	sent, _ := w.body("PUT /custom-domains/www.example.com")["certConfig"].(map[string]any)
	if sent["privateKey"] != key {
		t.Error("the key was not sent")
	}
	if again, _ := w.deploy(https); len(again) != 0 {
		t.Errorf("the second deploy would change %v", again)
	}
	out, err := w.run("info", https)
	if err != nil || strings.Contains(fmt.Sprint(out.Plain()), key) {
		t.Errorf("the key is shown, or %v", err)
	}
	w.took()
	got, _ = w.deploy(bareProps)
	if diff := cmp.Diff(map[string]string{"customDomain www.example.com": "update certConfig,protocol"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPrivateKeyFoundIsSecret(t *testing.T) {
	w := newWorld(t)
	w.setFault(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		_, _ = rw.Write([]byte(`{"protocol":"HTTPS","certConfig":{"certName":"c","privateKey":"key-text"}}`))
		return true
	})
	cert := w.read(props.CustomDomainKind, "a.example.com").Attrs["certConfig"].(map[string]any)
	if s, ok := cert["privateKey"].(secret.String); !ok || s.Reveal() != "key-text" {
		t.Errorf("%#v", cert)
	}
}

func TestBindingsChangeByTheDifference(t *testing.T) {
	w := newWorld(t)
	with := func(ids string) string {
		return `{"region": "cn-hangzhou", "service": {"name": "demo", "vpcBinding": [` + ids + `]}}`
	}
	w.deploy(with(`"vpc-1", "vpc-2"`), "sub", "service")
	w.took()
	got, _ := w.deploy(with(`"vpc-3", "vpc-2"`), "sub", "service")
	if diff := cmp.Diff(map[string]string{"vpcBinding demo": "update vpcIds"}, got); diff != "" {
		t.Error(diff)
	}
	var changes []string
	for _, call := range w.took() {
		if !strings.HasPrefix(call, "GET ") {
			changes = append(changes, call)
		}
	}
	if diff := cmp.Diff([]string{"POST /services/demo/bindings", "DELETE /services/demo/bindings/vpc-1"}, changes); diff != "" {
		t.Error(diff)
	}
	if again, _ := w.deploy(with(`"vpc-2", "vpc-3"`), "sub", "service"); len(again) != 0 {
		t.Errorf("the order of a set counts: %v", again)
	}
	if err := w.handler(props.VPCBindingKind).Delete(context.Background(), resource.ID{Kind: props.VPCBindingKind, Name: "demo"}, nil); err != nil {
		t.Error(err)
	}
	if w.read(props.VPCBindingKind, "demo") != nil {
		t.Error("bindings are left")
	}
}

// A credential that may not look at what the file does not have can still deploy.
func TestForbiddenLookAtWhatIsNotDeclared(t *testing.T) {
	w := newWorld(t)
	w.setFault(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.HasSuffix(r.URL.Path, "/bindings") && !strings.HasSuffix(r.URL.Path, "/async-invoke-config") {
			return false
		}
		rw.WriteHeader(http.StatusForbidden)
		_, _ = rw.Write([]byte(`{"Code":"AccessDenied","Message":"no"}`))
		return true
	})
	w.deploy(webProps)
	if len(w.notes) != 2 || !strings.Contains(w.notes[0], "fc:ListVpcBindings") {
		t.Errorf("notes: %v", w.notes)
	}
	_, _, err := w.bring(w.call("deploy", fullProps))
	if err == nil || !strings.Contains(err.Error(), "access denied") {
		t.Errorf("what is declared and may not be read: %v", err)
	}
}

func TestForbiddenInCommands(t *testing.T) {
	w := newWorld(t)
	w.setFault(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		rw.WriteHeader(http.StatusForbidden)
		_, _ = rw.Write([]byte(`{"Code":"AccessDenied","Message":"no"}`))
		return true
	})
	for command, action := range map[string]string{"info": "fc:GetService", "invoke": "fc:InvokeFunction"} {
		_, err := w.run(command, eventProps)
		if p := w.problem(err); p.Code != diag.ExitComponent || !strings.Contains(p.Hint, action) {
			t.Errorf("%s: %+v", command, p)
		}
	}
}

func TestReleaseIsAwaited(t *testing.T) {
	w := newWorld(t)
	var left atomic.Int32
	left.Store(3)
	w.setFault(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method == http.MethodGet {
			left.Add(-1)
		}
		_, _ = fmt.Fprintf(rw, `{"target": 0, "current": %d}`, max(left.Load(), 0))
		return true
	})
	id := resource.ID{Kind: ProvisionKind, Name: "demo/hello/live"}
	if err := w.handler(ProvisionKind).Delete(context.Background(), id, nil); err != nil || left.Load() != 0 {
		t.Errorf("%d left, %v", left.Load(), err)
	}
	left.Store(1 << 20)
	if err := w.handler(ProvisionKind).Delete(context.Background(), id, nil); err == nil {
		t.Error("instances that never end are taken for released")
	}
}

func TestAutoDomain(t *testing.T) {
	w := newWorld(t)
	auto := strings.Replace(bareProps, "www.example.com", "auto", 1)
	call := w.call("deploy", auto)
	call.AutoDomain = "fc.localhost"
	if _, _, err := w.bring(call); err != nil {
		t.Fatal(diag.Render(err))
	}
	for command, args := range map[string][]any{"info": nil, "invoke": {"domain-name", "auto", "event", `{"path": "/a"}`}} {
		call := w.call(command, auto, args...)
		call.AutoDomain = "fc.localhost"
		out, err := w.runCall(call)
		if err != nil {
			t.Fatal(diag.Render(err))
		}
		if command == "info" && out.Get("customDomains").Items[0].Get("domainName").Str() != "hello.demo.fc.localhost" {
			t.Errorf("%v", out.Plain())
		}
	}
	if w.runner.seen.host != "hello.demo.fc.localhost" {
		t.Errorf("host %s", w.runner.seen.host)
	}
	_, err := w.run("invoke", auto, "domain-name", "auto")
	if p := w.problem(err); !strings.Contains(p.Summary, "no domain by itself") {
		t.Errorf("%+v", p)
	}
}
