package sandbox

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// relay is a socket in the image that leads to one outside: with its own mode and
// owner, and without giving the image the path of the other.
type relay struct {
	listener *net.UnixListener
	source   string

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

// openRelay makes the socket target, which leads to m.Source.
func openRelay(target string, m Mount) (*relay, error) {
	// Socket addresses are short; the path by an open folder always fits.
	dir, err := os.Open(filepath.Dir(target))
	if err != nil {
		return nil, fmt.Errorf("opening the folder of a socket: %w", err)
	}
	defer dir.Close()
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(target))
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	listener.SetUnlinkOnClose(false) // the name may be another's by then
	r := &relay{listener: listener, source: m.Source, open: map[net.Conn]bool{}}
	if err := unix.Lchown(target, m.UID, m.GID); err != nil && os.Geteuid() == 0 {
		r.Close()
		return nil, fmt.Errorf("setting the owner of a socket: %w", err)
	}
	if err := unix.Chmod(target, m.Mode&0o777); err != nil {
		r.Close()
		return nil, fmt.Errorf("setting the mode of a socket: %w", err)
	}
	go r.accept()
	return r, nil
}

func (r *relay) accept() {
	for {
		in, err := r.listener.Accept()
		if err != nil {
			return
		}
		go r.connect(in)
	}
}

func (r *relay) connect(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("unix", r.source)
	if err != nil {
		return
	}
	defer out.Close()
	if !r.add(in, out) {
		return
	}
	defer r.remove(in, out)
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			if half, ok := way[0].(*net.UnixConn); ok {
				_ = half.CloseWrite()
			}
		})
	}
	both.Wait()
}

func (r *relay) add(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		r.open[c] = true
	}
	return !r.closed
}

func (r *relay) remove(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		delete(r.open, c)
	}
}

// Close ends the relay and all its connections.
func (r *relay) Close() {
	r.listener.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for c := range r.open {
		c.Close()
	}
}
