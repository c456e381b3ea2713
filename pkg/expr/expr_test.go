package expr_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/expr"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/pkg/spec/yamlvalue"
)

const (
	one   = app.Edition1
	three = app.Edition3
)

func parse(t testing.TB, text string) *app.Value {
	t.Helper()
	v, err := yamlvalue.Parse([]byte(text), yamlvalue.Options{File: "s.yaml", Expressions: true})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// document has what the tests refer to; v is added by each of them.
const document = `
name: shop
config: {zone: z1}
vars:
  region: cn-hangzhou
  nested: in-${vars.region}
  port: 9000
  on: true
  tag: 1.10
  none: ~
  list: [a, {b: c}]
  map: {k: v, n: 1}
  cn-region: cn-shanghai
  password: ${env(PASSWORD)}
  home: ${HOME}
  own: ${this.name}-x
  link: ${vars.map}
  loop: ${vars.pool}
  pool: x${vars.loop}
  bad: ${env(NOPE)}
  url: ${back.output.url}
services: &s
  web:
    props: {name: web-fn, deep: {path: "${vars.region}"}, other: "${back.props.name}", size: "${this.props.count}", count: 3, self: "${this.props.self}"}
    vars: {tier: gold}
  back:
    props: {name: "back-${this.name}", peer: "${web.props.deep.path}"}
  done:
    props: {name: done}
resources: *s
`

func scope(t testing.TB, edition app.Edition) *expr.Scope {
	t.Helper()
	return scopeOf(parse(t, document), edition)
}

func scopeOf(root *app.Value, edition app.Edition) *expr.Scope {
	env := map[string]string{"PASSWORD": "pa$&$$ss: 'q' \"d\"\n${env(REGION)}", "REGION": "cn-beijing", "EMPTY": "", "JSON": `{"a":[1,"x"]}`, "FILE": "a.txt"}
	files := map[string]string{
		"/app/a.txt": "text ${vars.region}", "/app/a.json": `{"k": [1, {"x": "${vars.region}"}]}`, "/app/a.yaml": "k: {n: 01x}\n", "/app/sub": "",
	}
	views := map[string]*expr.View{}
	for _, name := range root.Get("services").Keys() {
		views[name] = &expr.View{
			Name: name, Access: app.Text("default"), Component: expr.Text("fc@${vars.port}", diag.Pos{}),
			Props: root.Get("services", name, "props"), Vars: root.Get("services", name, "vars"),
		}
	}
	views["done"].Output = app.From(map[string]any{
		"url": "http://done", "list": []any{map[string]any{"domain": "d0"}}, "text": "${vars.region}",
	}, diag.Pos{})
	return &expr.Scope{
		Edition: edition,
		Dir:     "/app",
		Env:     func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
		Exists: func(path string) bool { _, ok := files[path]; return ok || path == "/" },
		Root:   root,
		Config: func(field string) (*app.Value, error) {
			if field == "AccountID" {
				return app.Text("1234567890"), nil
			}
			return nil, nil
		},
		Secret: func(key string) (*app.Value, error) {
			if key == "k" {
				return app.Text("hidden"), nil
			}
			return nil, errors.New("locked")
		},
		This:         views["web"],
		Service:      func(name string) *expr.View { return views[name] },
		ServiceNames: []string{"web", "back", "done"},
	}
}

// plain shows secrets, so that tests can compare them.
func plain(v *app.Value) any {
	switch got := v.Plain().(type) {
	case secret.String:
		return "secret:" + got.Reveal()
	default:
		return got
	}
}

const password = "secret:pa$&$$ss: 'q' \"d\"\n${env(REGION)}"

func TestEvaluate(t *testing.T) {
	m := func(kv ...any) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i].(string)] = kv[i+1]
		}
		return out
	}
	type editions []app.Edition
	both, only1, only3 := editions{one, three}, editions{one}, editions{three}
	tests := []struct {
		in   string
		want any
		eds  editions
	}{
		{"plain", "plain", both},
		{"${env(REGION)}", "secret:cn-beijing", both},
		{"${env('REGION')}", "secret:cn-beijing", both},
		{`${env("REGION")}`, "secret:cn-beijing", both},
		{"${ env( REGION ) }", "secret:cn-beijing", both},
		{"${env.REGION}", "secret:cn-beijing", both},
		{"r-${env(REGION)}", "secret:r-cn-beijing", both},
		{"${env('NOPE', 'dflt')}", "dflt", both},
		{"${env(NOPE, dflt)}", "dflt", both},
		{"${env('NOPE', '')}", "", both},
		{"${env('NOPE', 80)}", int64(80), both},
		{"${env('NOPE', true)}", true, both},
		{"${env('NOPE', vars.region)}", "cn-hangzhou", both},
		{"${env('NOPE', path('..'))}", "/", both},
		{"${env('NOPE', 'a}b, c)')}", "a}b, c)", both},
		{"${env(EMPTY)}", "secret:", both},
		{"${env(PASSWORD)}", password, both},
		{"${vars.password}", password, both},
		{"a${vars.password}b", "secret:a" + password[7:] + "b", both},
		{"${vars.region}", "cn-hangzhou", both},
		{"${vars['region']}", "cn-hangzhou", both},
		{"${vars.cn-region}", "cn-shanghai", both},
		{"${vars.nested}", "in-cn-hangzhou", both},
		{"${vars.port}", int64(9000), both},
		{"p${vars.port}", "p9000", both},
		{"img:${vars.tag}", "img:1.10", both},
		{"${vars.tag}", 1.1, both},
		{"${vars.on}", true, both},
		{"${vars.none}", nil, both},
		{"${vars.list}", []any{"a", m("b", "c")}, both},
		{"${vars.list[1].b}", "c", both},
		{"${vars.list.1.b}", "c", both},
		{"${vars.map}", m("k", "v", "n", int64(1)), both},
		{"${vars.link.k}", "v", both},
		{"${vars.own}", "web-x", both},
		{"${config.zone}", "z1", both},
		{"${config(AccountID)}", "secret:1234567890", both},
		{"${config('AccountID')}", "secret:1234567890", both},
		{"acs:ram::${config('AccountID')}:role/x", "secret:acs:ram::1234567890:role/x", both},
		{"${secret('k')}", "secret:hidden", both},
		{"${path(./x)}", "/app/x", only1},
		{"${path(./sub)}", "/app/sub", both},
		{"${path('../')}", "/", both},
		{"${path(./sub)} test", "/app/sub test", both},
		{"${file('a.txt')}", "text ${vars.region}", both},
		{"${file(./a.txt)}", "text ${vars.region}", both},
		{"${file(a.json)}", m("k", []any{int64(1), m("x", "${vars.region}")}), only1},
		{"${file(a.yaml)}", m("k", m("n", "01x")), only1},
		{"${file('a.yaml')}", "k: {n: 01x}\n", only3},
		{"${json(file('a.json'))}", m("k", []any{int64(1), m("x", "${vars.region}")}), both},
		{"${yaml(file('a.yaml'))}", m("k", m("n", "01x")), both},
		{"${str(vars.port)}", "9000", both},
		{"${str(vars.map)}", `{"k":"v","n":1}`, both},
		{"${this.name}", "web", both},
		{"${this.access}", "default", both},
		{"${this.component}", "fc@9000", both},
		{"${this.props.deep.path}", "cn-hangzhou", both},
		{"${this.props.size}", int64(3), both},
		{"${this.vars.tier}", "gold", both},
		{"${resources.web.vars.tier}", "gold", both},
		{"${back.props.name}", "back-back", both},
		{"${services.back.props.name}", "back-back", both},
		{"${resources.back.props.name}", "back-back", both},
		{"${back.props}", m("name", "back-back", "peer", "cn-hangzhou"), both},
		{"${this.props.other}", "back-back", both},
		{"${done.output.url}", "http://done", both},
		{"${resources.done.output.list.0.domain}", "d0", both},
		{"${components.done.output.list[0].domain}", "d0", both},
		{"${done.output.url}/${vars.region}", "http://done/cn-hangzhou", both},
		{"${done.output.text}", "${vars.region}", both},
		{"${back.output.url}", app.UnknownValue{Expr: "${back.output.url}"}, both},
		{"${resources.back.info.url}", app.UnknownValue{Expr: "${resources.back.info.url}"}, both},
		{"${vars.url}", app.UnknownValue{Expr: "${back.output.url}"}, both},
		{"x/${back.output.url}", app.UnknownValue{Expr: "x/${back.output.url}"}, both},
		{"${json(back.output.url)}", app.UnknownValue{Expr: "${back.output.url}"}, both},
		{"${aliyun-cli}", "${aliyun-cli}", both},
		{"${name}", "shop", only3},
		// Shell text stays in 1.0.0.
		{"${HOME}", "${HOME}", only1},
		{"${name}", "${name}", only1},
		{"${vars.home}", "${HOME}", only1},
		{"${A:-${env(REGION)}}", "secret:${A:-cn-beijing}", only1},
		{"${A:-b} $(c) $$ ${unclosed", "${A:-b} $(c) $$ ${unclosed", only1},
		{"${environment.region}", "${environment.region}", only1},
	}
	for _, test := range tests {
		for _, edition := range test.eds {
			t.Run(string(edition)+" "+test.in, func(t *testing.T) {
				s := scope(t, edition)
				got, _, err := expr.Evaluate(expr.Text(test.in, diag.Pos{File: "s.yaml", Line: 1, Column: 1}), s)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, plain(got)); diff != "" {
					t.Fatal(diff)
				}
				again, _, err := expr.Evaluate(got, s)
				if err != nil || again != got {
					t.Errorf("evaluated again: %v, %v", again, err)
				}
			})
		}
	}
}

func TestEvaluateErrors(t *testing.T) {
	tests := []struct{ in, one, three, hint string }{
		{"${env(NOPE)}", "1:4: the environment variable NOPE is not set", "=", "set NOPE, or give a default with ${env('NOPE', 'value')}, or pass --allow-unresolved to keep the text"},
		{"a ${env.NOPE} b", "1:6: the environment variable NOPE is not set", "=", "set NOPE"},
		{"${vars.regoin}", "1:4: ${vars.regoin}: vars has no regoin", "=", "did you mean region?"},
		{"${vars.map.kk.z}", "1:4: ${vars.map.kk.z}: vars.map has no kk", "=", "k"},
		{"${vars.list[7]}", "1:4: ${vars.list.7}: vars.list has no 7", "=", "a list with 2 entries"},
		{"${vars.port.x}", "1:4: ${vars.port.x}: vars.port has no x", "=", "a whole number"},
		{"${vars.bad}", "20:8: the environment variable NOPE is not set", "=", "set NOPE"},
		{"${this.props.nam}", "1:4: ${this.props.nam}: this.props has no nam", "=", "did you mean name?"},
		{"${this.outPut.url}", "1:4: ${this.outPut.url}: a service has no outPut.url", "=", "did you mean output?"},
		{"${bac.output.url}", "1:4: ${bac.output.url}: there is no service bac", "=", "did you mean back?"},
		{"${services.bac.props.x}", "1:4: ${services.bac.props.x}: there is no service bac", "=", "did you mean back?"},
		{"${back.outptu.url}", "1:4: ${back.outptu.url}: a service has no outptu.url", "=", "did you mean output?"},
		{"${done.output.urll}", "1:4: ${done.output.urll}: done.output has no urll", "=", "did you mean url?"},
		{"${config(Nope)}", "1:4: the credential has no field Nope", "=", "AccountID"},
		{"${secret('other')}", "1:4: ${secret('other')} cannot be resolved: locked", "=", "--allow-unresolved"},
		{"${file(gone.txt)}", "1:4: the file gone.txt cannot be read", "=", "relative to the folder"},
		{"${path('gone')}", "", "1:4: the path gone does not exist", "relative to the folder"},
		{"${json(file('a.txt'))}", "1:4: the argument of json() is not valid JSON", "=", "check the text"},
		{"${json(env('PASSWORD'))}", "1:4: the argument of json() is not valid JSON", "=", "check the text"},
		{"${env()}", "1:4: env() has 0 arguments", "=", "${env('NAME')}"},
		{"${file('a', 'b')}", "1:4: file() has 2 arguments", "=", "${file('./name')}"},
		{"${regex('.')}", "1:4: regex() is used in a value", "=", "in a key"},
		{"${evn('X')}", "1:4: evn is no function", "=", "did you mean env?"},
		{"${env('X)}", "1:4: ${env('X)} cannot be read: a quote is not closed", "=", "write it like"},
		{"${env('X'", "1:4: ${env('X' cannot be read: the ( of a function is not closed", "=", "write it like"},
		{"${vars.a b}", "1:4: ${vars.a b} cannot be read: it is neither a function such as env('X') nor a path such as vars.x", "=", "write it like"},
		{"${vars.region || 'x'}", "2:4: ${vars.region || 'x'} cannot be read: it is neither a function such as env('X') nor a path such as vars.x", "=", "write it like"},
		{"a${vars.list}", "1:5: ${vars.list} is a list and cannot be put into a text", "=", "as the whole value"},
		{"${HOME}", "", "1:4: ${HOME} is no known expression", "--allow-unresolved"},
		{"${A:-b}", "", "1:4: ${A:-b} cannot be read: it is neither a function such as env('X') nor a path such as vars.x", "--allow-unresolved"},
		{"${vars.loop}", "18:9: the value needs itself: vars.loop -> vars.pool -> vars.loop", "=", "give one of them"},
		{"${this.props.self}", "24:134: the value needs itself: this.props.self -> this.props.self", "=", "give one of them"},
	}
	for _, test := range tests {
		for _, edition := range []app.Edition{one, three} {
			want := test.one
			if edition == three && test.three != "=" {
				want = test.three
			}
			if want == "" {
				continue
			}
			t.Run(string(edition)+" "+test.in, func(t *testing.T) {
				v := parse(t, "v: "+quote(test.in)).Get("v")
				_, _, err := expr.Evaluate(v, scope(t, edition))
				problems := diag.List(err)
				if len(problems) != 1 {
					t.Fatalf("got %v", err)
				}
				p, ok := errors.AsType[*diag.Problem](problems[0])
				if !ok {
					t.Fatalf("%v is no Problem", problems[0])
				}
				if got := strings.TrimPrefix(p.Error(), "s.yaml:"); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if !strings.Contains(p.Hint, test.hint) {
					t.Errorf("hint %q, want %q", p.Hint, test.hint)
				}
				if diag.ExitCode(err) != diag.ExitTool {
					t.Errorf("exit code %d", diag.ExitCode(err))
				}
			})
		}
	}
}

// quote writes a text so that the column of its first character is 4, as in v: x;
// the texts of the test are plain where YAML allows it.
func quote(text string) string {
	if strings.ContainsAny(text, "|") || strings.Contains(text, ": ") {
		return ">-\n   " + text
	}
	return text
}
