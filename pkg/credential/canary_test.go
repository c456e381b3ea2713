package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

const canary = "cAnArY-5ecret"

// assertNoCanary prints values in every usual way and looks for the canary.
func assertNoCanary(t *testing.T, values ...any) {
	t.Helper()
	for _, v := range values {
		texts := []string{fmt.Sprintf("%v", v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), fmt.Sprintf("%s", v), fmt.Sprintf("%q", v)}
		if encoded, err := json.Marshal(v); err == nil {
			texts = append(texts, string(encoded))
		}
		if encoded, err := yaml.Marshal(v); err == nil {
			texts = append(texts, string(encoded))
		}
		if err, ok := v.(error); ok {
			texts = append(texts, diag.Render(err))
			for e := err; e != nil; e = errors.Unwrap(e) {
				texts = append(texts, e.Error(), fmt.Sprintf("%#v", e))
			}
		}
		for _, text := range texts {
			if strings.Contains(strings.ToLower(text), strings.ToLower(canary)) {
				t.Errorf("the canary is visible: %s", text)
			}
		}
	}
}

func canaryTexts(prefix string) (id, key, token, custom string) {
	return prefix + canary + "-id", prefix + canary + "-key", prefix + canary + "-token", prefix + canary + "-custom"
}

// Every source, sound and broken: nothing that comes back shows the canary, and
// the redactor knows each of its keys.
func TestCanaryInEverySource(t *testing.T) {
	id, key, token, custom := canaryTexts("")
	object := fmt.Sprintf(`{"AccountID":"12","AccessKeyID":%q,"AccessKeySecret":%q,"SecurityToken":%q,"Other":%q}`, id, key, token, custom)
	entry := fmt.Sprintf("prod:\n  AccessKeyID: %s\n  AccessKeySecret: %s\n  SecurityToken: %s\n  Other: %s\n", id, key, token, custom)
	half := fmt.Sprintf(`{"AccessKeySecret":%q}`, key)
	profile := func(mode string) string {
		return fmt.Sprintf(`{"current":"p","profiles":[{"name":"p","mode":%q,"access_key_id":%q,"access_key_secret":%q,"sts_token":%q}]}`, mode, id, key, token)
	}
	cases := []struct {
		name  string
		alias string
		env   map[string]string
		file  string // access.yaml
		cli   string // config.json of the Alibaba Cloud CLI
		bad   bool   // an error is wanted
	}{
		{"JSON", "prod", map[string]string{"prod": object}, "", "", false},
		{"escaped JSON", "prod", map[string]string{"prod_serverless_devs_key": strings.ReplaceAll(object, `"`, `\"`)}, "", "", false},
		{"single JSON", "", map[string]string{"x_serverless_devs_key": object}, "", "", false},
		{"file", "prod", nil, entry, "", false},
		{"triple", "prod", map[string]string{"AccountID": "12", "AccessKeyID": id, "AccessKeySecret": key, "SecurityToken": token}, "", "", false},
		{"cloud", "prod", map[string]string{"ALIBABA_CLOUD_ACCESS_KEY_ID": id, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": key, "ALIBABA_CLOUD_SECURITY_TOKEN": token}, "", "", false},
		{"CLI", AliyunCLI, nil, "", profile("StsToken"), false},

		{"JSON cut", "prod", map[string]string{"prod": object[:len(object)-1]}, "", "", true},
		{"JSON bare", "prod", map[string]string{"prod_serverless_devs_access": key}, "", "", true},
		{"JSON nested", "prod", map[string]string{"prod": `{"AccessKeyID":{"a":"` + key + `"}}`}, "", "", true},
		{"JSON key as name", "prod", map[string]string{"prod": `{"` + key + `":[]}`}, "", "", true},
		{"JSON half", "prod", map[string]string{"prod": half}, "", "", true},
		{"JSON as alias", object, nil, "", "", true},
		{"escaped JSON as alias", strings.ReplaceAll(object, `"`, `\"`), nil, "", "", true},
		{"key as alias", key, map[string]string{"AccessKeySecret": key}, "", "", true},
		{"several", "", map[string]string{"a_serverless_devs_access": object, "b_serverless_devs_access": object}, "", "", true},
		{"half triple", "prod", map[string]string{"AccessKeySecret": key}, "", "", true},
		{"half cloud", "prod", map[string]string{"ALIBABA_CLOUD_ACCESS_KEY_ID": id}, "", "", true},
		{"switch", "prod", map[string]string{"DEVS_ACCESS_ENV_FIRST": key}, "", "", true},
		{"file with a missing anchor", "prod", nil, "prod:\n  AccessKeySecret: *" + canary + "\n", "", true},
		{"file cut", "prod", nil, strings.Replace(entry, "AccessKeyID: ", `AccessKeyID: "`, 1), "", true},
		{"file with a tag", "prod", nil, "prod: !!binary " + key + "\n", "", true},
		{"file half", "prod", nil, "prod:\n  AccessKeySecret: " + key + "\n", "", true},
		{"file list", "prod", nil, "- " + key + "\n", "", true},
		{"other alias", "test", nil, entry, "", true},
		{"CLI role", AliyunCLI, nil, "", profile("RamRoleArn"), true},
		{"CLI with a key as mode", AliyunCLI, nil, "", profile(key), true},
		{"CLI cut", AliyunCLI, nil, "", profile("AK")[:60], true},
		{"CLI type", AliyunCLI, nil, "", `{"profiles":"` + key + `"}`, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			config := newConfig(t, tc.env)
			if tc.file != "" {
				writeAccess(t, config, tc.file)
			}
			if tc.cli != "" {
				writeTestFile(t, filepath.Join(config.HomeDir, ".aliyun", "config.json"), tc.cli, 0o600)
			}
			resolver := NewResolver(config)
			assertNoCanary(t, fmt.Sprintf("%+v %#v", resolver, *resolver))
			c, err := resolver.Resolve(tc.alias)
			if (err != nil) != tc.bad {
				t.Fatalf("error %v", err)
			}
			assertNoCanary(t, c, err)
			if err == nil {
				assertNoCanary(t, *c, c.Fields(), c.Masked())
				for _, f := range c.Fields() {
					if isSecret(f.Name) && strings.Contains(config.Redactor.Redact("x "+f.Value.Reveal()+" y"), canary) {
						t.Errorf("the redactor does not know %s", f.Name)
					}
				}
			}
			entries, err := NewStore(config).List()
			assertNoCanary(t, entries, err)
		})
	}
}

// Keys that were not chosen are redacted too: a hook may print its environment.
func TestUnusedKeysAreRedacted(t *testing.T) {
	env := map[string]string{"AccountID": "1234567890", "prod_serverless_devs_access": keyJSON("chosen-id")}
	for i, name := range []string{"AccessKeyID", "AccessKeySecret", "SecurityToken", "ALIBABA_CLOUD_ACCESS_KEY_ID",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"} {
		env[name] = fmt.Sprintf("%s-%d", canary, i)
	}
	env["x_serverless_devs_key"] = `{"AccessKeySecret":"` + canary + `-x"}`
	env["y_serverless_devs_key"] = `{"AccessKeySecret":"` + canary + `-y`
	config := newConfig(t, env)
	if _, err := NewResolver(config).Resolve("prod"); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for name, value := range env {
		fmt.Fprintf(&all, "%s=%s\n", name, value)
	}
	if text := config.Redactor.Redact(all.String()); strings.Contains(text, canary) {
		t.Errorf("a key is left:\n%s", text)
	} else if !strings.Contains(text, "AccountID=1234567890") {
		t.Errorf("the account id, which is public, was hidden:\n%s", text)
	}
}

// What config add was given shows nowhere: not in its errors and warnings, not in
// the file, not in what is left beside it.
func TestCanaryInAdd(t *testing.T) {
	id, key, token, custom := canaryTexts("")
	triple := named("AccountID", "12", "AccessKeyID", id, "AccessKeySecret", key, "SecurityToken", token)
	echo := func(_ context.Context, c Credential) (string, error) {
		return "", fmt.Errorf("signature of %s with %s is wrong", c.AccessKeyID.Reveal(), c.AccessKeySecret.Reveal())
	}
	cases := []struct {
		name string
		o    AddOptions
	}{
		{"stored", AddOptions{Fields: triple, KeyList: "Other", InfoList: secret.New(custom)}},
		{"look-up quotes the keys, warning", AddOptions{Fields: triple, Lookup: echo}},
		{"look-up quotes the keys, error", AddOptions{Fields: triple[1:], Lookup: echo}},
		{"lists of different length", AddOptions{KeyList: "a", InfoList: secret.New(key + "," + custom)}},
		{"key and value swapped", AddOptions{KeyList: key + "," + key, InfoList: secret.New("a,b")}},
		{"half", AddOptions{Fields: named("AccessKeySecret", key)}},
		{"differs", AddOptions{Fields: triple, KeyList: "AccessKeySecret", InfoList: secret.New(custom)}},
		{"there", AddOptions{Alias: "there", Fields: triple}},
		{"key as provider", AddOptions{Provider: key, Fields: triple}},
		{"key as alias", AddOptions{Alias: key + "\n", Fields: triple, Force: true}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			config := newConfig(t, nil)
			writeAccess(t, config, keyYAML("there", "x"))
			result, err := NewStore(config).Add(context.Background(), tc.o)
			if tc.name != "key as alias" { // an alias is a name, and stands in the file
				assertNoCanary(t, result, err, fmt.Sprintf("%+v %#v", tc.o.Fields, tc.o.InfoList))
				assertFilesHide(t, config.HomeDir)
			}
		})
	}
}

func assertFilesHide(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(readTestFile(t, path), canary) {
			t.Errorf("%s holds the canary", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func FuzzParseJSONFields(f *testing.F) {
	f.Add(keyJSON("id"))
	f.Add(strings.ReplaceAll(keyJSON("id"), `"`, `\"`))
	f.Add(`'{"a":1}'`)
	f.Add(`"{\"a\":null}"`)
	f.Add(`{"a":{"b":[1,true]}}`)
	f.Add(`{"a":1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := parseJSONFields(text)
		if err != nil && (fields != nil || err != errNotObject && err != errFieldType && err != errTooMany) {
			t.Errorf("%v, %v", fields, err)
		}
		if len(fields) > maxFields {
			t.Errorf("%d fields", len(fields))
		}
		c, err := newCredential("a", "a test", fields)
		if err == nil && len(c.Fields()) == 0 {
			t.Error("a credential without fields")
		}
	})
}
