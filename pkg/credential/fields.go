package credential

import (
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/secret"
)

// Names of the fields of an Alibaba Cloud credential, as access.yaml, JSON
// variables and ${config(Name)} spell them.
const (
	FieldAccountID       = "AccountID"
	FieldAccessKeyID     = "AccessKeyID"
	FieldAccessKeySecret = "AccessKeySecret"
	FieldSecurityToken   = "SecurityToken"
	FieldEndpoint        = "Endpoint"
	FieldRegion          = "Region"
)

// Names of providers, the values of Credential.Provider.
const (
	ProviderAlibaba = "alibaba"
	ProviderCustom  = "custom"
)

// Field is one named value of a credential. The value is kept as a secret even
// where it is none (AccountID), see Credential.Get.
type Field struct {
	Name  string
	Value secret.String
}

// MaskedField is a field as `config get` shows it.
type MaskedField struct {
	Name  string
	Value string
}

// provider is one row of the table of key sets: name, the text that Serverless
// Devs writes in __provider, and the keys that make a complete credential.
type provider struct {
	name  string
	title string
	keys  []string
}

// providers returns the table in the order in which a set of keys is matched.
func providers() []provider {
	return []provider{
		{ProviderAlibaba, "Alibaba Cloud", []string{FieldAccessKeyID, FieldAccessKeySecret}},
		{"aws", "AWS", []string{FieldAccessKeyID, "SecretAccessKey"}},
		{"huawei", "Huawei Cloud", []string{FieldAccessKeyID, "SecretAccessKey"}},
		{"azure", "Azure", []string{"KeyVaultName", "TenantID", "ClientID", "ClientSecret"}},
		{"baidu", "Baidu Cloud", []string{FieldAccessKeyID, "SecretAccessKey"}},
		{"google", "Google Cloud", []string{"PrivateKeyData"}},
		{"tencent", "tencent", []string{FieldAccountID, "SecretID", "SecretKey"}},
		{"volcengine", "Volcengine", []string{"AccessKey", "SecretKey"}},
		{ProviderCustom, "Custom", nil},
	}
}

// NamedKeys returns the keys that `config add` takes as flags of their own, in
// the order of the help.
func NamedKeys() []string {
	return []string{
		FieldAccountID, FieldAccessKeyID, FieldAccessKeySecret, FieldSecurityToken,
		"SecretAccessKey", "AccessKey", "SecretKey", "SecretID", "PrivateKeyData",
		"KeyVaultName", "TenantID", "ClientID", "ClientSecret",
	}
}

// ProviderNames returns the names that AddOptions.Provider accepts.
func ProviderNames() []string {
	var names []string
	for _, p := range providers() {
		names = append(names, p.name)
	}
	return names
}

// findProvider returns the provider with a name or title, in any case.
func findProvider(name string) (provider, bool) {
	for _, p := range providers() {
		if strings.EqualFold(p.name, name) || strings.EqualFold(p.title, name) {
			return p, true
		}
	}
	return provider{}, false
}

// detectProvider returns the name of the first provider whose keys are all
// there, else custom.
func detectProvider(fields []Field) string {
	for _, p := range providers() {
		if len(p.keys) > 0 && len(missingKeys(p, fields)) == 0 {
			return p.name
		}
	}
	return ProviderCustom
}

// missingKeys returns the keys of p that fields does not have.
func missingKeys(p provider, fields []Field) []string {
	return slices.DeleteFunc(slices.Clone(p.keys), func(key string) bool { return hasField(fields, key) })
}

func hasField(fields []Field, name string) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name })
}

// canonicalName returns the usual spelling of a known field name written in
// another case (AccessKeyId, endpoint), else name itself.
func canonicalName(name string) string {
	for _, known := range append(NamedKeys(), FieldEndpoint, FieldRegion) {
		if strings.EqualFold(name, known) {
			return known
		}
	}
	return name
}

// canonicalFields trims values, drops empty ones and internal names (those that
// begin with two underscores), and gives known names their usual spelling. Of
// two spellings of one name the usual one wins.
func canonicalFields(raw []Field) []Field {
	var fields []Field
	add := func(f Field, exact bool) {
		name := canonicalName(f.Name)
		value := strings.TrimSpace(f.Value.Reveal())
		if value == "" || strings.HasPrefix(name, "__") || (name == f.Name) != exact || hasField(fields, name) {
			return
		}
		fields = append(fields, Field{Name: name, Value: secret.New(value)})
	}
	for _, f := range raw {
		add(f, true)
	}
	for _, f := range raw {
		add(f, false)
	}
	return fields
}

// isSecret reports whether the value of a field must not be printed. A name that
// is not known to be public is secret.
func isSecret(name string) bool {
	switch canonicalName(name) {
	case FieldAccountID, FieldEndpoint, FieldRegion, "KeyVaultName", "TenantID":
		return false
	}
	return true
}

// mask returns a value as `config get` shows it: an endpoint and a region whole,
// the ends of ids, nothing of the rest.
func mask(f Field) string {
	switch canonicalName(f.Name) {
	case FieldEndpoint, FieldRegion:
		return f.Value.Reveal()
	case FieldAccountID, FieldAccessKeyID, "SecretID", "ClientID", "AccessKey", "KeyVaultName", "TenantID":
		return f.Value.Peek()
	}
	return f.Value.String()
}

// register hands the secret ones of fields to r.
func register(r *secret.Redactor, fields []Field) {
	for _, f := range fields {
		if isSecret(f.Name) {
			r.Add(f.Value.Reveal(), strings.TrimSpace(f.Value.Reveal()))
		}
	}
}
