package runner

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// serverIdle is how long a connection to a custom runtime is kept: less than the 5
// seconds after which Node.js servers close theirs.
const serverIdle = 3 * time.Second

// connect sets how requests reach the instance: its port, or for a bridge a
// channel that the process of cmd inherits as descriptor 3.
func (p *Pool) connect(inst *instance, cmd *exec.Cmd) error {
	if inst.kind == job { // nothing is asked of it
		inst.close = func() {}
		return nil
	}
	if inst.kind.server() {
		tr := newTransport(dialLocal(inst.port), serverIdle)
		inst.rt, inst.close = tr, tr.CloseIdleConnections
		return nil
	}
	ours, theirs, err := channel()
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{theirs}
	only := &onlyConn{Conn: ours}
	tr := newTransport(only.dial, 0)
	tr.MaxConnsPerHost = 1
	inst.rt, inst.cut = tr, only.closed.Load
	inst.close = func() {
		tr.CloseIdleConnections()
		only.Close()
	}
	return nil
}

func newTransport(dial func(context.Context, string, string) (net.Conn, error), idle time.Duration) *http.Transport {
	return &http.Transport{
		DialContext:            dial,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        idle,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// onlyConn is a connection that cannot be made again.
type onlyConn struct {
	net.Conn
	used   atomic.Bool
	closed atomic.Bool
	once   sync.Once
}

func (c *onlyConn) dial(context.Context, string, string) (net.Conn, error) {
	if c.used.Swap(true) {
		return nil, errors.New("the function has closed its channel")
	}
	return c, nil
}

// Close closes the connection, once.
func (c *onlyConn) Close() (err error) {
	c.closed.Store(true)
	c.once.Do(func() { err = c.Conn.Close() })
	return err
}

// dialLocal connects to a port of this machine, where servers listen on either
// loopback address.
func dialLocal(port int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: 5 * time.Second}
		conn, err := d.DialContext(ctx, network, localAddr("127.0.0.1", port))
		if err == nil {
			return conn, nil
		}
		if conn, err6 := d.DialContext(ctx, network, localAddr("::1", port)); err6 == nil {
			return conn, nil
		}
		return nil, err
	}
}
