//go:build unix && !linux

package runner

import (
	"os"
	"syscall"
)

func setDeathSignal(*syscall.SysProcAttr) {}

func waitExit(int) {}

func peakMemory(int) int64 { return 0 }

// peakAfter returns the most that an ended process used, in bytes.
func peakAfter(state *os.ProcessState) int64 {
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss
	}
	return 0
}
