package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/secret"
)

const canary = "canary/Value+1=\"quoted\" & more"

func TestStringIsNeverPrinted(t *testing.T) {
	type holder struct {
		S secret.String
		s secret.String
	}
	h := holder{S: secret.New(canary), s: secret.New(canary)}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", h.S)
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", &h)
		fmt.Fprintf(&out, verb+"\n", map[string]any{"k": h.S})
	}
	j, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(map[string]any{"s": h.S})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	out.Write(y)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", h.S)
	if strings.Contains(out.String(), "canary") {
		t.Errorf("found in:\n%s", out.String())
	}
	if h.S.Reveal() != canary || !h.S.Equal(h.s) {
		t.Error("the value itself is lost")
	}
}

func TestRedactFindsEveryForm(t *testing.T) {
	var r secret.Redactor
	r.Add(canary, "line one of a key\nline two of a key\n", "abc")
	quoted, _ := json.Marshal(canary)
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	if err := e.Encode(canary); err != nil {
		t.Fatal(err)
	}
	forms := []string{
		canary, string(quoted), plain.String(), url.QueryEscape(canary), url.PathEscape(canary),
		base64.StdEncoding.EncodeToString([]byte(canary)),
		base64.StdEncoding.EncodeToString([]byte("user:" + canary + ":rest")),
		base64.URLEncoding.EncodeToString([]byte("x" + canary)),
		"line two of a key",
	}
	for _, f := range forms {
		got := r.Redact("before " + f + " after")
		if !strings.Contains(got, secret.Mask) || strings.Contains(got, "canary") {
			t.Errorf("%s: got %s", f, got)
		}
	}
	if got := r.Redact("abc is too short to hide"); !strings.HasPrefix(got, "abc") {
		t.Errorf("got %s", got)
	}
}

func TestAllowKeepsNamesReadable(t *testing.T) {
	var r secret.Redactor
	r.Add("production", "the-password")
	r.Allow("shop-production")
	r.Add("production")
	if got := r.Redact("shop-production the-password"); got != "shop-production ***" {
		t.Errorf("got %q", got)
	}
}

func TestWriterFindsSecretsAcrossWrites(t *testing.T) {
	var r secret.Redactor
	r.Add("canary-value", "ary-val-longer-one", "canary-value-and-more", "value-of-another")
	text := "x canary-value y ary-val-longer-one z canary-value-and-more w value-of-another v canary-value-of canary-valu"
	for cut := range len(text) {
		var out bytes.Buffer
		w := r.Writer(&out)
		for _, part := range []string{text[:cut], text[cut:]} {
			if n, err := w.Write([]byte(part)); err != nil || n != len(part) {
				t.Fatalf("wrote %d, %v", n, err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got, want := out.String(), "x *** y *** z *** w *** v ***-of canary-valu"; got != want {
			t.Errorf("cut at %d: got %q", cut, got)
		}
	}
}

func FuzzWriterEqualsRedact(f *testing.F) {
	f.Add("some text with canary-value in it", 5)
	f.Add("canary-valuecanary-value", 12)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if cut < 0 || cut > len(text) {
			return
		}
		var r secret.Redactor
		r.Add("canary-value")
		var out bytes.Buffer
		w := r.Writer(&out)
		_, _ = w.Write([]byte(text[:cut]))
		_, _ = w.Write([]byte(text[cut:]))
		_ = w.Flush()
		if got := out.String(); got != r.Redact(text) || strings.Contains(got, "canary-value") {
			t.Errorf("got %q", got)
		}
	})
}
