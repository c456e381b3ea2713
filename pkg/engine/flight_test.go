package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

// hung is how long a test waits for what must happen.
const hung = 30 * time.Second

// meeting lets calls go on when all that are expected have come.
type meeting struct {
	t       *testing.T
	missing sync.WaitGroup
	met     chan struct{}
	names   []string
}

func meet(t *testing.T, names ...string) *meeting {
	m := &meeting{t: t, met: make(chan struct{}), names: names}
	m.missing.Add(len(names))
	go func() { m.missing.Wait(); close(m.met) }()
	return m
}

func (m *meeting) come(call string) {
	if !slices.Contains(m.names, call) {
		return
	}
	m.missing.Done()
	select {
	case <-m.met:
	case <-time.After(hung):
		m.t.Errorf("%s waited for the others in vain", call)
	}
}

// runApp runs a command on an application with flows and hooks.
func runApp(t *testing.T, ctx context.Context, c *cloud, req engine.Request, a *app.App) (*engine.Result, []engine.Event, error) {
	t.Helper()
	if c.boxes == nil {
		c.boxes = map[string]resource.Attributes{}
	}
	a.Edition, a.Name, a.File, a.Dir = app.Edition1, "test", "s.yaml", t.TempDir()
	entries := &app.Value{Kind: app.Map}
	for _, s := range a.Services {
		entries.Entries = append(entries.Entries, app.Entry{Key: s.Name, Value: &app.Value{Kind: app.Map, Entries: []app.Entry{{Key: "props", Value: s.Props}}}})
	}
	a.Root = &app.Value{Kind: app.Map, Entries: []app.Entry{{Key: "services", Value: entries}}}
	var events []engine.Event
	result, err := engine.New(config(a, c, func(ev engine.Event) { events = append(events, ev) })).Run(ctx, req)
	return result, events, err
}

// ends returns how the resources of the services ended, such as "one: a done".
func ends(r *engine.Result) []string {
	var list []string
	for _, s := range r.Services {
		for _, res := range s.Resources {
			list = append(list, fmt.Sprintf("%s: %s %s", s.Name, res.ID.Name, res.Status))
		}
	}
	return list
}

func withHook(s *app.Service, stage app.Stage, steps ...app.Step) *app.Service {
	s.Actions = append(s.Actions, app.Action{Stage: stage, Command: "deploy", Steps: steps})
	return s
}

func step(kind app.StepKind, text string) app.Step { return app.Step{Kind: kind, Do: app.Text(text)} }

func TestServicesRunSideBySide(t *testing.T) {
	c := &cloud{on: meet(t, "create a", "create b", "create c").come}
	r, _, err := run(t, c, engine.Request{Command: "deploy"}, service("one", "a=1"), service("two", "b=1"), service("three", "c=1"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"one: a done", "two: b done", "three: c done"}, ends(r)); d != "" {
		t.Error(d)
	}
}

func TestServicesWaitForWhatTheyReferTo(t *testing.T) {
	for range 20 {
		c := &cloud{}
		_, _, err := run(t, c, engine.Request{Command: "deploy"},
			service("last", "c=${middle.output.b}"), service("middle", "b=${first.output.a}"), service("first", "a=1"))
		if d := cmp.Diff([]string{"create a", "create b", "create c"}, c.changes()); err != nil || d != "" {
			t.Fatal(err, d)
		}
	}
}

func TestParallelismBoundsTheRun(t *testing.T) {
	var services []*app.Service
	for i := range 4 {
		services = append(services, service(fmt.Sprint("s", i), fmt.Sprintf("a%d=1", i), fmt.Sprintf("b%d=1", i), fmt.Sprintf("c%d=1", i)))
	}
	const limit = 3
	var now, most atomic.Int32
	full := make(chan struct{})
	c := &cloud{on: func(call string) {
		n := now.Add(1)
		defer now.Add(-1)
		if most.Load() < n {
			most.Store(n)
		}
		if n == limit && strings.HasPrefix(call, "create") {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		if strings.HasPrefix(call, "create") {
			select { // nobody goes on before the limit was reached once
			case <-full:
			case <-time.After(hung):
				t.Error("the limit was not reached")
			}
		}
	}}
	_, _, err := run(t, c, engine.Request{Command: "deploy", Args: []string{"--parallelism", "3"}}, services...)
	if err != nil || len(c.changes()) != 12 || most.Load() > limit {
		t.Errorf("%d changes, %d at once, %v", len(c.changes()), most.Load(), err)
	}
}

func TestParallelismOfOneKeepsTheOrder(t *testing.T) {
	c := &cloud{}
	_, _, err := run(t, c, engine.Request{Command: "deploy", Args: []string{"--parallelism=1"}},
		service("one", "b=1<a", "a=1"), service("two", "d=1<c", "c=1"), service("three", "e=1"))
	if d := cmp.Diff([]string{"create a", "create b", "create c", "create d", "create e"}, c.changes()); err != nil || d != "" {
		t.Error(err, d)
	}
}

func TestParallelismIsChecked(t *testing.T) {
	for _, n := range []string{"0", "-1", "65", "many"} {
		c := &cloud{}
		_, _, err := run(t, c, engine.Request{Command: "deploy", Args: []string{"--parallelism=" + n}}, service("s", "a=1"))
		if diag.ExitCode(err) != diag.ExitTool || len(c.calls) > 0 {
			t.Errorf("%s: %v, %v", n, err, c.calls)
		}
	}
}

func TestGroupsOfAFlowAreBarriers(t *testing.T) {
	var mu sync.Mutex
	var order []string
	first := meet(t, "create a", "create b")
	c := &cloud{on: func(call string) {
		first.come(call)
		if strings.HasPrefix(call, "create") {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, strings.TrimPrefix(call, "create "))
		}
	}}
	a := &app.App{
		Services: []*app.Service{service("c", "c=1"), service("a", "a=1", "a2=1<a"), service("b", "b=1", "b2=1<b")},
		Flow:     []app.Flow{{Command: "deploy", Groups: [][]string{{"a", "b"}, {"c"}}}},
	}
	if _, _, err := runApp(t, context.Background(), c, engine.Request{Command: "deploy"}, a); err != nil {
		t.Fatal(err)
	}
	if len(order) != 5 || order[4] != "c" {
		t.Errorf("order: %v", order)
	}
}

func TestHookedServicesRunOneAtATimeBesideOthers(t *testing.T) {
	// The first hooked service and the last plain one meet; the hooked ones never do.
	together := meet(t, "create h1", "create plain")
	var hooked atomic.Int32
	c := &cloud{on: func(call string) {
		together.come(call)
		if strings.HasPrefix(call, "create h") && hooked.Add(1) > 1 {
			t.Errorf("%s beside another service with hooks", call)
		}
	}}
	a := &app.App{Services: []*app.Service{
		withHook(service("one", "h1=1"), app.Pre, step(app.Run, "mkdir inside")),
		withHook(service("two", "h2=1"), app.Post, step(app.Run, "mkdir inside && rmdir inside")),
		withHook(service("three", "h3=1"), app.Complete, step(app.Run, "true")),
		service("four", "plain=1"),
	}}
	withHook(a.Services[0], app.Complete, step(app.Run, "rmdir inside"))
	var begun []string
	var inside string
	cfg := func(ev engine.Event) {
		switch ev := ev.(type) {
		case engine.ServiceStarted:
			if ev.Service != "four" {
				begun = append(begun, ev.Service)
				if inside != "" {
					t.Errorf("%s began beside %s", ev.Service, inside)
				}
				inside = ev.Service
			}
		case engine.ServiceEnded:
			if ev.Service != "four" {
				inside = ""
				hooked.Store(0)
			}
		}
	}
	c.boxes = map[string]resource.Attributes{}
	a.Edition, a.File, a.Dir, a.Root = app.Edition1, "s.yaml", t.TempDir(), &app.Value{Kind: app.Map}
	if _, err := engine.New(config(a, c, cfg)).Run(context.Background(), engine.Request{Command: "deploy"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"one", "two", "three"}, begun); d != "" {
		t.Error(d)
	}
}

func TestSharedResourceIsChangedOnce(t *testing.T) {
	for range 20 {
		both := meet(t, "create x", "create y") // beside each other, behind what they share
		c := &cloud{on: both.come}
		r, _, err := run(t, c, engine.Request{Command: "deploy"}, service("one", "shared=1", "x=1<shared"), service("two", "shared=1", "y=1<shared"))
		got := c.changes()
		if err != nil || got[0] != "create shared" || len(got) != 3 {
			t.Fatalf("%v, %v", got, err)
		}
		shared := 0
		for _, end := range ends(r) {
			if strings.HasSuffix(end, "shared done") {
				shared++
			}
		}
		if shared != 1 || len(ends(r)) != 3 {
			t.Fatalf("told: %v", ends(r))
		}
	}
}

func TestFailureOfASharedResourceIsTakenOver(t *testing.T) {
	for range 20 {
		c := &cloud{fail: map[string]error{"create shared": errors.New("broken")}}
		r, _, err := run(t, c, engine.Request{Command: "deploy"},
			service("one", "shared=1", "x=1<shared"), service("two", "shared=1", "y=1<shared", "free=1"), service("three", "z=1"))
		got := c.changes()
		slices.Sort(got)
		if d := cmp.Diff([]string{"create free", "create shared", "create z"}, got); err == nil || d != "" {
			t.Fatal(err, d)
		}
		if d := cmp.Diff(map[string]engine.Status{"one": engine.Failed, "two": engine.Failed, "three": engine.Done}, statuses(r)); d != "" {
			t.Fatal(d)
		}
		told := ends(r)
		for i, end := range told {
			_, told[i], _ = strings.Cut(end, ": ")
		}
		slices.Sort(told)
		if d := cmp.Diff([]string{"free done", "shared failed", "x nottried", "y nottried", "z done"}, told); d != "" {
			t.Fatal(d)
		}
	}
}

func TestSharedResourceIsRemovedLastAndOnce(t *testing.T) {
	for range 20 {
		boxes := map[string]resource.Attributes{}
		for _, name := range []string{"shared", "x", "y", "z"} {
			boxes[name] = resource.Attributes{"size": "1"}
		}
		c := &cloud{boxes: boxes}
		r, _, err := run(t, c, engine.Request{Command: "remove"},
			service("one", "shared=1", "x=1<shared"), service("two", "shared=1", "y=1<shared"), service("three", "z=1<shared", "shared=1"))
		got := c.changes()
		if err != nil || len(got) != 4 || got[3] != "delete shared" {
			t.Fatalf("%v, %v", got, err)
		}
		if list := ends(r); len(list) != 4 || strings.Contains(strings.Join(list, " "), "nottried") {
			t.Fatalf("told: %v", list)
		}
	}
}

// A service whose removal fails early keeps what it shares: its own things live there.
func TestSharedResourceStaysWhileItIsNeeded(t *testing.T) {
	boxes := map[string]resource.Attributes{}
	for _, name := range []string{"shared", "x", "y"} {
		boxes[name] = resource.Attributes{"size": "1"}
	}
	c := &cloud{boxes: boxes, fail: map[string]error{"delete y": errors.New("broken"), "delete shared": resource.ErrNotEmpty}}
	r, _, err := run(t, c, engine.Request{Command: "remove"}, service("one", "shared=1", "x=1<shared"), service("two", "shared=1", "y=1<shared"))
	if d := cmp.Diff(map[string]engine.Status{"one": engine.Done, "two": engine.Failed}, statuses(r)); err == nil || d != "" {
		t.Error(err, d)
	}
	told := strings.Join(ends(r), " ")
	if c.boxes["shared"] == nil || strings.Count(told, "shared") != 1 || !strings.Contains(told, "shared kept") && !strings.Contains(told, "shared nottried") {
		t.Errorf("told: %s", told)
	}
}

func TestHowResourcesEnded(t *testing.T) {
	c := &cloud{
		boxes: map[string]resource.Attributes{"same": {"size": "1"}, "other": {"size": "1"}},
		fail:  map[string]error{"create bad": errors.New("broken")},
	}
	r, _, err := run(t, c, engine.Request{Command: "deploy", Args: []string{"--use-remote"}},
		service("one", "same=1", "other=2", "new=1"), service("two", "bad=1", "child=1<bad"), service("three", "n=${two.output.bad}"))
	if diag.ExitCode(err) != diag.ExitComponent {
		t.Error(err)
	}
	want := []string{"one: same unchanged", "one: other left", "one: new done", "two: bad failed", "two: child nottried", "three: n nottried"}
	if d := cmp.Diff(want, ends(r)); d != "" {
		t.Error(d)
	}
	if r.Services[1].Resources[0].Err == nil || r.Services[0].Resources[2].Action != plan.Create {
		t.Errorf("%+v", r.Services)
	}
}

func TestInterruptFinishesWhatIsUnderWay(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &cloud{on: func(call string) {
		if call == "create a" {
			cancel()
		}
	}}
	a := &app.App{Services: []*app.Service{service("one", "a=1", "b=1<a"), service("two", "n=${one.output.a}")}}
	r, _, err := runApp(t, ctx, c, engine.Request{Command: "deploy"}, a)
	if diag.ExitCode(err) != diag.ExitInterrupted {
		t.Error(err)
	}
	if d := cmp.Diff([]string{"create a"}, c.changes()); d != "" || c.boxes["a"] == nil {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"one: a done", "one: b nottried", "two: n nottried"}, ends(r)); d != "" {
		t.Error(d)
	}
	if text := diag.Render(err); strings.Count(text, "interrupted") != 1 {
		t.Errorf("said:\n%s", text)
	}
}

func TestNestedDeployIsTakenOver(t *testing.T) {
	c := &cloud{}
	a := &app.App{Services: []*app.Service{
		withHook(service("one", "a=1"), app.Pre, step(app.Component, "boxes deploy")),
		service("two", "b=1"),
	}}
	if _, _, err := runApp(t, context.Background(), c, engine.Request{Command: "deploy"}, a); err != nil {
		t.Fatal(err)
	}
	got := c.changes()
	slices.Sort(got)
	if d := cmp.Diff([]string{"create a", "create b"}, got); d != "" {
		t.Error(d)
	}
}

// Many services with much in common, some failing: every change is made once, and what
// is told is what happened.
func TestManyServicesSideBySide(t *testing.T) {
	for round := range 10 {
		c := &cloud{fail: map[string]error{}}
		var services []*app.Service
		for i := range 20 {
			own, hub := fmt.Sprint("own", i), fmt.Sprint("hub", i%3)
			spec := []string{hub + "=1", own + "=1<" + hub, fmt.Sprintf("leaf%d=1<%s", i, own)}
			if i > 10 {
				spec = append(spec, fmt.Sprintf("copy%d=${s%d.output.own%d}", i, i-10, i-10))
			}
			services = append(services, service(fmt.Sprint("s", i), spec...))
			if (i+round)%7 == 0 {
				c.fail["create "+own] = errors.New("broken")
			}
		}
		r, _, err := run(t, c, engine.Request{Command: "deploy", Args: []string{"--parallelism", "5"}}, services...)
		if err == nil {
			t.Fatal("no error")
		}
		made := map[string]bool{}
		for _, call := range c.changes() {
			if made[call] {
				t.Errorf("%s twice", call)
			}
			made[call] = true
		}
		done := 0
		for _, end := range ends(r) {
			if strings.HasSuffix(end, " done") {
				done++
			}
		}
		if done != len(c.boxes) {
			t.Errorf("%d done, %d there", done, len(c.boxes))
		}
	}
}
