package fc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const webProps = `{
	"region": "cn-hangzhou",
	"service": {"name": "demo", "description": "a demo"},
	"function": {"name": "hello", "runtime": "python3.9", "handler": "index.handler", "codeUri": "./code",
		"environmentVariables": {"MODE": "prod"}},
	"triggers": [{"name": "web", "type": "http", "config": {"authType": "anonymous", "methods": ["GET", "POST"]}}]
}`

func TestDeployTwice(t *testing.T) {
	w := newWorld(t)
	got, out := w.deploy(webProps)
	want := map[string]string{"service demo": "create", "function demo/hello": "create", "trigger demo/hello/web": "create"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if u := out.Get("url", "system_url").Str(); u != w.url+"/2016-08-15/proxy/demo/hello/" {
		t.Errorf("system_url is %q", u)
	}
	w.took()
	got, again := w.deploy(webProps)
	if len(got) != 0 {
		t.Errorf("the second deploy would change %v", got)
	}
	if diff := cmp.Diff(out.Plain(), again.Plain()); diff != "" {
		t.Errorf("the output changed: %s", diff)
	}
	t.Log(w.took())
}
