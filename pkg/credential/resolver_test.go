package credential

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/diag"
)

// keyJSON returns a JSON variable whose AccessKeyID tells the source.
func keyJSON(id string) string {
	return `{"AccountID":"1234567890123456","AccessKeyID":"` + id + `","AccessKeySecret":"secret-of-` + id + `"}`
}

func keyYAML(alias, id string) string {
	return alias + ":\n  AccessKeyID: " + id + "\n  AccessKeySecret: secret-of-" + id + "\n"
}

// The order of the chain: the environment and the file hold several sources, and
// the AccessKeyID that is found tells which won.
func TestResolveOrder(t *testing.T) {
	triple := map[string]string{"AccountID": "1", "AccessKeyID": "triple", "AccessKeySecret": "x"}
	cloud := map[string]string{"ALIBABA_CLOUD_ACCESS_KEY_ID": "cloud", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "x"}
	both := merge(triple, cloud)
	cases := []struct {
		name   string
		alias  string
		env    map[string]string
		file   string
		change func(*Config)
		want   string // AccessKeyID
		source string // part of Source
	}{
		{"JSON of that name", "prod", merge(both, map[string]string{"prod": keyJSON("exact"), "prod_serverless_devs_access": keyJSON("v2")}), keyYAML("prod", "file"), nil, "exact", "variable prod"},
		{"JSON with the ending of 2", "prod", merge(both, map[string]string{"prod_serverless_devs_access": keyJSON("v2"), "prod_serverless_devs_key": keyJSON("v3")}), keyYAML("prod", "file"), nil, "v2", "prod_serverless_devs_access"},
		{"JSON with the ending of 3", "prod", merge(both, map[string]string{"prod_serverless_devs_key": keyJSON("v3")}), keyYAML("prod", "file"), nil, "v3", "prod_serverless_devs_key"},
		{"full name as alias", "prod_serverless_devs_access", map[string]string{"prod_serverless_devs_access": keyJSON("v2")}, "", nil, "v2", "prod_serverless_devs_access"},
		{"full name, other ending set", "prod_serverless_devs_access", map[string]string{"prod_serverless_devs_key": keyJSON("v3")}, "", nil, "v3", "prod_serverless_devs_key"},
		{"file before triple", "prod", both, keyYAML("prod", "file"), nil, "file", "access.yaml"},
		{"variable of that name that is no JSON", "prod", map[string]string{"prod": "1"}, keyYAML("prod", "file"), nil, "file", "access.yaml"},
		{"empty JSON variable", "prod", map[string]string{"prod_serverless_devs_access": " "}, keyYAML("prod", "file"), nil, "file", "access.yaml"},
		{"triple before cloud", "prod", both, keyYAML("other", "file"), nil, "triple", "AccessKeyID and AccessKeySecret"},
		{"triple without AccountID", "prod", map[string]string{"AccessKeyID": "pair", "AccessKeySecret": "x"}, "", nil, "pair", "AccessKeyID"},
		{"cloud last", "prod", cloud, "", nil, "cloud", "ALIBABA_CLOUD_ACCESS_KEY_ID"},
		{"half triple, then cloud", "prod", merge(cloud, map[string]string{"AccessKeyID": "half"}), "", nil, "cloud", "ALIBABA_CLOUD"},
		{"option: triple first", "prod", merge(both, map[string]string{"prod": keyJSON("exact")}), keyYAML("prod", "file"), func(c *Config) { c.EnvFirst = true }, "triple", "AccessKeyID"},
		{"variable: triple first", "prod", merge(both, map[string]string{"DEVS_ACCESS_ENV_FIRST": "true"}), keyYAML("prod", "file"), nil, "triple", "AccessKeyID"},
		{"triple first needs AccountID", "prod", map[string]string{"AccessKeyID": "pair", "AccessKeySecret": "x", "DEVS_ACCESS_ENV_FIRST": "true"}, keyYAML("prod", "file"), nil, "file", "access.yaml"},

		{"unset: JSON of default before file", "", merge(both, map[string]string{"default_serverless_devs_access": keyJSON("json")}), keyYAML("default", "file"), nil, "json", "default_serverless_devs_access"},
		{"unset: file before other JSON", "", map[string]string{"x_serverless_devs_access": keyJSON("json")}, keyYAML("default", "file"), nil, "file", "access.yaml"},
		{"unset: chosen entry before default", "", nil, keyYAML("default", "file") + keyYAML("prod", "chosen") + "  __default: 'true'\n", nil, "chosen", "alias prod"},
		{"named default is default", "default", nil, keyYAML("default", "file") + keyYAML("prod", "chosen") + "  __default: 'true'\n", nil, "file", "alias default"},
		{"unset: single JSON before triple", "", merge(both, map[string]string{"x_serverless_devs_key": keyJSON("json")}), "", nil, "json", "x_serverless_devs_key"},
		{"unset: both endings of one name are one", "", map[string]string{"x_serverless_devs_key": keyJSON("v3"), "x_serverless_devs_access": keyJSON("v2")}, "", nil, "v2", "x_serverless_devs_access"},
		{"unset: an empty second one does not count", "", map[string]string{"x_serverless_devs_key": keyJSON("json"), "y_serverless_devs_key": ""}, "", nil, "json", "x_serverless_devs_key"},
		{"unset: triple", "", both, "", nil, "triple", "AccessKeyID"},

		{"alias override in a CI", "prod", map[string]string{"serverless_devs_access_cicd_alias_name": "ci"}, keyYAML("prod", "file") + keyYAML("ci", "override"), func(c *Config) { c.CI = true }, "override", "alias ci"},
		{"no alias override outside", "prod", map[string]string{"serverless_devs_access_cicd_alias_name": "ci"}, keyYAML("prod", "file") + keyYAML("ci", "override"), nil, "file", "alias prod"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			config := newConfig(t, tc.env)
			if tc.file != "" {
				writeAccess(t, config, tc.file)
			}
			if tc.change != nil {
				tc.change(&config)
			}
			c, err := NewResolver(config).Resolve(tc.alias)
			if err != nil {
				t.Fatal(diag.Render(err))
			}
			if c.AccessKeyID.Reveal() != tc.want || !strings.Contains(c.Source, tc.source) {
				t.Errorf("found %q in %q; want %q in %q", c.AccessKeyID.Reveal(), c.Source, tc.want, tc.source)
			}
		})
	}
}

func merge(maps ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range maps {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

func TestResolveFields(t *testing.T) {
	c, err := NewResolver(newConfig(t, map[string]string{
		"ALIBABA_CLOUD_ACCOUNT_ID": " 77 ", "ALIBABA_CLOUD_ACCESS_KEY_ID": "id\n",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": " key", "ALIBABA_CLOUD_SECURITY_TOKEN": "token ",
	})).Resolve("prod")
	if err != nil {
		t.Fatal(err)
	}
	if c.Alias != "prod" || c.AccountID != "77" || c.AccessKeyID.Reveal() != "id" ||
		c.AccessKeySecret.Reveal() != "key" || c.SecurityToken.Reveal() != "token" || !c.Fallback || c.Provider != "alibaba" {
		t.Errorf("got %+v, fallback %v", c, c.Fallback)
	}
	c, err = NewResolver(newConfig(t, map[string]string{
		"AccessKeyID": "id", "AccessKeySecret": "key", "SecurityToken": "token", "AccountID": "1",
	})).Resolve("")
	if err != nil || c.Alias != "default" || c.SecurityToken.Reveal() != "token" || c.Fallback {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestJSONForms(t *testing.T) {
	cases := []struct{ name, text string }{
		{"plain", `{"AccountID":"1234567890123456","AccessKeyID":"id","AccessKeySecret":"k\"\\ey"}`},
		{"number", `{"AccountID":1234567890123456,"AccessKeyID":"id","AccessKeySecret":"k\"\\ey","SecurityToken":null}`},
		{"blanks", " \n{\"AccountID\":\" 1234567890123456 \",\"AccessKeyID\":\"id\\n\",\"AccessKeySecret\":\"k\\\"\\\\ey\"}\n"},
		{"escaped quotes", `{\"AccountID\":\"1234567890123456\",\"AccessKeyID\":\"id\",\"AccessKeySecret\":\"k\\\"\\\\ey\"}`},
		{"single quotes around", `'{"AccountID":"1234567890123456","AccessKeyID":"id","AccessKeySecret":"k\"\\ey"}'`},
		{"double quotes around", `"{"AccountID":"1234567890123456","AccessKeyID":"id","AccessKeySecret":"k\"\\ey"}"`},
		{"JSON text of JSON", `"{\"AccountID\":\"1234567890123456\",\"AccessKeyID\":\"id\",\"AccessKeySecret\":\"k\\\"\\\\ey\"}"`},
		{"byte order mark", "\ufeff" + `{"AccountID":"1234567890123456","AccessKeyID":"id","AccessKeySecret":"k\"\\ey"}`},
	}
	for _, tc := range cases {
		c, err := NewResolver(newConfig(t, map[string]string{"a_serverless_devs_access": tc.text})).Resolve("a")
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if c.AccountID != "1234567890123456" || c.AccessKeyID.Reveal() != "id" || c.AccessKeySecret.Reveal() != `k"\ey` {
			t.Errorf("%s: %q %q %q", tc.name, c.AccountID, c.AccessKeyID.Reveal(), c.AccessKeySecret.Reveal())
		}
	}
}

func TestResolveErrors(t *testing.T) {
	many := `{"a0":"x"`
	for i := range 200 {
		many += `,"b` + strings.Repeat("b", i) + `":"x"`
	}
	cases := []struct {
		name  string
		alias string
		env   map[string]string
		file  string
		want  string // in the rendered error
	}{
		{"nothing", "prod", nil, "", `no credential was found for alias "prod"`},
		{"nothing lists the variables", "prod", nil, "", "prod_serverless_devs_access is not set, prod_serverless_devs_key is not set"},
		{"nothing lists the file", "prod", nil, "", ".s/access.yaml: there is no such file"},
		{"nothing lists the cloud", "prod", nil, "", "ALIBABA_CLOUD_ACCESS_KEY_ID is not set"},
		{"nothing says what to do", "prod", nil, "", "devs config add"},
		{"file has others", "prod", nil, keyYAML("test", "x"), "no alias prod, it has test"},
		{"unset", "", nil, "", "no credential was found\n"},
		{"half triple", "prod", map[string]string{"AccessKeyID": "x"}, "", "AccessKeyID is set, but not AccessKeySecret"},
		{"other half", "prod", map[string]string{"AccessKeySecret": "x", "AccessKeyID": " "}, "", "AccessKeySecret is set, but not AccessKeyID"},
		{"empty is told", "prod", map[string]string{"AccessKeySecret": "", "AccessKeyID": " "}, "", "AccessKeyID is empty, AccessKeySecret is empty"},
		{"half cloud", "prod", map[string]string{"ALIBABA_CLOUD_ACCESS_KEY_ID": "x"}, "", "but not ALIBABA_CLOUD_ACCESS_KEY_SECRET"},
		{"malformed JSON", "prod", map[string]string{"prod_serverless_devs_access": "{nonsense"}, keyYAML("prod", "x"), "variable prod_serverless_devs_access is no credential: it is not a JSON object"},
		{"malformed JSON of the exact name", "prod", map[string]string{"prod": `{"AccessKeyID":`}, "", "variable prod is no credential"},
		{"no object", "prod", map[string]string{"prod_serverless_devs_access": `["x"]`}, "", "not a JSON object"},
		{"text after", "prod", map[string]string{"prod": keyJSON("x") + "}"}, "", "not a JSON object"},
		{"nested", "prod", map[string]string{"prod": `{"AccessKeyID":{"a":1}}`}, "", "texts or numbers"},
		{"too many fields", "prod", map[string]string{"prod": many + "}"}, "", "more than 100 fields"},
		{"too large", "prod", map[string]string{"prod": `{"a":"` + strings.Repeat("x", maxJSONVariable) + `"}`}, "", "more than 100 fields or"},
		{"empty JSON", "prod", map[string]string{"prod": `{"AccessKeyID":"","AccessKeySecret":""}`}, "", "environment variable prod is empty"},
		{"half JSON", "prod", map[string]string{"prod": `{"AccessKeyID":"x","AccessKeySecret":""}`}, "", "no AccessKeySecret"},
		{"half in the file", "prod", nil, "prod:\n  AccessKeyID: x\n", "no AccessKeySecret"},
		{"several JSON variables", "", map[string]string{"a_serverless_devs_access": keyJSON("x"), "b_serverless_devs_key": keyJSON("y"), "AccessKeyID": "x", "AccessKeySecret": "x"}, "",
			"several environment variables hold one: a_serverless_devs_access, b_serverless_devs_key"},
		{"broken file is not passed over", "prod", map[string]string{"AccessKeyID": "x", "AccessKeySecret": "x"}, "a: [", "not valid YAML"},
		{"JSON as alias", `{"AccessKeyID":"x"}`, nil, "", "not the name of an alias"},
		{"placeholder as alias", "${env(X)}", nil, "", "no name for an alias"},
		{"line break in alias", "a\n::error::b", nil, "", "no name for an alias"},
		{"switch", "prod", map[string]string{"DEVS_ACCESS_ENV_FIRST": "perhaps"}, "", "DEVS_ACCESS_ENV_FIRST must be true or false"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			config := newConfig(t, tc.env)
			if tc.file != "" {
				writeAccess(t, config, tc.file)
			}
			c, err := NewResolver(config).Resolve(tc.alias)
			if err == nil {
				t.Fatalf("found %v", c)
			}
			if text := diag.Render(err); !strings.Contains(text, tc.want) || !strings.Contains(text, "hint:") && tc.name != "switch" {
				t.Errorf("error is\n%s\nwant %q", text, tc.want)
			}
			if diag.ExitCode(err) != diag.ExitTool {
				t.Errorf("exit code %d", diag.ExitCode(err))
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the summary has several lines: %q", err.Error())
			}
		})
	}
}

func TestResolvingCreatesNothing(t *testing.T) {
	config := newConfig(t, nil)
	if _, err := NewResolver(config).Resolve("prod"); err == nil {
		t.Fatal("found a credential")
	}
	if _, err := NewStore(config).List(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{config.HomeDir, config.TempDir} {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v", dir, entries, err)
		}
	}
}

func TestAliyunCLI(t *testing.T) {
	profiles := func(current, profile string) string {
		return `{"current":"` + current + `","profiles":[{"name":"other","mode":"AK","access_key_id":"no","access_key_secret":"no"},` + profile + `],"meta_path":""}`
	}
	ak := `{"name":"p","mode":"AK","access_key_id":" id ","access_key_secret":"key","sts_token":"stale","region_id":"cn-beijing"}`
	cases := []struct{ name, content, want string }{
		{"AK", profiles("p", ak), "id key  cn-beijing"},
		{"StsToken", profiles("p", strings.Replace(ak, `"AK"`, `"StsToken"`, 1)), "id key stale cn-beijing"},
		{"StsToken without token", profiles("p", strings.NewReplacer(`"AK"`, `"StsToken"`, "stale", "").Replace(ak)), "! no sts_token"},
		{"role", profiles("p", strings.Replace(ak, `"AK"`, `"RamRoleArn"`, 1)), "! mode RamRoleArn, which is not supported"},
		{"unknown mode", profiles("p", strings.Replace(ak, `"AK"`, `"Future"`, 1)), "! mode that is not known"},
		{"no such profile", profiles("gone", ak), "! no profile"},
		{"not JSON", `{"current"`, "! not a configuration"},
		{"half", profiles("p", strings.Replace(ak, `"key"`, `""`, 1)), "! no AccessKeySecret"},
		{"absent", "", "! there is no "},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			// The triple must not replace what was asked for by name.
			config := newConfig(t, map[string]string{"AccountID": "1", "AccessKeyID": "t", "AccessKeySecret": "t"})
			config.EnvFirst = true
			if tc.content != "" {
				writeTestFile(t, filepath.Join(config.HomeDir, ".aliyun", "config.json"), tc.content, 0o600)
			}
			c, err := NewResolver(config).Resolve(AliyunCLI)
			if want, ok := strings.CutPrefix(tc.want, "! "); ok {
				if err == nil || !strings.Contains(err.Error(), want) || diag.ExitCode(err) != diag.ExitTool {
					t.Errorf("error %v, want %q", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join([]string{c.AccessKeyID.Reveal(), c.AccessKeySecret.Reveal(), c.SecurityToken.Reveal(), c.Region}, " ")
			if got != tc.want || c.Alias != AliyunCLI {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "elsewhere.json")
	writeTestFile(t, path, profiles("p", ak), 0o600)
	config := newConfig(t, map[string]string{"ALIBABACLOUD_CONFIG": path})
	config.HomeDir = ""
	if c, err := NewResolver(config).Resolve(AliyunCLI); err != nil || c.AccessKeyID.Reveal() != "id" {
		t.Errorf("ALIBABACLOUD_CONFIG: %v, %v", c, err)
	}
	if _, err := NewResolver(Config{}).Resolve(AliyunCLI); err == nil {
		t.Error("no home folder: found a credential")
	}
}

// An alias that was given explicitly is found or is an error: the keys of another
// account must not stand in for it.
func TestResolveNamed(t *testing.T) {
	variables := map[string]string{
		"AccountID": "1", "AccessKeyID": "id", "AccessKeySecret": "canary-key",
		"ALIBABA_CLOUD_ACCESS_KEY_ID": "id2", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "canary-key2",
	}
	resolver := NewResolver(newConfig(t, variables))
	_, err := resolver.ResolveNamed(" prod ")
	if err == nil || diag.ExitCode(err) != diag.ExitTool {
		t.Fatalf("got %v", err)
	}
	text := diag.Render(err)
	for _, want := range []string{`alias "prod"`, "prod_serverless_devs_access is not set", "there is no such file", "without -a"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	if strings.Contains(text, "canary") {
		t.Errorf("a key is in %s", text)
	}
	if c, err := resolver.Resolve("prod"); err != nil || !c.Fallback {
		t.Errorf("an alias of the file: %v, %v", c, err)
	}
	if c, err := resolver.ResolveNamed(""); err != nil || c.AccessKeyID.Reveal() != "id" || c.Fallback {
		t.Errorf("no alias: %v, %v", c, err)
	}
	first := newConfig(t, variables)
	first.EnvFirst = true
	if c, err := NewResolver(first).ResolveNamed("prod"); err != nil || c.AccessKeyID.Reveal() != "id" {
		t.Errorf("variables first: %v, %v", c, err)
	}
	stored := newConfig(t, merge(variables, map[string]string{
		"json_serverless_devs_access": `{"AccessKeyID":"json-id","AccessKeySecret":"k"}`,
	}))
	writeAccess(t, stored, keyYAML("prod", "file"))
	resolver = NewResolver(stored)
	for alias, want := range map[string]string{"prod": "file", "json": "json-id"} {
		if c, err := resolver.ResolveNamed(alias); err != nil || c.AccessKeyID.Reveal() != want {
			t.Errorf("%s: %v, %v", alias, c, err)
		}
	}
}
