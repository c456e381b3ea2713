package sandbox

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// capability is a set with one capability.
func capability(n uint) uint64 { return 1 << n }

// dockerCapabilities are what Docker gives to a container by default (moby,
// oci/caps/defaults.go).
func dockerCapabilities() uint64 {
	var set uint64
	for _, n := range []uint{
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD,
		unix.CAP_NET_RAW, unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP,
		unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE,
	} {
		set |= capability(n)
	}
	return set
}

// sharedCapabilities are those of commands that share their processes with the
// outside, which holds the set given. One that the outside has is missing, for a reason
// that has nothing to do with what it permits: a process may only look into another's
// environment and memory when it has all of its capabilities (ptrace(2)), and the shell
// that started the builder may have secrets. Podman gives neither of the two.
func sharedCapabilities(held uint64) uint64 {
	for _, n := range []uint{unix.CAP_NET_RAW, unix.CAP_AUDIT_WRITE} {
		if held&capability(n) != 0 {
			return dockerCapabilities() &^ capability(n)
		}
	}
	return dockerCapabilities()
}

// heldCapabilities are the permitted ones of this process.
func heldCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("reading the capabilities: %w", err)
	}
	return uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32, nil
}

// limit takes from this thread, and so from what it starts, the possibility to get
// other capabilities than those kept. Those in effect stay, for the helper itself.
func limit(keep uint64) error {
	for n := uint(0); n < 64; n++ {
		if keep&capability(n) != 0 {
			continue
		}
		held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			break // the kernel knows no more
		}
		if err != nil {
			return fmt.Errorf("reading the capabilities: %w", err)
		}
		if held == 0 {
			continue
		}
		// Without CAP_SETPCAP, as another user than root, there is nothing to take.
		err = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0)
		if err != nil && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("dropping capability %d: %w", n, err)
		}
	}
	// Old kernels know no ambient set.
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("reading the capabilities: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("setting the capabilities: %w", err)
	}
	return nil
}
