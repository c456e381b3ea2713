package tree_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

var epoch = time.Unix(1700000000, 0)

func file(path, content string) *layer.Entry {
	return &layer.Entry{Path: path, Type: layer.File, Mode: 0o644, Size: int64(len(content)), ModTime: epoch,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
}

func dir(path string) *layer.Entry {
	return &layer.Entry{Path: path, Type: layer.Dir, Mode: 0o750, ModTime: epoch}
}

func link(path, target string) *layer.Entry {
	return &layer.Entry{Path: path, Type: layer.Symlink, Mode: 0o777, Linkname: target}
}

func hard(path, first string) *layer.Entry {
	return &layer.Entry{Path: path, Type: layer.Hardlink, Linkname: first}
}

func whiteout(path string) *layer.Entry { return &layer.Entry{Path: path, Type: layer.Whiteout} }
func opaque(path string) *layer.Entry   { return &layer.Entry{Path: path, Type: layer.Opaque} }

type entries = []*layer.Entry

func of(t testing.TB, layers ...entries) *tree.Tree {
	t.Helper()
	tr := tree.New()
	for _, l := range layers {
		if err := tr.Apply(l); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

// show writes a tree in one line for each entry: directories with their mode,
// files with their content.
func show(tr *tree.Tree) string {
	var b strings.Builder
	for _, e := range tr.All() {
		switch e.Type {
		case layer.Dir:
			fmt.Fprintf(&b, "%s/ %o\n", e.Path, e.Mode)
		case layer.File:
			content := "?"
			if e.Open != nil {
				r, _ := e.Open()
				data, _ := io.ReadAll(r)
				content = string(data)
			}
			fmt.Fprintf(&b, "%s: %s\n", e.Path, content)
		case layer.Symlink:
			fmt.Fprintf(&b, "%s -> %s\n", e.Path, e.Linkname)
		case layer.Hardlink:
			fmt.Fprintf(&b, "%s = %s\n", e.Path, e.Linkname)
		default:
			fmt.Fprintf(&b, "%s type %d\n", e.Path, e.Type)
		}
	}
	return b.String()
}

// base is the lowest layer of the table below.
func base() entries {
	return entries{dir("usr"), dir("usr/bin"), file("usr/bin/a", "a"), link("bin", "usr/bin"), file("f", "file"), link("nowhere", "missing")}
}

// What the rows want was measured with dockerd 20.10.24, overlay2, except where a row
// says that it refuses.
func TestApply(t *testing.T) {
	const lower = "bin -> usr/bin\nf: file\nnowhere -> missing\nusr/ 750\nusr/bin/ 750\nusr/bin/a: a\n"
	for name, c := range map[string]struct {
		layers []entries
		want   string
	}{
		"a file more":                       {[]entries{base(), {dir("usr"), file("usr/n", "n")}}, lower + "usr/n: n\n"},
		"a file replaced":                   {[]entries{base(), {file("f", "new")}}, strings.Replace(lower, "f: file", "f: new", 1)},
		"a directory that is not told of":   {[]entries{base(), {file("usr/n", "n")}}, lower + "usr/n: n\n"},
		"directories that are not told of":  {[]entries{{file("p/q/r", "x")}}, "p/ 755\np/q/ 755\np/q/r: x\n"},
		"told of later":                     {[]entries{{file("p/q", "x"), dir("p")}}, "p/ 750\np/q: x\n"},
		"mode of a directory":               {[]entries{{dir("p"), file("p/q", "x")}, {{Path: "p", Type: layer.Dir, Mode: 0o700}}}, "p/ 700\np/q: x\n"},
		"below a symlink of the same layer": {[]entries{append(base(), file("bin/b", "b"))}, lower + "usr/bin/b: b\n"},
		"below a symlink of a lower layer": {[]entries{base(), {file("bin/b", "b")}},
			"bin/ 755\nbin/b: b\nf: file\nnowhere -> missing\nusr/ 750\nusr/bin/ 750\nusr/bin/a: a\n"},
		"a directory over a symlink": {[]entries{base(), {dir("bin"), file("bin/b", "b")}},
			"bin/ 750\nbin/b: b\nf: file\nnowhere -> missing\nusr/ 750\nusr/bin/ 750\nusr/bin/a: a\n"},
		"a directory over a symlink of its layer": {[]entries{append(base(), dir("bin"), file("bin/b", "b"))},
			"bin/ 750\nbin/b: b\nf: file\nnowhere -> missing\nusr/ 750\nusr/bin/ 750\nusr/bin/a: a\n"},
		"a symlink over a directory": {[]entries{base(), {link("usr", "other")}}, "bin -> usr/bin\nf: file\nnowhere -> missing\nusr -> other\n"},
		"below an absolute symlink":  {[]entries{append(base(), link("ab", "/usr/bin"), file("ab/k", "k"))}, "ab -> /usr/bin\n" + lower + "usr/bin/k: k\n"},
		"below a symlink out":        {[]entries{append(base(), link("es", "../../../usr"), file("es/k", "k"))}, strings.Replace(lower, "f:", "es -> ../../../usr\nf:", 1) + "usr/k: k\n"},
		"below a file of a lower layer": {[]entries{base(), {file("f/x", "x")}},
			"bin -> usr/bin\nf/ 755\nf/x: x\nnowhere -> missing\nusr/ 750\nusr/bin/ 750\nusr/bin/a: a\n"},
		"below a symlink to nothing of a lower layer": {[]entries{base(), {file("nowhere/x", "x")}},
			"bin -> usr/bin\nf: file\nnowhere/ 755\nnowhere/x: x\nusr/ 750\nusr/bin/ 750\nusr/bin/a: a\n"},
		"below a symlink to nothing (refused)": {[]entries{append(base(), file("nowhere/s/x", "x"))},
			"bin -> usr/bin\nf: file\nmissing/ 755\nmissing/s/ 755\nmissing/s/x: x\nnowhere -> missing\nusr/ 750\nusr/bin/ 750\nusr/bin/a: a\n"},
		"whiteout":              {[]entries{base(), {whiteout("usr/bin/a"), whiteout("none")}}, "bin -> usr/bin\nf: file\nnowhere -> missing\nusr/ 750\nusr/bin/ 750\n"},
		"whiteout of a symlink": {[]entries{base(), {whiteout("bin")}}, "f: file\nnowhere -> missing\nusr/ 750\nusr/bin/ 750\nusr/bin/a: a\n"},
		"whiteout below a symlink of a lower layer": {[]entries{base(), {whiteout("bin/a")}},
			"bin/ 755\nf: file\nnowhere -> missing\nusr/ 750\nusr/bin/ 750\nusr/bin/a: a\n"},
		"whiteout before a file": {[]entries{base(), {whiteout("f"), file("f", "new")}}, strings.Replace(lower, "f: file", "f: new", 1)},
		"whiteout before a directory": {[]entries{base(), {whiteout("usr"), dir("usr"), file("usr/n", "n")}},
			"bin -> usr/bin\nf: file\nnowhere -> missing\nusr/ 750\nusr/n: n\n"},
		"whiteout after a file (refused)": {[]entries{base(), {file("f", "new"), whiteout("f")}}, strings.Replace(lower, "f: file", "f: new", 1)},
		"opaque":                          {[]entries{base(), {dir("usr"), opaque("usr")}}, "bin -> usr/bin\nf: file\nnowhere -> missing\nusr/ 750\n"},
		"opaque keeps its own layer": {[]entries{base(), {dir("usr"), file("usr/n", "n"), opaque("usr"), file("usr/o", "o")}},
			"bin -> usr/bin\nf: file\nnowhere -> missing\nusr/ 750\nusr/n: n\nusr/o: o\n"},
		"opaque without its directory":         {[]entries{base(), {opaque("usr")}}, "bin -> usr/bin\nf: file\nnowhere -> missing\nusr/ 750\n"},
		"opaque of a new directory":            {[]entries{{opaque("n"), whiteout("n/x"), opaque("n/m")}, {file("n/x", "x")}}, "n/ 755\nn/m/ 755\nn/x: x\n"},
		"opaque root":                          {[]entries{base(), {opaque("."), file("n", "n")}}, "n: n\n"},
		"hard link":                            {[]entries{append(base(), hard("h", "usr/bin/a"))}, "bin -> usr/bin\nf: file\nh: a\nnowhere -> missing\nusr/ 750\nusr/bin/ 750\nusr/bin/a = h\n"},
		"hard link through a symlink":          {[]entries{{dir("d"), file("d/x", "x"), link("l", "d"), hard("l/y", "l/x")}}, "d/ 750\nd/x: x\nd/y = d/x\nl -> d\n"},
		"hard link of a hard link":             {[]entries{{file("a", "a"), hard("b", "a"), hard("c", "b")}}, "a: a\nb = a\nc = a\n"},
		"hard link to a lower layer (refused)": {[]entries{{file("a", "a")}, {hard("b", "a")}}, "a: a\nb = a\n"},
		"first name removed":                   {[]entries{{file("a", "a"), hard("b", "a"), hard("c", "a")}, {whiteout("a")}}, "b: a\nc = b\n"},
		"first name replaced":                  {[]entries{{file("a", "a"), hard("b", "a"), hard("c", "a")}, {file("a", "new")}}, "a: new\nb: a\nc = b\n"},
		"hard link to a symlink":               {[]entries{{link("a", "x"), hard("b", "a")}}, "a -> x\nb = a\n"},
		"devices":                              {[]entries{{{Path: "c", Type: layer.Char}, {Path: "b", Type: layer.Block}, {Path: "p", Type: layer.Fifo}}}, "b type 6\nc type 5\np type 7\n"},
		"paths that are not clean":             {[]entries{{file("/a//b", "x"), file("./c", "y")}}, "a/ 755\na/b: x\nc: y\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, show(of(t, c.layers...))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		layer entries
		want  string
	}{
		"below a file":              {entries{file("x", ""), file("x/y", "")}, `"x/y" stands below "x", which is no directory`},
		"below a file by a symlink": {entries{file("x", ""), link("l", "x"), file("l/y", "")}, `"l/y" stands below "x", which is no directory`},
		"hard link to nothing":      {entries{hard("h", "nothing")}, `the hard link "h" leads to "nothing", which is no file of the image`},
		"hard link to a directory":  {entries{dir("d"), hard("h", "d")}, "which is no file"},
		"hard link out":             {entries{hard("h", "../x")}, `".."`},
		"out":                       {entries{file("../x", "")}, `".."`},
		"loop":                      {entries{link("a", "b"), link("b", "a"), file("a/x", "")}, "more than 255 symlinks"},
		"growing loop":              {entries{link("a", strings.Repeat("a/", 1000)), file("a/x", "")}, "symlinks without end"},
		"root":                      {entries{file(".", "")}, "root of an image has to be a directory"},
		"unknown type":              {entries{{Path: "x", Type: 99}}, "unknown type 99"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := of(t, base())
			before := show(tr)
			err := tr.Apply(append(entries{file("new", ""), whiteout("usr")}, c.layer...))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if d := cmp.Diff(before, show(tr)); d != "" {
				t.Errorf("the tree has changed:\n%s", d)
			}
		})
	}
}

// Two bytes of a path make a directory: many of them must not fill the memory.
func TestImpliedDirectoriesAreBounded(t *testing.T) {
	var many entries
	for i := range 20 {
		many = append(many, file(fmt.Sprintf("%d/%s", i, strings.Repeat("a/", 16_000)+"f"), ""))
	}
	err := tree.New().Apply(many)
	if err == nil || !strings.Contains(err.Error(), "250000 of its directories") {
		t.Errorf("got %v", err)
	}
}

func TestTheRootHasAnEntry(t *testing.T) {
	tr := tree.New()
	if e, ok := tr.Lookup("."); !ok || e.Type != layer.Dir || e.Mode != 0o755 {
		t.Errorf("%+v, %v", e, ok)
	}
	if err := tr.Apply(entries{{Path: ".", Type: layer.Dir, Mode: 0o700}, file("a", "")}); err != nil {
		t.Fatal(err)
	}
	if err := tr.Apply(entries{file("b", "")}); err != nil {
		t.Fatal(err)
	}
	if e, _ := tr.Lookup("/"); e.Mode != 0o700 {
		t.Errorf("%+v", e)
	}
	if got := show(tr); got != "a: \nb: \n" {
		t.Errorf("got %q", got)
	}
}

func TestClonesAreApart(t *testing.T) {
	a := of(t, base())
	first := show(a)
	b := a.Clone()
	if err := b.Apply(entries{whiteout("usr/bin/a"), file("usr/bin/b", "b"), {Path: "usr", Type: layer.Dir, Mode: 0o700}}); err != nil {
		t.Fatal(err)
	}
	second := show(b)
	if first == second {
		t.Fatal("nothing has changed")
	}
	c := b.Clone()
	if err := a.Apply(entries{opaque("usr"), file("bin/x", "x")}); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(entries{hard("usr/bin/c", "usr/bin/b"), whiteout("f")}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(second, show(b)); d != "" {
		t.Errorf("a tree changes with its clones:\n%s", d)
	}
	if got, want := show(a), "bin/ 755\nbin/x: x\nf: file\nnowhere -> missing\nusr/ 750\n"; got != want {
		t.Error(cmp.Diff(want, got))
	}
	if got, want := show(c), "bin -> usr/bin\nnowhere -> missing\nusr/ 700\nusr/bin/ 750\nusr/bin/b: b\nusr/bin/c = usr/bin/b\n"; got != want {
		t.Error(cmp.Diff(want, got))
	}
}
