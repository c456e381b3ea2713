package credential

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// Credential is the keys of one account and where they came from. Printing or
// encoding it in any way shows no key; AccessKeyID and AccountID show their ends.
type Credential struct {
	Alias    string // the alias that was asked for, or the one that was chosen
	Provider string // "alibaba", "aws", ... or "custom", see ProviderNames
	Source   string // for messages: "environment variable X", "alias a in /root/.s/access.yaml"
	// Fallback tells that an alias was named but found nowhere, and the keys come
	// from variables that belong to no alias (AccessKeyID, ALIBABA_CLOUD_*).
	Fallback bool

	AccountID       string // may be empty: not every source has it
	AccessKeyID     secret.String
	AccessKeySecret secret.String
	SecurityToken   secret.String // set for temporary (STS) keys
	Endpoint        string        // may be empty
	Region          string        // may be empty
	Custom          []Field       // every other field, in the order of the source
}

// newCredential makes a credential of what a source holds. It fails when an
// access key has only one of its two halves, or nothing is there.
func newCredential(alias, source string, raw []Field) (*Credential, error) {
	fields := canonicalFields(raw)
	if len(fields) == 0 {
		return nil, diag.Errorf("the credential in %s is empty", source).WithHint("%s", emptyHint)
	}
	c := &Credential{Alias: alias, Source: source, Provider: detectProvider(fields)}
	for _, f := range fields {
		c.set(f)
	}
	_, _, aws := c.Get("SecretAccessKey")
	switch {
	case !c.AccessKeyID.IsZero() && c.AccessKeySecret.IsZero() && !aws:
		return nil, diag.Errorf("the credential in %s has AccessKeyID but no AccessKeySecret", source).WithHint("%s", emptyHint)
	case c.AccessKeyID.IsZero() && !c.AccessKeySecret.IsZero():
		return nil, diag.Errorf("the credential in %s has AccessKeySecret but no AccessKeyID", source).WithHint("%s", emptyHint)
	}
	return c, nil
}

const emptyHint = "check that the secret is set and handed to this job; pull requests from forks get none"

func (c *Credential) set(f Field) {
	switch f.Name {
	case FieldAccountID:
		c.AccountID = f.Value.Reveal()
	case FieldAccessKeyID:
		c.AccessKeyID = f.Value
	case FieldAccessKeySecret:
		c.AccessKeySecret = f.Value
	case FieldSecurityToken:
		c.SecurityToken = f.Value
	case FieldEndpoint:
		c.Endpoint = f.Value.Reveal()
	case FieldRegion:
		c.Region = f.Value.Reveal()
	default:
		c.Custom = append(c.Custom, f)
	}
}

// Fields returns the fields that have a value, known ones first.
func (c Credential) Fields() []Field {
	all := append([]Field{
		{FieldAccountID, secret.New(c.AccountID)},
		{FieldAccessKeyID, c.AccessKeyID},
		{FieldAccessKeySecret, c.AccessKeySecret},
		{FieldSecurityToken, c.SecurityToken},
		{FieldEndpoint, secret.New(c.Endpoint)},
		{FieldRegion, secret.New(c.Region)},
	}, c.Custom...)
	var fields []Field
	for _, f := range all {
		if !f.Value.IsZero() {
			fields = append(fields, f)
		}
	}
	return fields
}

// Get returns the field that ${config(field)} means, and whether its value must
// not be printed. Alias is a field too. A name may be written in any case.
func (c Credential) Get(field string) (value string, hidden, ok bool) {
	if strings.EqualFold(field, "Alias") {
		return c.Alias, false, c.Alias != ""
	}
	for _, f := range c.Fields() {
		if strings.EqualFold(f.Name, field) {
			return f.Value.Reveal(), isSecret(f.Name), true
		}
	}
	return "", false, false
}

// Masked returns the fields as `config get` shows them.
func (c Credential) Masked() []MaskedField {
	var masked []MaskedField
	for _, f := range c.Fields() {
		masked = append(masked, MaskedField{Name: f.Name, Value: mask(f)})
	}
	return masked
}

// String returns the credential on one line, masked.
func (c Credential) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)", c.Alias, c.Source)
	for _, f := range c.Masked() {
		fmt.Fprintf(&b, " %s=%s", f.Name, f.Value)
	}
	return b.String()
}

// MarshalJSON encodes the masked form.
func (c Credential) MarshalJSON() ([]byte, error) { return json.Marshal(c.maskedMap()) }

// MarshalYAML encodes the masked form.
func (c Credential) MarshalYAML() (any, error) { return c.maskedMap(), nil }

func (c Credential) maskedMap() map[string]string {
	m := map[string]string{}
	for _, f := range c.Masked() {
		m[f.Name] = f.Value
	}
	m["Alias"], m["Provider"], m["Source"] = c.Alias, c.Provider, c.Source
	return m
}
