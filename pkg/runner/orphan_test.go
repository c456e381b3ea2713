package runner

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// When the runner itself is killed, neither its functions nor their children
// live on. The runner is another run of this test binary.
func TestNoOrphans(t *testing.T) {
	if dir := os.Getenv("RUNNER_ORPHAN_CODE"); dir != "" {
		invokeForever(dir)
		return
	}
	need(t, "python3")
	dir := code(t, "index.py", `
import os, subprocess
child = subprocess.Popen(["sleep", "1000"])
def handler(event, context):
    return "%d %d" % (os.getpid(), child.pid)
`)
	cmd := exec.Command(os.Args[0], "-test.run=^TestNoOrphans$")
	cmd.Env = append(os.Environ(), "RUNNER_ORPHAN_CODE="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pids := strings.Fields(line)
	if err != nil || len(pids) != 2 || gone(pids[0]) || gone(pids[1]) {
		t.Errorf("processes %q: %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	for _, pid := range pids {
		eventually(t, "process "+pid+" is gone", func() bool { return gone(pid) })
	}
}

func invokeForever(dir string) {
	p := New(Config{Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH")}})
	fn := Function{Key: "k", CodeDir: dir, Runtime: "python3", Handler: "index.handler", Timeout: time.Minute}
	res, err := p.Invoke(context.Background(), fn, "r", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(res.Body))
	select {}
}
