package copy_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/image/copy"
	"github.com/devs/deploy/pkg/image/dockerfile"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

// Trees in tests are written one entry a line, as describe prints them:
//
//	d 0755 0:0 dir
//	f 0644 0:0 dir/file=content
//	l dir/link -> target
//	h dir/name => dir/file
//	p 0644 0:0 pipe
//	o dir                    (an opaque directory)

// parse makes a tree of lines.
func parse(t *testing.T, lines string) *tree.Tree {
	t.Helper()
	var entries []*layer.Entry
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line != "" {
			entries = append(entries, parseLine(t, line))
		}
	}
	tr := tree.New()
	if err := tr.Apply(entries); err != nil {
		t.Fatal(err)
	}
	return tr
}

func parseLine(t *testing.T, line string) *layer.Entry {
	t.Helper()
	kind, rest, _ := strings.Cut(line, " ")
	e := &layer.Entry{}
	switch kind {
	case "l":
		e.Type, e.Mode = layer.Symlink, 0o777
		e.Path, e.Linkname, _ = strings.Cut(rest, " -> ")
		return e
	case "h":
		e.Type, e.Mode = layer.Hardlink, 0o644
		e.Path, e.Linkname, _ = strings.Cut(rest, " => ")
		return e
	}
	if _, err := fmt.Sscanf(rest, "%o %d:%d %s", &e.Mode, &e.UID, &e.GID, &e.Path); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	switch kind {
	case "d":
		e.Type = layer.Dir
	case "p":
		e.Type = layer.Fifo
	case "f":
		e.Type = layer.File
		var content string
		e.Path, content, _ = strings.Cut(e.Path, "=")
		content = strings.ReplaceAll(content, `\n`, "\n")
		e.Size = int64(len(content))
		e.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
	default:
		t.Fatalf("unknown line %q", line)
	}
	return e
}

// describe prints entries.
func describe(t *testing.T, entries []*layer.Entry) string {
	t.Helper()
	var b strings.Builder
	for _, e := range entries {
		switch e.Type {
		case layer.Dir:
			fmt.Fprintf(&b, "d %04o %d:%d %s\n", e.Mode, e.UID, e.GID, e.Path)
		case layer.Fifo:
			fmt.Fprintf(&b, "p %04o %d:%d %s\n", e.Mode, e.UID, e.GID, e.Path)
		case layer.Symlink:
			fmt.Fprintf(&b, "l %s -> %s\n", e.Path, e.Linkname)
		case layer.Hardlink:
			fmt.Fprintf(&b, "h %s => %s\n", e.Path, e.Linkname)
		case layer.Opaque:
			fmt.Fprintf(&b, "o %s\n", e.Path)
		case layer.File:
			fmt.Fprintf(&b, "f %04o %d:%d %s=%s\n", e.Mode, e.UID, e.GID, e.Path, content(t, e))
		default:
			fmt.Fprintf(&b, "%d %s\n", e.Type, e.Path)
		}
	}
	return b.String()
}

func content(t *testing.T, e *layer.Entry) string {
	t.Helper()
	r, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != e.Size {
		t.Fatalf("%s: %d bytes of %d, %v", e.Path, len(b), e.Size, err)
	}
	return strings.ReplaceAll(string(b), "\n", `\n`)
}

// same compares entries with lines; white space around lines does not count.
func same(t *testing.T, entries []*layer.Entry, want string) {
	t.Helper()
	lines := []string{}
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	got := strings.Split(strings.TrimSuffix(describe(t, entries), "\n"), "\n")
	got = slices.DeleteFunc(got, func(s string) bool { return s == "" })
	if diff := cmp.Diff(lines, got); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
}

// write makes files on disk: "name/" is a directory, "a -> b" a symlink, "a => b" a
// hard link, all else a file that holds its own name.
func write(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		name, target, _ := strings.Cut(name, " -> ")
		name, other, _ := strings.Cut(name, " => ")
		file := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		switch {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(file, 0o755)
		case target != "":
			err = os.Symlink(target, file)
		case other != "":
			err = os.Link(filepath.Join(dir, other), file)
		default:
			err = os.WriteFile(file, []byte(filepath.Base(name)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// op parses one COPY or ADD.
func op(t testing.TB, line string) *dockerfile.Copy {
	t.Helper()
	from := ""
	if strings.Contains(line, "--from=s ") {
		from = "FROM scratch AS s\n"
	}
	f, err := dockerfile.Parse("Dockerfile", []byte(from+"FROM scratch\n"+line+"\n"), dockerfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	state, err := f.State(f.Stages[len(f.Stages)-1], nil)
	if err != nil {
		t.Fatal(err)
	}
	o, _, err := state.Next()
	if err != nil {
		t.Fatal(err)
	}
	c, ok := o.(*dockerfile.Copy)
	if !ok {
		t.Fatalf("%s is a %T", line, o)
	}
	return c
}

// fetcher returns a Fetcher and fails when it leaves something behind.
func fetcher(t *testing.T, cfg copy.Config) *copy.Fetcher {
	t.Helper()
	cfg.Dir = t.TempDir()
	f := copy.NewFetcher(cfg)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(cfg.Dir); len(left) > 0 {
			t.Errorf("%v were left behind", left)
		}
	})
	return f
}

// run selects the entries of an instruction.
func run(t *testing.T, line string, source, dest *tree.Tree, f *copy.Fetcher) ([]*layer.Entry, error) {
	t.Helper()
	return copy.Select(t.Context(), copy.Request{Op: op(t, line), Source: source, Dest: dest, Fetch: f})
}
