package credential

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestGet(t *testing.T) {
	c, err := newCredential("prod", "a test", named(
		"AccountId", " 1234567890123456 ", "accessKeyID", "LTAI5tExampleKey", "AccessKeySecret", "s3cret-value\n",
		"SecurityToken", "tok", "endpoint", "fc.example.com", "Region", "cn-hangzhou", "Other", "custom value",
		"__provider", "Alibaba Cloud", "Empty", "  "))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, value string
		hidden, ok  bool
	}{
		{"AccountID", "1234567890123456", false, true},
		{"AccessKeyID", "LTAI5tExampleKey", true, true},
		{"AccessKeySecret", "s3cret-value", true, true},
		{"accesskeysecret", "s3cret-value", true, true},
		{"SecurityToken", "tok", true, true},
		{"Endpoint", "fc.example.com", false, true},
		{"Region", "cn-hangzhou", false, true},
		{"Other", "custom value", true, true},
		{"Alias", "prod", false, true},
		{"Empty", "", false, false},
		{"__provider", "", false, false},
		{"Missing", "", false, false},
	}
	for _, tc := range cases {
		value, hidden, ok := c.Get(tc.name)
		if value != tc.value || hidden != tc.hidden || ok != tc.ok {
			t.Errorf("Get(%s) = %q, %v, %v; want %q, %v, %v", tc.name, value, hidden, ok, tc.value, tc.hidden, tc.ok)
		}
	}
	if c.Provider != ProviderAlibaba {
		t.Errorf("Provider = %q", c.Provider)
	}
}

func TestUsualSpellingWins(t *testing.T) {
	c, err := newCredential("a", "a test", named("accesskeyid", "other", "AccessKeyID", "usual", "AccessKeySecret", "x"))
	if err != nil || c.AccessKeyID.Reveal() != "usual" {
		t.Errorf("AccessKeyID = %q, %v; want usual", c.AccessKeyID.Reveal(), err)
	}
}

func TestHalfCredential(t *testing.T) {
	cases := []struct {
		fields []Field
		want   string // in the error; "" for none
	}{
		{named("AccessKeyID", "x"), "no AccessKeySecret"},
		{named("AccessKeySecret", "x"), "no AccessKeyID"},
		{named("AccessKeyID", " ", "AccessKeySecret", ""), "is empty"},
		{nil, "is empty"},
		{named("AccessKeyID", "x", "SecretAccessKey", "y"), ""},
		{named("PrivateKeyData", "x"), ""},
	}
	for _, c := range cases {
		_, err := newCredential("a", "the source", c.fields)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.fields, err, c.want)
		}
	}
}

func TestDetectProvider(t *testing.T) {
	cases := map[string][]Field{
		"alibaba":    named("AccessKeyID", "x", "AccessKeySecret", "x"),
		"aws":        named("AccessKeyID", "x", "SecretAccessKey", "x"),
		"azure":      named("KeyVaultName", "x", "TenantID", "x", "ClientID", "x", "ClientSecret", "x"),
		"google":     named("PrivateKeyData", "x"),
		"tencent":    named("AccountID", "x", "SecretID", "x", "SecretKey", "x"),
		"volcengine": named("AccessKey", "x", "SecretKey", "x"),
		"custom":     named("Foo", "x"),
	}
	for want, fields := range cases {
		if got := detectProvider(fields); got != want {
			t.Errorf("detectProvider = %s, want %s", got, want)
		}
	}
}

// Every way of printing shows ids by their ends and secrets not at all.
func TestPrinting(t *testing.T) {
	c, err := newCredential("prod", "a test", named("AccountID", "1234567890123456",
		"AccessKeyID", "LTAI5tExampleKey", "AccessKeySecret", "canary-secret", "SecurityToken", "canary-token",
		"Custom", "canary-custom", "PrivateKeyData", "canary-private", "Region", "cn-hangzhou", "ClientID", "canary-id"))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	document, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	hidden := struct{ c *Credential }{c}
	nested := struct{ c Credential }{*c}
	for _, text := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v", *c), fmt.Sprintf("%+v", *c), fmt.Sprintf("%#v", *c), fmt.Sprintf("%q", *c),
		fmt.Sprintf("%x", *c), fmt.Sprintf("%+v", c.Fields()), fmt.Sprintf("%+v", c.Masked()),
		fmt.Sprintf("%+v %#v", hidden, hidden), fmt.Sprintf("%+v %#v", nested, nested), string(encoded), string(document),
	} {
		if strings.Contains(text, "canary") || strings.Contains(text, "ExampleKey") || strings.Contains(text, "63616e617279") {
			t.Errorf("a secret is printed: %s", text)
		}
	}
	want := "prod (a test) AccountID=123***456 AccessKeyID=LTA***Key AccessKeySecret=*** SecurityToken=*** Region=cn-hangzhou ClientID=*** Custom=*** PrivateKeyData=***"
	if got := sortedWords(c.String()); got != sortedWords(want) {
		t.Errorf("String() = %s\nwant %s", c.String(), want)
	}
}

func sortedWords(text string) string { return fmt.Sprint(len(strings.Fields(text)), wordSet(text)) }

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}
