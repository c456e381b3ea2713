package spec_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/spec"
)

// load loads from files below /w, which is the working directory.
func load(template string, files map[string]string) (*app.App, error) {
	system := fstest.MapFS{}
	for name, text := range files {
		system[strings.TrimPrefix("w/"+name, "w///")] = &fstest.MapFile{Data: []byte(text)}
	}
	inside := func(path string) string { return strings.TrimPrefix(path, "/") }
	return spec.Load(spec.Options{
		Dir:      "/w",
		Template: template,
		ReadFile: func(path string) ([]byte, error) { return system.ReadFile(inside(path)) },
		Stat:     func(path string) (fs.FileInfo, error) { return system.Stat(inside(path)) },
	})
}

func loadText(text string) (*app.App, error) { return load("", map[string]string{"s.yaml": text}) }

func mustLoad(t *testing.T, text string) *app.App {
	t.Helper()
	a, err := loadText(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const minimal = "edition: 1.0.0\nname: n\nservices: {a: {component: fc}}\n"

func TestFind(t *testing.T) {
	other := strings.Replace(minimal, "name: n", "name: other", 1)
	tests := []struct {
		name, template string
		files          map[string]string
		file, app, dir string
	}{
		{"s.yaml first", "", map[string]string{"s.yaml": minimal, "s.yml": other}, "s.yaml", "n", "/w"},
		{"s.yml", "", map[string]string{"s.yml": minimal}, "s.yml", "n", "/w"},
		{"s.YML", "", map[string]string{"s.YML": minimal, "s.yml": other}, "s.YML", "n", "/w"},
		{"-t", "x/s-prod.yaml", map[string]string{"s.yaml": other, "x/s-prod.yaml": minimal}, "x/s-prod.yaml", "n", "/w/x"},
		{"-t absolute", "/q/a.yaml", map[string]string{"//q/a.yaml": minimal}, "/q/a.yaml", "n", "/q"},
		{"-t folder", "x", map[string]string{"x/s.yml": minimal}, "x/s.yml", "n", "/w/x"},
		{"-t above", "../q/s.yaml", map[string]string{"//q/s.yaml": minimal}, "../q/s.yaml", "n", "/q"},
	}
	for _, test := range tests {
		a, err := load(test.template, test.files)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if a.File != test.file || a.Name != test.app || a.Dir != test.dir || a.Root.Pos.File != test.file {
			t.Errorf("%s: file %s (%s), app %s, dir %s", test.name, a.File, a.Root.Pos.File, a.Name, a.Dir)
		}
	}
	for _, template := range []string{"", "missing.yaml", "empty"} {
		_, err := load(template, map[string]string{"other.yaml": minimal, "empty/x": ""})
		p, ok := errors.AsType[*diag.Problem](err)
		if !ok || p.Hint == "" || diag.ExitCode(err) != diag.ExitTool {
			t.Errorf("-t %q: %v", template, err)
		}
	}
	if _, err := load("missing.yaml", map[string]string{"s.yaml": minimal}); err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("-t falls back: %v", err)
	}
}

func TestLoad1(t *testing.T) {
	a := mustLoad(t, `edition: 1.0.0
name: shop
access: default
vars: {region: cn-hangzhou}
actions:
  pre-deploy:
    - run: make
services:
  web:
    component: devsapp/fc@1
    access: other
    props: {region: "${vars.region}", qualifier: 1.0}
  api:
    component: ${path(./fc.js)}
own: {key: 1}
`)
	if a.Edition != app.Edition1 || a.Name != "shop" || a.Access != "default" || len(a.Warnings) != 0 {
		t.Errorf("got %+v", a)
	}
	if diff := cmp.Diff([]string{"web", "api"}, a.ServiceNames()); diff != "" {
		t.Error(diff)
	}
	web, api := a.Service("web"), a.Service("api")
	if web.Access.Str() != "other" || web.Component.Str() != "devsapp/fc@1" || web.Pos != (diag.Pos{File: "s.yaml", Line: 9, Column: 3}) {
		t.Errorf("got %+v", web)
	}
	if web.Props.Get("qualifier").Str() != "1.0" || len(web.Props.Get("region").Exprs) != 1 {
		t.Error("props are not as written")
	}
	if api.Props != nil || api.Access != nil || len(api.Component.Exprs) != 1 {
		t.Errorf("got %+v", api)
	}
	if a.Root.Get("own", "key").Str() != "1" || len(a.Actions) != 1 {
		t.Errorf("got %+v", a)
	}
	if a := mustLoad(t, strings.Replace(minimal, "1.0.0", "2.0.0", 1)); a.Edition != app.Edition1 {
		t.Errorf("2.0.0 is read as %s", a.Edition)
	}
}

func TestLoad3(t *testing.T) {
	a := mustLoad(t, `edition: 3.0.0
name: shop
vars:
  whole: {component: fc3, props: {region: r}}
template:
  base: {region: cn-hangzhou, logConfig: auto, vpc: {id: v, zone: z}, list: [1, 2]}
resources:
  a:
    component: fc3
    extend: {name: base, ignore: [logConfig, vpc.id]}
    props: {functionName: f, list: [3]}
    allow_failure: {exit_code: 2, command: [deploy, remove]}
    vars: {x: 1}
  b: {component: fc3, extend: {name: base, ignore: region}}
  c: ${vars.whole}
flow:
  deploy: [[b], [a, c]]
  "${regex('^re')}": [a, [b]]
`)
	want := map[string]any{"region": "cn-hangzhou", "vpc": map[string]any{"zone": "z"}, "list": []any{int64(3)}, "functionName": "f"}
	if diff := cmp.Diff(want, a.Service("a").Props.Plain()); diff != "" {
		t.Error(diff)
	}
	if b := a.Service("b").Props; b.Get("region") != nil || b.Get("logConfig").Str() != "auto" || b.Get("vpc", "id").Str() != "v" {
		t.Errorf("b: %v", b.Plain())
	}
	if c := a.Service("c"); c.Component.Str() != "fc3" || c.Props.Get("region").Str() != "r" {
		t.Errorf("c: %+v", c)
	}
	if diff := cmp.Diff(&app.AllowFailure{ExitCodes: []int{2}, Commands: []string{"deploy", "remove"}}, a.Service("a").AllowFailure); diff != "" {
		t.Error(diff)
	}
	flow := []app.Flow{
		{Command: "deploy", Pos: diag.Pos{File: "s.yaml", Line: 17, Column: 3}, Groups: [][]string{{"b"}, {"a", "c"}}},
		{Pattern: "^re", Pos: diag.Pos{File: "s.yaml", Line: 18, Column: 3}, Groups: [][]string{{"a"}, {"b"}}},
	}
	if diff := cmp.Diff(flow, a.Flow); diff != "" {
		t.Error(diff)
	}
	if len(a.Warnings) != 0 {
		t.Error(a.Warnings)
	}
}

func TestExtend(t *testing.T) {
	files := map[string]string{
		"s.yaml":          "extend: base/one.yaml\nvars: {a: child}\nservices:\n  web:\n    props: {list: [9], deep: {x: child}}\n  new: {component: fc}\n",
		"base/one.yaml":   "extends: [./two.yaml, ignored.yaml]\nvars: {a: one, b: one}\nservices:\n  web: {props: {deep: {x: one, y: one}}}\n",
		"base/two.yaml":   "edition: 1.0.0\nname: base\nvars: {a: two, b: two, c: two}\nservices:\n  web: {component: fc, props: {list: [1, 2], deep: {z: two}}}\n",
		"lost.yaml":       "extend: nowhere.yaml\nedition: 1.0.0\n",
		"loop.yaml":       "edition: 1.0.0\nextend: base/loop.yaml\n",
		"base/loop.yaml":  "extend: ../loop.yaml\n",
		"self.yaml":       "extend: ./self.yaml\n",
		"map.yaml":        "extend: {a: b}\n",
		"expr.yaml":       "extend: ${env(X)}\n",
		"broken.yaml":     "extend: base/bad.yaml\n",
		"base/bad.yaml":   "a: b: c\n",
		"scalar.yaml":     "extend: base/text.yaml\n",
		"base/text.yaml":  "text\n",
		"wrongval.yaml":   "extend: base/wrong.yaml\nedition: 1.0.0\nname: n\n",
		"base/wrong.yaml": "services:\n  a: {component: [x]}\n",
	}
	a, err := load("", files)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": "child", "b": "one", "c": "two"}
	if diff := cmp.Diff(want, a.Root.Get("vars").Plain()); diff != "" {
		t.Error(diff)
	}
	want = map[string]any{"list": []any{int64(9)}, "deep": map[string]any{"x": "child", "y": "one", "z": "two"}}
	if diff := cmp.Diff(want, a.Service("web").Props.Plain()); diff != "" {
		t.Error(diff)
	}
	if pos := a.Service("web").Props.Get("deep", "z").Pos; pos.File != "base/two.yaml" || pos.Line != 5 {
		t.Errorf("the place of z is %v", pos)
	}
	if a.Dir != "/w" || a.Name != "base" || a.Service("new") == nil || a.Root.Get("extend") != nil {
		t.Errorf("got %+v", a)
	}
	for file, want := range map[string]string{
		"lost.yaml":     "lost.yaml:1:9: the extended file nowhere.yaml does not exist",
		"loop.yaml":     "base/loop.yaml:1:9: the files extend each other: loop.yaml -> base/loop.yaml -> loop.yaml",
		"self.yaml":     "self.yaml:1:9: the files extend each other: self.yaml -> self.yaml",
		"map.yaml":      "map.yaml:1:9: extend is a mapping, not the path of a file",
		"expr.yaml":     "expr.yaml:1:9: extend cannot hold expressions",
		"broken.yaml":   "base/bad.yaml:1: there is a second \": \" on a line, or the line above is indented differently",
		"scalar.yaml":   "base/text.yaml:1:1: the file is a text, not a mapping",
		"wrongval.yaml": "base/wrong.yaml:2:18: the component of service a is a list, not a name",
	} {
		_, err := load(file, files)
		if p, ok := errors.AsType[*diag.Problem](err); !ok || p.Error() != want || p.Hint == "" {
			t.Errorf("%s: got %v\nwant %s", file, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	const head = "edition: 1.0.0\nname: n\n"
	const head3 = "edition: 3.0.0\nname: n\n"
	tests := []struct{ name, in, want, hint string }{
		{"empty", "", "1:1: the file is empty", "edition: 1.0.0"},
		{"list", "- a\n", "1:1: the file is a list, not a mapping", "edition: 1.0.0"},
		{"no edition", "name: n\nservices: {}\n", "1:1: the file has no edition", "add edition: 1.0.0"},
		{"no edition, resources", "name: n\nresources: {}\n", "1:1: the file has no edition", "add edition: 3.0.0"},
		{"other file", "on: push\njobs: {}\n", "1:1: the file has no edition", "does not look like an application file"},
		{"edition 4", "edition: 4.0.0\n", "1:10: edition \"4.0.0\" is not supported", "use 1.0.0"},
		{"edition number", "edition: 1.0\n", "1:10: edition \"1.0\" is not supported", "use 1.0.0"},
		{"access list", head + "access: [a]\nservices: {a: {component: fc}}\n", "3:9: access is a list", "alias"},
		{"vars list", head + "vars: [a]\nservices: {a: {component: fc}}\n", "3:7: vars is a list, not a mapping", "name: value"},
		{"no services", head, "1:1: the file has no services", "add services:"},
		{"Service", head + "Service: {a: {component: fc}}\n", "3:1: the key Service has no meaning", "did you mean services?"},
		{"Services", head + "Services: {a: {component: fc}}\n", "3:1: the key Services has no meaning", "did you mean services?"},
		{"resource in 3", head3 + "resource: {a: {component: fc}}\n", "3:1: the key resource has no meaning", "did you mean resources?"},
		{"services in 3", head3 + "services: {a: {component: fc}}\n", "3:1: edition 3.0.0 has no services", "write edition: 1.0.0"},
		{"resources in 1", head + "resources: {a: {component: fc3}}\n", "3:1: edition 1.0.0 has no resources", "write edition: 3.0.0"},
		{"services list", head + "services: [a]\n", "3:11: services is a list, not a mapping of names", "name of a service"},
		{"services null", head + "services:\n", "3:10: services is empty, not a mapping of names", "name of a service"},
		{"service text", head + "services: {a: fc}\n", "3:15: the service a is a text, not a mapping", "component:"},
		{"service null", head + "services:\n  a:\n", "4:3: the service a is empty, not a mapping", "component:"},
		{"no component", head + "services: {a: {props: {}}}\n", "3:12: the service a has no component", "add component:"},
		{"Component", head + "services: {a: {Component: fc}}\n", "3:12: the service a has no component", "rename Component to component"},
		{"component null", head + "services: {a: {component: }}\n", "3:12: the component of service a is empty", "component: fc"},
		{"component blank", head + "services: {a: {component: ' '}}\n", "3:12: the component of service a is empty", "component: fc"},
		{"component number", head + "services: {a: {component: 1}}\n", "3:27: the component of service a is a whole number, not a name", "component: fc"},
		{"service access", head + "services: {a: {component: fc, access: {}}}\n", "3:39: access is a mapping", "alias"},
		{"props list", head + "services: {a: {component: fc, props: [1]}}\n", "3:38: props of service a is a list, not a mapping", "name: value"},
		{"allow_failure", head3 + "resources: {a: {component: fc, allow_failure: 1}}\n", "3:47: allow_failure is a whole number", "allow_failure: true"},
		{"allow_failure key", head3 + "resources: {a: {component: fc, allow_failure: {exit_codes: [1]}}}\n", "3:48: exit_codes in allow_failure is not understood", "exit_code: [1]"},
		{"allow_failure value", head3 + "resources: {a: {component: fc, allow_failure: {exit_code: [x]}}}\n", "3:48: exit_code in allow_failure is not understood", "exit_code: [1]"},
		{"template missing", head3 + "template: {base: {}}\nresources: {a: {component: fc, extend: {name: bass}}}\n", "4:47: there is no template bass", "did you mean base?"},
		{"template none", head3 + "resources: {a: {component: fc, extend: {name: base}}}\n", "3:47: there is no template base", "add template:"},
		{"template text", head3 + "template: {base: x}\nresources: {a: {component: fc, extend: {name: base}}}\n", "3:18: the template base is a text, not a mapping", "properties"},
		{"extend text", head3 + "resources: {a: {component: fc, extend: base}}\n", "3:40: extend of a resource needs the name of a template", "extend: { name: base }"},
		{"ignore", head3 + "template: {base: {}}\nresources: {a: {component: fc, extend: {name: base, ignore: {}}}}\n", "4:61: ignore is not a list of names", "ignore: ["},
		{"flow list", head3 + "resources: {a: {component: fc}}\nflow: [a]\n", "4:7: flow is a list, not a mapping", "deploy: [[a]"},
		{"flow text", head3 + "resources: {a: {component: fc}}\nflow: {deploy: a}\n", "4:16: flow is invalid: deploy is a text, not a list of groups", "[[a], [b, c]]"},
		{"flow unknown", head3 + "resources: {abc: {component: fc}}\nflow: {deploy: [[abd]]}\n", "4:18: flow is invalid: there is no resource abd", "did you mean abc?"},
		{"flow twice", head3 + "resources: {a: {component: fc}}\nflow: {deploy: [[a], [a]]}\n", "4:23: flow is invalid: a is listed twice for deploy", "once"},
		{"flow group", head3 + "resources: {a: {component: fc}}\nflow: {deploy: [{a: b}]}\n", "4:17: flow is invalid: a group of deploy is not a list of resource names", "[[a]"},
		{"flow order", head3 + "resources:\n  a: {component: fc, props: {x: \"${resources.b.output.u}\"}}\n  b: {component: fc}\nflow: {deploy: [[a, b]]}\n", "6:18: flow is invalid: a uses the output of b, which does not run before it", "put b into a group before [a, b]"},
		{"flow key", head3 + "resources: {a: {component: fc}}\nflow: {\"${env('X')}\": [[a]]}\n", "4:8: ${env('X')} cannot stand in a key", "${regex('...')}"},
		{"template file", "edition: 1.0.0\nname: {{ name }}\n", "2:7: {{ name }} is a placeholder: this file is an application template", "s init"},
		{"template file, broken", "edition: 1.0.0\nname: {{ name }} x\n", "2:7: {{ name }} is a placeholder: this file is an application template", "s init"},
		{"template file, quoted", head + "services:\n  a: {component: fc, props: {region: '{{ region }}'}}\n", "4:38: {{ region }} is a placeholder: this file is an application template", "s init"},
		{"template file, key", head + "vars: {'x_{{a}}': 1}\nservices: {a: {component: fc}}\n", "3:8: {{a}} is a placeholder: this file is an application template", "s init"},
	}
	for _, test := range tests {
		_, err := loadText(test.in)
		p, ok := errors.AsType[*diag.Problem](err)
		if !ok {
			t.Errorf("%s: %v is no Problem", test.name, err)
			continue
		}
		if got := strings.TrimPrefix(p.Error(), "s.yaml:"); got != test.want || len(diag.List(err)) != 1 {
			t.Errorf("%s: got %v\nwant %s", test.name, err, test.want)
		}
		if !strings.Contains(p.Hint, test.hint) || p.Hint == "" {
			t.Errorf("%s: hint %q, want %q", test.name, p.Hint, test.hint)
		}
	}
}

// What is wrong in several places is reported at once.
func TestAllProblems(t *testing.T) {
	_, err := loadText("edition: 1.0.0\nservices:\n  a: {}\n  b: {component: fc, actions: {deploy: []}}\n")
	if n := len(diag.List(err)); n != 2 {
		t.Errorf("%d problems: %v", n, err)
	}
}

func TestWarnings(t *testing.T) {
	a := mustLoad(t, `edition: 1.0.0
name: n
acess: default
env: ./env.yaml
anything: 1
services:
  a:
    component: fc
    prop: {}
    region: x
    extend: {name: b}
resources: {}
`)
	want := []string{
		"s.yaml:3:1: the key acess has no meaning; did you mean access?",
		"s.yaml:12:1: resources has no meaning in edition 1.0.0 and is not deployed",
		"s.yaml:11:13: extend of a service has no meaning in edition 1.0.0",
		"s.yaml:9:5: the key prop of service a has no meaning; did you mean props?",
		"s.yaml:10:5: the key region of service a has no meaning; properties belong below props:",
	}
	if diff := cmp.Diff(want, a.Warnings); diff != "" {
		t.Error(diff)
	}
	a = mustLoad(t, "edition: 3.0.0\nname: n\nenv: ./env.yaml\nresources: {a: {component: fc3}}\n")
	want = []string{"s.yaml:3:6: env: environments (env.yaml) are not supported; the file is used without them"}
	if diff := cmp.Diff(want, a.Warnings); diff != "" {
		t.Error(diff)
	}
}

// {{ }} of shell text and of the function's own environment is not ours.
func TestBracesThatAreNoTemplate(t *testing.T) {
	mustLoad(t, `edition: 1.0.0
name: n
services:
  a:
    component: fc
    actions: {pre-deploy: [{run: "docker ps --format '{{.ID}}' && echo '{{ x }}'"}]}
    props: {function: {environmentVariables: {GREETING: "hello {{ name }}"}, description: "{{.ID}} {{}} {{1}}"}}
`)
}

func TestVarsFromExpression(t *testing.T) {
	a := mustLoad(t, "edition: 1.0.0\nname: n\nvars: ${file(v.yaml)}\nservices: {a: {component: fc, props: \"${vars.p}\"}}\n")
	if len(a.Service("a").Props.Exprs) != 1 {
		t.Errorf("got %+v", a.Service("a").Props)
	}
}

func TestNamelessApplicationIsCalledLikeItsFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "s.yaml"), []byte("edition: 1.0.0\nservices: {a: {component: fc}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := spec.Load(spec.Options{Dir: dir})
	if err != nil || a.Name != "shop" {
		t.Fatalf("got %q, %v", a.Name, err)
	}
	if len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "add name: shop") {
		t.Error(a.Warnings)
	}
}
