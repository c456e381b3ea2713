package layer

import (
	"path"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

// What Linux allows, and a little more for paths that are made step by step.
const (
	maxPath      = 1 << 15
	maxName      = 255
	maxTarget    = 4095 // PATH_MAX without its NUL
	maxXattrName = 255
	maxXattr     = 64 << 10
)

// CleanPath returns a name of an archive as the Path of an Entry: relative to the
// root of the image, without empty and "." parts. A leading slash is dropped, as
// docker does. A name that has "..", a NUL byte or is longer than a file system
// allows is refused.
func CleanPath(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	if cleaned := strings.Trim(name, "/"); cleaned != "" {
		return path.Clean(cleaned), nil
	}
	return ".", nil
}

func checkName(name string) error {
	if len(name) > maxPath {
		return diag.Errorf("the path %s... is longer than %d bytes", Quote(name[:40]), maxPath)
	}
	if strings.IndexByte(name, 0) >= 0 {
		return diag.Errorf("the path %s has a NUL byte", Quote(name))
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return diag.Errorf("the path %s has a part \"..\"", Quote(name))
		}
		if len(part) > maxName {
			return diag.Errorf("the path %s has a name of more than %d bytes", Quote(name), maxName)
		}
	}
	return nil
}

// isClean reports whether p is what CleanPath returns.
func isClean(p string) bool {
	cleaned, err := CleanPath(p)
	return err == nil && cleaned == p
}

// Compare orders paths so that a directory comes right before what is in it: by
// their parts, each by its bytes. "." is the first.
func Compare(a, b string) int {
	if a == "." || b == "." {
		return compareRoot(a, b)
	}
	n := min(len(a), len(b))
	i := 0
	for i < n && a[i] == b[i] {
		i++
	}
	switch {
	case i == n:
		return len(a) - len(b)
	case a[i] == '/':
		return -1
	case b[i] == '/':
		return 1
	}
	return int(a[i]) - int(b[i])
}

func compareRoot(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == ".":
		return -1
	}
	return 1
}

// Sort brings entries into the order of a layer: parents before what is in them; in
// each directory first what it removes from the layers below, then the rest by
// Compare. Hard links come after their first name when that name is the lowest of
// its group.
func Sort(entries []*Entry) {
	slices.SortStableFunc(entries, func(a, b *Entry) int {
		return Compare(a.sortPath(), b.sortPath())
	})
}

// sortPath is the path by which an entry is sorted: a byte that no name has puts
// what removes something before its siblings.
func (e *Entry) sortPath() string {
	switch e.Type {
	case Opaque:
		return path.Join(e.Path, "\x00")
	case Whiteout:
		return path.Join(path.Dir(e.Path), "\x00"+path.Base(e.Path))
	}
	return e.Path
}

// removes reports whether the entry takes something of the layers below away.
func (e *Entry) removes() bool { return e.Type == Whiteout || e.Type == Opaque }
