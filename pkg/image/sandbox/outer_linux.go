package sandbox

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// home is the folder in which our own image keeps its files.
const home = ".devs"

// stays reports whether a name at the top belongs to the container and never moves.
func stays(name string) bool {
	switch name {
	case home, "proc", "sys", "dev", ".dockerenv":
		return true
	}
	return false
}

// outer is what our container has at its root beside home. Paths are relative to it.
type outer struct {
	links  []string        // symbolic links; they can go away
	shells []string        // folders that hold folders and mounts alone, parents first
	mounts map[string]bool // mount points; they never move
}

func (o *outer) isShell(rel string) bool {
	for _, s := range o.shells {
		if s == rel {
			return true
		}
	}
	return false
}

// survey looks at the root of a container and returns what is wrong with it when it is
// not that of our image.
func survey(top string, mounts map[string]bool) (o *outer, wrong []string, err error) {
	o = &outer{mounts: mounts}
	if err := o.look(top, ".", &wrong); err != nil {
		return nil, nil, err
	}
	return o, wrong, nil
}

func (o *outer) look(top, dir string, wrong *[]string) error {
	entries, err := os.ReadDir(filepath.Join(top, dir))
	if err != nil {
		return fmt.Errorf("looking at the container: %w", err)
	}
	for _, e := range entries {
		rel := path.Join(dir, e.Name())
		switch {
		case dir == "." && stays(e.Name()), o.mounts[rel]:
		case e.IsDir():
			o.shells = append(o.shells, rel)
			if err := o.look(top, rel, wrong); err != nil {
				return err
			}
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(filepath.Join(top, rel))
			if err != nil {
				return fmt.Errorf("looking at the container: %w", err)
			}
			if !ownLink(rel, target) {
				*wrong = append(*wrong, fmt.Sprintf("/%s is a link to %s", rel, target))
			}
			o.links = append(o.links, rel)
		default:
			*wrong = append(*wrong, fmt.Sprintf("/%s is a file outside /%s", rel, home))
		}
		if len(*wrong) > 3 {
			return nil
		}
	}
	return nil
}

// ownLink reports whether a link is of our image, or the one that Docker makes.
func ownLink(rel, target string) bool {
	if rel == "etc/mtab" {
		return target == "/proc/mounts"
	}
	if strings.Contains(rel, "/") {
		return false
	}
	return strings.HasPrefix(path.Join("/", target), "/"+home+"/")
}

// mountPoints reads the mount points below top from the text of mountinfo (proc(5)),
// without those in what stays.
func mountPoints(mountinfo io.Reader, top string) (map[string]bool, error) {
	found := map[string]bool{}
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			return nil, fmt.Errorf("reading the mounts: %q is no mount", lines.Text())
		}
		rel, err := filepath.Rel(top, unescape(fields[4]))
		if err != nil || rel == "." || strings.HasPrefix(rel, "..") {
			continue
		}
		if first, _, _ := strings.Cut(rel, "/"); !stays(first) {
			found[rel] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the mounts: %w", err)
	}
	return found, nil
}

// unescape undoes the octal escapes of mountinfo, such as \040 for a blank.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
