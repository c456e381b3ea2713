package graph_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/expr"
	"github.com/devs/deploy/pkg/graph"
	"github.com/devs/deploy/pkg/spec/yamlvalue"
)

// nodes reads "a: b c~" as: a needs b, and c softly.
func nodes(lines ...string) []graph.Node {
	var all []graph.Node
	for i, line := range lines {
		name, rest, _ := strings.Cut(line, ":")
		n := graph.Node{Name: name, Pos: diag.Pos{File: "s.yaml", Line: i + 1}}
		for dep := range strings.FieldsSeq(rest) {
			hard := strings.TrimSuffix(dep, "~")
			n.Deps = append(n.Deps, graph.Dep{Name: hard, Soft: hard != dep, Pos: diag.Pos{File: "s.yaml", Line: 10*i + 10}})
		}
		all = append(all, n)
	}
	return all
}

func TestLevels(t *testing.T) {
	tests := []struct {
		name  string
		in    []graph.Node
		want  string // groups between |
		order string
	}{
		{"empty", nil, "", ""},
		{"file order", nodes("c", "a", "b"), "c a b", "c a b"},
		{"chain against file order", nodes("a: b", "b: c", "c"), "c|b|a", "c b a"},
		{"diamond", nodes("top: l r", "l: base", "r: base", "base"), "base|l r|top", "base l r top"},
		{"ties keep the order of the file", nodes("a: z", "b", "z", "c"), "b z c|a", "b z a c"},
		{"twice the same", nodes("a: b b", "b"), "b|a", "b a"},
		{"soft orders", nodes("a: b~", "b"), "b|a", "b a"},
		{"soft gives way to hard", nodes("a: b~", "b: a"), "a|b", "a b"},
		{"soft against soft", nodes("a: b~", "b: a~"), "a b", "a b"},
		{"soft outside the cycle stays", nodes("x: a~", "a: b~", "b: a"), "a|x b", "a x b"},
		{"soft on oneself", nodes("a: a~"), "a", "a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			levels, err := graph.Levels(test.in)
			if err != nil {
				t.Fatal(err)
			}
			groups := make([]string, len(levels))
			for i, l := range levels {
				groups[i] = strings.Join(l, " ")
			}
			if got := strings.Join(groups, "|"); got != test.want {
				t.Errorf("levels %q, want %q", got, test.want)
			}
			order, err := graph.Order(test.in)
			if got := strings.Join(order, " "); err != nil || got != test.order {
				t.Errorf("order %q, %v, want %q", got, err, test.order)
			}
		})
	}
}

func TestLevelsErrors(t *testing.T) {
	tests := []struct {
		name string
		in   []graph.Node
		want string
	}{
		{"two", nodes("a: b", "b: a"), "s.yaml:10: the services need each other: a -> b -> a"},
		{"itself", nodes("x", "a: a"), "s.yaml:20: the services need each other: a -> a"},
		{"behind a tail", nodes("t: a", "a: b", "b: c", "c: a"), "s.yaml:20: the services need each other: a -> b -> c -> a"},
		{"soft ones do not hide it", nodes("a: b b~", "b: a"), "s.yaml:10: the services need each other: a -> b -> a"},
		{"unknown", nodes("a: bakend", "backend"), "s.yaml:10: a refers to bakend, which does not exist"},
		{"twice", nodes("a", "a"), "s.yaml:2: a is there twice"},
	}
	for _, test := range tests {
		for _, f := range []func([]graph.Node) error{
			func(n []graph.Node) error { _, err := graph.Levels(n); return err },
			func(n []graph.Node) error { _, err := graph.Order(n); return err },
		} {
			err := f(test.in)
			p, ok := errors.AsType[*diag.Problem](err)
			if !ok || p.Error() != test.want || p.Hint == "" {
				t.Errorf("%s: got %v, want %s", test.name, err, test.want)
			}
		}
	}
}

func TestLevelsKeepsItsInput(t *testing.T) {
	in := nodes("a: b~", "b: a")
	if _, err := graph.Levels(in); err != nil {
		t.Fatal(err)
	}
	if len(in[0].Deps) != 1 {
		t.Error("the nodes were changed")
	}
}

func load(t *testing.T, edition app.Edition, text string) *app.App {
	t.Helper()
	root, err := yamlvalue.Parse([]byte(text), yamlvalue.Options{File: "s.yaml", Expressions: true})
	if err != nil {
		t.Fatal(err)
	}
	a := &app.App{Edition: edition, Root: root}
	section := root.Get("services")
	if edition == app.Edition3 {
		section = root.Get("resources")
	}
	for _, e := range section.Entries {
		s := &app.Service{Name: e.Key, Pos: e.KeyPos, Component: e.Value.Get("component"), Access: e.Value.Get("access"), Props: e.Value.Get("props")}
		if run := e.Value.Get("run"); run != nil {
			s.Actions = []app.Action{{Stage: app.Pre, Command: "deploy", Steps: []app.Step{{Kind: app.Run, Do: run}}}}
		}
		a.Services = append(a.Services, s)
	}
	return a
}

func TestNodes(t *testing.T) {
	a := load(t, app.Edition1, `
vars: {url: "${api.output.url}", region: r, shared: {v: "${this.props.w}"}}
services:
  web:
    component: fc
    props: {a: "${vars.url}", b: "${services.db.props.name}", c: "${this.props.a}", d: "${HOME} ${nobody.output.x}"}
  api:
    props: {x: "${web.props.b}", own: "${this.output.url} ${this.name}", again: "${web.output.y}"}
    run: echo ${cache.output.host} ${api.output.url}
  db:
    access: ${cache.info.alias}
    props: {name: "${cache.props.n}", z: "${vars.shared.v}"}
  cache:
    props: {n: "${late.output.n}"}
  late:
    props: {m: 1}
`)
	var got []string
	for _, n := range graph.Nodes(a) {
		var deps []string
		for _, d := range n.Deps {
			name := d.Name
			if d.Soft {
				name += "~"
			}
			if d.Pos.Line == 0 {
				t.Errorf("%s -> %s has no place", n.Name, d.Name)
			}
			deps = append(deps, name)
		}
		slices.Sort(deps)
		got = append(got, n.Name+": "+strings.Join(deps, " "))
	}
	want := []string{
		"web: api cache~ db~ late", // late through db.props.name and cache.props.n
		"api: cache cache~ db~ late web",
		"db: cache late",
		"cache: late",
		"late: ",
	}
	want[1] = "api: cache db~ late web"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := graph.Levels(graph.Nodes(a)); err == nil || !strings.Contains(err.Error(), "web -> api -> web") {
		t.Errorf("got %v", err)
	}
}

// The own output in props can never be known; in a hook it can.
func TestOwnOutput(t *testing.T) {
	a := load(t, app.Edition3, "resources: {a: {props: {x: \"${resources.a.output.y}\"}}}")
	if _, err := graph.Levels(graph.Nodes(a)); err == nil || !strings.Contains(err.Error(), "a -> a") {
		t.Errorf("got %v", err)
	}
	a = load(t, app.Edition3, "resources: {a: {run: \"${resources.a.output.y}\"}}")
	if _, err := graph.Levels(graph.Nodes(a)); err != nil {
		t.Error(err)
	}
}

// Props that use each other are no cycle, and are evaluated.
func TestPropsOfEachOther(t *testing.T) {
	a := load(t, app.Edition3, `
resources:
  a: {props: {name: a-fn, peer: "${resources.b.props.name}"}}
  b: {props: {name: b-fn, peer: "${resources.a.props.name}", url: "${resources.a.output.url}"}}
`)
	levels, err := graph.Levels(graph.Nodes(a))
	if diff := cmp.Diff([][]string{{"a"}, {"b"}}, levels); err != nil || diff != "" {
		t.Error(err, diff)
	}
	s := &expr.Scope{Edition: a.Edition, Root: a.Root, Service: func(name string) *expr.View {
		if s := a.Service(name); s != nil {
			return expr.ViewOf(a, s)
		}
		return nil
	}}
	got, _, err := expr.Evaluate(a.Services[0].Props, s)
	if err != nil || got.Get("peer").Str() != "b-fn" {
		t.Error(got.Plain(), err)
	}
}
