//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mappedTest is set for the tests that an ordinary user runs who has ids to map.
const mappedTest = "DEVS_TEST_MAPPED"

// TestMapped runs tests of this package as an ordinary user with mapped ids. The files
// that give them are those of a private mount namespace.
func TestMapped(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(inside) != "" {
		t.Skip("only root on a machine can become somebody else")
	}
	for _, program := range []string{"newuidmap", "newgidmap", "unshare", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s in PATH", program)
		}
	}
	dir, err := os.MkdirTemp("", "devs-mapped-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program, ids := filepath.Join(dir, "test"), filepath.Join(dir, "ids")
	compileTests(t, program)
	write(t, ids, "nobody:200000:65536\n", 0o644)
	for _, name := range []string{dir, program} {
		if err := os.Chown(name, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	const become = `touch /etc/subuid /etc/subgid && mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid && shift &&
		exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"`
	child := exec.Command("unshare", "-m", "sh", "-c", become, "sh", ids, program, "-test.v", "-test.run", "^TestAgain")
	child.Dir = dir
	child.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "HOME=/", mappedTest + "=1"}
	out, err := child.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range []string{"TestMounts", "TestUserAndFolder", "TestBuilderIsHidden", "TestNothingIsLeftRunning", "TestNetworkNone"} {
		if !strings.Contains(string(out), "--- PASS: "+name+"/namespaces") {
			t.Errorf("%s did not run in namespaces\n%s", name, out)
		}
	}
}

func asMapped(t *testing.T) {
	t.Helper()
	if os.Getenv(mappedTest) == "" {
		t.Skip("runs within TestMapped")
	}
}

// testsAgain runs tests of this binary in a user namespace.
func testsAgain(ctx context.Context, cfg Config, args ...string) (string, error) {
	cfg.LookPath = exec.LookPath
	return Again(ctx, cfg, Command{
		Args: append([]string{"test"}, args...), Env: os.Environ(), Dir: os.TempDir(), Stdout: os.Stdout, Stderr: os.Stderr,
	})
}

func TestAgain(t *testing.T) {
	asMapped(t)
	const tests = "^(TestMounts|TestExit|TestUserAndFolder|TestNothingIsLeftRunning|TestBuilderIsHidden|TestCancel|TestNetworkNone|TestSocket|TestSkip|TestEnvironment|TestMachineIsKept|TestMappedIDs)$"
	reason, err := testsAgain(t.Context(), Config{}, "-test.v", "-test.run", tests)
	if reason != "" || err != nil {
		t.Errorf("the tests: %q, %v", reason, err)
	}
	var exit *ExitError
	if reason, err := testsAgain(t.Context(), Config{}, "-test.no-such-flag"); reason != "" || !errors.As(err, &exit) || exit.Code != 2 {
		t.Errorf("a wrong flag: %q, %v", reason, err)
	}
	if reason, err := testsAgain(t.Context(), Config{Isolation: "proot"}); reason != "the isolation is proot" || err != nil {
		t.Errorf("with proot: %q, %v", reason, err)
	}
	none := Config{LookPath: func(string) (string, error) { return "", exec.ErrNotFound }}
	if reason, err := Again(t.Context(), none, Command{}); reason != "no newuidmap in PATH" || err != nil {
		t.Errorf("without newuidmap: %q, %v", reason, err)
	}
	refused := Config{LookPath: func(string) (string, error) { return "/bin/false", nil }}
	reason, err = Again(t.Context(), refused, Command{Args: []string{"test", "-test.no-such-flag"}})
	if reason != "exit status 1" || err != nil {
		t.Errorf("refused ids: %q, %v", reason, err)
	}
	if line := Probe(Config{Unmapped: reason, Isolation: "namespaces"}).String(); line != "none (no namespaces: not root; no mapped ids: exit status 1)" {
		t.Errorf("the line is %q", line)
	}
}

// TestMappedIDs runs in the namespace: any owner can be given, and no mark is left for
// commands.
func TestMappedIDs(t *testing.T) {
	asMapped(t)
	if uid, mapped := Outside(); uid != 65534 || !mapped {
		t.Errorf("outside we are %d, %v", uid, mapped)
	}
	if _, ok := os.LookupEnv(mappedMark); ok {
		t.Error("the mark is left in the environment")
	}
	name := filepath.Join(t.TempDir(), "file")
	write(t, name, "", 0o644)
	if err := os.Chown(name, 65536, 1234); err != nil {
		t.Error(err)
	}
	if line := Probe(Config{}).String(); !strings.HasPrefix(line, "namespaces: ") || !strings.Contains(line, "ids mapped for user 65534") {
		t.Errorf("the line is %q", line)
	}
}

// TestAgainEnds ends the program in the namespace when the build is cancelled.
func TestAgainEnds(t *testing.T) {
	asMapped(t)
	ready := filepath.Join(t.TempDir(), "ready")
	t.Setenv("DEVS_TEST_READY", ready)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the reason")
	go func() {
		for range 600 {
			if _, err := os.Stat(ready); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		cancel(why)
	}()
	if reason, err := testsAgain(ctx, Config{}, "-test.run", "^TestMappedWaits$"); reason != "" || !errors.Is(err, why) {
		t.Errorf("%q, %v", reason, err)
	}
	if _, err := os.Stat(ready + ".told"); err != nil {
		t.Errorf("the program was not told to end: %v", err)
	}
}

// TestMappedWaits is the program that TestAgainEnds ends.
func TestMappedWaits(t *testing.T) {
	ready := os.Getenv("DEVS_TEST_READY")
	if ready == "" {
		t.Skip("runs within TestAgainEnds")
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	write(t, ready, "", 0o644)
	<-told
	write(t, ready+".told", "", 0o644)
}

func TestReadRanges(t *testing.T) {
	const file = "somebody:1:1\nme:100000:65536\n# me:1:1\nme:0\n\n1000:300000:10\nme:-1:5\nme:4294967290:100\nme:7:0\n  me:400000:1  \n"
	got, err := readRanges(strings.NewReader(file), []string{"1000", "me"})
	want := []idRange{{100000, 65536}, {300000, 10}, {400000, 1}}
	if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(idRange{})) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	var many strings.Builder
	for i := range 2 * maxRanges {
		fmt.Fprintf(&many, "me:%d:1\n", i)
	}
	if got, _ := readRanges(strings.NewReader(many.String()), []string{"me"}); len(got) != maxRanges {
		t.Errorf("%d ranges of a long file", len(got))
	}
}

func FuzzReadRanges(f *testing.F) {
	f.Add("me:100000:65536\nme:4294967295:4294967295\n")
	f.Fuzz(func(t *testing.T, text string) {
		ranges, _ := readRanges(strings.NewReader(text), []string{"me"})
		total := uint64(1)
		for _, r := range ranges {
			total += r.count
			if r.count == 0 || r.first+r.count > 1<<32 {
				t.Errorf("%v is no range", r)
			}
		}
		if total > 1<<32 || len(ranges) > maxRanges {
			t.Errorf("%d ids in %d ranges", total, len(ranges))
		}
	})
}
