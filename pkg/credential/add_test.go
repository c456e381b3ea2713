package credential

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// add stores o in a fresh home and returns what a reader of the file finds.
func add(t *testing.T, o AddOptions) (AddResult, map[string]string, error) {
	t.Helper()
	config := newConfig(t, nil)
	result, err := NewStore(config).Add(context.Background(), o)
	if err != nil {
		if _, statErr := os.Stat(filepath.Join(config.HomeDir, ".s", "access.yaml")); statErr == nil {
			t.Error("a failed Add wrote the file")
		}
		return result, nil, err
	}
	doc, err := parseDocument(result.Path, []byte(readTestFile(t, result.Path)))
	if err != nil {
		t.Fatal(err)
	}
	fields, _, err := doc.fields(result.Entry.Alias)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]string{}
	for _, f := range fields {
		stored[f.Name] = f.Value.Reveal()
	}
	return result, stored, nil
}

func TestAddProviders(t *testing.T) {
	cases := []struct {
		name string
		o    AddOptions
		want map[string]string
	}{
		{"alibaba", AddOptions{Fields: named("AccountID", " 12 ", "AccessKeyID", "id\n", "AccessKeySecret", "key", "SecurityToken", "tok")},
			map[string]string{"__provider": "Alibaba Cloud", "AccountID": "12", "AccessKeyID": "id", "AccessKeySecret": "key", "SecurityToken": "tok"}},
		{"optional ones empty", AddOptions{Fields: named("AccountID", "", "AccessKeyID", "id", "AccessKeySecret", "key", "SecurityToken", " ")},
			map[string]string{"__provider": "Alibaba Cloud", "AccessKeyID": "id", "AccessKeySecret": "key"}},
		{"aws", AddOptions{Fields: named("AccessKeyID", "id", "SecretAccessKey", "key")},
			map[string]string{"AccessKeyID": "id", "SecretAccessKey": "key"}},
		{"huawei by name", AddOptions{Provider: "huawei", Fields: named("AccessKeyID", "id", "SecretAccessKey", "key")},
			map[string]string{"__provider": "Huawei Cloud", "AccessKeyID": "id", "SecretAccessKey": "key"}},
		{"azure", AddOptions{Fields: named("KeyVaultName", "a", "TenantID", "b", "ClientID", "c", "ClientSecret", "d")},
			map[string]string{"KeyVaultName": "a", "TenantID": "b", "ClientID": "c", "ClientSecret": "d"}},
		{"tencent", AddOptions{Fields: named("AccountID", "a", "SecretID", "b", "SecretKey", "c")},
			map[string]string{"AccountID": "a", "SecretID": "b", "SecretKey": "c"}},
		{"google", AddOptions{Fields: named("PrivateKeyData", "a,b")}, map[string]string{"PrivateKeyData": "a,b"}},
		{"volcengine", AddOptions{Fields: named("AccessKey", "a", "SecretKey", "b")}, map[string]string{"AccessKey": "a", "SecretKey": "b"}},
		{"lists of the book", AddOptions{KeyList: "AccountID,AccessKeyID,AccessKeySecret", InfoList: secret.New("12,id,key")},
			map[string]string{"__provider": "Alibaba Cloud", "AccountID": "12", "AccessKeyID": "id", "AccessKeySecret": "key"}},
		{"list with an empty AccountID", AddOptions{KeyList: "AccountID,AccessKeyID,AccessKeySecret", InfoList: secret.New(",id,key")},
			map[string]string{"__provider": "Alibaba Cloud", "AccessKeyID": "id", "AccessKeySecret": "key"}},
		{"custom", AddOptions{KeyList: "token, host", InfoList: secret.New("t, h")}, map[string]string{"__provider": "Custom", "token": "t", "host": "h"}},
		{"both", AddOptions{Fields: named("AccessKeyID", "id", "AccessKeySecret", "key"), KeyList: "extra,AccessKeyID", InfoList: secret.New("x,id")},
			map[string]string{"__provider": "Alibaba Cloud", "AccessKeyID": "id", "AccessKeySecret": "key", "extra": "x"}},
		{"a known key of no full set in a list", AddOptions{KeyList: "ClientID,foo", InfoList: secret.New("a,b")},
			map[string]string{"__provider": "Custom", "ClientID": "a", "foo": "b"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			result, stored, err := add(t, tc.o)
			if err != nil {
				t.Fatal(diag.Render(err))
			}
			if diff := cmp.Diff(tc.want, stored); diff != "" {
				t.Error(diff)
			}
			if result.Entry.Alias != "default" || result.Replaced || len(result.Warnings) > 0 {
				t.Errorf("result %+v", result)
			}
		})
	}
}

func TestAddErrors(t *testing.T) {
	pair := named("AccessKeyID", "id", "AccessKeySecret", "key")
	cases := []struct {
		name string
		o    AddOptions
		want string
	}{
		{"nothing", AddOptions{}, "no key was given"},
		{"secret missing", AddOptions{Fields: named("AccessKeyID", "id")}, "AccessKeySecret is missing for a credential of Alibaba Cloud"},
		{"azure half", AddOptions{Fields: named("KeyVaultName", "a", "TenantID", "b")}, "ClientID and ClientSecret is missing"},
		{"only a token", AddOptions{Fields: named("SecurityToken", "a")}, "AccessKeyID and AccessKeySecret is missing"},
		{"empty secret", AddOptions{Fields: named("AccessKeyID", "id", "AccessKeySecret", " ")}, "--AccessKeySecret is empty"},
		{"value swallowed a flag", AddOptions{Fields: named("AccessKeyID", "--AccessKeySecret")}, "--AccessKeyID has no value"},
		{"fewer values", AddOptions{KeyList: "a,b", InfoList: secret.New("1")}, "-kl has 2 keys and -il has 1 values"},
		{"more values", AddOptions{KeyList: "a", InfoList: secret.New("1,2")}, "-kl has 1 keys and -il has 2 values"},
		{"values without keys", AddOptions{InfoList: secret.New("1,2")}, "-kl has 1 keys and -il has 2 values"},
		{"empty key", AddOptions{KeyList: "a,", InfoList: secret.New("1,2")}, "key 2 of -kl is empty"},
		{"empty value", AddOptions{KeyList: "a,b", InfoList: secret.New("1,")}, "value 2 of -il is empty"},
		{"internal key", AddOptions{KeyList: "__default", InfoList: secret.New("true")}, "two underscores"},
		{"key twice", AddOptions{KeyList: "a,a", InfoList: secret.New("1,2")}, "key 2 of -kl stands twice"},
		{"too many keys", AddOptions{KeyList: strings.Repeat("a,", 100) + "a", InfoList: secret.New(strings.Repeat("a,", 100) + "a")}, "more than 100"},
		{"list against flag", AddOptions{Fields: pair, KeyList: "AccessKeyID", InfoList: secret.New("other")}, "AccessKeyID is given twice"},
		{"half pair in a list", AddOptions{KeyList: "AccessKeyID", InfoList: secret.New("id")}, "no AccessKeySecret"},
		{"unknown provider", AddOptions{Provider: "alibba", Fields: pair}, "no provider"},
		{"provider without its keys", AddOptions{Provider: "aws", Fields: pair}, "SecretAccessKey is missing for a credential of AWS"},
		{"bad alias", AddOptions{Alias: "a\nb", Fields: pair}, "no name for an alias"},
		{"look-up fails, no AccountID", AddOptions{Fields: pair, Lookup: lookup("", errors.New("InvalidAccessKeyId.NotFound"))}, "could not be looked up: InvalidAccessKeyId"},
		{"look-up answers nothing", AddOptions{Fields: pair, Lookup: lookup(" ", nil)}, "no account id"},
	}
	for _, tc := range cases {
		_, _, err := add(t, tc.o)
		if err == nil || !strings.Contains(err.Error(), tc.want) || diag.ExitCode(err) != 100 {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func lookup(id string, err error) AccountLookup {
	return func(context.Context, Credential) (string, error) { return id, err }
}

func TestAccountLookup(t *testing.T) {
	pair := named("AccessKeyID", "id", "AccessKeySecret", "key")
	triple := append(named("AccountID", "11"), pair...)
	fails := lookup("", errors.New("dial tcp: no network"))
	cases := []struct {
		name    string
		o       AddOptions
		account string
		warning string
	}{
		{"fills", AddOptions{Fields: pair, Lookup: lookup("22", nil)}, "22", ""},
		{"agrees", AddOptions{Fields: triple, Lookup: lookup("11", nil)}, "11", ""},
		{"the real one wins", AddOptions{Fields: triple, Lookup: lookup("22", nil)}, "22", "the real one is stored"},
		{"offline with all three", AddOptions{Fields: triple, Lookup: fails}, "11", "could not be verified"},
		{"offline with force", AddOptions{Fields: pair, Force: true, Lookup: fails}, "", "could not be verified"},
		{"other providers are not looked up", AddOptions{Fields: named("AccessKeyID", "id", "SecretAccessKey", "key"), Lookup: fails}, "", ""},
	}
	for _, tc := range cases {
		result, stored, err := add(t, tc.o)
		warnings := strings.Join(result.Warnings, "\n")
		if err != nil || stored["AccountID"] != tc.account || !strings.Contains(warnings, tc.warning) || (warnings == "") != (tc.warning == "") {
			t.Errorf("%s: AccountID %q, warnings %q, %v", tc.name, stored["AccountID"], warnings, err)
		}
	}
	_, _, err := add(t, AddOptions{Fields: pair, Lookup: func(_ context.Context, c Credential) (string, error) {
		if c.AccessKeyID.Reveal() != "id" || c.AccessKeySecret.Reveal() != "key" {
			t.Errorf("the look-up was given %v", c)
		}
		return "1", nil
	}})
	if err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err = NewStore(newConfig(t, nil)).Add(ctx, AddOptions{Fields: triple, Lookup: func(context.Context, Credential) (string, error) {
		cancel()
		return "", context.Canceled
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestAddAliases(t *testing.T) {
	pair := named("AccessKeyID", "new-id", "AccessKeySecret", "new-key")
	ask := func(answers ...string) func(string) (string, error) {
		return func(string) (string, error) {
			if len(answers) == 0 {
				return "", errors.New("no more answers")
			}
			answer := answers[0]
			answers = answers[1:]
			return answer, nil
		}
	}
	cases := []struct {
		name  string
		there []string
		o     AddOptions
		want  string // alias, or "! " and an error
		repl  bool
		warn  bool
	}{
		{"first", nil, AddOptions{}, "default", false, false},
		{"second", []string{"default"}, AddOptions{}, "default-1", false, true},
		{"third", []string{"default", "default-1", "default-x"}, AddOptions{}, "default-2", false, true},
		{"gap", []string{"default-7", "default"}, AddOptions{}, "default-8", false, true},
		{"force without a name replaces default", []string{"default"}, AddOptions{Force: true}, "default", true, false},
		{"named", []string{"default"}, AddOptions{Alias: " prod "}, "prod", false, false},
		{"exists", []string{"prod"}, AddOptions{Alias: "prod"}, `! alias "prod" exists already`, false, false},
		{"force", []string{"prod"}, AddOptions{Alias: "prod", Force: true}, "prod", true, false},
		{"asked: replace", []string{"prod"}, AddOptions{Alias: "prod", OnExists: ask("prod")}, "prod", true, false},
		{"asked: another", []string{"prod"}, AddOptions{Alias: "prod", OnExists: ask("test")}, "test", false, false},
		{"asked: another that exists", []string{"prod", "test"}, AddOptions{Alias: "prod", OnExists: ask("test", "x")}, "x", false, false},
		{"asked: no", []string{"prod"}, AddOptions{Alias: "prod", OnExists: ask()}, "! no more answers", false, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			config := newConfig(t, nil)
			content := ""
			for _, alias := range tc.there {
				content += keyYAML(alias, "old") + "  SecurityToken: stale\n  __default: 'true'\n"
			}
			path := writeAccess(t, config, content)
			tc.o.Fields = pair
			result, err := NewStore(config).Add(context.Background(), tc.o)
			if want, ok := strings.CutPrefix(tc.want, "! "); ok {
				if err == nil || !strings.Contains(err.Error(), want) || readTestFile(t, path) != content {
					t.Errorf("%v, want %q and an unchanged file", err, want)
				}
				return
			}
			if err != nil || result.Entry.Alias != tc.want || result.Replaced != tc.repl || (len(result.Warnings) > 0) != tc.warn {
				t.Fatalf("%+v, %v", result, err)
			}
			c, err := NewResolver(config).Resolve(tc.want)
			if err != nil || c.AccessKeyID.Reveal() != "new-id" || !c.SecurityToken.IsZero() {
				t.Errorf("stored %v, %v", c, err)
			}
			if tc.repl && !result.Entry.Default {
				t.Error("replacing an entry lost __default")
			}
			for _, alias := range tc.there {
				if alias != tc.want && !strings.Contains(readTestFile(t, path), keyYAML(alias, "old")) {
					t.Errorf("alias %s was changed", alias)
				}
			}
		})
	}
}

func TestAddModes(t *testing.T) {
	config := newConfig(t, nil)
	o := AddOptions{Alias: "a", Fields: named("AccessKeyID", "id", "AccessKeySecret", "key")}
	result, err := NewStore(config).Add(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{result.Path: 0o600, filepath.Dir(result.Path): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	chmod(t, result.Path, 0o644)
	o.Alias = "b"
	if _, err := NewStore(config).Add(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(result.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file that others could read stays so: %v, %v", info.Mode(), err)
	}
}

func TestNamesForTheCommandLine(t *testing.T) {
	for _, p := range providers() {
		for _, key := range p.keys {
			if !slices.Contains(NamedKeys(), key) {
				t.Errorf("%s of %s is no flag", key, p.name)
			}
		}
		if !slices.Contains(ProviderNames(), p.name) {
			t.Errorf("%s is not listed", p.name)
		}
	}
}
