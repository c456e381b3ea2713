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
