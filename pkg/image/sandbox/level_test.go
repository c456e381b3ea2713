//go:build linux

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// each runs a test at each level that the machine allows.
func each(t *testing.T, run func(t *testing.T, s *Sandbox, root string)) {
	for _, level := range levels() {
		t.Run(level.String(), func(t *testing.T) {
			s := at(t, level)
			run(t, s, busybox(t, s))
		})
	}
}

func TestEnvironment(t *testing.T) {
	// One that a careless program would hand on.
	fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	each(t, func(t *testing.T, s *Sandbox, root string) {
		t.Setenv("DEVS_CANARY", "canary")
		out, err := sh(t, s, root, nil, func(c *Command) {
			c.Args, c.Env = []string{"env"}, []string{"PATH=/bin", "A=1", "B=two words"}
		}, "")
		if err != nil || out != "PATH=/bin\nA=1\nB=two words" {
			t.Errorf("the environment is %q (%v)", out, err)
		}
		out, err = sh(t, s, root, nil, nil, fmt.Sprintf("for i in 3 4 5 6 7 8 9 %d; do (: <&$i) 2>/dev/null && echo open $i; done; umask", fd))
		if s.Level() == Proot {
			t.Logf("proot opens files of its own: %q", out)
		} else if err != nil || out != "0022" {
			t.Errorf("the files and umask are %q (%v)", out, err)
		}
	})
}

func TestUserAndFolder(t *testing.T) {
	each(t, func(t *testing.T, s *Sandbox, root string) {
		write(t, filepath.Join(root, "srv/app/file"), "x", 0o644)
		change := func(c *Command) { c.UID, c.GID, c.Groups, c.Dir = 1234, 2345, []int{2345, 3456}, "/srv/app" }
		out, err := sh(t, s, root, nil, change, "id -u; id -g; id -G; pwd; ls; cat")
		want := "1234\n2345\n2345 3456\n/srv/app\nfile"
		if s.Level() == Proot {
			// It pretends no supplementary groups.
			lines := strings.Split(out, "\n")
			if len(lines) > 2 {
				lines = slices.Delete(lines, 2, 3)
			}
			out, want = strings.Join(lines, "\n"), "1234\n2345\n/srv/app\nfile"
		}
		if err != nil || out != want {
			t.Errorf("got %q (%v), want %q", out, err, want)
		}
		out, err = sh(t, s, root, nil, func(c *Command) { c.Stdin = strings.NewReader("input") }, "cat")
		if err != nil || out != "input" {
			t.Errorf("the input came as %q (%v)", out, err)
		}
		if _, err = sh(t, s, root, nil, func(c *Command) { c.Dir = "/nonesuch" }, "true"); err == nil {
			t.Error("a command ran in a folder that does not exist")
		}
	})
}

// running returns how many processes have the word in their command line.
func running(t *testing.T, word string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil && bytes.Contains(data, []byte("\x00"+word+"\x00")) {
			n++
		}
	}
	return n
}

func TestNothingIsLeftRunning(t *testing.T) {
	each(t, func(t *testing.T, s *Sandbox, root string) {
		out, err := sh(t, s, root, nil, nil, `
			sleep 98761 &
			(setsid sh -c 'trap "" TERM HUP INT; sleep 98761 & sleep 98761' &)
			(setsid sh -c '(sleep 98761 &) ; exec setsid sleep 98761' &)
			sleep 0.2
			ps | grep -c '[s]leep 98761' || true
			exit 3`)
		e := (*ExitError)(nil)
		if !errors.As(err, &e) || e.Code != 3 {
			t.Errorf("got %v: %s", err, out)
		}
		if n := running(t, "98761"); n > 0 {
			t.Errorf("%d processes are left", n)
		}
	})
}

// watcher calls a function when a text has come.
type watcher struct {
	text string
	call func()
	seen bytes.Buffer
	done bool
}

func (w *watcher) Write(p []byte) (int, error) {
	w.seen.Write(p)
	if !w.done && strings.Contains(w.seen.String(), w.text) {
		w.done = true
		w.call()
	}
	return len(p), nil
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, s *Sandbox, root string) {
		x, err := s.Enter(context.Background(), root, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Leave()
		why := errors.New("the user went away")
		ctx, cancel := context.WithCancelCause(context.Background())
		err = x.Run(ctx, Command{
			Args: []string{"sh", "-c", `trap "" TERM; setsid sleep 98762 & (setsid sh -c 'sleep 98762' &); sleep 0.1; echo ready; sleep 98762`},
			Env:  []string{"PATH=/bin"}, Stdout: &watcher{text: "ready", call: func() { cancel(why) }},
		})
		if !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
		if n := running(t, "98762"); n > 0 {
			t.Errorf("%d processes are left", n)
		}
		if err := x.Run(ctx, Command{Args: []string{"true"}}); !errors.Is(err, why) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestOutputIsLive(t *testing.T) {
	each(t, func(t *testing.T, s *Sandbox, root string) {
		x, err := s.Enter(context.Background(), root, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Leave()
		first := &watcher{text: "first", call: func() { write(t, filepath.Join(x.Root(), "tmp/go"), "", 0o644) }}
		err = x.Run(context.Background(), Command{
			Args:   []string{"sh", "-c", "echo first; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo second >&2"},
			Env:    []string{"PATH=/bin"},
			Stdout: first, Stderr: first,
		})
		if err != nil || first.seen.String() != "first\nsecond\n" {
			t.Errorf("got %q, %v", first.seen.String(), err)
		}
	})
}

func TestMounts(t *testing.T) {
	each(t, func(t *testing.T, s *Sandbox, root string) {
		outside := folder(t, s)
		write(t, filepath.Join(outside, "context/sub/file"), "of the context", 0o640)
		write(t, filepath.Join(outside, "cache/kept"), "of the cache", 0o644)
		write(t, filepath.Join(outside, "single"), "of a file", 0o644)
		write(t, filepath.Join(root, "cache/of-image"), "of the image", 0o644)
		write(t, filepath.Join(root, "etc/resolv.conf"), "of the image", 0o644)
		mounts := []Mount{
			{Type: Bind, Source: filepath.Join(outside, "context"), Target: "/mnt/context", ReadOnly: true},
			{Type: Bind, Source: filepath.Join(outside, "single"), Target: "/mnt/single", ReadOnly: true},
			{Type: Bind, Source: filepath.Join(outside, "cache"), Target: "/cache"},
			{Type: Tmpfs, Target: "/root", Mode: 0o750},
			{Type: Tmpfs, Target: "/root/in/it", Mode: 0o700},
			{Type: File, Target: "/var/run/secrets/key", Data: []byte("secret"), Mode: 0o400},
		}
		before := picture(t, root, nil)
		out, err := sh(t, s, root, mounts, nil, `
			cat /mnt/context/sub/file; echo; cat /mnt/single; echo
			cat /run/secrets/key; echo; stat -c %a /run/secrets/key
			ls /cache; cat /cache/kept; echo; echo new >/cache/new; rm /cache/kept
			stat -c %a /root; echo x >/root/x; echo x > /root/in/it/x; ls /root
			(echo changed >/mnt/context/sub/file; touch /mnt/context/new) 2>/dev/null
			cat /etc/resolv.conf | head -n 1; echo x >>/etc/resolv.conf`)
		resolv, _ := os.ReadFile("/etc/resolv.conf")
		line, _, _ := strings.Cut(string(resolv), "\n")
		want := "of the context\nof a file\nsecret\n400\nkept\nof the cache\n750\nin\nx\n" + line
		if err != nil || out != want {
			t.Errorf("got %q (%v), want %q", out, err, want)
		}
		if diff := cmp.Diff(before, picture(t, root, nil)); diff != "" {
			t.Errorf("the image has changed:\n%s", diff)
		}
		for name, want := range map[string]string{"context/sub/file": "of the context", "cache/new": "new\n", "single": "of a file"} {
			if got, err := os.ReadFile(filepath.Join(outside, name)); err != nil || string(got) != want {
				t.Errorf("%s is %q (%v)", name, got, err)
			}
		}
		for _, name := range []string{"context/new", "cache/kept", "cache/of-image"} {
			if _, err := os.Lstat(filepath.Join(outside, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is there", name)
			}
		}
		if again, _ := os.ReadFile("/etc/resolv.conf"); !bytes.Equal(again, resolv) {
			t.Errorf("the machine's resolv.conf is %q", again)
		}
	})
}

// noInodes takes away the inode numbers: folders of the container stand in for some of
// the image.
func noInodes(seen map[string]string) map[string]string {
	for rel, text := range seen {
		before, after, _ := strings.Cut(text, " ino ")
		_, after, _ = strings.Cut(after, " ")
		seen[rel] = before + " " + after
	}
	return seen
}

// TestSkip lists the image as a snapshot does.
func TestSkip(t *testing.T) {
	each(t, func(t *testing.T, s *Sandbox, root string) {
		want := noInodes(picture(t, root, func(rel string) bool { return slices.Contains(systemFolders(), rel) }))
		if s.Level() == Chroot || s.Level() == OwnRoot {
			delete(want, "etc/resolv.conf")
		}
		x, err := s.Enter(context.Background(), root, []Mount{{Type: File, Target: "/run/secrets/key", Mode: 0o400}})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Leave()
		skip := func(rel string) bool { return x.Skip(rel) || slices.Contains(systemFolders(), rel) }
		if diff := cmp.Diff(want, noInodes(picture(t, x.Root(), skip))); diff != "" {
			t.Errorf("before a command:\n%s", diff)
		}
		err = x.Run(context.Background(), Command{Args: []string{"sh", "-c", "mkdir /new; touch /run/new /bin/new"}, Env: []string{"PATH=/bin"}})
		if err != nil {
			t.Fatal(err)
		}
		got := noInodes(picture(t, x.Root(), skip))
		for _, rel := range []string{"new", "run", "run/new", "bin/new"} {
			if got[rel] == "" {
				t.Errorf("after a command, %s is missing", rel)
			}
		}
		if len(got) != len(want)+4 {
			t.Errorf("after a command:\n%s", cmp.Diff(want, got))
		}
	})
}

// TestSecretThatIsMoved looks for the secret in the image.
func TestSecretThatIsMoved(t *testing.T) {
	each(t, func(t *testing.T, s *Sandbox, root string) {
		for _, script := range []string{
			"mv /run/secrets/key /stolen", "ln /run/secrets/key /stolen", "mv /run/secrets /stolen", "mv /run /stolen && ln -s /etc /run",
		} {
			x, err := s.Enter(context.Background(), root, []Mount{{Type: File, Target: "/run/secrets/key", Data: []byte("CANARY"), Mode: 0o400}})
			if err != nil {
				t.Fatal(err)
			}
			ran := x.Run(context.Background(), Command{Args: []string{"sh", "-c", script}, Env: []string{"PATH=/bin"}})
			left := x.Leave()
			// What was really mounted does not come along.
			if ran == nil && left == nil && s.Level() < Namespaces && (s.Level() > Proot || !strings.Contains(script, "secrets /") && !strings.Contains(script, "run /")) {
				t.Errorf("%s: nothing was said", script)
			}
			for name, text := range picture(t, root, nil) {
				if strings.Contains(text, "CANARY") {
					t.Errorf("%s: the secret is at %s", script, name)
				}
			}
			os.RemoveAll(filepath.Join(root, "stolen"))
			os.RemoveAll(filepath.Join(root, "run"))
		}
	})
}

func TestSocket(t *testing.T) {
	each(t, func(t *testing.T, s *Sandbox, root string) {
		agent := filepath.Join(folder(t, s), "agent")
		listener, err := net.Listen("unix", agent)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, "hello")
				c.Close()
			}
		}()
		x, err := s.Enter(context.Background(), root, []Mount{{Type: Socket, Source: agent, Target: "/run/agent.0", Mode: 0o600, UID: os.Getuid(), GID: os.Getgid()}})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Leave()
		var out bytes.Buffer
		err = x.Run(context.Background(), Command{Args: []string{"sh", "-c", "[ -S /run/agent.0 ] && stat -c %a /run/agent.0"}, Env: []string{"PATH=/bin"}, Stdout: &out})
		if err != nil || out.String() != "600\n" {
			t.Errorf("got %q (%v)", out.String(), err)
		}
		var c net.Conn
		switch s.Level() {
		case Chroot, OwnRoot:
			c, err = net.Dial("unix", filepath.Join(x.Root(), "run/agent.0"))
		default:
			c, err = net.Dial("unix", filepath.Join(x.places.aside, map[Level]string{Namespaces: "socket-0", Proot: "mount-2"}[s.Level()]))
		}
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if said, err := io.ReadAll(c); err != nil || string(said) != "hello" {
			t.Errorf("the socket says %q (%v)", said, err)
		}
	})
}
