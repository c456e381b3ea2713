//go:build linux

package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAsNobody runs the tests of this package as another user than root, with proot.
func TestAsNobody(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(inside) != "" {
		t.Skip("only root on a machine can become somebody else; these tests run by themselves otherwise")
	}
	if _, err := exec.LookPath("proot"); err != nil {
		t.Skip("no proot in PATH")
	}
	dir, err := os.MkdirTemp("", "devs-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "test")
	compileTests(t, program)
	for _, name := range []string{dir, program} {
		if err := os.Chown(name, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	child := exec.Command(program, "-test.v", "-test.skip", "^(TestSwap|TestInOwnImage)")
	child.Dir = dir
	child.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "HOME=/"}
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := child.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range []string{"TestMounts", "TestBuilderIsHidden", "TestNothingIsLeftRunning", "TestCancel", "TestExit"} {
		if !strings.Contains(string(out), "--- PASS: "+name+"/proot") {
			t.Errorf("%s did not run with proot", name)
		}
	}
}
