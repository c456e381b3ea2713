//go:build linux

package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNetworkNone(t *testing.T) {
	each(t, func(t *testing.T, s *Sandbox, root string) {
		out, err := sh(t, s, root, nil, func(c *Command) { c.Network = "none" }, "cat /proc/net/dev | tail -n +3 | cut -d: -f1; ip addr show lo | grep -c 127.0.0.1")
		if s.Level() != Namespaces {
			if err == nil || !strings.Contains(err.Error(), "network") {
				t.Errorf("got %v", err)
			}
			return
		}
		if err != nil && strings.Contains(err.Error(), "CAP_NET_ADMIN") && os.Getenv(inside) != "" {
			t.Skip("a container with CAP_SYS_ADMIN, but not CAP_NET_ADMIN")
		}
		if err != nil || strings.TrimSpace(out) != "lo\n1" {
			t.Errorf("got %q (%v)", out, err)
		}
	})
}

// TestBuilderIsHidden runs itself with a secret in the environment.
func TestBuilderIsHidden(t *testing.T) {
	const name = "DEVS_TEST_CANARY"
	if os.Getenv(name) == "" || os.Getenv("DEVS_TEST_CHILD") == "" {
		executable, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		child := exec.Command(executable, "-test.run=^TestBuilderIsHidden$", "-test.v")
		child.Env = append(os.Environ(), "DEVS_TEST_CHILD=1", name+"=not-to-be-seen")
		out, err := child.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Error(err)
		}
		return
	}
	each(t, func(t *testing.T, s *Sandbox, root string) {
		if s.Level() == Chroot {
			t.Skip("there is no /proc")
		}
		script := fmt.Sprintf(`
			tail -c +1 /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep not-to-be-seen && echo FOUND
			[ %[1]d = 1 ] && exit
			for f in environ mem; do (: </proc/%[1]d/$f) 2>/dev/null && echo OPENED $f; done
			for f in cwd root exe fd/0 fd/1; do readlink /proc/%[1]d/$f && echo FOLLOWED $f; done
			echo end`, os.Getpid())
		out, err := sh(t, s, root, nil, nil, script)
		if err != nil || out != "end" {
			t.Errorf("got %q (%v)", out, err)
		}
	})
}

// TestMachineIsKept tries what reaches the machine as a whole.
func TestMachineIsKept(t *testing.T) {
	s := at(t, Namespaces)
	root := busybox(t, s)
	out, err := sh(t, s, root, nil, nil, `
		echo x >/proc/sys/kernel/domainname && echo wrote sysctl
		echo h >/proc/sysrq-trigger && echo wrote sysrq
		touch /sys/x && echo wrote sys
		mknod /tmp/null c 1 3 && echo x >/tmp/null && echo opened a node
		mknod /dev/disk c 1 3 && echo x >/dev/disk && echo opened a node in dev
		mount -t tmpfs none /tmp && echo mounted
		umount /proc && echo unmounted
		[ -s /proc/kcore ] && echo read memory
		grep -c . /proc/mounts >/dev/null
		ls /proc | grep -c '^[0-9]'
		grep CapBnd /proc/self/status
		echo x >/dev/null; head -c 3 /dev/zero | wc -c; [ -e /dev/fd/0 ] && echo fd; [ -c /dev/ptmx ] && echo ptmx
		`)
	lines := strings.Split(out, "\n")
	if err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"wrote", "opened", "mounted", "unmounted", "read memory"} {
		for _, line := range lines {
			if !strings.Contains(line, ":") && strings.HasPrefix(line, bad) {
				t.Errorf("the machine is open: %s", line)
			}
		}
	}
	for _, good := range []string{"CapBnd:\t00000000a80425fb", "\n3\nfd\nptmx"} {
		if !strings.Contains(out, good) {
			t.Errorf("no %q in %s", good, out)
		}
	}
}

func TestStart(t *testing.T) {
	each(t, func(t *testing.T, s *Sandbox, root string) {
		before := picture(t, root, nil)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ready := make(chan struct{})
		p, err := s.Start(ctx, root, Command{
			Args: []string{"sh", "-c", "sleep 98763 & echo ready; wait"}, Env: []string{"PATH=/bin"},
			Stdout: &watcher{text: "ready", call: func() { close(ready) }},
		})
		if err != nil {
			t.Fatal(err)
		}
		<-ready
		p.Kill()
		if err := p.Wait(); err == nil {
			t.Error("a killed command ended well")
		}
		if n := running(t, "98763"); n > 0 {
			t.Errorf("%d processes are left", n)
		}
		if diff := cmp.Diff(before, picture(t, root, nil)); diff != "" {
			t.Errorf("the image has changed:\n%s", diff)
		}
	})
}
