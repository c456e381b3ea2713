package tree_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/image/tree"
)

const (
	passwd = "root:x:0:0:root:/root:/bin/bash\n# a comment\nnode:x:1000:1001::/home/node:/bin/sh\nnode:x:5:5::/second:/bin/sh\nbad:x:-5:7::/:\nbroken line\n"
	group  = "root:x:0:\nnodes:x:1001:\nweb:x:50:node,root\nadm:x:4:node\n7up:x:77:\n"
)

func withUsers(t *testing.T) *tree.Tree {
	return of(t, entries{dir("etc"), file("etc/passwd", passwd), file("etc/group", group)})
}

func TestUser(t *testing.T) {
	tr := withUsers(t)
	for spec, want := range map[string]string{
		"":           "0 0 [50] /root",
		"root":       "0 0 [50] /root",
		"0":          "0 0 [50] /root",
		"node":       "1000 1001 [50 4] /home/node",
		"1000":       "1000 1001 [50 4] /home/node",
		"node:":      "1000 1001 [50 4] /home/node",
		"node:web":   "1000 50 [] /home/node",
		"node:12":    "1000 12 [] /home/node",
		"1000:adm":   "1000 4 [] /home/node",
		"4711":       "4711 0 [] /",
		"4711:4712":  "4711 4712 [] /",
		"4711:7up":   "4711 77 [] /",
		":web":       "0 50 [] /root",
		"2147483647": "2147483647 0 [] /",
	} {
		uid, gid, groups, home, err := tr.User(spec)
		if got := fmt.Sprintf("%d %d %v %s", uid, gid, groups, home); err != nil || got != want {
			t.Errorf("%q: got %s, %v, want %s", spec, got, err, want)
		}
	}
	for spec, want := range map[string]string{
		"nobody": "is not to be found", "node:staff": "is not to be found", "2147483648": "must be in range", "-1": "must be in range",
		"99999999999999999999": "must be in range", "node:-1": "must be in range", "bad": "gives it the number -5",
	} {
		if _, _, _, _, err := tr.User(spec); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), spec) {
			t.Errorf("%q: got %v, want %q", spec, err, want)
		}
	}
}

func TestChown(t *testing.T) {
	tr := withUsers(t)
	for spec, want := range map[string]string{
		"node": "1000 1001", "1000": "1000 1000", "root": "0 0", "node:web": "1000 50", "12:web": "12 50", "12:13": "12 13", "root:13": "0 13",
		":web": "0 50", "node:": "1000 1001", "12:": "12 12", "node:root": "1000 0", "": "0 0",
	} {
		uid, gid, err := tr.Chown(spec)
		if got := fmt.Sprint(uid, gid); err != nil || got != want {
			t.Errorf("%q: got %s, %v, want %s", spec, got, err, want)
		}
	}
	for _, spec := range []string{"nobody", "node:staff", "1:staff", "-1", "node:-1"} {
		if uid, gid, err := tr.Chown(spec); err == nil {
			t.Errorf("%q: got %d:%d", spec, uid, gid)
		}
	}
}

func TestUsersOfAnEmptyImage(t *testing.T) {
	tr := tree.New()
	for _, spec := range []string{"", "0", "12:13"} {
		if _, _, _, home, err := tr.User(spec); err != nil || home != "/" {
			t.Errorf("%q: %q, %v", spec, home, err)
		}
	}
	if uid, gid, err := tr.Chown("root:root"); err != nil || uid != 0 || gid != 0 {
		t.Errorf("root: %v", err)
	}
	if _, _, _, _, err := tr.User("node"); err == nil {
		t.Error("an image without users has one")
	}
}

func TestUserFiles(t *testing.T) {
	unread := file("etc/passwd", passwd)
	unread.Open = nil
	broken := file("etc/passwd", passwd)
	broken.Open = func() (io.ReadCloser, error) { return nil, os.ErrPermission }
	for name, c := range map[string]struct {
		layer entries
		want  string
	}{
		"elsewhere":   {entries{file("config/passwd", passwd), link("etc", "config")}, ""},
		"a symlink":   {entries{file("config/passwd", passwd), link("etc/passwd", "/config/passwd")}, ""},
		"a hard link": {entries{file("config/passwd", passwd), hard("etc/passwd", "config/passwd")}, ""},
		"not at hand": {entries{unread}, "are not known"},
		"too large":   {entries{file("etc/passwd", passwd+strings.Repeat("\n", 1<<20))}, "are not known"},
		"unreadable":  {entries{broken}, "permission denied"},
		"a loop":      {entries{link("etc", "etc")}, "symlinks"},
		"a directory": {entries{dir("etc/passwd")}, "is not to be found"},
		"a long line": {entries{file("etc/passwd", strings.Repeat("x", 100_000)+"\n"+passwd)}, "cannot be found"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := of(t, c.layer)
			uid, _, _, _, err := tr.User("node")
			if c.want == "" && (err != nil || uid != 1000) {
				t.Errorf("%d, %v", uid, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if c.want == "are not known" {
				if uid, gid, _, _, err := tr.User("5:6"); err != nil || uid != 5 || gid != 6 {
					t.Errorf("numbers: %d:%d, %v", uid, gid, err)
				}
			}
		})
	}
}

// A user is found in the highest layer that has the file.
func TestUsersOfTheHighestLayer(t *testing.T) {
	tr := of(t, entries{file("etc/passwd", passwd)}, entries{file("etc/passwd", "node:x:7:8::/n:\n")})
	if uid, gid, _, _, err := tr.User("node"); err != nil || uid != 7 || gid != 8 {
		t.Errorf("%d:%d, %v", uid, gid, err)
	}
}
