package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
)

// mapping says which ids of the machine the users and groups of a user namespace are:
// this user and group are 0, those of the ranges that the administrator gave to the
// user follow from 1 on.
type mapping struct {
	newuidmap, newgidmap string   // programs, which have the right to write the rest
	uids, gids           []string // their arguments: inside, outside, count, ...
}

// maxRanges is how many ranges are used of a file; the kernel takes 340 lines in all.
const maxRanges = 100

// findMapping finds out what this user may map, or why it is nothing.
func findMapping(lookPath func(string) (string, error)) (m *mapping, reason string) {
	if lookPath == nil {
		return nil, "no newuidmap in PATH"
	}
	m = &mapping{}
	var err error
	if m.newuidmap, err = lookPath("newuidmap"); err != nil {
		return nil, "no newuidmap in PATH"
	}
	if m.newgidmap, err = lookPath("newgidmap"); err != nil {
		return nil, "no newgidmap in PATH"
	}
	names := []string{strconv.Itoa(os.Geteuid())}
	if u, err := user.LookupId(names[0]); err == nil {
		names = append(names, u.Username)
	}
	if m.uids, reason = mapOf("/etc/subuid", names, os.Geteuid()); reason != "" {
		return nil, reason
	}
	m.gids, reason = mapOf("/etc/subgid", names, os.Getegid())
	return m, reason
}

// mapOf makes the arguments of newuidmap of the ranges in a file.
func mapOf(file string, names []string, own int) (args []string, reason string) {
	in, err := os.Open(file)
	if err != nil {
		return nil, "there is no " + file
	}
	defer in.Close()
	ranges, err := readRanges(in, names)
	if err != nil {
		return nil, fmt.Sprintf("%s cannot be read: %v", file, err)
	}
	if len(ranges) == 0 {
		return nil, fmt.Sprintf("%s gives this user no ids", file)
	}
	args = []string{"0", strconv.Itoa(own), "1"}
	next := uint64(1)
	for _, r := range ranges {
		args = append(args, fmt.Sprint(next), fmt.Sprint(r.first), fmt.Sprint(r.count))
		next += r.count
	}
	return args, ""
}

// idRange are ids of the machine.
type idRange struct{ first, count uint64 }

// readRanges reads the ranges of a user, name:first:count a line (subuid(5)). Lines
// that are none are passed over, as newuidmap does.
func readRanges(in io.Reader, names []string) ([]idRange, error) {
	var all []idRange
	total := uint64(1)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fields := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(fields) != 3 || len(all) == maxRanges {
			continue
		}
		first, wrong1 := strconv.ParseUint(fields[1], 10, 32)
		count, wrong2 := strconv.ParseUint(fields[2], 10, 32)
		const end = 1<<32 - 1 // which is no id
		if wrong1 != nil || wrong2 != nil || count == 0 || first+count > end || total+count > end {
			continue
		}
		for _, name := range names {
			if fields[0] == name {
				all = append(all, idRange{first, count})
				total += count
				break
			}
		}
	}
	return all, lines.Err()
}

// write gives a process that is in a new user namespace its ids.
func (m *mapping) write(pid int) error {
	for _, c := range []struct {
		program string
		args    []string
	}{{m.newuidmap, m.uids}, {m.newgidmap, m.gids}} {
		cmd := exec.Command(c.program, append([]string{strconv.Itoa(pid)}, c.args...)...)
		cmd.Env = []string{}
		out, err := cmd.CombinedOutput()
		if err != nil {
			text := string(bytes.TrimSpace(out))
			if text == "" {
				text = err.Error()
			}
			return errors.New(text)
		}
	}
	return nil
}

// Outside returns the id by which the machine, or the container around us, knows the
// user that runs this process, and whether it is another one than here.
func Outside() (uid int, mapped bool) {
	own := os.Getuid()
	table, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return own, false
	}
	for line := range strings.Lines(string(table)) {
		var inside, outside, count int
		if _, err := fmt.Sscan(line, &inside, &outside, &count); err == nil && own >= inside && own-inside < count {
			uid = outside + own - inside
			return uid, uid != own
		}
	}
	return own, false
}
