//go:build linux

package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOnlyOurImage tries roots of machines and of other images: none may be exchanged.
func TestOnlyOurImage(t *testing.T) {
	link := func(target, rel string) func(t *testing.T, top string) {
		return func(t *testing.T, top string) {
			if err := os.Symlink(target, filepath.Join(top, rel)); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := func(rel string) func(t *testing.T, top string) {
		return func(t *testing.T, top string) { write(t, filepath.Join(top, rel), "x", 0o644) }
	}
	remove := func(rel string) func(t *testing.T, top string) {
		return func(t *testing.T, top string) {
			if err := os.RemoveAll(filepath.Join(top, rel)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name       string
		change     func(t *testing.T, top string)
		executable string
		uid        int
		wrong      string
	}{
		{"ours", func(*testing.T, string) {}, "", 0, ""},
		{"another user", func(*testing.T, string) {}, "", 1000, "not root"},
		{"no folder", remove(".devs"), "", 0, "not the product's own image"},
		{"no marker", remove(".devs/image"), "", 0, "image is missing"},
		{"another program", func(*testing.T, string) {}, "/usr/local/bin/devs", 0, "and not in /.devs/bin"},
		{"a program below", func(*testing.T, string) {}, "/.devs/bin/sub/devs", 0, "and not in /.devs/bin"},
		{"a file at the top", file("vmlinuz"), "", 0, "/vmlinuz is a file"},
		{"a file of the machine", file("etc/passwd"), "", 0, "/etc/passwd is a file"},
		{"a file deep down", file("opt/a/b/file"), "", 0, "/opt/a/b/file is a file"},
		{"a file beside a mount", file("github/file"), "", 0, "/github/file is a file"},
		{"a merged usr", link("usr/lib", "lib"), "", 0, "/lib is a link to usr/lib"},
		{"a link that goes up", link("/.devs/../etc", "up"), "", 0, "/up is a link"},
		{"a link to the home", link("/.devs", "all"), "", 0, "/all is a link"},
		{"a deep link", link("/.devs/x", "etc/x"), "", 0, "/etc/x is a link"},
		{"a new empty folder", func(t *testing.T, top string) { _ = os.Mkdir(filepath.Join(top, "work"), 0o755) }, "", 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			top, mounts := fakeOutside(t)
			test.change(t, top)
			executable := test.executable
			if executable == "" {
				executable = "/.devs/bin/devs"
			}
			_, wrong, err := isOwnImage(top, filepath.Join(top, executable), test.uid, mounts)
			if err != nil {
				t.Fatal(err)
			}
			if (wrong == "") != (test.wrong == "") || !strings.Contains(wrong, test.wrong) {
				t.Errorf("got %q, want %q", wrong, test.wrong)
			}
		})
	}
}

// TestThisMachine asks for the exchange on the machine of the tests.
func TestThisMachine(t *testing.T) {
	if os.Getenv(inside) != "" {
		t.Skip("this is our own image")
	}
	s := Probe(Config{Isolation: "own-root"})
	if s.Err() == nil || s.Level() != None {
		t.Fatalf("got %s", s)
	}
	if _, err := s.Enter(t.Context(), t.TempDir(), nil); err == nil {
		t.Error("entered")
	}
}

func TestSwapRefuses(t *testing.T) {
	tests := []struct {
		name, file, want string
	}{
		{"files where a mount is", "github/workspace/file", "where this container has a mount"},
		{"a home of its own", ".devs/bin/devs", "a folder /.devs of its own"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			top, mounts := fakeOutside(t)
			root := fakeStage(t, top)
			write(t, filepath.Join(root, test.file), "x", 0o644)
			before := picture(t, top, nil)
			o, _, err := survey(top, mounts)
			if err != nil {
				t.Fatal(err)
			}
			if err := newSwap(top, nil).plan(root, o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(before, picture(t, top, nil)); diff != "" {
				t.Errorf("something has changed:\n%s", diff)
			}
		})
	}
}

func TestMountPoints(t *testing.T) {
	const text = `74 49 0:39 / / rw,relatime master:2 - overlay overlay rw
75 74 0:42 / /proc rw - proc proc rw
78 74 0:22 / /sys/fs/x ro - sysfs sysfs rw
93 74 254:0 /x /etc/resolv.conf rw,relatime - ext4 /dev/vda rw
94 74 254:0 /x /with\040blank/and\134more rw,relatime - ext4 /dev/vda rw
96 74 254:0 /x /.devs/run/docker.sock rw,relatime - ext4 /dev/vda rw
`
	got, err := mountPoints(strings.NewReader(text), "/")
	want := map[string]bool{"etc/resolv.conf": true, `with blank/and\more`: true}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := mountPoints(strings.NewReader("nonsense\n"), "/"); err == nil {
		t.Error("nonsense was read")
	}
}

func FuzzMountPoints(f *testing.F) {
	f.Add(`94 74 254:0 /x /with\040blank/and\134more rw,relatime - ext4 /dev/vda rw`)
	f.Add(`1 2 3 4 /\777`)
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := mountPoints(strings.NewReader(text), "/")
		for rel := range mounts {
			if err == nil && (rel == "." || filepath.IsAbs(rel) || strings.HasPrefix(rel, "../")) {
				t.Errorf("a mount at %q", rel)
			}
		}
	})
}

// FuzzJournal reads journals that a command of a build may have written: what is
// accepted stays inside the container and below our folder.
func FuzzJournal(f *testing.F) {
	good, err := json.Marshal(journal{
		Phase: phaseFill, Root: "/.devs/work/1", Away: []string{"bin", "etc/mtab"},
		Shells: []shell{{Path: "."}, {Path: "etc"}}, Dev: map[string]node{"null": {}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add(`{"Phase":"fill","Root":"/.devs/../etc"}`)
	f.Add(`{"Phase":"clear","Root":"/.devs/a","Away":["../x"]}`)
	f.Fuzz(func(t *testing.T, text string) {
		w := newSwap("/", nil)
		if json.Unmarshal([]byte(text), &w.journal) != nil || w.check() != nil {
			return
		}
		if !strings.HasPrefix(w.Root, "/.devs/") || strings.Contains(w.Root, "/../") {
			t.Errorf("the stage is %q", w.Root)
		}
		for _, rel := range w.Away {
			if out := w.outside(rel); out == "/" || strings.HasPrefix(out, "/dev/") || strings.HasPrefix(out, "/.devs") {
				t.Errorf("%q goes away", out)
			}
		}
	})
}

// FuzzScoped resolves paths through hostile links: the result stays below the root.
func FuzzScoped(f *testing.F) {
	f.Add("../../x", "/a/../../..", "a/b/../../../../etc")
	f.Add("/", "b", "/b/b/b")
	f.Add("a", "a", "a")
	f.Fuzz(func(t *testing.T, one, two, target string) {
		root := t.TempDir()
		_ = os.Symlink(one, filepath.Join(root, "a"))
		_ = os.Symlink(two, filepath.Join(root, "b"))
		got, err := scoped(root, target)
		if err == nil && got != root && !strings.HasPrefix(got, root+"/") {
			t.Errorf("%q is at %q", target, got)
		}
	})
}

func TestCanRename(t *testing.T) {
	top := t.TempDir()
	if why := canRename(filepath.Join(top, "work"), top); why != "" {
		t.Errorf("in one file system: %s", why)
	}
	if why := canRename("/proc", top); !strings.Contains(why, "is a mount") {
		t.Errorf("from /proc: %q", why)
	}
}
