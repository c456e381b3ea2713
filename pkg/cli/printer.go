package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/report"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/stream"
)

// printer shows on standard error what the engine does: a line for everything that
// ended, and on a terminal one more that moves, for what is under way. Services run
// side by side: where there are several, each line says whose it is. What the programs
// of hooks print passes through Write and stays as it is, because a CI may read it.
type printer struct {
	io     *stream.IO
	silent bool
	now    func() time.Time

	mu     sync.Mutex
	many   bool            // the command runs on several services
	shown  map[string]bool // the planned changes, each told once
	active []task
	drawn  bool
	open   bool // what hooks printed last did not end its line
	ticker *time.Ticker
	done   chan struct{}
	once   sync.Once
}

type task struct {
	label string
	since time.Time
}

func label(service string, action plan.Action, id resource.ID) string {
	return service + string(action) + " " + id.String()
}

func newPrinter(io *stream.IO, silent bool, now func() time.Time) *printer {
	p := &printer{io: io, silent: silent, now: now, shown: map[string]bool{}, done: make(chan struct{})}
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
	if len(p.active) == 0 || p.open {
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
	if p.open {
		format, p.open = "\n"+format, false
	}
	fmt.Fprintf(p.io.Err, format+"\n", args...)
}

// Write writes what the programs of hooks print.
func (p *printer) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	n, err := p.io.Err.Write(data)
	if n > 0 {
		p.open = data[n-1] != '\n'
	}
	return n, err
}

// of returns what a line of the service begins with.
func (p *printer) of(service string) string {
	if !p.many || service == "" {
		return ""
	}
	return service + ": "
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
		for line := range strings.SplitSeq(ev.Text, "\n") {
			p.line("%s%s", p.of(ev.Service), line)
		}
	case engine.ServiceStarted:
		p.many = p.many || ev.Of > 1
	case engine.HookStarted:
		p.line("%s: %s: %s", orApp(ev.Service), ev.Action, ev.Text)
	case engine.Planned:
		p.planned(ev.Plan)
	case engine.ResourceStarted:
		p.active = append(p.active, task{label: label(p.of(ev.Service), ev.Action, ev.Resource), since: p.now()})
	case engine.ResourceEnded:
		p.resourceEnded(ev)
	}
}

// planned tells what will be done for a service; what it shares with one that was told
// of already is left out.
func (p *printer) planned(s *plan.Service) {
	news := *s
	news.Changes = nil
	pending := false
	for _, c := range s.Changes {
		if c.Action != plan.None {
			key := s.Account + " " + s.Region + " " + c.Resource.String()
			if p.shown[key] {
				continue
			}
			p.shown[key], pending = true, true
		}
		news.Changes = append(news.Changes, c)
	}
	if pending {
		p.line("%s", strings.TrimRight(report.ServiceText(&news), "\n"))
	}
}

var past = map[plan.Action]string{plan.Create: "created", plan.Update: "updated", plan.Replace: "replaced", plan.Delete: "deleted"}

func (p *printer) resourceEnded(ev engine.ResourceEnded) {
	whose := p.of(ev.Service)
	for i, t := range p.active {
		if t.label == label(whose, ev.Action, ev.Resource) {
			p.active = append(p.active[:i], p.active[i+1:]...)
			break
		}
	}
	if whose == "" {
		whose = "  "
	}
	switch {
	case ev.Err != nil:
		p.line("%sfailed   %s", whose, ev.Resource)
	case ev.Kept:
		p.line("%skept     %s: other resources live in it; --all removes them too", whose, ev.Resource)
	default:
		p.line("%s%-8s %s (%s)", whose, past[ev.Action], ev.Resource, ev.Took.Round(time.Millisecond))
	}
}

func orApp(service string) string {
	if service == "" {
		return "application"
	}
	return service
}
