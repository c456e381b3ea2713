package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is mount(2) with an error that names the target inside the root.
func mount(root, source, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mounting %s: %w", "/"+strings.TrimPrefix(strings.TrimPrefix(target, root), "/"), err)
	}
	return nil
}

// remount sets the flags of a bind mount. Those that the mounts of the machine have
// cannot be taken away in a user namespace.
func remount(root, target string, flags uintptr) error {
	flags |= unix.MS_BIND | unix.MS_REMOUNT
	err := mount(root, "", target, "", flags, "")
	var s unix.Statfs_t
	if !errors.Is(err, unix.EPERM) || unix.Statfs(target, &s) != nil {
		return err
	}
	// The values of ST_RDONLY, ST_NOSUID, ST_NODEV and ST_NOEXEC are those of MS_...
	locked := uintptr(s.Flags) & (unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	return mount(root, "", target, "", flags|locked, "")
}

const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// enterNamespaces runs as the first process of fresh namespaces: it builds the view of
// the command below j.Root and makes it the root. The targets of mounts exist already.
func enterNamespaces(j *job) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := mount(j.Root, j.Root, j.Root, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	// Devices are opened through /dev alone: a command may make nodes, for the image.
	if err := remount(j.Root, j.Root, unix.MS_NODEV); err != nil {
		return err
	}
	steps := []func(string) error{mountDev, mountProc, mountSys}
	for _, step := range steps {
		if err := step(j.Root); err != nil {
			return err
		}
	}
	for i, m := range j.Mounts {
		if err := mountOne(j.Root, m, i); err != nil {
			return err
		}
	}
	if err := maskProc(j.Root); err != nil {
		return err
	}
	if j.NoNet {
		if err := loopbackUp(); err != nil {
			return err
		}
	}
	return pivot(j.Root)
}

// pivot makes root the root of all, and lets go of the old one.
func pivot(root string) error {
	old, err := unix.Open("/", unix.O_DIRECTORY|unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the old root: %w", err)
	}
	defer unix.Close(old)
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("entering the root: %w", err)
	}
	// The old root comes to lie over the new one, as in runc; no folder is needed.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("exchanging the root: %w", err)
	}
	if err := unix.Fchdir(old); err != nil {
		return fmt.Errorf("entering the old root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the old root: %w", err)
	}
	return os.Chdir("/")
}

func mountDev(root string) error {
	dev, err := scoped(root, "/dev")
	if err != nil {
		return err
	}
	if err := mount(root, "tmpfs", dev, "tmpfs", safe, "mode=755,size=64m"); err != nil {
		return err
	}
	for _, d := range devices() {
		// A node of the machine, not an own one: where nodes cannot be made, and on a
		// file system where none can be opened, this works.
		file := filepath.Join(dev, d.name)
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			return fmt.Errorf("making /dev/%s: %w", d.name, err)
		}
		if err := mount(root, "/dev/"+d.name, file, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	for _, l := range devLinks() {
		if err := os.Symlink(l.target, filepath.Join(dev, l.name)); err != nil {
			return fmt.Errorf("making /dev/%s: %w", l.name, err)
		}
	}
	for _, name := range []string{"pts", "shm", "mqueue"} {
		if err := os.Mkdir(filepath.Join(dev, name), 0o755); err != nil {
			return fmt.Errorf("making /dev/%s: %w", name, err)
		}
	}
	const noExec = unix.MS_NOSUID | unix.MS_NOEXEC
	if err := mount(root, "devpts", filepath.Join(dev, "pts"), "devpts", noExec, "newinstance,ptmxmode=0666,mode=0620,gid=5"); err != nil {
		return err
	}
	if err := mount(root, "shm", filepath.Join(dev, "shm"), "tmpfs", safe, "mode=1777,size=64m"); err != nil {
		return err
	}
	err = mount(root, "mqueue", filepath.Join(dev, "mqueue"), "mqueue", safe, "")
	if errors.Is(err, unix.ENODEV) {
		return nil // a kernel without POSIX message queues
	}
	return err
}

func mountProc(root string) error {
	proc, err := scoped(root, "/proc")
	if err != nil {
		return err
	}
	return mount(root, "proc", proc, "proc", safe, "")
}

func mountSys(root string) error {
	sys, err := scoped(root, "/sys")
	if err != nil {
		return err
	}
	err = mount(root, "sysfs", sys, "sysfs", safe|unix.MS_RDONLY, "")
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	// In a user namespace it needs an own network as well; show that of the machine.
	if err := mount(root, "/sys", sys, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	all := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}
	if unix.MountSetattr(unix.AT_FDCWD, sys, unix.AT_RECURSIVE, all) == nil {
		return nil
	}
	// Before Linux 5.12: what may be mounted below it can be written, and is hidden.
	if err := remount(root, sys, unix.MS_RDONLY|safe); err != nil {
		return err
	}
	return mount(root, "tmpfs", filepath.Join(sys, "fs"), "tmpfs", unix.MS_RDONLY|safe, "size=0")
}

// maskProc hides what reaches the machine as a whole, as runc does by default.
func maskProc(root string) error {
	for _, name := range []string{"bus", "fs", "irq", "sys", "sysrq-trigger"} {
		target := filepath.Join(root, "proc", name)
		err := mount(root, target, target, "", unix.MS_BIND|unix.MS_REC, "")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = remount(root, target, unix.MS_RDONLY|safe)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range []string{
		"proc/acpi", "proc/asound", "proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats",
		"proc/sched_debug", "proc/scsi", "proc/timer_list", "proc/timer_stats",
		"sys/devices/virtual/powercap", "sys/firmware",
	} {
		target := filepath.Join(root, name)
		info, err := os.Lstat(target)
		if err != nil {
			continue
		}
		if info.IsDir() {
			err = mount(root, "tmpfs", target, "tmpfs", unix.MS_RDONLY|safe, "size=0")
		} else {
			err = mount(root, "/dev/null", target, "", unix.MS_BIND, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mountOne mounts what the caller wants. Number n names the helper's own file.
func mountOne(root string, m Mount, n int) error {
	target, err := scoped(root, m.Target)
	if err != nil {
		return err
	}
	if err := makeTarget(target, m.isFile()); err != nil {
		return err
	}
	switch m.Type {
	case Tmpfs:
		return mountTmpfs(root, target, m)
	case File:
		source := filepath.Join(root, "dev", fmt.Sprintf(".file-%d", n))
		f, err := writeFile(source, m)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("writing %s: %w", m.Target, err)
		}
		if err := mount(root, source, target, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		return os.Remove(source)
	}
	if err := mount(root, m.Source, target, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	flags := uintptr(unix.MS_NODEV | unix.MS_NOSUID)
	if m.ReadOnly {
		flags |= unix.MS_RDONLY
	}
	return remount(root, target, flags)
}

func mountTmpfs(root, target string, m Mount) error {
	mode := m.Mode
	if mode == 0 {
		mode = 0o1777
	}
	data := fmt.Sprintf("mode=%o,uid=%d,gid=%d", mode, m.UID, m.GID)
	if m.Size > 0 {
		data += fmt.Sprintf(",size=%d", m.Size)
	}
	return mount(root, "tmpfs", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, data)
}

// writeFile writes the file of a File mount, which nobody else can read meanwhile, and
// returns it open for reading and writing.
func writeFile(name string, m Mount) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", m.Target, err)
	}
	_, err = f.Write(m.Data)
	if err == nil && os.Geteuid() == 0 {
		err = f.Chown(m.UID, m.GID)
	}
	if err == nil {
		err = f.Chmod(fs.FileMode(m.Mode) & fs.ModePerm)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("writing %s: %w", m.Target, err), f.Close())
	}
	return f, nil
}

// loopbackUp brings up the loopback device of an own network.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("naming the loopback device: %w", err)
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("a command without network needs a network of its own, and so CAP_NET_ADMIN: bringing up the loopback device: %w", err)
	}
	return nil
}
