package state

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// claim is the value of a note devs.<8>.lock.<6>, which says that somebody has the lock
// or tries to take it:
//
//	format_counter_place_pid_start_who
//
// The counter changes with every sign of life. place is a hash of the machine and the
// process namespace, empty when they are not known; who is base64url.
type claim struct {
	counter uint64
	place   string
	pid     int
	start   string
	who     string
}

const (
	claimFormat = "1"
	claimFields = 6
)

// String returns the value, of at most noteSize characters; who is cut to fit.
func (c claim) String() string {
	head := strings.Join([]string{claimFormat, strconv.FormatUint(c.counter, 10), c.place, strconv.Itoa(c.pid), c.start, ""}, "_")
	who := strings.ToValidUTF8(c.who, "?")
	room := base64.RawURLEncoding.DecodedLen(max(0, noteSize-len(head)))
	if len(who) > room {
		who = strings.ToValidUTF8(who[:room], "")
	}
	return head + base64.RawURLEncoding.EncodeToString([]byte(who))
}

// parseClaim reads a value; ok is false for one that this version did not write.
func parseClaim(value string) (c claim, ok bool) {
	f := strings.SplitN(value, "_", claimFields)
	if len(value) > noteSize || len(f) != claimFields || f[0] != claimFormat {
		return claim{}, false
	}
	counter, err := strconv.ParseUint(f[1], 10, 64)
	pid, err2 := strconv.ParseInt(f[3], 10, 32)
	_, err3 := strconv.ParseUint(f[4], 10, 64)
	who, err4 := base64.RawURLEncoding.DecodeString(f[5])
	if err != nil || err2 != nil || err3 != nil && f[4] != "" || err4 != nil || pid < 0 || strings.Trim(f[2], "0123456789abcdef") != "" {
		return claim{}, false
	}
	return claim{counter: counter, place: f[2], pid: int(pid), start: f[4], who: shownWho(string(who))}, true
}

// shownWho makes foreign text fit for a line.
func shownWho(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
}

// ProcessInfo tells one process from all others of a machine. The zero value tells
// nothing.
type ProcessInfo struct {
	Machine   string // names the machine, and when it was started
	Namespace string // in which PID counts
	PID       int
	Start     string // when the process began, in digits
	// Gone reports whether a process of this machine and namespace has surely ended.
	Gone func(pid int, start string) bool
}

// place returns the hash of where p runs; "" when it is not known.
func (p ProcessInfo) place() string {
	if p.Machine == "" || p.Namespace == "" || p.Start == "" || p.Gone == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(p.Machine + "\x00" + p.Namespace))
	return hex.EncodeToString(sum[:6])
}

// ended reports whether the process that wrote a claim is known to be gone.
func (p ProcessInfo) ended(value string) bool {
	c, ok := parseClaim(value)
	return ok && c.place != "" && c.start != "" && c.pid > 0 && c.place == p.place() && p.Gone(c.pid, c.start)
}

// watch remembers since when claims have not changed, by the clock of the one who
// watches.
type watch struct {
	process ProcessInfo
	stale   time.Duration
	seen    map[string]sighting
}

type sighting struct {
	value string
	since time.Time
}

// look sorts claims, by name, into those that may be alive and those that are dead.
// They were read between two times: what is seen for the first time is as young as the
// second, and what is still the same is so since the first at least.
func (w *watch) look(claims map[string]string, before, after time.Time) (alive, dead []string) {
	maps.DeleteFunc(w.seen, func(name string, _ sighting) bool { _, ok := claims[name]; return !ok })
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		value := claims[name]
		s, ok := w.seen[name]
		if !ok || s.value != value {
			s = sighting{value, after}
			w.seen[name] = s
		}
		if before.Sub(s.since) >= w.stale || w.process.ended(value) {
			dead = append(dead, name)
		} else {
			alive = append(alive, name)
		}
	}
	return alive, dead
}
