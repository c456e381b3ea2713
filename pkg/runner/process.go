package runner

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// process is a child that leads its own process group.
type process struct {
	pid  int
	done chan struct{} // closed when it has been reaped and its group killed
	// state is set when done is closed.
	state *os.ProcessState

	mu     sync.Mutex
	reaped bool
}

// startProcess starts cmd as the leader of a new process group that does not
// outlive this process: the kernel kills the leader (where it can), the watchdog
// the group.
func startProcess(cmd *exec.Cmd, watch *watchdog) (*process, error) {
	setGroup(cmd)
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is tied to the thread that forks: keep it to the end.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		watch.add(p.pid)
		started <- nil
		waitExit(p.pid)
		p.mu.Lock()
		killGroup(p.pid) // what the leader left behind, before its id can be given away
		p.reaped = true
		p.mu.Unlock()
		_ = cmd.Wait()
		p.state = cmd.ProcessState
		watch.remove(p.pid)
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// proc is what runs an instance, with all that it started.
type proc interface {
	// over is closed when nothing of it runs any more.
	over() <-chan struct{}
	// kill ends it at once, without waiting.
	kill()
	// stop asks it to end where that is possible, kills it after grace, and waits for
	// its end.
	stop(grace time.Duration)
	// how tells how it ended, once it is over.
	how() string
	// peak returns the most memory that it used so far in bytes, 0 when it is not known.
	peak() int64
}

// over reports whether nothing of a process runs any more.
func over(p proc) bool {
	select {
	case <-p.over():
		return true
	default:
		return false
	}
}

func (p *process) over() <-chan struct{} { return p.done }

func (p *process) how() string { return p.state.String() }

func (p *process) peak() int64 {
	if over(p) {
		return peakAfter(p.state)
	}
	return peakMemory(p.pid)
}

// kill ends the whole group at once, without waiting.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		killGroup(p.pid)
	}
}

// stop asks the group to end, kills it after grace, and waits for its end.
func (p *process) stop(grace time.Duration) {
	p.mu.Lock()
	if !p.reaped {
		termGroup(p.pid)
	}
	p.mu.Unlock()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	}
	p.kill()
	<-p.done
}
