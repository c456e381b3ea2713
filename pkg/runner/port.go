package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/internal/wait"
)

// Custom runtimes are servers with a port of their own choice, often the same
// 9000. One instance, with as many requests at a time as come, serves a function;
// functions that want the same port take turns: an idle holder is stopped, a busy
// one is waited for. So do those of other processes of this program. A network
// namespace for each would need privileges and would cut functions off from the
// network.

// portPoll is how often a port is tried.
const portPoll = 10 * time.Millisecond

// port returns the port of a custom runtime.
func (f Function) port() int {
	if f.CAPort == 0 {
		return 9000
	}
	return f.CAPort
}

func localAddr(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// takePort makes the port of a new instance its own: it waits for instances of other
// processes of this program, and reports a port that cannot be listened on, because
// some program that is not ours holds it or because this user may not.
func (p *Pool) takePort(ctx context.Context, inst *instance) error {
	fn, port := inst.fn, inst.port
	if port < 1 || port > 65535 {
		return diag.Errorf("function %s has caPort %d, which is not a port", fn.FuncName, port)
	}
	if err := p.takeTurn(ctx, inst); err != nil {
		return err
	}
	l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	// What the last holder left behind may hold it for a moment after its end.
	for n := 0; n < 200 && errors.Is(err, syscall.EADDRINUSE) && wait.For(ctx, portPoll) == nil; n++ {
		l, err = net.Listen("tcp", ":"+strconv.Itoa(port))
	}
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return diag.Errorf("function %s needs port %d, which another program on this machine is using", fn.FuncName, port).
			WithHint("stop that program, or give the function another caPort").WithCause(err)
	}
	return diag.Errorf("function %s cannot listen on port %d: %v", fn.FuncName, port, err).
		WithHint("give the function a caPort of 1024 or more").WithCause(err)
}

// takeTurn waits until no pool of this machine but this one has an instance with the
// port. Who has one listens on an abstract Unix socket (unix(7)) that is named after
// the port: like ports, these names belong to a network namespace, and the kernel
// frees them with the process. To connect there is to ask for the port. Systems
// without such sockets have no turns, and an error when a port is taken.
func (p *Pool) takeTurn(ctx context.Context, inst *instance) error {
	if runtime.GOOS != "linux" {
		return nil
	}
	name := "@devs-function-port-" + strconv.Itoa(inst.port)
	bounded, cancel := context.WithTimeout(ctx, p.cfg.PortWait)
	defer cancel()
	for {
		turn, err := net.Listen("unix", name)
		if err == nil {
			inst.turn = turn
			go p.yield(inst)
			return nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) { // not in this sandbox
			return nil
		}
		if conn, err := net.Dial("unix", name); err == nil {
			conn.Close()
		}
		if wait.For(bounded, portPoll) == nil {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for port %d of function %s: %w", inst.port, inst.fn.FuncName, context.Cause(ctx))
		}
		return diag.Errorf("function %s needs port %d, which a function of another devs on this machine is using", inst.fn.FuncName, inst.port).
			WithHint("stop the other one, or give the function another caPort: custom runtimes and containers of one machine share its ports")
	}
}

// yield ends the instance, after the requests that are in it, when another pool asks
// for its port, and returns when it has ended.
func (p *Pool) yield(inst *instance) {
	conn, err := inst.turn.Accept()
	if err != nil {
		return
	}
	conn.Close()
	p.cfg.Log(fmt.Sprintf("stopping the instance of %s: another devs needs port %d", inst.fn.FuncName, inst.port))
	p.mu.Lock()
	idle := inst.active == 0 && !inst.retired
	inst.retire()
	p.mu.Unlock()
	if idle {
		p.end(inst)
	}
}

// awaitPort returns nil when the instance's port answers. A process that ends
// first, or does not listen in time, is a failure of the function.
func (p *Pool) awaitPort(ctx context.Context, inst *instance) (*Result, error) {
	start := p.cfg.Now()
	bounded, cancel := context.WithTimeoutCause(ctx, p.cfg.StartTimeout, errTimeout)
	defer cancel()
	dial := dialLocal(inst.port)
	for {
		if conn, err := dial(bounded, "tcp", ""); err == nil {
			return nil, conn.Close()
		}
		message := ""
		select {
		case <-inst.proc.over():
			message = fmt.Sprintf("Process exited unexpectedly before it listened on port %d (%s)", inst.port, inst.proc.how())
		case <-bounded.Done():
			p.discard(inst)
			if ctx.Err() != nil {
				return nil, fmt.Errorf("starting function %s: %w", inst.fn.FuncName, context.Cause(ctx))
			}
			message = fmt.Sprintf("Function instance did not listen on port %d in %d seconds", inst.port, seconds(p.cfg.StartTimeout))
		case <-time.After(portPoll):
			continue
		}
		inst.log.sync()
		return &Result{InstanceID: inst.id, ErrorType: Unhandled, Body: errorBody(message), Log: tail(inst.log.since(0)),
			Duration: p.cfg.Now().Sub(start), MemoryMB: int(inst.peak() >> 20)}, nil
	}
}
