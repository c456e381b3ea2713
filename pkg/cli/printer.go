package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/report"
	"github.com/devs/deploy/pkg/stream"
)

// printer shows on standard error what the engine does: a line for everything that
// ended, and on a terminal one more that moves, for what is under way.
type printer struct {
	io     *stream.IO
	silent bool
	now    func() time.Time

	mu     sync.Mutex
	active []task
	drawn  bool
	ticker *time.Ticker
	done   chan struct{}
	once   sync.Once
}

type task struct {
	label string
	since time.Time
}

func newPrinter(io *stream.IO, silent bool, now func() time.Time) *printer {
	p := &printer{io: io, silent: silent, now: now, done: make(chan struct{})}
	if io.ErrTTY && !silent {
		p.ticker = time.NewTicker(120 * time.Millisecond)
		go p.animate()
	}
	return p
}

func (p *printer) animate() {
	for {
		select {
		case <-p.done:
			return
		case <-p.ticker.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		}
	}
}

// stop ends the moving line. It may be called twice.
func (p *printer) stop() {
	p.once.Do(func() {
		close(p.done)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ticker != nil {
			p.ticker.Stop()
		}
		p.active = nil
		p.erase()
	})
}

func (p *printer) erase() {
	if p.drawn {
		fmt.Fprint(p.io.Err, "\r\033[K")
		p.drawn = false
	}
}

func (p *printer) draw() {
	p.erase()
	if len(p.active) == 0 {
		return
	}
	first := p.active[0]
	more := ""
	if n := len(p.active) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	fmt.Fprintf(p.io.Err, "… %s%s (%ds)", first.label, more, int(p.now().Sub(first.since).Seconds()))
	p.drawn = true
}

func (p *printer) line(format string, args ...any) {
	p.erase()
	fmt.Fprintf(p.io.Err, format+"\n", args...)
}

// event shows one event of the engine.
func (p *printer) event(ev engine.Event) {
	if p.silent {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ev := ev.(type) {
	case engine.Warning:
		at := ev.Pos.String()
		if at != "" {
			at += ": "
		}
		p.line("warning: %s%s", at, ev.Text)
	case engine.Notice:
		p.line("%s", ev.Text)
	case engine.HookStarted:
		p.line("%s: %s: %s", orApp(ev.Service), ev.Action, ev.Text)
	case engine.Planned:
		p.planned(ev.Plan)
	case engine.ResourceStarted:
		p.active = append(p.active, task{label: string(ev.Action) + " " + ev.Resource.String(), since: p.now()})
	case engine.ResourceEnded:
		p.resourceEnded(ev)
	}
}

func (p *printer) planned(s *plan.Service) {
	for _, c := range s.Changes {
		if c.Action != plan.None {
			p.line("%s", strings.TrimRight(report.ServiceText(s), "\n"))
			return
		}
	}
}

var past = map[plan.Action]string{plan.Create: "created", plan.Update: "updated", plan.Replace: "replaced", plan.Delete: "deleted"}

func (p *printer) resourceEnded(ev engine.ResourceEnded) {
	label := string(ev.Action) + " " + ev.Resource.String()
	for i, t := range p.active {
		if t.label == label {
			p.active = append(p.active[:i], p.active[i+1:]...)
			break
		}
	}
	switch {
	case ev.Err != nil:
		p.line("  failed   %s", ev.Resource)
	case ev.Kept:
		p.line("  kept     %s: other resources live in it; --all removes them too", ev.Resource)
	default:
		p.line("  %-8s %s (%s)", past[ev.Action], ev.Resource, ev.Took.Round(time.Millisecond))
	}
}

func orApp(service string) string {
	if service == "" {
		return "application"
	}
	return service
}
