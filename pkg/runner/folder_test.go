package runner

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSweep checks that a pool removes what killed pools left, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	pool := func() *Pool {
		p := New(Config{Dir: dir})
		if err := p.prepare(); err != nil {
			t.Fatal(err)
		}
		return p
	}
	killed, alive := pool(), pool()
	for _, name := range []string{filepath.Join(killed.dir, "root-1", "locked"), filepath.Join(dir, "runner-other")} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(killed.dir, "root-1", "locked", "file"), "x")
	if err := os.Chmod(filepath.Join(killed.dir, "root-1", "locked"), 0o500); err != nil {
		t.Fatal(err)
	}
	if err := killed.lock.Close(); err != nil { // as the kernel does
		t.Fatal(err)
	}
	next := pool()
	for name, want := range map[string]bool{killed.dir: false, alive.dir: true, next.dir: true, filepath.Join(dir, "runner-other"): true} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
	}
	for _, p := range []*Pool{alive, next} {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "runner-*")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}
