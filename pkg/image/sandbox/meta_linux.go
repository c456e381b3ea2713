package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// meta is what is kept of a folder whose content is exchanged.
type meta struct {
	Mode     uint32
	UID, GID int
	Atim     unix.Timespec
	Mtim     unix.Timespec
}

func readMeta(dir string) (meta, error) {
	var s unix.Stat_t
	if err := unix.Lstat(dir, &s); err != nil {
		return meta{}, fmt.Errorf("looking at %s: %w", dir, err)
	}
	return meta{s.Mode & 0o7777, int(s.Uid), int(s.Gid), s.Atim, s.Mtim}, nil
}

func (m meta) apply(dir string) error {
	if err := unix.Lchown(dir, m.UID, m.GID); err != nil {
		return fmt.Errorf("setting the owner of %s: %w", dir, err)
	}
	if err := unix.Chmod(dir, m.Mode); err != nil {
		return fmt.Errorf("setting the mode of %s: %w", dir, err)
	}
	times := []unix.Timespec{m.Atim, m.Mtim}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, dir, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("setting the times of %s: %w", dir, err)
	}
	return nil
}
