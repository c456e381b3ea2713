package props

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

const small = `
region: cn-hangzhou
service: {name: s, vpcBinding: [v]}
function: {name: f, runtime: nodejs14, codeUri: ./code}
triggers:
  - {name: web, type: http, config: {authType: anonymous, methods: [GET]}}
  - {name: tick, type: timer, config: {cronExpression: "@every 5m", enable: true}}
customDomains:
  - {domainName: a.com, protocol: HTTP, routeConfigs: [{path: /*}]}
  - {domainName: b.com, protocol: HTTP, routeConfigs: [{path: /*, serviceName: x, functionName: y}]}
`

func parse(t *testing.T, yaml string) *Config {
	t.Helper()
	c, err := Parse(parseYAML(t, yaml))
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	return c
}

func options() Options {
	return Options{
		Command: "deploy", Account: "123", Dir: "/app",
		Pack:     func(Code) (resource.Payload, error) { return payload{}, nil },
		ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist },
	}
}

func TestChosen(t *testing.T) {
	const (
		service  = "service s\n"
		binding  = "vpcBinding s after [service s]\n"
		function = "function s/f after [service s]\n"
		async    = "asyncConfig s/f absent after [function s/f]\n"
		triggers = "trigger s/f/web after [function s/f]\ntrigger s/f/tick after [function s/f]\n"
		domains  = "customDomain a.com after [function s/f trigger s/f/web]\ncustomDomain b.com\n"
	)
	tests := []struct {
		name string
		set  func(*Options)
		want string
	}{
		{"all", func(o *Options) {}, service + binding + function + async + triggers + domains},
		{"all by name", func(o *Options) { o.Sub = "all" }, service + binding + function + async + triggers + domains},
		{"service", func(o *Options) { o.Sub = "service" }, service + binding},
		{"function", func(o *Options) { o.Sub = "function" }, "function s/f\n" + async},
		{"triggers", func(o *Options) { o.Sub = "trigger" }, "trigger s/f/web\ntrigger s/f/tick\n"},
		{"one trigger", func(o *Options) { o.Sub = "trigger"; o.TriggerNames = []string{"tick"} }, "trigger s/f/tick\n"},
		{"wrong trigger", func(o *Options) { o.Sub = "trigger"; o.TriggerNames = []string{"tik"} }, "the props have no trigger \"tik\" | did you mean tick?\n"},
		{"domains", func(o *Options) { o.Sub = "domain" }, "customDomain a.com\ncustomDomain b.com\n"},
		{"one domain", func(o *Options) { o.Sub = "domain"; o.DomainNames = []string{"b.com"} }, "customDomain b.com\n"},
		{"wrong domain", func(o *Options) { o.Sub = "domain"; o.DomainNames = []string{"b.cm"} }, "the props have no custom domain \"b.cm\" | did you mean b.com?\n"},
		{"wrong sub-command", func(o *Options) { o.Sub = "triggers" }, "unknown sub-command \"triggers\" | did you mean trigger?\n"},
		{"code", func(o *Options) { o.Type = "code" }, "function s/f managed 1\n"},
		{"config", func(o *Options) { o.Type = "config" }, service + binding + "function s/f after [service s] managed 21\n" + async + triggers + domains},
		{"code of the function", func(o *Options) { o.Sub = "function"; o.Type = "code" }, "function s/f managed 1\n"},
		{"code of a trigger", func(o *Options) { o.Sub = "trigger"; o.Type = "code" }, "trigger s/f/web\ntrigger s/f/tick\n"},
		{"wrong type", func(o *Options) { o.Type = "all" }, "unknown --type \"all\" | use one of: code, config\n"},
		{"remove", func(o *Options) { o.Command = "remove" }, service + binding + function + "asyncConfig s/f after [function s/f]\n" + triggers +
			"customDomain a.com after [function s/f trigger s/f/web trigger s/f/tick]\ncustomDomain b.com after [function s/f trigger s/f/web trigger s/f/tick]\n"},
		{"remove the function", func(o *Options) { o.Command, o.Sub = "remove", "function" }, "function s/f\nasyncConfig s/f after [function s/f]\n" + triggers},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			o := options()
			tc.set(&o)
			if got := ids(parse(t, small), o); got != strings.TrimSuffix(tc.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestMissingParts(t *testing.T) {
	c := parse(t, inService())
	for sub, want := range map[string]string{
		"function": "the props have no function", "trigger": "the props have no triggers", "domain": "the props have no customDomains",
		"": "service s\nvpcBinding s absent after [service s]",
	} {
		o := options()
		o.Sub = sub
		if got := ids(c, o); got != want {
			t.Errorf("%s: %s, want %s", sub, got, want)
		}
	}
}

func TestRemoveNeedsNamesOnly(t *testing.T) {
	v := parseYAML(t, "region: cn-hangzhou\nservice: {name: s, nonsense: 1}\nfunction: {name: f}\ntriggers: [{name: t}]\ncustomDomains: [{domainName: auto}, {domainName: a.com}]")
	c, err := ParseNames(v)
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	o := options()
	o.Command, o.Pack, o.ReadFile, o.Account = "remove", nil, nil, ""
	resources, warnings, err := c.Resources(o)
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	for _, r := range resources {
		if r.Attrs != nil || r.Code != nil || r.Absent || r.Kind == CustomDomainKind && r.Name != "a.com" {
			t.Errorf("%s: %+v", r.ID, r)
		}
	}
	if len(resources) != 6 || len(warnings) != 1 || !strings.Contains(warnings[0].Summary, "auto") {
		t.Errorf("%d resources, warnings %q", len(resources), warnings)
	}
	for yaml, want := range map[string]string{
		"service: {name: s}":                        "s.yaml:1:1: props.region is missing",
		"region: cn-hangzhou\nservice: {nam: s}":    "s.yaml:2:10: service.name is missing",
		"region: cn-hangzhou\nservice: {name: a/b}": "s.yaml:2:17: service.name \"a/b\" is not a name",
		"region: cn-hangzhou\nservice: ${o.output}": "s.yaml:2:10: service must be known before the deploy, but ${o.output} is known only after it | write it down, or deploy the service that it comes from first",
	} {
		if _, err := ParseNames(parseYAML(t, yaml)); problems(err) != want {
			t.Errorf("%s", problems(err))
		}
	}
}

func TestOverride(t *testing.T) {
	s := Selectors{Region: "cn-beijing", Service: "svc", Function: "fn", Triggers: []string{"t"}, Domains: []string{"d.com"}}
	c, err := ParseNames(Override(&app.Value{Kind: app.Map}, s))
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	o := options()
	o.Command = "remove"
	want := "service svc\nvpcBinding svc after [service svc]\nfunction svc/fn after [service svc]\nasyncConfig svc/fn after [function svc/fn]\n" +
		"trigger svc/fn/t after [function svc/fn]\ncustomDomain d.com after [function svc/fn trigger svc/fn/t]"
	if got := ids(c, o); got != want || c.Region != "cn-beijing" {
		t.Errorf("%s: got\n%s\nwant\n%s", c.Region, got, want)
	}

	v := parseYAML(t, small)
	c, err = Parse(Override(v, s))
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	if c.Region != "cn-beijing" || c.Service.Name != "svc" || c.Function.Name != "fn" || len(c.Triggers) != 2 || c.Function.Runtime != "nodejs14" {
		t.Errorf("%+v", c)
	}
	if v.Get("service", "name").Str() != "s" {
		t.Error("the props were changed")
	}
}

func attrsOf(t *testing.T, yaml string, kind resource.Kind, o Options) resource.Attributes {
	t.Helper()
	resources, _, err := parse(t, yaml).Resources(o)
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	for _, r := range resources {
		if r.Kind == kind {
			return r.Attrs
		}
	}
	t.Fatalf("no %s", kind)
	return nil
}

func TestImpliedRole(t *testing.T) {
	const implied = "acs:ram::123:role/aliyunfcdefaultrole"
	for yaml, want := range map[string]any{
		inFunction():          nil,
		inService("role: ''"): nil,
		inService("role: acs:ram::1:role/x", "vpcBinding: [v]"):                                  "acs:ram::1:role/x",
		inService("vpcBinding: [v]"):                                                             implied,
		inService("vpcConfig: {vpcId: v, vswitchIds: [a], securityGroupId: s}"):                  implied,
		inService("logConfig: {project: p, logstore: l}"):                                        implied,
		inService("ossMountConfig: {mountPoints: [{endpoint: e, bucketName: b, mountDir: /m}]}"): implied,
		inFunction("asyncConfiguration: {statefulInvocation: true}"):                             implied,
		inContainer("cn-hangzhou", "image: localhost/a"):                                         implied,
	} {
		if got := attrsOf(t, yaml, ServiceKind, options())["role"]; got != want {
			t.Errorf("%s\nrole %v, want %v", yaml, got, want)
		}
	}
}

func TestAccountMissing(t *testing.T) {
	o := options()
	o.Account = ""
	for yaml, want := range map[string]string{
		inService("vpcBinding: [v]"): "the default role needs the account id, which the credential does not have | add the account id to the credential",
		inTrigger("type: oss", "role: acs:ram::1:role/x", "config: {bucketName: b, events: ['oss:ObjectCreated:*']}"): "the source of trigger t needs the account id, which the credential does not have | add the account id to the credential",
	} {
		if got := ids(parse(t, yaml), o); got != want {
			t.Errorf("%s", got)
		}
	}
}

func TestFunctionDefaults(t *testing.T) {
	tests := []struct{ yaml, want string }{
		{inFunction(), `{"code":{"checksum":"123","size":7},"description":"` + DefaultDescription + `","handler":"index.handler","initializationTimeout":3,` +
			`"initializer":"","instanceConcurrency":1,"instanceLifecycleConfig":{"preFreeze":{"handler":""},"preStop":{"handler":""}},` +
			`"instanceType":"e1","memorySize":128,"runtime":"nodejs14","timeout":3}`},
		{strings.Replace(inFunction(), "nodejs14", "custom.debian10", 1), `{"caPort":9000,"code":{"checksum":"123","size":7},"description":"` + DefaultDescription + `","handler":"index.handler","initializationTimeout":3,` +
			`"initializer":"","instanceConcurrency":1,"instanceLifecycleConfig":{"preFreeze":{"handler":""},"preStop":{"handler":""}},` +
			`"instanceType":"e1","memorySize":128,"runtime":"custom.debian10","timeout":3}`},
		{inContainer("cn-hangzhou", "image: localhost/a", `args: '["x"]'`) + "\n  codeUri: ./code", `{"customContainerConfig":{"args":"[\"x\"]","image":"localhost/a"},"description":"` + DefaultDescription + `","handler":"not-used","initializationTimeout":3,` +
			`"initializer":"","instanceConcurrency":1,"instanceLifecycleConfig":{"preFreeze":{"handler":""},"preStop":{"handler":""}},` +
			`"instanceType":"e1","memorySize":128,"runtime":"custom-container","timeout":3}`},
	}
	for _, tc := range tests {
		got, err := json.Marshal(attrsOf(t, tc.yaml, FunctionKind, options()))
		if err != nil || string(got) != tc.want {
			t.Errorf("got\n%s %v\nwant\n%s", got, err, tc.want)
		}
	}
	for _, empty := range []string{"handler: ''", "handler: ' '", "handler:"} {
		if got := attrsOf(t, inFunction(empty), FunctionKind, options())["handler"]; got != "index.handler" {
			t.Errorf("%s: %q", empty, got)
		}
	}
}

func TestCode(t *testing.T) {
	o := options()
	var asked []string
	o.Pack = func(c Code) (resource.Payload, error) {
		asked = append(asked, fmt.Sprint(c.Path, " ", c.Service, " ", c.Function, " ", c.Runtime, " ", c.ZipJar))
		return payload{}, nil
	}
	c := parse(t, strings.Replace(inFunction("customRuntimeConfig: {command: [java], args: ['-jar', a.jar]}"), "nodejs14", "custom", 1))
	for _, typ := range []string{"config", "", "code"} {
		o.Type = typ
		resources, _, err := c.Resources(o)
		if err != nil {
			t.Fatal(diag.Render(err))
		}
		for _, r := range resources {
			if r.Kind == FunctionKind && (r.Code != nil) != (typ != "config") {
				t.Errorf("--type %s: code %v", typ, r.Code)
			}
		}
	}
	if got := strings.Join(asked, ","); got != "/app/code s f custom true,/app/code s f custom true" {
		t.Error(got)
	}

	oss := strings.Replace(inFunction(), "codeUri: ./code", "ossBucket: b\n  ossKey: ${env(KEY)}", 1)
	o = options()
	o.Pack = nil
	resources, warnings, err := parse(t, oss).Resources(o)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].Summary, "sent with every deploy") || warnings[0].Pos.Line == 0 {
		t.Errorf("%v %q", err, warnings)
	}
	code, _ := resources[2].Attrs["code"].(map[string]any)
	if key, _ := code["ossObjectName"].(secret.String); key.Reveal() != "x" || code["ossBucketName"] != "b" {
		t.Errorf("%#v", code)
	}
}

func TestCodeMissing(t *testing.T) {
	o := options()
	o.Pack = func(c Code) (resource.Payload, error) {
		return nil, diag.Errorf("cannot read %q", c.URI).WithCause(&fs.PathError{Err: fs.ErrNotExist})
	}
	if got := ids(parse(t, inFunction()), o); got != `s.yaml:6:12: cannot read "./code"` {
		t.Error(got)
	}
	o.Pack = func(Code) (resource.Payload, error) { return nil, errors.New("disk full") }
	o.Preview = true
	if got := ids(parse(t, inFunction()), o); got != "s.yaml:6:12: reading function.codeUri ./code: disk full" {
		t.Error(got)
	}
	o.Pack = func(Code) (resource.Payload, error) { return nil, fs.ErrNotExist }
	if got := attrsOf(t, inFunction(), FunctionKind, o)["code"]; got != (app.UnknownValue{Expr: "codeUri ./code"}) {
		t.Errorf("%#v", got)
	}
	o.Preview = false
	if got := ids(parse(t, inFunction()), o); got != "s.yaml:6:12: function.codeUri ./code is not there | build it first, or correct the path" {
		t.Error(got)
	}
}

func TestCertificates(t *testing.T) {
	https := func(certificate, key string) string {
		return inDomain("domainName: a.com", "protocol: https,http", routes, "certConfig: {certName: 1, certificate: "+certificate+", privateKey: "+key+"}")
	}
	o := options()
	o.ReadFile = func(path string) ([]byte, error) {
		switch path {
		case "/app/cert.pem":
			return []byte("-----BEGIN C"), nil
		case "/key.pem":
			return []byte("-----BEGIN K"), nil
		case "/app/text":
			return []byte("text"), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	cert := attrsOf(t, https("cert.pem", "/key.pem"), CustomDomainKind, o)["certConfig"].(map[string]any)
	key, _ := cert["privateKey"].(secret.String)
	if cert["certName"] != "1" || cert["certificate"] != "-----BEGIN C" || key.Reveal() != "-----BEGIN K" {
		t.Errorf("%#v, key %q", cert, key.Reveal())
	}
	cert = attrsOf(t, https("'${other.output.cert}'", "'-----BEGIN X'"), CustomDomainKind, o)["certConfig"].(map[string]any)
	key, _ = cert["privateKey"].(secret.String)
	if cert["certificate"] != (app.UnknownValue{Expr: "other.output.cert"}) || key.Reveal() != "-----BEGIN X" {
		t.Errorf("%#v, key %q", cert, key.Reveal())
	}
	for yaml, want := range map[string]string{
		https("https://x/y", "oss://r/b/o"): "s.yaml:15:44: certConfig.certificate: taking it from an address is not supported | write the PEM text or the path of a file\n" +
			"s.yaml:15:69: certConfig.privateKey: taking it from an address is not supported | write the PEM text or the path of a file",
		https("no.pem", "text"): "s.yaml:15:44: certConfig.certificate no.pem is not there | correct the path\n" +
			"s.yaml:15:64: certConfig.privateKey: the file does not hold a PEM text",
		https("cert.pem", "'${env(KEY)}'"): "s.yaml:15:66: certConfig.privateKey *** is not there | correct the path",
	} {
		o.Sub = "domain"
		if got := ids(parse(t, yaml), o); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	o.Preview = true
	cert = attrsOf(t, https("no.pem", "cert.pem"), CustomDomainKind, o)["certConfig"].(map[string]any)
	if cert["certificate"] != (app.UnknownValue{Expr: "certConfig.certificate"}) {
		t.Errorf("%#v", cert)
	}
}

func TestAutoDomain(t *testing.T) {
	o := options()
	o.Sub, o.AutoDomain = "domain", "fc.localhost"
	c := parse(t, strings.NewReplacer("name: f", "name: My_Fn", "name: s}", "name: My_Svc}").Replace(inDomain("domainName: AUTO", "protocol: HTTP", routes)))
	if got := ids(c, o); got != "customDomain my-fn.my-svc.fc.localhost" {
		t.Error(got)
	}
	o.DomainNames = []string{"auto"}
	if got := ids(c, o); got != "customDomain my-fn.my-svc.fc.localhost" {
		t.Error(got)
	}
}

func TestAutoDomainTwice(t *testing.T) {
	o := options()
	o.Sub, o.AutoDomain = "domain", "fc.localhost"
	c := parse(t, inDomain("domainName: auto", "protocol: HTTP", routes)+"\n  - {domainName: F.s.fc.localhost, protocol: HTTP, routeConfigs: [{path: /}]}")
	_, _, err := c.Resources(o)
	if got := problems(err); got != "s.yaml:15:5: the domain f.s.fc.localhost is there twice (the other is at s.yaml:12:5) | remove one of them" {
		t.Error(got)
	}
	o.Command = "remove"
	if got := ids(c, o); strings.Count(got, "f.s.fc.localhost") != 1 {
		t.Error(got)
	}
}

func TestSecretsAndUnknowns(t *testing.T) {
	yaml := inFunction("description: ${env(D)}", "handler: ${env(H)}", "memorySize: ${other.output.memory}",
		"environmentVariables: {PLAIN: y, N: 12, F: 100000000.5, B: true, OUT: '${other.output.x}'}")
	attrs := attrsOf(t, yaml, FunctionKind, options())
	if s, ok := attrs["description"].(secret.String); !ok || s.Reveal() != "x" {
		t.Errorf("description %#v", attrs["description"])
	}
	if attrs["handler"] != "x" || attrs["memorySize"] != (app.UnknownValue{Expr: "other.output.memory"}) {
		t.Errorf("handler %#v, memory %#v", attrs["handler"], attrs["memorySize"])
	}
	env := attrs["environmentVariables"].(map[string]any)
	for name, want := range map[string]string{"PLAIN": "y", "N": "12", "F": "100000000.5", "B": "true"} {
		if s, ok := env[name].(secret.String); !ok || s.Reveal() != want {
			t.Errorf("%s: %#v", name, env[name])
		}
	}
	if env["OUT"] != (app.UnknownValue{Expr: "other.output.x"}) {
		t.Errorf("OUT: %#v", env["OUT"])
	}
	arn := attrsOf(t, inTrigger("type: oss", "role: acs:ram::1:role/x", "config: {bucketName: '${env(B)}', events: ['oss:ObjectCreated:*']}"), TriggerKind, options())["sourceArn"]
	if s, ok := arn.(secret.String); !ok || s.Reveal() != "acs:oss:cn-hangzhou:123:x" {
		t.Errorf("sourceArn %#v", arn)
	}
}

// TestIndependent checks that the resources of one call do not share state with
// those of another.
func TestIndependent(t *testing.T) {
	c := full(t)
	first, _, err := c.Resources(fullOptions())
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	before, _ := json.Marshal(first)
	second, _, err := c.Resources(fullOptions())
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	for _, r := range second {
		r.Attrs["x"] = "y"
	}
	if after, _ := json.Marshal(first); string(after) != string(before) {
		t.Error("the first resources changed")
	}
}
