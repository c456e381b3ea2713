// Package rootfs is a folder that holds the files of a stage: layers are unpacked into
// it without ever leaving it, and what a command changed in it is found by comparing
// two snapshots. It knows layer entries, and neither images nor registries nor how
// commands are run.
package rootfs

import (
	"fmt"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
)

// Lack is something that a layer asked for and this process had no right to do.
type Lack struct {
	Path string
	What string // "owner", "mode", "device", "attribute security.capability"
	Err  error
}

// maxPath is the length in bytes of the longest path that is taken. Programs can name
// 4,095 bytes at once, but make longer paths step by step.
const maxPath = 1 << 15

// checkPath refuses what is not a clean path inside the root. Readers of layers clean
// paths already; an entry may come from elsewhere.
func checkPath(p string) error {
	switch {
	case p == "":
		return fmt.Errorf("an entry of the layer has no path")
	case len(p) > maxPath:
		return fmt.Errorf("an entry of the layer has a path of %d bytes (%.40q...)", len(p), p)
	case strings.IndexByte(p, 0) >= 0:
		return fmt.Errorf("an entry of the layer has a NUL byte in its path: %.100q", p)
	case p == ".":
		return nil
	}
	for name := range strings.SplitSeq(p, "/") {
		if name == "" || name == "." || name == ".." {
			return fmt.Errorf("an entry of the layer has a path that is not clean: %.100q", p)
		}
	}
	return nil
}

// checkEntry refuses an entry that cannot be a file of a root.
func checkEntry(e *layer.Entry) error {
	if err := checkPath(e.Path); err != nil {
		return err
	}
	// The largest number means "unchanged" to chown(2).
	const maxID = 1<<32 - 2
	if e.UID < 0 || e.GID < 0 || int64(e.UID) > maxID || int64(e.GID) > maxID {
		return fmt.Errorf("%s: no such owner can be: %d:%d", e.Path, e.UID, e.GID)
	}
	if e.Size < 0 {
		return fmt.Errorf("%s: negative size", e.Path)
	}
	if e.Path == "." && e.Type != layer.Dir && e.Type != layer.Opaque {
		return fmt.Errorf("the layer replaces the root folder by something else")
	}
	return nil
}

// lackProblem turns what could not be done into one error, nil for nothing.
func lackProblem(lacks []Lack, total int) error {
	if total == 0 {
		return nil
	}
	lines := make([]string, 0, len(lacks)+1)
	for _, l := range lacks {
		lines = append(lines, fmt.Sprintf("%s: %s: %v", l.Path, l.What, l.Err))
	}
	if total > len(lacks) {
		lines = append(lines, fmt.Sprintf("and %d more", total-len(lacks)))
	}
	return diag.Errorf("the right is missing to give files of the image their owner, mode or device").
		WithDetail(strings.Join(lines, "\n")).
		WithHint("run as root; in a container, with the default capabilities (CHOWN, FOWNER, MKNOD, SETFCAP, DAC_OVERRIDE)").
		WithCause(lacks[0].Err)
}

// carries reports whether an extended attribute belongs to the image: file
// capabilities and what users set. The others say something of one machine (SELinux
// labels, measurements, marks of overlayfs) and docker leaves them out too.
func carries(name string) bool {
	return name == "security.capability" ||
		strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.")
}
