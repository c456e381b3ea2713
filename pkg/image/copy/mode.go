package copy

import (
	"io/fs"
	"strconv"

	modes "github.com/tonistiigi/dchapes-mode"

	"github.com/devs/deploy/pkg/diag"
)

// parseMode returns what --chmod does to a mode: an octal number replaces it, words
// such as u+x,go=rX change it. It returns nil for "".
func parseMode(chmod string) (func(uint32) uint32, error) {
	if chmod == "" {
		return nil, nil
	}
	if n, err := strconv.ParseUint(chmod, 8, 32); err == nil && n <= 0o7777 {
		return func(uint32) uint32 { return uint32(n) }, nil
	}
	set, err := modes.ParseWithUmask(chmod, 0)
	if err != nil || chmod[0] >= '0' && chmod[0] <= '9' {
		return nil, diag.Errorf("--chmod=%s is no mode", chmod).
			WithHint("write an octal number up to 7777 or words such as u+x,go-w")
	}
	return func(mode uint32) uint32 { return fromFileMode(set.Apply(toFileMode(mode))) }, nil
}

// The bits of a mode as Unix and as Go have them.
var special = [...]struct {
	unix uint32
	mode fs.FileMode
}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}}

func toFileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for _, s := range special {
		if mode&s.unix != 0 {
			m |= s.mode
		}
	}
	return m
}

func fromFileMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, s := range special {
		if m&s.mode != 0 {
			mode |= s.unix
		}
	}
	return mode
}
