package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/sandbox"
)

// Pool is the Invoker that runs functions as processes of this machine. It is
// safe for concurrent use.
type Pool struct {
	cfg   Config
	watch *watchdog

	setup    *sync.Once // makes dir
	dir      string
	setupErr error
	lock     *flock.Flock // in dir

	mu        sync.Mutex
	closed    bool
	changed   chan struct{}          // closed and replaced whenever an instance becomes free or ends
	instances map[string][]*instance // by key, until they have ended
	found     map[string]interpreter // by runtime
	noted     map[string]bool        // remarks that were made
	images    map[string][]*unpacked // by key, not in use

	life     context.Context // ends with Close
	cancel   context.CancelFunc
	removals sync.WaitGroup // of images
	box      func() *sandbox.Sandbox
}

var errClosed = errors.New("the function runner is closed")

// acquire returns an instance of fn that is the caller's until release: a free
// one, or a new one. A function that cannot be loaded or initialized is a Result.
func (p *Pool) acquire(ctx context.Context, fn Function, requestID string, event []byte) (*instance, *Result, error) {
	kind, err := kindOf(fn)
	if err != nil {
		return nil, nil, err
	}
	var patience <-chan time.Time
	for {
		c, err := p.claim(fn, kind, event)
		switch {
		case err != nil:
			return nil, nil, err
		case c.inst != nil && !c.fresh:
			return c.inst, nil, nil
		case c.inst != nil:
			res, err := p.start(ctx, c.inst, requestID)
			if res != nil || err != nil {
				p.release(c.inst, false)
				return nil, res, err
			}
			return c.inst, nil, nil
		case c.evict:
			p.cfg.Log(fmt.Sprintf("stopping the idle instance of %s, which holds port %d, for %s",
				c.holder.fn.FuncName, c.holder.port, fn.FuncName))
			p.end(c.holder)
			continue
		case c.holder != nil && !sameFunction(c.holder.fn, fn) && patience == nil:
			timer := time.NewTimer(p.cfg.PortWait)
			defer timer.Stop()
			patience = timer.C
		}
		select {
		case <-c.wait:
		case <-patience:
			return nil, nil, portHeld(fn, c.holder)
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("waiting for an instance of %s: %w", fn.FuncName, context.Cause(ctx))
		}
	}
}

// sameFunction tells versions of one function from different functions.
func sameFunction(a, b Function) bool {
	return a.Key == b.Key || a.ServiceName == b.ServiceName && a.FuncName == b.FuncName
}

func portHeld(fn Function, holder *instance) error {
	port := fn.port()
	if holder == nil {
		return diag.Errorf("port %d of function %s stayed in use", port, fn.FuncName)
	}
	return diag.Errorf("function %s needs port %d, which function %s is using on this machine", fn.FuncName, port, holder.fn.FuncName).
		WithHint("give one of them another caPort: custom runtimes and containers of one machine share its ports")
}

// claimed is what claim found: an instance that is now the caller's, free or fresh
// (entered, not started); or the instance of another function that holds the
// port, which the caller shall end first (evict) or wait for; or nothing free.
type claimed struct {
	inst, holder *instance
	fresh, evict bool
	wait         <-chan struct{} // tells of changes
}

func (p *Pool) claim(fn Function, kind kind, event []byte) (claimed, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return claimed{}, errClosed
	}
	count := 0
	for _, i := range p.instances[fn.Key] {
		if i.free() {
			i.claim()
			return claimed{inst: i}, nil
		}
		if !i.retired {
			count++
		}
	}
	if kind.server() {
		if h := p.holder(fn.port()); h != nil {
			evict := h.active == 0
			if evict {
				h.retire()
			}
			return claimed{holder: h, evict: evict, wait: p.changed}, nil
		}
	}
	if count >= p.limit(kind) {
		return claimed{wait: p.changed}, nil
	}
	inst := p.newInstance(fn, kind, event)
	p.instances[fn.Key] = append(p.instances[fn.Key], inst)
	return claimed{inst: inst, fresh: true}, nil
}

func (p *Pool) limit(kind kind) int {
	if kind.server() {
		return 1
	}
	return p.cfg.MaxInstances
}

// holder returns the instance, of any key, that listens on the port or will.
func (p *Pool) holder(port int) *instance {
	for _, list := range p.instances {
		for _, i := range list {
			if i.port == port {
				return i
			}
		}
	}
	return nil
}

// release gives back an instance. One that is retired, dead or not reusable ends
// as soon as nobody uses it.
func (p *Pool) release(inst *instance, reusable bool) {
	p.mu.Lock()
	inst.active--
	if !reusable || inst.dead() || p.closed {
		inst.retire()
	}
	over := inst.retired && inst.active == 0
	if inst.active == 0 && !over {
		inst.idle = time.AfterFunc(p.cfg.IdleTimeout, func() { p.reap(inst) })
	}
	p.notify()
	p.mu.Unlock()
	if over {
		go p.end(inst)
	}
}

func (p *Pool) reap(inst *instance) {
	p.mu.Lock()
	unused := inst.active == 0 && !inst.retired
	if unused {
		inst.retire()
	}
	p.mu.Unlock()
	if unused {
		p.end(inst)
	}
}

// notify wakes all who wait for a change. The caller holds p.mu.
func (p *Pool) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// end stops a retired instance and returns when nothing is left of it.
func (p *Pool) end(inst *instance) {
	if inst.proc == nil { // never started
		p.forget(inst)
		return
	}
	inst.proc.stop(p.cfg.KillGrace)
	<-inst.ended
}

// forget removes an instance of which nothing is left.
func (p *Pool) forget(inst *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := slices.DeleteFunc(p.instances[inst.fn.Key], func(i *instance) bool { return i == inst })
	if len(list) == 0 {
		delete(p.instances, inst.fn.Key)
	} else {
		p.instances[inst.fn.Key] = list
	}
	inst.retire()
	if inst.turn != nil {
		inst.turn.Close()
	}
	inst.closeOnce.Do(func() { close(inst.ended) })
	p.notify()
}

// Stop ends the idle instances of the key and waits for them. Busy ones take no
// new work and end with what they are doing, at the latest with its timeout.
func (p *Pool) Stop(key string) {
	p.mu.Lock()
	var idle []*instance
	for _, i := range p.instances[key] {
		i.retire()
		i.gone = true
		if i.active == 0 {
			idle = append(idle, i)
		}
	}
	p.mu.Unlock()
	p.endAll(idle)
	p.dropImages(key)
}

func (p *Pool) endAll(list []*instance) {
	var wg sync.WaitGroup
	for _, i := range list {
		wg.Go(func() { p.end(i) })
	}
	wg.Wait()
}

// Instances lists the ids of the key's instances that can take requests.
func (p *Pool) Instances(key string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for _, i := range p.instances[key] {
		if i.ready && !i.retired {
			ids = append(ids, i.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Close ends all instances, also those at work, and removes the pool's folder.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.cancel()
	var started, starting []*instance
	for _, list := range p.instances {
		for _, i := range list {
			i.retire()
			if i.proc != nil {
				started = append(started, i)
			} else {
				starting = append(starting, i)
			}
		}
	}
	p.notify()
	p.mu.Unlock()
	p.endAll(started)
	for _, i := range starting { // their starters see that the pool is closed
		<-i.ended
	}
	p.watch.close()
	p.removeImages()
	p.setup.Do(func() { p.setupErr = errClosed })
	return p.removeFolder()
}

// note logs a remark the first time only.
func (p *Pool) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	p.mu.Lock()
	known := p.noted[line]
	p.noted[line] = true
	p.mu.Unlock()
	if !known {
		p.cfg.Log(line)
	}
}
