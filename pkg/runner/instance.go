package runner

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// instance is one process (group) that runs a function.
type instance struct {
	id   string
	fn   Function
	kind kind
	port int          // of a server
	turn net.Listener // while the port is its own, see takeTurn

	dir    string // its HOME and TMPDIR; "" for images
	proc   proc
	log    *logPipe
	logged int64 // how far the log was given out; belongs to the one user of a bridge
	rt     http.RoundTripper
	close  func()      // ends the connections
	cut    func() bool // reports whether the only connection was closed

	event    []byte    // of a function that runs once
	unpacked *unpacked // the image, once it runs

	ended     chan struct{} // closed when nothing is left of it
	closeOnce sync.Once

	// Guarded by Pool.mu.
	active  int // requests in it
	ready   bool
	retired bool // takes no more requests
	gone    bool // its function has changed or is no more
	idle    *time.Timer
}

// newInstance returns an instance that is not started yet and has one user.
func (p *Pool) newInstance(fn Function, kind kind, event []byte) *instance {
	inst := &instance{id: "c-" + p.cfg.NewID(), fn: fn, kind: kind, active: 1, event: event, ended: make(chan struct{})}
	if kind.server() {
		inst.port = fn.port()
	}
	return inst
}

// limit is how many requests the instance takes at once. Bridges serve one at a
// time; a custom runtime or container is a server, and has one instance for all.
func (i *instance) limit() int {
	if i.kind.server() {
		return math.MaxInt
	}
	return 1
}

func (i *instance) free() bool {
	return i.ready && !i.retired && i.active < i.limit() && !i.dead()
}

func (i *instance) claim() {
	i.active++
	if i.idle != nil {
		i.idle.Stop()
		i.idle = nil
	}
}

func (i *instance) retire() {
	i.retired = true
	if i.idle != nil {
		i.idle.Stop()
		i.idle = nil
	}
}

// dead reports whether the process is gone or out of reach.
func (i *instance) dead() bool {
	if i.proc == nil {
		return false
	}
	return over(i.proc) || i.cut != nil && i.cut()
}

// start runs the process, waits until it can take requests, and initializes it.
// When it returns a Result or an error, the caller releases the instance.
func (p *Pool) start(ctx context.Context, inst *instance, requestID string) (*Result, error) {
	if err := p.spawn(ctx, inst); err != nil {
		return nil, err
	}
	if inst.kind == job { // it runs, and is for nobody else
		return nil, nil
	}
	res, err := p.load(ctx, inst, requestID)
	if err == nil && res == nil && inst.fn.Init != "" {
		res, err = p.call(ctx, inst, request{id: requestID, path: pathInitialize, limit: orDefault(inst.fn.InitTimeout)})
	}
	if err != nil || (res != nil && res.ErrorType != "") {
		return res, err
	}
	if res, err := p.awaitHealthy(ctx, inst); res != nil || err != nil {
		return res, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	inst.ready = true
	p.notify()
	return nil, nil
}

// spawn starts the process and the goroutine that cleans up after it.
func (p *Pool) spawn(ctx context.Context, inst *instance) (err error) {
	if err := p.prepare(); err != nil {
		return err
	}
	if inst.kind.contained() {
		return p.spawnContained(ctx, inst)
	}
	inst.dir = filepath.Join(p.dir, inst.id)
	defer func() {
		if err != nil {
			os.RemoveAll(inst.dir)
		}
	}()
	for _, sub := range []string{"home", "tmp"} {
		if err := os.MkdirAll(filepath.Join(inst.dir, sub), 0o700); err != nil {
			return fmt.Errorf("making the folder of an instance: %w", err)
		}
	}
	cmd, err := p.command(ctx, inst)
	if err != nil {
		return err
	}
	cmd.Dir = inst.fn.CodeDir
	if err := p.connect(inst, cmd); err != nil {
		return err
	}
	defer closeFiles(cmd.ExtraFiles)
	return p.launch(inst, func(out *os.File) (proc, error) {
		cmd.Stdout, cmd.Stderr = out, out
		return startProcess(cmd, p.watch)
	})
}

// launch starts what runs the instance, unless the pool was closed.
func (p *Pool) launch(inst *instance, start func(out *os.File) (proc, error)) error {
	var output func([]byte)
	if p.cfg.Output != nil {
		output = func(text []byte) { p.cfg.Output(inst.fn.Key, inst.id, text) }
	}
	log, err := newLogPipe(p.cfg.NewID(), output)
	if err != nil {
		inst.close()
		return err
	}
	p.mu.Lock()
	if p.closed {
		err = errClosed
	} else if started, failed := start(log.w); failed != nil {
		err = failed
	} else {
		inst.proc = started
	}
	p.mu.Unlock()
	if err != nil {
		log.close(0)
		inst.close()
		return fmt.Errorf("starting function %s: %w", inst.fn.FuncName, err)
	}
	inst.log = log
	go p.cleanUp(inst)
	return nil
}

// cleanUp waits for the end of the process and removes what belongs to it.
func (p *Pool) cleanUp(inst *instance) {
	<-inst.proc.over()
	inst.log.close(p.cfg.KillGrace)
	inst.close()
	if inst.unpacked != nil {
		p.giveBack(inst)
	} else if err := os.RemoveAll(inst.dir); err != nil {
		p.cfg.Log(fmt.Sprintf("removing the folder of an instance: %v", err))
	}
	p.forget(inst)
}

// load waits until a new instance can take requests: bridges load the code,
// custom runtimes listen.
func (p *Pool) load(ctx context.Context, inst *instance, requestID string) (*Result, error) {
	if inst.kind.server() {
		return p.awaitPort(ctx, inst)
	}
	res, err := p.call(ctx, inst, request{id: requestID, path: pathLoad, limit: p.cfg.StartTimeout})
	if err == nil && res.ErrorType == "" {
		res = nil
	}
	return res, err
}

// orDefault is the cloud's default timeout of 3 seconds for 0.
func orDefault(d time.Duration) time.Duration {
	if d <= 0 {
		return 3 * time.Second
	}
	return d
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
