//go:build linux

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func onlyInside(t *testing.T) {
	t.Helper()
	if os.Getenv(inside) == "" {
		t.Skip("runs in our own image alone, see TestInOwnImage")
	}
}

func TestInsideLevel(t *testing.T) {
	onlyInside(t)
	s := Probe(Config{})
	if s.Level() != OwnRoot {
		t.Fatalf("the level is %s", s)
	}
	t.Log(s)
	// A file of somebody else's in the container ends it.
	write(t, "/foreign", "", 0o644)
	defer os.Remove("/foreign")
	if s := Probe(Config{}); s.Level() != Chroot || !strings.Contains(s.String(), "/foreign is a file") {
		t.Errorf("with a foreign file: %s", s)
	}
	root := busybox(t, at(t, Chroot))
	if _, err := s.Enter(context.Background(), root, nil); err == nil {
		t.Error("the root was exchanged for a folder elsewhere")
	}
	root = busybox(t, s)
	if _, err := s.Enter(context.Background(), root, nil); err == nil || !strings.Contains(err.Error(), "/foreign is a file") {
		t.Errorf("the root was exchanged beside a foreign file: %v", err)
	}
}

// outerFiles is what the exchange must leave as it was.
func outerFiles(t *testing.T) map[string]string {
	seen := picture(t, "/", func(rel string) bool {
		return slices.Contains([]string{"proc", "sys", "dev/pts", "dev/mqueue", ".devs/work", ".devs/tmp", ".devs/swap"}, rel) || strings.HasPrefix(rel, "github/")
	})
	for rel, text := range seen {
		before, after, _ := strings.Cut(text, " ino ")
		switch {
		case strings.HasPrefix(rel, "dev"):
			// Folders of devices have new times.
			text = before
			if _, link, ok := strings.Cut(after, "->"); ok {
				text += link
			}
		case rel == "etc/hosts" || rel == ".devs":
			text = before
		case strings.Contains(text, "->"):
			// A link that was moved has been copied to the container's own layer.
			_, after, _ = strings.Cut(after, " ")
			text = before + after
		}
		seen[rel] = text
	}
	return seen
}

func TestInsideKilled(t *testing.T) {
	onlyInside(t)
	if at := os.Getenv("DEVS_TEST_KILL"); at != "" {
		dieAt(t, at)
		return
	}
	s := Probe(Config{})
	folder := busybox(t, s)
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before := outerFiles(t)
	died := 0
	for n := 1; ; n++ {
		child := exec.Command(executable, "-test.run=^TestInsideKilled$", "-test.v")
		child.Env = append(os.Environ(), fmt.Sprintf("DEVS_TEST_KILL=%d", n), "DEVS_TEST_ROOT="+folder)
		out, err := child.CombinedOutput()
		if err == nil {
			break
		}
		e := (*exec.ExitError)(nil)
		if !errors.As(err, &e) || !e.Sys().(syscall.WaitStatus).Signaled() {
			t.Fatalf("step %d: %v\n%s", n, err, out)
		}
		died++
		if err := Recover(Config{}); err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
		if n := running(t, "98764"); n > 0 {
			t.Fatalf("step %d: a command still ran while the root was restored", n)
		}
		if diff := cmp.Diff(before, outerFiles(t)); diff != "" {
			t.Fatalf("step %d: the container is not as it was:\n%s", n, diff)
		}
	}
	t.Logf("killed at %d steps", died)
	if died < 50 {
		t.Errorf("killed at %d steps only", died)
	}
}

// dieAt exchanges the root and back, and kills itself at a step.
func dieAt(t *testing.T, at string) {
	n, err := strconv.Atoi(at)
	if err != nil {
		t.Fatal(err)
	}
	s := Probe(Config{})
	count := 0
	step := func(string) error {
		if count++; count >= n {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}
	s.shared.step = step
	x, err := s.Enter(context.Background(), os.Getenv("DEVS_TEST_ROOT"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = step("before the command")
	err = x.Run(context.Background(), Command{
		Args: []string{"sh", "-c", "mkdir -p /new /github/new; echo x >/new/x; rm -rf /var; echo x >/etc/hosts; ln -sf x /dev/shm/left; rm /dev/null; sleep 98764 & echo ready; sleep 0.01"},
		Env:  []string{"PATH=/bin"}, Stdout: &watcher{text: "ready", call: func() { _ = step("during the command") }},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = step("after the command")
	if err := x.Leave(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(os.Getenv("DEVS_TEST_ROOT"), "new/x")); err != nil {
		t.Fatal(err)
	}
}

// TestInsideTwice lets sessions of one builder wait, and refuses another builder.
func TestInsideTwice(t *testing.T) {
	onlyInside(t)
	s, other := Probe(Config{}), Probe(Config{})
	x, err := s.Enter(context.Background(), busybox(t, s), nil)
	if err != nil {
		t.Fatal(err)
	}
	root := busybox2(t, s)
	if _, err := other.Enter(context.Background(), root, nil); err == nil || !strings.Contains(err.Error(), "another build") {
		t.Errorf("another builder: %v", err)
	}
	entered := make(chan error)
	go func() {
		y, err := s.Enter(context.Background(), root, nil)
		if err == nil {
			err = y.Leave()
		}
		entered <- err
	}()
	if err := x.Leave(); err != nil {
		t.Fatal(err)
	}
	if err := <-entered; err != nil {
		t.Error(err)
	}
}

// busybox2 makes an image while the root is exchanged.
func busybox2(t *testing.T, s *Sandbox) string {
	t.Helper()
	root := filepath.Join(folder(t, s), "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestInsideDebian uses what images of Debian use, with /proc where it belongs.
func TestInsideDebian(t *testing.T) {
	onlyInside(t)
	base := os.Getenv("DEVS_TEST_DEBIAN")
	if base == "" {
		t.Skip("DEVS_TEST_DEBIAN names no folder with the files of Debian")
	}
	for _, level := range []Level{OwnRoot, Chroot} {
		t.Run(level.String(), func(t *testing.T) {
			s := at(t, level)
			root := filepath.Join(folder(t, s), "root")
			if err := copyTree(base, root); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			x, err := s.Enter(context.Background(), root, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("entering took %v", time.Since(start))
			var out bytes.Buffer
			err = x.Run(context.Background(), Command{
				Args: []string{"/bin/bash", "-ec", `
					python3 -c 'import os, sys; assert os.path.exists(sys.executable)'
					cat <(echo substituted) || echo no substitution
					[ ! -e /proc/self/exe ] || readlink /proc/self/exe
					dpkg --configure -a; dpkg -l | wc -l
					useradd -m somebody; su somebody -c 'id -un'; ls -d /home/*
					apt-get --version | head -n 1`},
				Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, Stdout: &out, Stderr: &out,
			})
			t.Logf("%s", out.String())
			start = time.Now()
			err = errors.Join(err, x.Leave())
			t.Logf("leaving took %v", time.Since(start))
			if err != nil {
				t.Error(err)
			}
			if level == OwnRoot && !strings.Contains(out.String(), "substituted") {
				t.Error("no /dev/fd")
			}
			if _, err := os.Stat(filepath.Join(root, "home/somebody")); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestInsideApt installs what needs /proc, processes and maintainer scripts.
func TestInsideApt(t *testing.T) {
	onlyInside(t)
	base := os.Getenv("DEVS_TEST_DEBIAN")
	if base == "" || os.Getenv("DEVS_TEST_APT") == "" {
		t.Skip("DEVS_TEST_DEBIAN and DEVS_TEST_APT are not set: packages are not installed")
	}
	for _, level := range []Level{OwnRoot, Chroot} {
		t.Run(level.String(), func(t *testing.T) {
			s := at(t, level)
			root := filepath.Join(folder(t, s), "root")
			if err := copyTree(base, root); err != nil {
				t.Fatal(err)
			}
			x, err := s.Enter(context.Background(), root, nil)
			if err != nil {
				t.Fatal(err)
			}
			packages := "gcc libc6-dev python3-venv nodejs systemd sudo"
			more := "node -e 'require(\"child_process\").execSync(\"true\")'; java -version"
			if level == OwnRoot {
				packages += " default-jre-headless"
			} else {
				more = ""
			}
			var out bytes.Buffer
			err = x.Run(context.Background(), Command{
				Args: []string{"/bin/sh", "-ec", `
					apt-get update -qq
					DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ` + packages + ` >/tmp/log 2>&1 || { tail -30 /tmp/log; exit 1; }
					printf 'int main(void){return 42;}' >/tmp/a.c; gcc /tmp/a.c -o /tmp/a; /tmp/a || [ $? = 42 ]
					python3 -m venv /opt/venv; /opt/venv/bin/pip --version
					sudo -u nobody id -un
					` + more},
				Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}, Stdout: &out, Stderr: &out,
			})
			t.Logf("%s", out.String())
			if err := errors.Join(err, x.Leave()); err != nil {
				t.Error(err)
			}
		})
	}
}
