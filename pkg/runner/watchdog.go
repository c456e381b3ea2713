package runner

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
)

// watchdogScript is told the process groups to watch (+ id, - id). When its input
// ends, which happens in whatever way its parent ends, it kills those left. This
// reaches children of functions, which the kernel's death signal does not.
const watchdogScript = `live=" "
while read -r op id; do
	case $op in
	+) live="$live$id " ;;
	-) case $live in *" $id "*) live="${live%% $id *} ${live#* $id }" ;; esac ;;
	esac
done
for id in $live; do kill -s KILL -- "-$id"; done
`

// watchdog is a small shell process beside the instances. Without a shell on the
// machine there is none, and the kernel's death signal is all.
type watchdog struct {
	mu    sync.Mutex
	tried bool
	cmd   *exec.Cmd
	in    io.WriteCloser
}

func (w *watchdog) add(pid int) { w.tell("+", pid) }

func (w *watchdog) remove(pid int) { w.tell("-", pid) }

func (w *watchdog) tell(op string, pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.tried {
		w.tried = true
		w.start()
	}
	if w.in != nil {
		fmt.Fprintf(w.in, "%s %d\n", op, pid)
	}
}

func (w *watchdog) start() {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript)
	cmd.Env, cmd.Dir = []string{}, "/"
	setSession(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	if err := cmd.Start(); err != nil {
		in.Close()
		return
	}
	w.cmd, w.in = cmd, in
}

func (w *watchdog) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tried = true
	if w.in == nil {
		return
	}
	w.in.Close()
	_ = w.cmd.Wait()
	w.in = nil
}
