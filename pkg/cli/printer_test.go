package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/stream"
)

func show(tty, silent bool, events ...engine.Event) string {
	io, _, err := stream.Test("")
	io.ErrTTY = tty
	p := newPrinter(io, silent, func() time.Time { return time.Unix(100, 0) })
	for _, e := range events {
		p.event(e)
		if tty {
			p.mu.Lock()
			p.draw() // what the ticker does
			p.mu.Unlock()
		}
	}
	p.stop()
	return err.String()
}

func TestPrinter(t *testing.T) {
	id := resource.ID{Kind: "function", Name: "s/f"}
	events := []engine.Event{
		engine.Warning{Pos: diag.Pos{File: "s.yaml", Line: 2, Column: 3}, Text: "careful"},
		engine.HookStarted{Service: "api", Action: "pre-deploy", Text: "make"},
		engine.Planned{Plan: &plan.Service{Name: "quiet", Changes: []*plan.Change{{Action: plan.None}}}},
		engine.ResourceStarted{Resource: id, Action: plan.Create},
		engine.ResourceEnded{Resource: id, Action: plan.Create, Took: 1500 * time.Millisecond},
		engine.ResourceStarted{Resource: id, Action: plan.Delete},
		engine.ResourceEnded{Resource: id, Action: plan.Delete, Kept: true},
		engine.ResourceEnded{Resource: id, Action: plan.Update, Err: errors.New("x")},
	}
	plain := show(false, false, events...)
	want := `warning: s.yaml:2:3: careful
api: pre-deploy: make
  created  function s/f (1.5s)
  kept     function s/f: other resources live in it; --all removes them too
  failed   function s/f
`
	if plain != want {
		t.Errorf("got:\n%s\nwant:\n%s", plain, want)
	}
	terminal := show(true, false, events...)
	if !strings.Contains(terminal, "… create function s/f (0s)") {
		t.Errorf("no progress on a terminal: %q", terminal)
	}
	// What moves is erased, and leaves the same lines.
	if rest := strings.NewReplacer("… create function s/f (0s)\r\033[K", "", "… delete function s/f (0s)\r\033[K", "").Replace(terminal); rest != want {
		t.Errorf("a terminal is left with %q", rest)
	}
	if silent := show(true, true, events...); silent != "" {
		t.Errorf("silent: %q", silent)
	}
}

// Where several services run, each line says whose it is, and what they share is told of
// once.
func TestPrinterOfSeveralServices(t *testing.T) {
	change := func(name string) *plan.Change {
		return &plan.Change{Resource: resource.ID{Kind: "service", Name: name}, Action: plan.Create, Decision: plan.Apply}
	}
	shared, other := change("shared"), change("other")
	got := show(false, false,
		engine.ServiceStarted{Service: "one", Of: 2},
		engine.ServiceStarted{Service: "two", Of: 2},
		engine.ServiceStarted{Service: "nested", Of: 1},
		engine.Planned{Plan: &plan.Service{Name: "one", Region: "r", Changes: []*plan.Change{shared}}},
		engine.Planned{Plan: &plan.Service{Name: "two", Region: "r", Changes: []*plan.Change{shared, other}}},
		engine.Planned{Plan: &plan.Service{Name: "three", Region: "r", Changes: []*plan.Change{shared}}},
		engine.Planned{Plan: &plan.Service{Name: "elsewhere", Region: "r2", Changes: []*plan.Change{shared}}},
		engine.ResourceStarted{Service: "one", Resource: shared.Resource, Action: plan.Create},
		engine.Notice{Service: "two", Text: "first\nsecond"},
		engine.Notice{Text: "of nobody"},
		engine.ResourceEnded{Service: "one", Resource: shared.Resource, Action: plan.Create},
		engine.ResourceEnded{Service: "two", Resource: other.Resource, Action: plan.Create, Err: errors.New("x")},
	)
	want := `one (r)
  + service shared
two (r)
  + service other
elsewhere (r2)
  + service shared
two: first
two: second
of nobody
one: created  service shared (0s)
two: failed   service other
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// What hooks print stays as it is, and no line of devs begins in the middle of one.
func TestPrinterAndHooks(t *testing.T) {
	io, _, err := stream.Test("")
	io.ErrTTY = true
	p := newPrinter(io, false, func() time.Time { return time.Unix(100, 0) })
	defer p.stop()
	id := resource.ID{Kind: "function", Name: "s/f"}
	draw := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.draw()
	}
	p.event(engine.ResourceStarted{Service: "one", Resource: id, Action: plan.Create})
	draw()
	_, _ = p.Write([]byte("Name? "))
	draw()
	p.event(engine.ResourceEnded{Service: "one", Resource: id, Action: plan.Create})
	_, _ = p.Write([]byte("bye\n"))
	want := "… create function s/f (0s)\r\033[KName? \n  created  function s/f (0s)\nbye\n"
	if got := err.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
