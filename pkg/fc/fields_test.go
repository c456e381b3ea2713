package fc

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// fieldCase changes one field of a resource that fullProps made.
type fieldCase struct {
	field string
	value any
	// also are the fields that go along, because the API does not take one alone.
	also []string
	// elsewhere marks what the embedded cloud cannot have on this resource: only what
	// is sent is looked at.
	elsewhere bool
}

func object(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func serviceFields() []fieldCase {
	return []fieldCase{
		{field: "description", value: "other"},
		{field: "role", value: "acs:ram::1000000000000000:role/Other"},
		{field: "internetAccess", value: true},
		{field: "logConfig", value: object("project", "p2", "logstore", "l2")},
		{field: "vpcConfig", value: object("vpcId", "vpc-2", "vSwitchIds", []any{"vsw-3"}, "securityGroupId", "sg-2")},
		{field: "nasConfig", value: object("userId", int64(11), "groupId", int64(11), "mountPoints",
			[]any{object("serverAddr", "nas.example.com:/other", "mountDir", "/mnt/other")})},
		{field: "ossMountConfig", value: object("mountPoints", []any{object("endpoint", "http://oss.example.com", "bucketName", "b2", "mountDir", "/mnt/b")})},
		{field: "tracingConfig", value: object("type", "Jaeger", "params", object("endpoint", "http://tracing.example.com"))},
	}
}

func allFunctionFields() []fieldCase {
	return []fieldCase{
		{field: "description", value: "other"},
		{field: "runtime", value: "custom.debian10"},
		{field: "handler", value: "other.handler"},
		{field: "initializer", value: "other.init"},
		{field: "initializationTimeout", value: int64(21)},
		{field: "memorySize", value: int64(1024)},
		{field: "timeout", value: int64(31)},
		{field: "cpu", value: 0.35},
		{field: "diskSize", value: int64(10240)},
		{field: "gpuMemorySize", value: int64(8192), elsewhere: true},
		{field: "instanceType", value: "fc.gpu.tesla.1", elsewhere: true},
		{field: "instanceConcurrency", value: int64(11), also: []string{"InstanceConcurrency"}},
		{field: "instanceConcurrency", value: int64(4), also: []string{"InstanceConcurrency"}}, // below the soft limit, which the file sets
		{field: "instanceSoftConcurrency", value: int64(3)},
		{field: "caPort", value: int64(8081)},
		{field: "environmentVariables", value: object("MODE", secret.New("other"))},
		{field: "customContainerConfig", value: object("image", "example.com/app:1"), elsewhere: true},
		{field: "customRuntimeConfig", value: object("command", []any{"./other"})},
		{field: "customDNS", value: object("nameServers", []any{"5.6.7.8"})},
		{field: "customHealthCheckConfig", value: object("httpGetUrl", "/other")},
		{field: "instanceLifecycleConfig", value: object("preStop", object("handler", "index.other", "timeout", int64(11)))},
		{field: "layers", value: []any{"acs:fc:cn-hangzhou:1:layers/l/versions/1"}, elsewhere: true},
		{field: "code", value: object("checksum", "1")},
	}
}

// TestOnlyTheChangedFieldIsSent goes through every field of every kind: an update sends
// that field and what has to go with it, and all other fields are online as before.
func TestOnlyTheChangedFieldIsSent(t *testing.T) {
	for _, k := range []struct {
		kind  resource.Kind
		name  string
		path  string
		cases []fieldCase
		whole bool // the API replaces the resource, so that all of it is sent as it is online
	}{
		{props.ServiceKind, "demo", "/services/demo", serviceFields(), false},
		{props.FunctionKind, "demo/hello", "/services/demo/functions/hello", allFunctionFields(), false},
		{props.TriggerKind, "demo/hello/web", "/services/demo/functions/hello/triggers/web", []fieldCase{
			{field: "description", value: "other"},
			{field: "invocationRole", value: "acs:ram::1000000000000000:role/Other"},
			{field: "qualifier", value: "prod", elsewhere: true},
			{field: "triggerConfig", value: object("authType", "anonymous", "methods", []any{"GET"})},
		}, false},
		{props.AsyncConfigKind, "demo/hello", "/services/demo/functions/hello/async-invoke-config", []fieldCase{
			{field: "destinationConfig", value: object("onSuccess", object("destination", "acs:mns:cn-hangzhou:1:/queues/other/messages"))},
			{field: "maxAsyncEventAgeInSeconds", value: int64(77)},
			{field: "maxAsyncRetryAttempts", value: int64(2)},
			{field: "statefulInvocation", value: true},
		}, true},
		{props.CustomDomainKind, "www.example.com", "/custom-domains/www.example.com", []fieldCase{
			{field: "protocol", value: "HTTP,HTTPS", elsewhere: true},
			{field: "routeConfig", value: object("routes", []any{object("path", "/other", "serviceName", "demo", "functionName", "hello")})},
			{field: "certConfig", value: object("certName", "c", "certificate", "x", "privateKey", secret.New("y")), elsewhere: true},
			{field: "tlsConfig", value: object("minVersion", "TLSv1.2"), elsewhere: true},
			{field: "wafConfig", value: object("enableWAF", true)},
		}, false},
	} {
		w := newWorld(t)
		w.deploy(fullProps)
		for _, c := range k.cases {
			w.changeOne(k.kind, k.name, k.path, c, k.whole)
		}
	}
}

func (w *world) changeOne(kind resource.Kind, name, path string, c fieldCase, whole bool) {
	w.t.Helper()
	found := w.read(kind, name)
	wanted := want(kind, name, maps.Clone(found.Attrs))
	wanted.Attrs[c.field] = c.value
	if c.field == "code" {
		wanted.Code = zipped{emptyZip, int64(len(emptyZip))}
	}
	w.took()
	if c.elsewhere {
		w.setFault(on(1, "PUT", path, func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = io.WriteString(rw, "{}") }))
		defer w.setFault(nil)
	}
	if c.field == "instanceConcurrency" && c.value == int64(4) {
		wanted.Attrs["instanceSoftConcurrency"] = nil // not in the file: it goes down with the hard one
		c.also = append(c.also, "instanceSoftConcurrency")
	}
	if _, err := w.handler(kind).Update(context.Background(), wanted, found, []string{c.field}); err != nil {
		w.t.Errorf("%s %s: %s", kind, c.field, diag.Render(err))
		return
	}
	sent := w.body("PUT " + path)
	expected := append([]string{c.field}, c.also...)
	if whole {
		expected = slices.AppendSeq(expected, maps.Keys(found.Attrs))
	}
	slices.Sort(expected)
	if d := cmp.Diff(slices.Compact(expected), slices.Sorted(maps.Keys(sent))); d != "" {
		w.t.Errorf("%s: changing %s sends other fields: %s", kind, c.field, d)
	}
	now := w.read(kind, name)
	for _, diff := range props.Schemas()[kind].Compare(found.Attrs, now.Attrs, nil) {
		if diff.Field != c.field && !slices.Contains(c.also, diff.Field) {
			w.t.Errorf("%s: changing %s changed %s from %v to %v", kind, c.field, diff.Path, diff.Old, diff.New)
		}
	}
}

// The cases above name every field that is compared.
func TestEveryFieldIsNamed(t *testing.T) {
	named := func(cases []fieldCase) []string {
		var fields []string
		for _, c := range cases {
			fields = append(fields, c.field)
		}
		slices.Sort(fields)
		return slices.Compact(fields)
	}
	want := append(functionFields(), "layers", "code")
	slices.Sort(want)
	if d := cmp.Diff(want, named(allFunctionFields())); d != "" {
		t.Error(d)
	}
	w := newWorld(t)
	w.deploy(fullProps)
	if d := cmp.Diff(slices.Sorted(maps.Keys(w.read(props.ServiceKind, "demo").Attrs)), named(serviceFields())); d != "" {
		t.Error(d)
	}
}
