package runner

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func setDeathSignal(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// waitExit returns when the child has ended but before it is reaped, so that its
// id still names its group.
func waitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// peakMemory returns the sum in bytes of the most that the process and its
// descendants have used so far (VmHWM in proc(5)), 0 when it is not known.
func peakMemory(pid int) int64 {
	return peakTree(pid, 8)
}

func peakTree(pid, depth int) int64 {
	var sum int64
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			sum = kb << 10
		}
	}
	if depth == 0 {
		return sum
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(children)) {
		if id, err := strconv.Atoi(child); err == nil {
			sum += peakTree(id, depth-1)
		}
	}
	return sum
}

// peakAfter returns the most that an ended process used, in bytes.
func peakAfter(state *os.ProcessState) int64 {
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss << 10
	}
	return 0
}
