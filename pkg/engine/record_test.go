package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// tags are the notes of the box "home".
type tags struct {
	cloud *cloud
	mu    sync.Mutex
	notes map[string]string
	// before is told of each write before it is done; nil for nobody.
	before func(set map[string]string)
}

func (n *tags) exists() bool {
	n.cloud.mu.Lock()
	defer n.cloud.mu.Unlock()
	return n.cloud.boxes["home"] != nil
}

func (n *tags) Read(ctx context.Context) (map[string]string, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.notes), n.exists(), ctx.Err()
}

func (n *tags) Write(ctx context.Context, set map[string]string, remove []string) error {
	if n.before != nil {
		n.before(set)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !n.exists() && len(set) > 0:
		return state.ErrNoHolder
	}
	maps.Copy(n.notes, set)
	maps.DeleteFunc(n.notes, func(name, _ string) bool { return slices.Contains(remove, name) })
	return nil
}

// record returns the notes but for the claims.
func (n *tags) record() map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := maps.Clone(n.notes)
	maps.DeleteFunc(out, func(name, _ string) bool { return state.IsLock(name) })
	return out
}

func (n *tags) locked() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.notes) > 0 && slices.ContainsFunc(slices.Collect(maps.Keys(n.notes)), state.IsLock)
}

// tagged is the component boxes with its record in tags of "home".
type tagged struct {
	archive
	tags *tags
}

func (c tagged) Desired(ctx context.Context, call *component.Call) (*component.Desired, error) {
	d, err := c.archive.Desired(ctx, call)
	d.Notes = c.tags
	return d, err
}

// book is an application whose record is kept in tags.
type book struct {
	t     *testing.T
	cloud *cloud
	tags  *tags
	req   engine.Request

	records engine.Records
}

func newBook(t *testing.T) *book {
	c := &cloud{boxes: map[string]resource.Attributes{}, fail: map[string]error{}}
	return &book{t: t, cloud: c, tags: &tags{cloud: c, notes: map[string]string{}}}
}

func (b *book) run(ctx context.Context, line string, services ...*app.Service) (*engine.Result, error) {
	b.t.Helper()
	words := strings.Fields(line)
	req := b.req
	req.Command, req.Args = words[0], words[1:]
	a := &app.App{Edition: app.Edition1, Name: "test", File: "s.yaml", Dir: b.t.TempDir(), Services: services, Root: &app.Value{Kind: app.Map}}
	cfg := config(a, b.cloud, func(engine.Event) {})
	cfg.Default, cfg.Records = plan.Prompt, b.records
	cfg.Components = func(string, diag.Pos) (component.Component, error) {
		return tagged{archive{boxes: boxes{b.cloud}}, b.tags}, nil
	}
	return engine.New(cfg).Run(ctx, req)
}

func (b *book) must(line string, services ...*app.Service) *engine.Result {
	b.t.Helper()
	r, err := b.run(b.t.Context(), line, services...)
	if err != nil {
		b.t.Fatalf("%s: %s", line, diag.Render(err))
	}
	if b.tags.locked() {
		b.t.Errorf("%s left its lock: %v", line, b.tags.notes)
	}
	return r
}

// What is recorded by a run that has nothing else to do is recorded under the lock too.
func TestAdoptingTakesTheLock(t *testing.T) {
	b := newBook(t)
	b.must("deploy", service("s", "home=1", "a=1"))
	b.cloud.boxes["b"] = resource.Attributes{"size": "1"}
	before := b.tags.record()
	claim := ""
	b.tags.before = func(set map[string]string) {
		for name := range set {
			if claim == "" && state.IsLock(name) {
				claim = name[:len(name)-6] + "zzzzzz" // somebody else is faster
				b.tags.notes[claim] = "1_1____"
			}
		}
	}
	if _, err := b.run(t.Context(), "deploy", service("s", "home=1", "a=1", "b=1")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, b.tags.record()); d != "" || claim == "" {
		t.Errorf("without the lock %q: %s", claim, d)
	}
	delete(b.tags.notes, claim)
	b.tags.before = nil
	b.must("deploy", service("s", "home=1", "a=1", "b=1"))
	if cmp.Equal(before, b.tags.record()) {
		t.Error("nothing was recorded")
	}
	b.must("deploy", service("s", "home=1", "a=1", "b=2")) // as it is known now
}

// So it is where a folder alone has the record.
func TestAdoptingIntoARecordThatStandsAlone(t *testing.T) {
	b := newBook(t)
	b.records = engine.Records{Store: state.Folder{Dir: t.TempDir()}, Alone: true}
	b.must("deploy", service("s", "home=1", "a=1"))
	b.cloud.boxes["b"] = resource.Attributes{"size": "1"}
	b.must("deploy", service("s", "home=1", "a=1", "b=1"))
	b.must("deploy", service("s", "home=1", "a=1", "b=2")) // else nobody knows who made it
}

// Hooks may change what a service declares, but not what was found to be pruned.
func TestPruningBehindHooks(t *testing.T) {
	s := newStory(t)
	s.must("deploy", "a=1 b=1 home=1", service("s", "home=1", "a=1", "b=1"))
	s.must("deploy --prune", "a=1 home=1", withHook(service("s", "home=1", "a=1"), app.Pre, step(app.Run, "true")))
}

// What was begun, and may never have come to be, is not told as left online.
func TestWhatWasBegunIsNotTold(t *testing.T) {
	s := newStory(t)
	s.must("deploy", "a=1 home=1", service("s", "home=1", "a=1"))
	s.cloud.fail["create b"] = errors.New("boom")
	if _, err := s.run("deploy", service("s", "home=1", "a=1", "b=1")); err == nil {
		t.Fatal("b was made")
	}
	r, err := s.run("deploy", service("s", "home=1"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]plan.Dropped{{Service: "s", ID: resource.ID{Kind: "box", Name: "a"}}}, r.Plan.Dropped); d != "" || r.Plan.Forgotten != 0 {
		t.Errorf("%s, forgotten %d", d, r.Plan.Forgotten)
	}
}

// homes is the component boxes with a record for each service.
type homes struct{ archive }

func (h homes) Desired(ctx context.Context, call *component.Call) (*component.Desired, error) {
	d, err := h.archive.Desired(ctx, call)
	d.Holder = resource.ID{Kind: "box", Name: "home of " + call.Service}
	return d, err
}

// What services with records of their own share is in the records of all of them.
func TestSharedResourcesAreInEachRecord(t *testing.T) {
	s := newStory(t)
	run := func(size string) {
		t.Helper()
		a := &app.App{
			Edition: app.Edition1, Name: "test", File: "s.yaml", Dir: t.TempDir(), Root: &app.Value{Kind: app.Map},
			Services: []*app.Service{service("one", "shared="+size), service("two", "shared="+size)},
		}
		cfg := config(a, s.cloud, func(engine.Event) {})
		cfg.Components = func(string, diag.Pos) (component.Component, error) { return homes{s.kind}, nil }
		cfg.Records = engine.Records{Store: s.store}
		if _, err := engine.New(cfg).Run(t.Context(), engine.Request{Command: "deploy"}); err != nil {
			t.Fatal(diag.Render(err))
		}
		s.online("shared=" + size)
	}
	for _, size := range []string{"1", "2", "3"} {
		run(size)
	}
}

// An answer is about what was shown. What somebody else does before the lock is taken is
// asked for again.
func TestAnswersAreAboutWhatWasShown(t *testing.T) {
	b := newBook(t)
	b.must("deploy", service("s", "home=1", "a=1"))
	b.cloud.boxes["a"]["size"] = "7"
	asked := 0
	b.req.Ask = func(context.Context, *plan.Plan) (plan.Policy, error) {
		if asked++; asked > 1 {
			return plan.Fail, nil
		}
		b.cloud.boxes["home"]["size"] = "8"
		b.tags.notes["other"] = "new"
		return plan.Local, nil
	}
	_, err := b.run(t.Context(), "deploy", service("s", "home=1", "a=1"))
	if diag.ExitCode(err) != diag.ExitComponent || asked != 2 || b.cloud.boxes["home"]["size"] != "8" {
		t.Errorf("asked %d times: %v, %v", asked, err, b.cloud.boxes)
	}
}

// A holder that was made when the run was interrupted is in the record, and not locked.
func TestAnInterruptWhileTheHolderIsMade(t *testing.T) {
	b := newBook(t)
	ctx, interrupt := context.WithCancelCause(t.Context())
	b.cloud.on = func(call string) {
		if call == "create home" {
			interrupt(errors.New("signal"))
		}
	}
	_, err := b.run(ctx, "deploy", service("s", "home=1", "a=1<home"))
	if diag.ExitCode(err) != diag.ExitInterrupted {
		t.Errorf("got %v", err)
	}
	if b.tags.locked() || len(b.tags.record()) == 0 {
		t.Errorf("notes: %v", b.tags.notes)
	}
}

// Many services with one record, some of them with deploys in hooks: all is recorded, and
// there is nothing left to do or to write.
func TestManyServicesWithOneRecord(t *testing.T) {
	services := func(size string) []*app.Service {
		list := []*app.Service{service("first", "home="+size)}
		for i := range 8 {
			s := service(fmt.Sprint("s", i), fmt.Sprintf("a%d=%s", i, size), "shared="+size)
			if i%3 == 0 {
				withHook(s, app.Pre, step(app.Component, "boxes deploy --use-local"))
			}
			list = append(list, s)
		}
		return list
	}
	for range 3 {
		b := newBook(t)
		for _, size := range []string{"1", "2"} {
			b.must("deploy", services(size)...)
			writes := 0
			b.tags.before = func(map[string]string) { writes++ }
			calls := len(b.cloud.changes())
			b.must("deploy", services(size)[:3]...)
			for _, s := range services(size) {
				s.Actions = nil
				b.must("deploy", s)
			}
			if len(b.cloud.changes()) != calls {
				t.Errorf("changed again: %v", b.cloud.changes()[calls:])
			}
			if writes > 2 { // the lock of the services with hooks, and its end
				t.Errorf("%d writes with nothing to do", writes)
			}
			b.tags.before = nil
		}
	}
}
