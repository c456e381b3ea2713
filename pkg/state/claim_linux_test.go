package state

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClaimsRoundTrip(t *testing.T) {
	for _, who := range []string{"", "run 7 on host", strings.Repeat("x", 300), strings.Repeat("é", 100), "a\x00b\xff_c"} {
		c := claim{counter: 1<<64 - 1, place: "0123456789ab", pid: 1<<31 - 1, start: "18446744073709551615", who: who}
		value := c.String()
		if len(value) > noteSize || strings.Trim(value, alphabet) != "" {
			t.Errorf("%d characters: %s", len(value), value)
		}
		got, ok := parseClaim(value)
		if !ok || got.counter != c.counter || got.place != c.place || got.pid != c.pid || got.start != c.start {
			t.Errorf("%s: got %+v", value, got)
		}
		if len(who) < 20 && got.who != strings.NewReplacer("\x00", " ", "\xff", "?").Replace(who) || len(who) > 20 && !strings.HasPrefix(who, got.who) {
			t.Errorf("%q: got %q", who, got.who)
		}
	}
}

func TestThisProcessIsAliveAndOthersEnd(t *testing.T) {
	p := ThisProcess()
	if p.Gone == nil {
		t.Skip("this system does not tell what a process is")
	}
	if p.place() == "" || p.PID != os.Getpid() || p.Gone(p.PID, p.Start) || !p.Gone(p.PID, "1") || p.Gone(1, mustStart(t, "1")) {
		t.Errorf("got %+v", p)
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Skip("there is no program sleep: the test with another process does not run")
	}
	start := mustStart(t, child.Process.Pid)
	theirs := claim{place: p.place(), pid: child.Process.Pid, start: start}
	if p.ended(theirs.String()) {
		t.Error("a process that runs has ended")
	}
	_ = child.Process.Kill()
	for !p.ended(theirs.String()) { // dead, and then reaped
	}
	_ = child.Wait()
	if !p.ended(theirs.String()) || p.ended("") || p.ended(claim{}.String()) || (ProcessInfo{}).ended(theirs.String()) {
		t.Error("ended is wrong")
	}
}

func mustStart(t *testing.T, pid any) string {
	t.Helper()
	start, _ := processStart(fmt.Sprint(pid))
	if start == "" {
		t.Fatalf("process %v: nothing is known", pid)
	}
	return start
}

func FuzzParseClaim(f *testing.F) {
	f.Add(claim{counter: 1, place: "0a", pid: 2, start: "3", who: "me"}.String())
	f.Add("1_____")
	f.Fuzz(func(t *testing.T, value string) {
		c, ok := parseClaim(value)
		if !ok {
			return
		}
		if !utf8.ValidString(c.who) || strings.ContainsFunc(c.who, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is not fit to be shown", c.who)
		}
		// Put into one form, it stays what it is, but for a name that has to be cut.
		again, ok := parseClaim(c.String())
		if c.who = again.who; !ok || again != c {
			t.Errorf("%q: %+v, then %+v", value, c, again)
		}
	})
}
