package rootfs

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
)

// describe sets owner, mode, attributes and times of an open file or directory, in the
// order in which none undoes another: a change of the owner drops setuid bits and
// capabilities.
func (r *Root) describe(fd int, e *layer.Entry) error {
	if err := r.owned(e, unix.Fchown(fd, e.UID, e.GID)); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, e.Mode&0o7777); err != nil {
		return fmt.Errorf("setting the mode: %w", err)
	}
	err := r.attribute(e, func(name string, value []byte) error { return unix.Fsetxattr(fd, name, value, 0) })
	if err != nil {
		return err
	}
	if err := setTimes(fd, timesOf(e)); err != nil {
		return fmt.Errorf("setting the time: %w", err)
	}
	return nil
}

// owned judges the result of a chown: the missing right is noted.
func (r *Root) owned(e *layer.Entry, err error) error {
	if err == nil {
		return nil
	}
	// EINVAL: an owner that the user namespace does not have.
	if denied(err) || err == unix.EINVAL {
		r.lack(e.Path, "owner", err)
		return nil
	}
	return fmt.Errorf("setting the owner: %w", err)
}

// attribute sets extended attributes with the given call. Marks of overlayfs are left
// out: below an overlay they would hide files.
func (r *Root) attribute(e *layer.Entry, set func(name string, value []byte) error) error {
	for name, value := range e.Xattrs {
		if strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay.") {
			continue
		}
		err := set(name, []byte(value))
		switch {
		case err == nil:
		case denied(err), err == unix.ENOTSUP:
			// Of most attributes some file systems and containers know nothing, and docker
			// goes on as well.
			if name == "security.capability" {
				r.lack(e.Path, "attribute "+name, err)
			}
		default:
			return fmt.Errorf("setting the attribute %.100q: %w", name, err)
		}
	}
	return nil
}

// timesOf returns access and modification time of an entry. An entry without a time
// leaves what is.
func timesOf(e *layer.Entry) [2]unix.Timespec {
	t := unix.Timespec{Nsec: unix.UTIME_OMIT}
	if !e.ModTime.IsZero() {
		t = unix.Timespec{Sec: e.ModTime.Unix(), Nsec: int64(e.ModTime.Nanosecond())}
	}
	return [2]unix.Timespec{t, t}
}

// setTimes is futimens(3): utimensat(2) without a path, which UtimesNanoAt cannot say,
// and AT_EMPTY_PATH is refused before Linux 5.8.
func setTimes(fd int, times [2]unix.Timespec) error {
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&times[0])), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// xattrsOf returns the extended attributes of an open file that belong to the image.
func xattrsOf(fd int) (map[string]string, error) {
	list, err := attrBytes(func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) })
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var attrs map[string]string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if !carries(name) {
			continue
		}
		value, err := attrBytes(func(buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) })
		if err != nil {
			return nil, fmt.Errorf("reading the attribute %.100q: %w", name, err)
		}
		if attrs == nil {
			attrs = map[string]string{}
		}
		attrs[name] = string(value)
	}
	return attrs, nil
}

// attrBytes calls read with a buffer that is large enough. A file system without
// attributes has none.
func attrBytes(read func([]byte) (int, error)) ([]byte, error) {
	size, err := read(nil)
	for {
		if err == unix.ENOTSUP || err == unix.ENODATA {
			return nil, nil
		}
		if err != nil || size == 0 {
			return nil, err
		}
		buf := make([]byte, size)
		n, err := read(buf)
		if err == nil {
			return buf[:n], nil
		}
		if err != unix.ERANGE { // else it has grown
			return nil, err
		}
		size *= 2
	}
}

// denied reports whether the right is missing.
func denied(err error) bool { return err == unix.EPERM || err == unix.EACCES }

// diskFull says what to do when err is a full disk, and returns any other as it is.
func diskFull(dir string, err error) error {
	var known *diag.Problem
	if errors.As(err, &known) {
		return err
	}
	switch {
	case errors.Is(err, unix.ENOSPC):
		return diag.Errorf("the disk that holds %s is full", dir).
			WithHint("free some space there, or build in a folder on another disk (inodes count too: df -i)").WithCause(err)
	case errors.Is(err, unix.EDQUOT):
		return diag.Errorf("the disk quota for %s is used up", dir).
			WithHint("free some space there, or build in a folder on another disk").WithCause(err)
	}
	return err
}
