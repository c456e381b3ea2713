package runner

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// instance is one process (group) that runs a function.
type instance struct {
	id   string
	fn   Function
	kind kind
	port int // of a custom runtime

	dir    string // its HOME and TMPDIR
	proc   *process
	log    *logPipe
	logged int64 // how far the log was given out; belongs to the one user of a bridge
	rt     http.RoundTripper
	close  func()      // ends the connections
	cut    func() bool // reports whether the only connection was closed

	ended     chan struct{} // closed when nothing is left of it
	closeOnce sync.Once

	// Guarded by Pool.mu.
	active  int // requests in it
	ready   bool
	retired bool // takes no more requests
	idle    *time.Timer
}

// newInstance returns an instance that is not started yet and has one user.
func (p *Pool) newInstance(fn Function, kind kind) *instance {
	inst := &instance{id: "c-" + p.cfg.NewID(), fn: fn, kind: kind, active: 1, ended: make(chan struct{})}
	if kind == custom {
		inst.port = fn.port()
	}
	return inst
}

// limit is how many requests the instance takes at once. Bridges serve one at a
// time; a custom runtime is a server, and has one instance for all requests.
func (i *instance) limit() int {
	if i.kind == custom {
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
	return i.proc.ended() || i.cut != nil && i.cut()
}

// start runs the process, waits until it can take requests, and initializes it.
// When it returns a Result or an error, the caller releases the instance.
func (p *Pool) start(ctx context.Context, inst *instance, requestID string) (*Result, error) {
	if err := p.spawn(ctx, inst); err != nil {
		return nil, err
	}
	res, err := p.load(ctx, inst, requestID)
	if err == nil && res == nil && inst.fn.Init != "" {
		res, err = p.call(ctx, inst, request{id: requestID, path: pathInitialize, limit: orDefault(inst.fn.InitTimeout)})
	}
	if err != nil || (res != nil && res.ErrorType != "") {
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
	return p.launch(inst, cmd)
}

// launch starts cmd as the instance's process, unless the pool was closed.
func (p *Pool) launch(inst *instance, cmd *exec.Cmd) error {
	defer closeFiles(cmd.ExtraFiles)
	var output func([]byte)
	if p.cfg.Output != nil {
		output = func(text []byte) { p.cfg.Output(inst.fn.Key, inst.id, text) }
	}
	log, err := newLogPipe(p.cfg.NewID(), output)
	if err != nil {
		inst.close()
		return err
	}
	cmd.Stdout, cmd.Stderr = log.w, log.w
	p.mu.Lock()
	if p.closed {
		err = errClosed
	} else {
		inst.proc, err = startProcess(cmd, p.watch)
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
	<-inst.proc.done
	inst.log.close(p.cfg.KillGrace)
	inst.close()
	if err := os.RemoveAll(inst.dir); err != nil {
		p.cfg.Log(fmt.Sprintf("removing the folder of an instance: %v", err))
	}
	p.forget(inst)
}

// load waits until a new instance can take requests: bridges load the code,
// custom runtimes listen.
func (p *Pool) load(ctx context.Context, inst *instance, requestID string) (*Result, error) {
	if inst.kind == custom {
		return p.awaitPort(ctx, inst)
	}
	res, err := p.call(ctx, inst, request{id: requestID, path: pathLoad, limit: p.cfg.StartTimeout})
	if err == nil && res.ErrorType == "" {
		res = nil
	}
	return res, err
}

// prepare makes the pool's folder with the bridge scripts.
func (p *Pool) prepare() error {
	p.setup.Do(func() {
		if p.setupErr = os.MkdirAll(p.cfg.Dir, 0o700); p.setupErr != nil {
			return
		}
		if p.dir, p.setupErr = os.MkdirTemp(p.cfg.Dir, "runner-"); p.setupErr != nil {
			return
		}
		if p.dir, p.setupErr = filepath.Abs(p.dir); p.setupErr != nil {
			return
		}
		for name, text := range map[string]string{"bridge.py": bridgePy, "bridge.js": bridgeJS} {
			if p.setupErr = os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); p.setupErr != nil {
				return
			}
		}
	})
	if p.setupErr != nil {
		return fmt.Errorf("preparing the function runner: %w", p.setupErr)
	}
	return nil
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
