package expr_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/expr"
)

func TestShell(t *testing.T) {
	tests := []struct{ in, want string }{
		{"echo ${env(REGION)}", "echo cn-beijing"},
		{"echo ${vars.region} ${this.name}", "echo cn-hangzhou web"},
		{"cd ${path(./sub)}", "cd /app/sub"},
		{"echo ${HOME} ${A:-b} ${A:-${vars.region}} $(pwd) $$ $1 ${#a} ${a[@]}", "echo ${HOME} ${A:-b} ${A:-cn-hangzhou} $(pwd) $$ $1 ${#a} ${a[@]}"},
		{"echo $${vars.region}", "echo $cn-hangzhou"},
		{"echo ${name} ${vars} ${vars[0]} ${services[0]} ${web}", "echo ${name} ${vars} ${vars[0]} ${services[0]} ${web}"},
		{"a ${foo.bar} ${foo(x)} ${unclosed", "a ${foo.bar} ${foo(x)} ${unclosed"},
		{"docker ps --format '{{.ID}}' | awk '{print $1}'", "docker ps --format '{{.ID}}' | awk '{print $1}'"},
	}
	for _, test := range tests {
		for _, edition := range []app.Edition{one, three} {
			s := scope(t, edition)
			s.Mode = expr.Shell
			got, warnings, err := expr.Evaluate(expr.Text(test.in, diag.Pos{}), s)
			if err != nil || got.Str() != test.want || len(warnings) != 0 {
				t.Errorf("%s: got %q, %v, %v\nwant %q", edition, got.Str(), warnings, err, test.want)
			}
		}
	}
	for _, in := range []string{"echo ${env(NOPE)}", "echo ${vars.nope}", "echo ${env('X)}", "echo ${web.props.nope}", "echo ${nope.output.x}"} {
		s := scope(t, one)
		s.Mode = expr.Shell
		if _, _, err := expr.Evaluate(expr.Text(in, diag.Pos{}), s); err == nil {
			t.Errorf("%s: no error", in)
		}
	}
}

func TestAllowUnresolved(t *testing.T) {
	s := scope(t, three)
	s.AllowUnresolved = true
	v := parse(t, "a: ${env(NOPE)}\nb: x-${vars.nope}-${vars.region}\nc: ${HOME}\nd: ${env('}\n")
	got, warnings, err := expr.Evaluate(v, s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": "${env(NOPE)}", "b": "x-${vars.nope}-cn-hangzhou", "c": "${HOME}", "d": "${env('}"}
	if diff := cmp.Diff(want, got.Plain()); diff != "" {
		t.Error(diff)
	}
	if len(warnings) != 4 || !strings.HasPrefix(warnings[0].String(), "s.yaml:1:4: ${env(NOPE)} stays as written: ") {
		t.Errorf("warnings: %v", warnings)
	}
}

func TestWarnings(t *testing.T) {
	v := parse(t, "a: ${HOME}\nb: [\"${environment.x}\", \"${vars.home}\"]\nc: ${env(EMPTY)}\nd: x${vars.none}\ne: ${aliyun-cli}\nf: ${x")
	_, warnings, err := expr.Evaluate(v, scope(t, one))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	want := []string{
		"s.yaml:1:4: ${HOME} is no known expression and stays as written",
		"s.yaml:2:6: ${environment.x} is no known expression and stays as written",
		"s.yaml:15:9: ${HOME} is no known expression and stays as written",
		"s.yaml:3:4: the environment variable EMPTY is set, but empty",
		"s.yaml:4:5: ${vars.none} is null; nothing is put into the text",
		"s.yaml:6:4: ${x is no known expression and stays as written",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// All problems are found at once, each at its own place, whatever the style of the
// scalar is; columns count characters.
func TestPlaces(t *testing.T) {
	v := parse(t, `a: ${env(A)} and ${env(B)}
b: "中文 ${env(C)}"
c: 'it''s ${env(D)}'
d: |
  first ${vars.region}
    中 ${env(E)}
e: >-
  folded
  text ${env(F)}
f: two
  lines ${env(G)}
g: &x
  - ${env(H)}
h: ${A:-${env(I)}}
`)
	_, _, err := expr.Evaluate(v, scope(t, one))
	var got []string
	for _, e := range diag.List(err) {
		got = append(got, strings.TrimPrefix(e.Error(), "s.yaml:"))
	}
	want := []string{"1:4 A", "1:18 B", "2:8 C", "3:11 D", "6:7 E", "9:8 F", "11:9 G", "13:5 H", "14:9 I"}
	for i, w := range want {
		pos, name, _ := strings.Cut(w, " ")
		want[i] = pos + ": the environment variable " + name + " is not set"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A service's props may use another one's as long as no value needs itself; a
// failure behind several references is reported once.
func TestOneProblemForManyUses(t *testing.T) {
	v := parse(t, "a: ${vars.bad}\nb: ${vars.bad}\nc: [\"${vars.bad}\"]")
	_, _, err := expr.Evaluate(v, scope(t, three))
	if n := len(diag.List(err)); n != 1 {
		t.Errorf("%d problems: %v", n, err)
	}
}

func TestNilScope(t *testing.T) {
	for _, in := range []string{"${env(X)}", "${config(X)}", "${secret(X)}", "${file(x)}", "${vars.x}", "${this.name}", "${a.props.x}"} {
		_, _, err := expr.Evaluate(expr.Text(in, diag.Pos{File: "s.yaml", Line: 2}), &expr.Scope{Edition: one})
		if err == nil || !strings.HasPrefix(err.Error(), "s.yaml:2: ") {
			t.Errorf("%s: %v", in, err)
		}
	}
	if v, _, err := expr.Evaluate(nil, &expr.Scope{}); v != nil || err != nil {
		t.Error(v, err)
	}
}

// Only a text that was written in an application file is evaluated.
func TestDataIsNotEvaluated(t *testing.T) {
	data := app.From(map[string]any{"a": "${vars.region}", "b": []any{"${env(NOPE)}"}}, diag.Pos{})
	got, _, err := expr.Evaluate(data, scope(t, three))
	if err != nil || got != data {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestSecretsStaySecret(t *testing.T) {
	s := scope(t, three)
	s.Root = parse(t, `vars:
  direct: ${env(PASSWORD)}
  text: "a ${vars.direct} b"
  tree: {x: "${env(PASSWORD)}", y: open}
  parsed: ${json(env('JSON'))}
`)
	s.Service = func(string) *expr.View { return &expr.View{Name: "o", Props: s.Root.Get("vars")} }
	v := parse(t, `
- ${vars.direct}
- ${vars.text}
- ${vars.tree.x}
- ${vars.parsed.a[1]}
- ${str(vars.tree)}
- ${o.props.text}
- "${vars.tree.y}${o.props.tree.x}"
- x${back.output.z}
`)
	got, _, err := expr.Evaluate(v, s)
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range got.Items[:7] {
		if !item.HasSecret() {
			t.Errorf("item %d is not secret", i)
		}
	}
	if text := fmt.Sprintf("%v", got.Plain()); strings.Contains(text, "pa$") {
		t.Errorf("printed: %s", text)
	}
	_, _, err = expr.Evaluate(expr.Text("${vars.parsed.b}", diag.Pos{}), s)
	p, ok := errors.AsType[*diag.Problem](err)
	if !ok || strings.Contains(p.Error()+p.Hint, "one of") || strings.Contains(p.Hint, "a,") {
		t.Errorf("keys of a secret are shown: %v", err)
	}
	tree, _, err := expr.Evaluate(expr.Text("${vars.tree}", diag.Pos{}), s)
	if err != nil || tree.Get("y").Secret || !tree.Get("x").Secret {
		t.Errorf("tree: %v %v", tree.Plain(), err)
	}
}

// Variables that repeat variables end in an error, not in memory or time.
func TestLimits(t *testing.T) {
	var b strings.Builder
	b.WriteString("vars:\n  x0: " + strings.Repeat("y", 1000) + "\n  l0: [a, b]\n")
	for i := 1; i < 60; i++ {
		fmt.Fprintf(&b, "  x%d: ${vars.x%d}${vars.x%d}\n  l%d: [\"${vars.l%d}\", \"${vars.l%d}\"]\n", i, i-1, i-1, i, i-1, i-1)
	}
	s := scope(t, three)
	s.Root = parse(t, b.String())
	for _, in := range []string{"${vars.x59}", "${vars.l59}"} {
		_, _, err := expr.Evaluate(expr.Text(in, diag.Pos{}), s)
		if err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
			t.Errorf("%s: %v", in, err)
		}
	}
	b.Reset()
	b.WriteString("vars:\n  x0: y\n")
	for i := 1; i < 1000; i++ {
		fmt.Fprintf(&b, "  x%d: ${vars.x%d}\n", i, i-1)
	}
	s.Root = parse(t, b.String())
	_, _, err := expr.Evaluate(expr.Text("${vars.x999}", diag.Pos{}), s)
	if err == nil || !strings.Contains(err.Error(), "levels deep") {
		t.Error(err)
	}
	nested := strings.Repeat("json(", 50) + "vars.x" + strings.Repeat(")", 50)
	_, _, err = expr.Evaluate(expr.Text("${"+nested+"}", diag.Pos{}), s)
	if err == nil || !strings.Contains(err.Error(), "nested too deeply") {
		t.Error(err)
	}
}

func TestReferences(t *testing.T) {
	v := parse(t, `
a: ${vars.x.y}
b: "${web.props.name} ${services.web.output.url} ${resources.r.info.x[0]} ${components.c.output}"
c: ["${this.props.x}", "${this.name}", "${env(X)}", "${HOME}", "${r.vars.t}"]
d: ${env('X', vars.z)}
e: ${json(web.output.all)}
f: ${env('X', path('.'))}
`)
	var got []string
	for _, r := range expr.References(v, three) {
		got = append(got, fmt.Sprintf("%d:%d %s/%s/%s", r.Pos.Line, r.Pos.Column, r.Service, r.Kind, strings.Join(r.Path, ".")))
	}
	want := []string{
		"2:4 /root/vars.x.y",
		"3:5 web/props/name", "3:23 web/output/url", "3:50 r/info/x.0", "3:75 c/output/",
		"4:6 this/props/x", "4:25 this/other/name", "4:54 /root/HOME", "4:65 r/vars/t",
		"5:4 /root/vars.z", "6:4 web/output/all",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	// In 1.0.0 a name without quotes is a name.
	if refs := expr.References(expr.Text("${file(vars.yaml)}", diag.Pos{}), one); len(refs) != 0 {
		t.Errorf("got %v", refs)
	}
}

func TestAliasAndLookup(t *testing.T) {
	root := parse(t, document)
	if path, ok := expr.Alias(root.Get("vars", "link")); !ok || strings.Join(path, ".") != "vars.map" {
		t.Error(path, ok)
	}
	for _, key := range []string{"nested", "region", "password", "url"} {
		if path, ok := expr.Alias(root.Get("vars", key)); ok {
			t.Error(key, path)
		}
	}
	if v := expr.Lookup(root, []string{"vars", "link", "k"}); v != root.Get("vars", "link") {
		t.Errorf("got %v", v.Plain())
	}
	if v := expr.Lookup(root, []string{"vars", "list", "1", "b"}); v.Str() != "c" {
		t.Errorf("got %v", v.Plain())
	}
	if v := expr.Lookup(root, []string{"vars", "no", "b"}); v != nil {
		t.Errorf("got %v", v.Plain())
	}
}
