package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// cloud is a cloud in memory with one kind of resource, "box".
type cloud struct {
	mu    sync.Mutex
	boxes map[string]resource.Attributes
	calls []string
	fail  map[string]error  // by call, such as "create a"
	on    func(call string) // is told of each call before it is answered; nil for nobody
}

func (c *cloud) call(verb, name string) error {
	c.mu.Lock()
	c.calls = append(c.calls, verb+" "+name)
	c.mu.Unlock()
	if c.on != nil {
		c.on(verb + " " + name)
	}
	return c.fail[verb+" "+name]
}

// changes returns the calls that are not reads.
func (c *cloud) changes() []string {
	var changes []string
	for _, call := range c.calls {
		if !strings.HasPrefix(call, "read ") {
			changes = append(changes, call)
		}
	}
	return changes
}

func (c *cloud) Read(_ context.Context, id resource.ID) (*resource.Found, error) {
	if err := c.call("read", id.Name); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if attrs, ok := c.boxes[id.Name]; ok {
		return &resource.Found{Attrs: attrs}, nil
	}
	return nil, nil
}

func (c *cloud) Create(_ context.Context, want *resource.Resource) (*resource.Found, error) {
	return c.put("create", want)
}

func (c *cloud) Update(_ context.Context, want *resource.Resource, _ *resource.Found, _ []string) (*resource.Found, error) {
	return c.put("update", want)
}

func (c *cloud) put(verb string, want *resource.Resource) (*resource.Found, error) {
	if err := c.call(verb, want.Name); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boxes[want.Name] = want.Attrs
	return &resource.Found{Attrs: want.Attrs}, nil
}

func (c *cloud) Delete(_ context.Context, id resource.ID, _ *resource.Found) error {
	if err := c.call("delete", id.Name); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.boxes, id.Name)
	return nil
}

// boxes is a component: props {boxes: {name: {size, after}}}.
type boxes struct{ cloud *cloud }

func (b boxes) Commands() []component.Command {
	return []component.Command{
		{Name: "plan"}, {Name: "deploy"}, {Name: "remove"},
		{Name: "count", Run: func(_ context.Context, call *component.Call) (*app.Value, error) {
			return app.From(len(call.Props.Get("boxes").Keys()), diag.Pos{}), nil
		}},
	}
}

func (b boxes) Types(context.Context, *component.Call) (map[resource.Kind]resource.Type, error) {
	return map[resource.Kind]resource.Type{"box": {Handler: b.cloud}}, nil
}

func (b boxes) Desired(_ context.Context, call *component.Call) (*component.Desired, error) {
	d := &component.Desired{Region: "r", Account: "a"}
	for _, e := range call.Props.Get("boxes").Entries {
		r := &resource.Resource{ID: resource.ID{Kind: "box", Name: e.Key}, Pos: e.KeyPos, Attrs: resource.Attributes{"size": e.Value.Get("size").Plain()}}
		if after := e.Value.Get("after"); after != nil {
			r.Deps = []resource.ID{{Kind: "box", Name: after.Str()}}
		}
		d.Resources = append(d.Resources, r)
	}
	d.Outputs = func(found map[resource.ID]*resource.Found) *app.Value {
		out := map[string]any{}
		for id, f := range found {
			out[id.Name] = f.Attrs["size"]
		}
		return app.From(out, diag.Pos{})
	}
	return d, nil
}

// run runs a command on services given as name → props.
func run(t *testing.T, c *cloud, req engine.Request, services ...*app.Service) (*engine.Result, []engine.Event, error) {
	t.Helper()
	if c.boxes == nil {
		c.boxes = map[string]resource.Attributes{}
	}
	root := &app.Value{Kind: app.Map}
	a := &app.App{Edition: app.Edition1, Name: "test", File: "s.yaml", Dir: t.TempDir(), Services: services, Root: root}
	entries := &app.Value{Kind: app.Map}
	for _, s := range services {
		entries.Entries = append(entries.Entries, app.Entry{Key: s.Name, Value: &app.Value{Kind: app.Map, Entries: []app.Entry{{Key: "props", Value: s.Props}}}})
	}
	root.Entries = []app.Entry{{Key: "services", Value: entries}}
	var events []engine.Event
	e := engine.New(config(a, c, func(ev engine.Event) { events = append(events, ev) }))
	result, err := e.Run(context.Background(), req)
	return result, events, err
}

func config(a *app.App, c *cloud, notify func(engine.Event)) engine.Config {
	return engine.Config{
		App:        a,
		Components: func(string, diag.Pos) (component.Component, error) { return boxes{c}, nil },
		Credential: func(string) (*credential.Credential, error) { return nil, errors.New("none") },
		Env:        func(string) (string, bool) { return "", false },
		ReadFile:   os.ReadFile,
		Exists:     func(string) bool { return false },
		Hooks:      engine.Hooks{Environ: os.Environ(), Output: io.Discard},
		Notify:     notify,
		Redactor:   &secret.Redactor{},
		Now:        func() time.Time { return time.Unix(0, 0) },
	}
}

// service makes a service with boxes "name=size" or "name=size<after".
func service(name string, specs ...string) *app.Service {
	all := &app.Value{Kind: app.Map}
	for i, s := range specs {
		box, rest, _ := strings.Cut(s, "=")
		size, after, dependent := strings.Cut(rest, "<")
		v := map[string]any{}
		if dependent {
			v["after"] = after
		}
		entry := app.From(v, diag.Pos{})
		text := app.Text(size)
		if strings.Contains(size, "${") {
			text.Exprs = []diag.Pos{{File: "s.yaml", Line: i + 1, Column: 1}}
		}
		entry.Entries = append(entry.Entries, app.Entry{Key: "size", Value: text})
		all.Entries = append(all.Entries, app.Entry{Key: box, Value: entry, KeyPos: diag.Pos{File: "s.yaml", Line: i + 1}})
	}
	return &app.Service{
		Name: name, Pos: diag.Pos{File: "s.yaml", Line: 1}, Component: app.Text("boxes"),
		Props: &app.Value{Kind: app.Map, Entries: []app.Entry{{Key: "boxes", Value: all}}},
	}
}

func statuses(r *engine.Result) map[string]engine.Status {
	m := map[string]engine.Status{}
	for _, s := range r.Services {
		m[s.Name] = s.Status
	}
	return m
}

func TestDeployCreatesInOrderAndAgainDoesNothing(t *testing.T) {
	c := &cloud{}
	svc := service("s", "c=3<b", "b=2<a", "a=1")
	if _, _, err := run(t, c, engine.Request{Command: "deploy"}, svc); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"create a", "create b", "create c"}, c.changes()); d != "" {
		t.Error(d)
	}
	c.calls = nil
	r, _, err := run(t, c, engine.Request{Command: "deploy"}, svc)
	if err != nil || len(c.changes()) > 0 {
		t.Errorf("second deploy: %v, %v", c.changes(), err)
	}
	if d := cmp.Diff(map[string]engine.Status{"s": engine.Unchanged}, statuses(r)); d != "" {
		t.Error(d)
	}
}

func TestDifferenceIsRefusedLeftOrApplied(t *testing.T) {
	for _, tc := range []struct {
		args    []string
		code    int
		changes []string
		status  engine.Status
	}{
		{nil, diag.ExitComponent, nil, ""},
		{[]string{"-y"}, diag.ExitComponent, nil, ""},
		{[]string{"--use-remote"}, 0, []string{"create new"}, engine.Done},
		{[]string{"--use-local"}, 0, []string{"create new", "update old"}, engine.Done},
	} {
		c := &cloud{boxes: map[string]resource.Attributes{"old": {"size": "1"}}}
		r, _, err := run(t, c, engine.Request{Command: "deploy", Args: tc.args}, service("s", "old=2", "new=1"))
		if got := diag.ExitCode(err); got != tc.code {
			t.Errorf("%v: exit code %d: %v", tc.args, got, err)
		}
		got := c.changes()
		slices.Sort(got)
		if d := cmp.Diff(tc.changes, got); d != "" {
			t.Errorf("%v: %s", tc.args, d)
		}
		if statuses(r)["s"] != tc.status {
			t.Errorf("%v: status %q", tc.args, statuses(r)["s"])
		}
		if err != nil && !strings.Contains(diag.Render(err), `size: "1" => "2"`) {
			t.Errorf("%v: the difference is not told:\n%s", tc.args, diag.Render(err))
		}
	}
}

func TestFailureSkipsDependentsOnly(t *testing.T) {
	c := &cloud{fail: map[string]error{"create a": errors.New("broken")}}
	r, _, err := run(t, c, engine.Request{Command: "deploy"},
		service("first", "a=1", "child=1<a", "alone=1"),
		service("needs", "n=${first.output.a}"),
		service("other", "o=1"))
	if diag.ExitCode(err) != diag.ExitComponent {
		t.Errorf("exit code of %v", err)
	}
	got := c.changes()
	slices.Sort(got)
	if d := cmp.Diff([]string{"create a", "create alone", "create o"}, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]engine.Status{"first": engine.Failed, "needs": engine.Skipped, "other": engine.Done}, statuses(r)); d != "" {
		t.Error(d)
	}
	text := diag.Render(err)
	for _, want := range []string{"s.yaml:1: creating box a: broken", "not tried: box child", "needs was not tried: it needs first"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

func TestOutputsReachOtherServices(t *testing.T) {
	c := &cloud{}
	first, second := service("second", "copy=${first.output.a}"), service("first", "a=7")
	r, _, err := run(t, c, engine.Request{Command: "plan"}, first, second)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Plan.Services[1].Changes[0].Fields[0].New; got != (app.UnknownValue{Expr: "${first.output.a}"}) {
		t.Errorf("planned %#v", got)
	}
	if _, _, err := run(t, c, engine.Request{Command: "deploy"}, first, second); err != nil {
		t.Fatal(err)
	}
	if got := c.boxes["copy"]["size"]; got != "7" {
		t.Errorf("deployed %#v", got)
	}
	// One service alone sees the outputs of what is online.
	c.calls = nil
	if _, _, err := run(t, c, engine.Request{Command: "deploy", Services: []string{"second"}}, first, second); err != nil || len(c.changes()) > 0 {
		t.Errorf("%v, %v", c.changes(), err)
	}
	// And of what is not there, says so.
	_, _, err = run(t, &cloud{}, engine.Request{Command: "deploy", Services: []string{"second"}}, first, second)
	if err == nil || !strings.Contains(err.Error(), "is not known") {
		t.Errorf("got %v", err)
	}
}

func TestRemove(t *testing.T) {
	c := &cloud{boxes: map[string]resource.Attributes{"a": {"size": "1"}, "b": {"size": "9"}, "else": {}}}
	asked := 0
	confirm := func(answer bool) func(*plan.Plan) (bool, error) {
		return func(p *plan.Plan) (bool, error) { asked = p.Counts().Delete; return answer, nil }
	}
	svc := service("s", "a=1", "b=2<a", "gone=1")
	if _, _, err := run(t, c, engine.Request{Command: "remove", Confirm: confirm(false)}, svc); err != nil || len(c.changes()) > 0 || asked != 2 {
		t.Errorf("declined: %v, %v, asked about %d", err, c.changes(), asked)
	}
	if _, _, err := run(t, c, engine.Request{Command: "remove", Confirm: confirm(true)}, svc); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"delete b", "delete a"}, c.changes()); d != "" {
		t.Error(d)
	}
	if len(c.boxes) != 1 {
		t.Errorf("left: %v", c.boxes)
	}
}

func TestForbiddenIsNotAbsent(t *testing.T) {
	id := resource.ID{Kind: "box", Name: "a"}
	c := &cloud{fail: map[string]error{"read a": &resource.Forbidden{ID: id, Action: "x:GetBox", Err: errors.New("no")}}}
	for _, command := range []string{"plan", "deploy"} {
		_, _, err := run(t, c, engine.Request{Command: command}, service("s", "a=1"))
		if diag.ExitCode(err) != diag.ExitComponent || !strings.Contains(diag.Render(err), "x:GetBox") {
			t.Errorf("%s: %v", command, err)
		}
	}
	if len(c.changes()) > 0 {
		t.Errorf("changed: %v", c.changes())
	}
}

func TestFlowChoosesAndOrders(t *testing.T) {
	c := &cloud{boxes: map[string]resource.Attributes{}}
	services := []*app.Service{service("a", "a=1"), service("b", "b=1"), service("c", "c=1")}
	entries := &app.Value{Kind: app.Map}
	a := &app.App{Edition: app.Edition3, File: "s.yaml", Services: services, Root: entries, Flow: []app.Flow{
		{Pattern: ".", Groups: [][]string{{"a"}}},
		{Command: "deploy", Groups: [][]string{{"c"}, {"a"}}},
	}}
	e := engine.New(config(a, c, func(engine.Event) {}))
	if _, err := e.Run(context.Background(), engine.Request{Command: "deploy"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"create c", "create a"}, c.changes()); d != "" {
		t.Error(d)
	}
}

func TestUnknownCommandsAndServices(t *testing.T) {
	for _, tc := range []struct {
		req  engine.Request
		hint string
	}{
		{engine.Request{Command: "depoly"}, "did you mean deploy?"},
		{engine.Request{Command: "deploy", Services: []string{"sx"}}, "did you mean s?"},
		{engine.Request{Command: "depoly", Services: []string{"s"}}, "did you mean deploy?"},
	} {
		_, _, err := run(t, &cloud{}, tc.req, service("s"))
		if diag.ExitCode(err) != diag.ExitTool || !strings.Contains(diag.Render(err), tc.hint) {
			t.Errorf("%+v: %v", tc.req, diag.Render(err))
		}
	}
}

func TestCommandOfTheComponent(t *testing.T) {
	r, _, err := run(t, &cloud{}, engine.Request{Command: "count"}, service("s", "a=1", "b=2"))
	if err != nil || r.Services[0].Output.Str() != "2" {
		t.Errorf("got %+v, %v", r.Services, err)
	}
}

func TestParallelismIsBounded(t *testing.T) {
	var specs []string
	for i := range 3 * engine.Parallelism {
		specs = append(specs, fmt.Sprintf("box%d=1", i))
	}
	c := &cloud{}
	if _, _, err := run(t, c, engine.Request{Command: "deploy"}, service("s", specs...)); err != nil || len(c.changes()) != len(specs) {
		t.Errorf("%d changes, %v", len(c.changes()), err)
	}
}

// Whoever interrupts a question has answered none.
func TestInterruptEndsQuestions(t *testing.T) {
	tests := []struct {
		command string
		set     func(req *engine.Request, cancel func())
	}{
		{"remove", func(req *engine.Request, cancel func()) {
			req.Confirm = func(*plan.Plan) (bool, error) { cancel(); return true, nil }
		}},
		{"deploy", func(req *engine.Request, cancel func()) {
			req.Ask = func(context.Context, *plan.Plan) (plan.Policy, error) { cancel(); return plan.Local, nil }
		}},
	}
	for _, test := range tests {
		ctx, cancel := context.WithCancel(t.Context())
		c := &cloud{boxes: map[string]resource.Attributes{"a": {"size": "9"}}}
		a := &app.App{Edition: app.Edition1, File: "s.yaml", Services: []*app.Service{service("s", "a=1")}, Root: &app.Value{Kind: app.Map}}
		cfg := config(a, c, func(engine.Event) {})
		cfg.Default = plan.Prompt
		req := engine.Request{Command: test.command}
		test.set(&req, cancel)
		_, err := engine.New(cfg).Run(ctx, req)
		if diag.ExitCode(err) != diag.ExitInterrupted || len(c.changes()) > 0 || strings.Contains(diag.Render(err), "differs") {
			t.Errorf("%s: %v, %v", test.command, c.changes(), err)
		}
	}
}

func TestInterruptBeginsNothingNew(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := &cloud{boxes: map[string]resource.Attributes{}}
	a := &app.App{Edition: app.Edition1, File: "s.yaml", Services: []*app.Service{service("s", "a=1")}, Root: &app.Value{Kind: app.Map}}
	e := engine.New(config(a, c, func(engine.Event) {}))
	_, err := e.Run(ctx, engine.Request{Command: "deploy"})
	if diag.ExitCode(err) != diag.ExitInterrupted || len(c.changes()) > 0 {
		t.Errorf("%v, %v", c.changes(), err)
	}
}
