package copy_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/copy"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

func paths(tr *tree.Tree) string {
	var all []string
	for _, e := range tr.All() {
		name := e.Path
		if e.Type == layer.Dir {
			name += "/"
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

func TestContext(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b/two", "a", "b/link -> ../../outside", "b/hard => a", "empty/", "l -> b", "\xffodd")
	if err := os.Chmod(filepath.Join(dir, "b/two"), 0o750|os.ModeSetuid|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o640); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	at := time.Unix(1234567, 89)
	if err := os.Chtimes(filepath.Join(dir, "a"), at, at); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(filepath.Join(dir, "a"), 5, 6); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := copy.Context(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	same(t, tr.All(), `f 0644 0:0 a=a
		d 0755 0:0 b
		h b/hard => a
		l b/link -> ../../outside
		f 5750 0:0 b/two=two
		d 0755 0:0 empty
		l l -> b
		p 0640 0:0 pipe
		f 0644 0:0 `+"\xffodd=\xffodd")
	if e, _ := tr.Lookup("a"); !e.ModTime.Equal(at) {
		t.Errorf("the time of a is %v", e.ModTime)
	}
}

func TestContextKeepsCapabilities(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "ping")
	// VFS_CAP_REVISION_2, effective, CAP_NET_RAW.
	if err := os.Chmod(filepath.Join(dir, "ping"), 0o755); err != nil {
		t.Fatal(err)
	}
	value := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	if err := unix.Setxattr(filepath.Join(dir, "ping"), "security.capability", []byte(value), 0); err != nil {
		t.Skipf("capabilities cannot be set here: %v", err)
	}
	tr, err := copy.Context(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := tr.Lookup("ping"); e.Xattrs["security.capability"] != value {
		t.Errorf("got %q", e.Xattrs)
	}
}

func TestContextIgnore(t *testing.T) {
	files := []string{"ctx/a", "ctx/b/c", "node_modules/x/y", "src/k/l.ts", "src/m.js", ".git/HEAD", "README.md", "docs/README.md", "Dockerfile"}
	for _, c := range []struct{ rules, want string }{
		{"*\n!src", "src/ src/k/ src/k/l.ts src/m.js"},
		{"*\n!src/**/*.ts", "src/ src/k/ src/k/l.ts"},
		{"**\n!**/README.md", "README.md docs/ docs/README.md"},
		{"node_modules\n.git\n*.md\n!README.md\nctx\nsrc", ".dockerignore Dockerfile README.md docs/ docs/README.md"},
		{"**/*.md\nctx\nsrc\n.git\nnode_modules", ".dockerignore Dockerfile docs/"},
		{"/ctx\nsrc/\n.git\nnode_modules/\n**/*.md", ".dockerignore Dockerfile docs/"},
		{"*\n!src\nsrc/*\n!src/k", "src/ src/k/ src/k/l.ts"},
		{"*\n!ctx/b/c\nctx/b", ""},
		{"*\n!ctx/b/c", "ctx/ ctx/b/ ctx/b/c"},
		{"\xef\xbb\xbf# comment\n\n  *  \n! ctx/a ", "ctx/ ctx/a"},
		{"*\n!ctx/[ab]", "ctx/ ctx/a ctx/b/ ctx/b/c"},
		{"*\n!c?x/b", "ctx/ ctx/b/ ctx/b/c"},
		{"Dockerfile\n.dockerignore\n**/*a*\nsrc\ndocs\nnode_modules\n.git", "README.md ctx/ ctx/b/ ctx/b/c"},
		{".\n*.md\n*s\nctx\nsrc\n.git", ".dockerignore Dockerfile"},
	} {
		dir := t.TempDir()
		write(t, dir, files...)
		if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte(c.rules), 0o644); err != nil {
			t.Fatal(err)
		}
		tr, err := copy.Context(dir, "")
		if err != nil {
			t.Errorf("%q: %v", c.rules, err)
			continue
		}
		if got := paths(tr); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.rules, got, c.want)
		}
	}
}

func TestContextIgnoreOfTheDockerfile(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	write(t, dir, "a", "b")
	for file, rules := range map[string]string{
		filepath.Join(dir, ".dockerignore"):               "a\n.dockerignore",
		filepath.Join(other, "Dockerfile.x.dockerignore"): "b\n.dockerignore",
	} {
		if err := os.WriteFile(file, []byte(rules), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for dockerfile, want := range map[string]string{
		"": "b", filepath.Join(other, "Dockerfile.x"): "a", filepath.Join(other, "Dockerfile"): "b",
	} {
		tr, err := copy.Context(dir, dockerfile)
		if err != nil {
			t.Fatal(err)
		}
		if got := paths(tr); got != want {
			t.Errorf("%s: got %s, want %s", dockerfile, got, want)
		}
	}
}

func TestContextRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", "broken/.dockerignore", "lonely/.dockerignore")
	for name, rules := range map[string]string{"broken": "ok\n\n[a-\n", "lonely": "# c\n!\n"} {
		if err := os.WriteFile(filepath.Join(dir, name, ".dockerignore"), []byte(rules), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, line := range map[string]int{"missing": 0, "file": 0, "broken": 3, "lonely": 2} {
		_, err := copy.Context(filepath.Join(dir, name), "")
		p, ok := errors.AsType[*diag.Problem](err)
		if !ok || p.Pos.Line != line {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What is left out does not have to be readable: here it lies deeper than a path can be
// long.
func TestContextPrunes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "data/", "a")
	at, err := unix.Open(filepath.Join(dir, "data"), unix.O_DIRECTORY, 0)
	for range 20 {
		name := strings.Repeat("x", 250)
		if err == nil {
			err = unix.Mkdirat(at, name, 0o755)
		}
		below := -1
		if err == nil {
			below, err = unix.Openat(at, name, unix.O_DIRECTORY, 0)
		}
		_ = unix.Close(at)
		at = below
	}
	_ = unix.Close(at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := copy.Context(dir, ""); err == nil {
		t.Fatal("the folder can be read")
	}
	for _, rules := range []string{"data\n.dockerignore", "data\n.dockerignore\n!a", "*\n!a\n!b/**"} {
		if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte(rules), 0o644); err != nil {
			t.Fatal(err)
		}
		tr, err := copy.Context(dir, "")
		if err != nil || paths(tr) != "a" {
			t.Errorf("%q: got %v, %v", rules, tr, err)
		}
	}
}

// A file that became a symlink after the walk is not followed.
func TestContextFollowsNoSymlink(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "pipe")
	tr, err := copy.Context(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "pipe"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "a -> /etc/passwd")
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "pipe"} {
		e, _ := tr.Lookup(name)
		if r, err := e.Open(); err == nil {
			r.Close()
			t.Errorf("%s was opened", name)
		}
	}
}

func BenchmarkContext(b *testing.B) {
	dir := b.TempDir()
	for i := range 20_000 {
		file := filepath.Join(dir, fmt.Sprintf("d%d/e%d/f%d", i%20, i/20%50, i))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("node_modules\n**/*.log\n.git\n!keep.log\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := copy.Context(dir, ""); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSelect(b *testing.B) {
	src := tree.New()
	var entries []*layer.Entry
	for i := range 20_000 {
		entries = append(entries, &layer.Entry{Path: fmt.Sprintf("d%d/e%d/f%d", i%20, i/20%50, i), Type: layer.File})
	}
	if err := src.Apply(entries); err != nil {
		b.Fatal(err)
	}
	o := op(b, "COPY . /app")
	for b.Loop() {
		if _, err := copy.Select(b.Context(), copy.Request{Op: o, Source: src, Dest: tree.New()}); err != nil {
			b.Fatal(err)
		}
	}
}
