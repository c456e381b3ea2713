package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// ThisProcess returns what tells this process from others, as far as /proc tells.
func ThisProcess() ProcessInfo {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	host, err2 := os.Hostname()
	namespace, err3 := os.Readlink("/proc/self/ns/pid")
	start, _ := processStart("self")
	if err != nil || err2 != nil || err3 != nil || start == "" {
		return ProcessInfo{}
	}
	return ProcessInfo{
		// The name too: machines that are copies of one that runs have one boot_id.
		Machine:   string(bytes.TrimSpace(boot)) + "\x00" + host,
		Namespace: namespace,
		PID:       os.Getpid(),
		Start:     start,
		Gone:      processGone,
	}
}

// processGone reports whether a process has surely ended: there is none, one that is
// dead, or one that began at another time. What /proc hides may be alive.
func processGone(pid int, start string) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	began, dead := processStart(strconv.Itoa(pid))
	return dead || began != "" && began != start
}

// processStart returns when a process began, in clock ticks since the machine was
// started (proc_pid_stat(5), field 22), and whether it is dead (field 3); "" when that
// is not known.
func processStart(pid string) (start string, dead bool) {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return "", false
	}
	// The name of the program, in parentheses, may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "", false
	}
	return string(fields[19]), bytes.ContainsAny(fields[0], "ZX")
}
