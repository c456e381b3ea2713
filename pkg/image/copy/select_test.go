package copy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/copy"
	"github.com/devs/deploy/pkg/image/tree"
)

// source is what most cases copy from. What is expected was measured with BuildKit.
const source = `
	f 0644 0:0 a.txt=a
	f 0644 0:0 b.txt=b
	d 0700 0:0 dir
	f 0644 0:0 dir/f1=1
	d 0750 0:0 dir/sub
	f 0644 0:0 dir/sub/f2=2
	d 0755 0:0 dir2
	f 0644 0:0 dir2/g1=g
	l la -> a.txt
	l lb -> nope
	l ld -> dir
	l lo -> /../../a.txt
	l ll -> la
	p 0644 0:0 pipe
	f 4755 0:0 suid=s`

func TestSelect(t *testing.T) {
	for _, c := range []struct{ name, op, dest, want string }{
		{"file", "COPY a.txt /x/y", "", "d 0755 0:0 x\n f 0644 0:0 x/y=a"},
		{"file into a new directory", "COPY a.txt /x/y/", "", "d 0755 0:0 x\n d 0755 0:0 x/y\n f 0644 0:0 x/y/a.txt=a"},
		{"file into a directory that is there", "COPY a.txt /x", "d 0711 1:2 x\n f 0600 0:0 x/old=o", "d 0711 1:2 x\n f 0644 0:0 x/a.txt=a"},
		{"file over a file", "COPY a.txt /x", "f 0600 1:1 x=o", "f 0644 0:0 x=a"},
		{"file to the root", "COPY a.txt /", "", "f 0644 0:0 a.txt=a"},
		{"file to the working directory", "COPY a.txt .", "", "f 0644 0:0 a.txt=a"},
		{"file to a path that ends with a dot", "COPY a.txt /x/.", "", "d 0755 0:0 x\n f 0644 0:0 x/a.txt=a"},
		{"above the context", "COPY ../../a.txt /x", "", "f 0644 0:0 x=a"},
		{"from the root of the context", "COPY /dir/../a.txt /x", "", "f 0644 0:0 x=a"},
		{"directory to a new one", "COPY dir /x", "", "d 0755 0:0 x\n f 0644 0:0 x/f1=1\n d 0750 0:0 x/sub\n f 0644 0:0 x/sub/f2=2"},
		{"directory with slashes", "COPY dir/ /x/", "", "d 0755 0:0 x\n f 0644 0:0 x/f1=1\n d 0750 0:0 x/sub\n f 0644 0:0 x/sub/f2=2"},
		{"directory and dot", "COPY dir/. /x/y", "", "d 0755 0:0 x\n d 0755 0:0 x/y\n f 0644 0:0 x/y/f1=1\n d 0750 0:0 x/y/sub\n f 0644 0:0 x/y/sub/f2=2"},
		{"directory over one that is there", "COPY dir /x", "d 0711 0:0 x\n d 0777 7:7 x/sub\n f 0644 0:0 x/sub/old=o",
			"d 0711 0:0 x\n f 0644 0:0 x/f1=1\n d 0750 0:0 x/sub\n f 0644 0:0 x/sub/f2=2"},
		{"two directories are merged", "COPY dir dir2 /x", "", "d 0755 0:0 x\n f 0644 0:0 x/f1=1\n f 0644 0:0 x/g1=g\n d 0750 0:0 x/sub\n f 0644 0:0 x/sub/f2=2"},
		{"wildcard for directories", "COPY dir* /x/", "", "d 0755 0:0 x\n f 0644 0:0 x/f1=1\n f 0644 0:0 x/g1=g\n d 0750 0:0 x/sub\n f 0644 0:0 x/sub/f2=2"},
		{"wildcard for files", "COPY ?.txt /x/", "", "d 0755 0:0 x\n f 0644 0:0 x/a.txt=a\n f 0644 0:0 x/b.txt=b"},
		{"wildcard in the middle", "COPY dir/*/f2 /x/", "", "d 0755 0:0 x\n f 0644 0:0 x/f2=2"},
		{"wildcard does not cross slashes", "COPY *2 /x/", "", "d 0755 0:0 x\n f 0644 0:0 x/g1=g"},
		{"wildcard that matches nothing", "COPY no* /x/", "", ""},
		{"wildcard that matches nothing and a file", "COPY a.txt no* /x/", "", "d 0755 0:0 x\n f 0644 0:0 x/a.txt=a"},
		{"wildcard below a symlink", "COPY ld/f* /x/", "", "d 0755 0:0 x\n f 0644 0:0 x/f1=1"},
		{"wildcard follows no symlink on the way", "COPY l?/f1 /x/", "", ""},
		{"symlink to a file", "COPY la /x/", "", "d 0755 0:0 x\n f 0644 0:0 x/la=a"},
		{"symlink to a symlink", "COPY ll /x", "", "f 0644 0:0 x=a"},
		{"symlink to a directory", "COPY ld /x", "", "d 0755 0:0 x\n f 0644 0:0 x/f1=1\n d 0750 0:0 x/sub\n f 0644 0:0 x/sub/f2=2"},
		{"symlink on the way", "COPY ld/f1 /x", "", "f 0644 0:0 x=1"},
		{"symlink out of the context ends at its root", "COPY lo /x", "", "f 0644 0:0 x=a"},
		{"setuid is kept", "COPY suid /x", "", "f 4755 0:0 x=s"},
		{"a pipe is copied", "COPY pipe /x", "", "p 0644 0:0 x"},
		{"to a symlink to a directory", "COPY a.txt /l", "f 0644 0:0 x/old=o\n l l -> x", "d 0755 0:0 x\n f 0644 0:0 x/a.txt=a"},
		{"below a symlink", "COPY a.txt /l/deep/z", "f 0644 0:0 x/old=o\n l l -> /x", "d 0755 0:0 x\n d 0755 0:0 x/deep\n f 0644 0:0 x/deep/z=a"},
		{"directory to a symlink", "COPY dir2 /l", "f 0644 0:0 x/old=o\n l l -> /x", "d 0755 0:0 x\n f 0644 0:0 x/g1=g"},
		{"to a symlink to a file", "COPY a.txt /l", "f 0600 0:0 x=o\n l l -> x", "f 0644 0:0 x=a"},
		{"to a dangling symlink", "COPY a.txt /l", "l l -> x/y", "d 0755 0:0 x\n f 0644 0:0 x/y=a"},
		{"directory to a dangling symlink", "COPY dir2 /l", "l l -> x/y", "d 0755 0:0 x\n d 0755 0:0 x/y\n f 0644 0:0 x/y/g1=g"},
		{"to a symlink that leads above the root", "COPY a.txt /l/", "d 0755 0:0 x\n l l -> ../../x", "d 0755 0:0 x\n f 0644 0:0 x/a.txt=a"},
		{"a symlink in the directory is replaced by a file", "COPY dir/f1 /x/", "f 0644 0:0 y=o\n d 0755 0:0 x\n l x/f1 -> ../y", "d 0755 0:0 x\n f 0644 0:0 x/f1=1"},
		{"heredoc", "COPY <<one <<two /x/\nfirst\none\nsecond\ntwo", "", `d 0755 0:0 x
			f 0644 0:0 x/one=first\n
			f 0644 0:0 x/two=second\n`},
		{"heredoc as a file", "COPY <<one /x\nfirst\none", "", `f 0644 0:0 x=first\n`},
		{"the parent of a later source is a file of an earlier one", "COPY dir2 dir/sub /x/", "", "d 0755 0:0 x\n f 0644 0:0 x/f2=2\n f 0644 0:0 x/g1=g"},
		{"--link knows nothing of the image", "COPY --link a.txt /l/", "d 0700 0:0 x\n l l -> x", "d 0755 0:0 l\n f 0644 0:0 l/a.txt=a"},
		{"--link with --chmod does", "COPY --link --chmod=600 a.txt /l/", "d 0700 0:0 x\n l l -> x", "d 0700 0:0 x\n f 0600 0:0 x/a.txt=a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dest := parse(t, c.dest)
			before := describe(t, dest.All())
			entries, err := run(t, c.op, parse(t, source), dest, nil)
			if err != nil {
				t.Fatal(err)
			}
			same(t, entries, c.want)
			if after := describe(t, dest.All()); after != before {
				t.Errorf("the image was changed:\n%s", after)
			}
			if err := dest.Apply(entries); err != nil {
				t.Errorf("the entries make no layer: %v", err)
			}
		})
	}
}

func TestSelectRefuses(t *testing.T) {
	for _, c := range []struct{ name, op, dest, want string }{
		{"what is not there", "COPY nope /x", "", `"nope" is not in the build context`},
		{"what is below a file", "COPY a.txt/nope /x", "", `"a.txt/nope" is not in the build context`},
		{"a dangling symlink", "COPY lb /x", "", `"lb" is not in the build context`},
		{"a dangling symlink by wildcard", "COPY l* /x/", "", `"l*" is not in the build context`},
		{"a pattern below nothing", "COPY nope/* /x", "", `"nope/*" is not in the build context`},
		{"a broken pattern", "COPY a[ /x", "", "cannot be understood"},
		{"a file over a directory of its name", "COPY a.txt /x/", "d 0755 0:0 x/a.txt", `cannot take the place of the directory "/x/a.txt"`},
		{"a directory over a file", "COPY dir /x", "f 0644 0:0 x=o", `"/x" cannot be a directory`},
		{"a directory below a file", "COPY a.txt /x/y", "f 0644 0:0 x=o", `"/x" cannot be a directory`},
		{"a directory over a file in it", "COPY dir /x", "f 0644 0:0 x/sub=o", "which is no directory"},
		{"a directory over a symlink in it", "COPY dir /x", "d 0755 0:0 y\n l x/sub -> ../y", "which is no directory"},
		{"a loop in the image", "COPY a.txt /l/x", "l l -> l", "symlinks"},
		{"an owner by name without users", "COPY --chown=bob a.txt /x", "", "bob"},
		{"two files to one name", "COPY a.txt dir2/g1 /x", "", "several files cannot all become /x"},
		{"a mode that is none", "COPY --chmod=64a a.txt /x", "", "--chmod=64a is no mode"},
		{"a name of a whiteout", "COPY a.txt /x/.wh.y", "", "cannot be in an image"},
		{"a broken exclude", "COPY --exclude=a[ dir /x", "", "--exclude"},
		{"parents of what is not there", "COPY --parents dir/nope /x", "", `"dir/nope" is not in the build context`},
		{"parents through a symlink", "COPY --parents ld/f1 /x", "", `"ld/f1" is not in the build context`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := run(t, c.op, parse(t, source), parse(t, c.dest), nil)
			problem, ok := errors.AsType[*diag.Problem](err)
			if !ok || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if problem.Pos.Line == 0 {
				t.Errorf("%v has no place", err)
			}
		})
	}
}

func TestSelectSuggestsANeighbour(t *testing.T) {
	_, err := run(t, "COPY dir/sab /x", parse(t, source), tree.New(), nil)
	if p, ok := errors.AsType[*diag.Problem](err); !ok || p.Hint != "did you mean dir/sub?" || p.Pos.Column != 6 {
		t.Errorf("got %#v", p)
	}
}

func TestSelectOwner(t *testing.T) {
	const users = `
		f 0644 0:0 etc/passwd=root:x:0:0::/root:\nbob:x:55:66::/:\n
		f 0644 0:0 etc/group=root:x:0:\nstaff:x:50:bob\n
		d 0755 9:9 there`
	for chown, want := range map[string]string{
		"bob": "55:66", "bob:": "55:66", "bob:staff": "55:50", "bob:7": "55:7", ":staff": "0:50",
		"5": "5:5", "5:6": "5:6", "5:staff": "5:50", "root": "0:0", "0": "0:0", "55": "55:55",
	} {
		entries, err := run(t, "COPY --chown="+chown+" dir /there/x", parse(t, source), parse(t, users), nil)
		if err != nil {
			t.Errorf("%s: %v", chown, err)
			continue
		}
		same(t, entries, strings.ReplaceAll(`d 0755 9:9 there
			d 0755 U there/x
			f 0644 U there/x/f1=1
			d 0750 U there/x/sub
			f 0644 U there/x/sub/f2=2`, "U", want))
	}
	for _, chown := range []string{"nobody", "bob:nobody", "4294967295", "-1", "1:-1"} {
		if _, err := run(t, "COPY --chown="+chown+" a.txt /x", parse(t, source), parse(t, users), nil); err == nil {
			t.Errorf("%s is taken", chown)
		}
	}
	entries, err := run(t, "COPY --chown=root:root a.txt /x", parse(t, source), tree.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, entries, "f 0644 0:0 x=a")
}

func TestSelectMode(t *testing.T) {
	for chmod, want := range map[string]string{
		"0600":        "d 0600 0:0 x\n d 0600 0:0 x/y\n f 0600 0:0 x/y/f1=1\n d 0600 0:0 x/y/sub\n f 0600 0:0 x/y/sub/f2=2",
		"4711":        "d 4711 0:0 x\n d 4711 0:0 x/y\n f 4711 0:0 x/y/f1=1\n d 4711 0:0 x/y/sub\n f 4711 0:0 x/y/sub/f2=2",
		"go=u":        "d 0777 0:0 x\n d 0777 0:0 x/y\n f 0666 0:0 x/y/f1=1\n d 0777 0:0 x/y/sub\n f 0666 0:0 x/y/sub/f2=2",
		"u=rwX,go=rX": "d 0755 0:0 x\n d 0755 0:0 x/y\n f 0644 0:0 x/y/f1=1\n d 0755 0:0 x/y/sub\n f 0644 0:0 x/y/sub/f2=2",
		"u+s,+t":      "d 5755 0:0 x\n d 5755 0:0 x/y\n f 5644 0:0 x/y/f1=1\n d 5750 0:0 x/y/sub\n f 5644 0:0 x/y/sub/f2=2",
	} {
		entries, err := run(t, "COPY --chmod="+chmod+" dir /x/y", parse(t, source), tree.New(), nil)
		if err != nil {
			t.Errorf("%s: %v", chmod, err)
			continue
		}
		same(t, entries, want)
	}
	entries, err := run(t, "COPY --chmod=600 . /x/", parse(t, "l l -> a"), tree.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, entries, "d 0600 0:0 x\n l x/l -> a")
}

func TestSelectFromStage(t *testing.T) {
	const stage = `
		d 0755 3:4 d
		f 0640 7:8 d/f=f
		h d/h => d/f
		d 2755 5:6 d/s
		h d/s/h => d/f
		l ab -> /d`
	for _, c := range []struct{ name, op, want string }{
		{"owners and hard links are kept", "COPY --from=s /d /x", `d 0755 0:0 x
			f 0640 7:8 x/f=f
			h x/h => x/f
			d 2755 5:6 x/s
			h x/s/h => x/f`},
		{"a symlink to an absolute path", "COPY --from=s /ab/f /x", "f 0640 7:8 x=f"},
		{"everything", "COPY --from=s / /x", `d 0755 0:0 x
			l x/ab -> /d
			d 0755 3:4 x/d
			f 0640 7:8 x/d/f=f
			h x/d/h => x/d/f
			d 2755 5:6 x/d/s
			h x/d/s/h => x/d/f`},
		{"another owner", "COPY --from=s --chown=1:2 /d/s /x", "d 0755 1:2 x\n f 0640 1:2 x/h=f"},
		{"a hard link without its first name", "COPY --from=s --exclude=f /d /x", `d 0755 0:0 x
			f 0640 7:8 x/h=f
			d 2755 5:6 x/s
			h x/s/h => x/h`},
		{"hard links of two sources are two files", "COPY --from=s /d/f /d/h /x/", "d 0755 0:0 x\n f 0640 7:8 x/f=f\n f 0640 7:8 x/h=f"},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, err := run(t, c.op, parse(t, stage), tree.New(), nil)
			if err != nil {
				t.Fatal(err)
			}
			same(t, entries, c.want)
		})
	}
}

// The cases of BuildKit's own tests of --parents (dockerfile_parents_test.go).
func TestSelectParents(t *testing.T) {
	const files = `
		d 0755 0:0 test
		d 0700 5:5 test/a
		f 0644 0:0 test/a/b/c/d/foo=
		f 0644 0:0 test/a/b/c/d/e/bay=
		f 0644 0:0 test/a/b2/c/d/e/bar=
		f 0644 0:0 test/a/b/c2/d/e/baz=
		f 0644 0:0 test/a/b/c2/d/e2/baz=`
	for _, c := range []struct {
		op   string
		want string // the files
	}{
		{"/test/a/b/./c/d /out/", "out/c/d/e/bay out/c/d/foo"},
		{"/test/a/b/c/d/. /out/", "out/test/a/b/c/d/e/bay out/test/a/b/c/d/foo"},
		{"./test/a/b/c/d /out/", "out/test/a/b/c/d/e/bay out/test/a/b/c/d/foo"},
		{"/test/a/./b/./c /out/", "out/b/c/d/e/bay out/b/c/d/foo"},
		{"/test/a/./*/c /out/", "out/b/c/d/e/bay out/b/c/d/foo out/b2/c/d/e/bar"},
		{"/test/a/b*/./c/**/e /out/", "out/c/d/e/bar out/c/d/e/bay"},
		{"/test/a/b/c*/./d/**/baz /test/a/b*/./c/**/bar /out/", "out/c/d/e/bar out/d/e/baz out/d/e2/baz"},
		{"/test/a/b2*/nope /out/", ""},
		{"/test/a/b/./c3* /out/", ""},
		{"test/a/b2/c/d/e/bar .", "test/a/b2/c/d/e/bar"},
		{". /out", "out/test/a/b/c/d/e/bay out/test/a/b/c/d/foo out/test/a/b/c2/d/e/baz out/test/a/b/c2/d/e2/baz out/test/a/b2/c/d/e/bar"},
	} {
		entries, err := run(t, "COPY --from=s --parents "+c.op, parse(t, files), tree.New(), nil)
		if err != nil {
			t.Errorf("%s: %v", c.op, err)
			continue
		}
		var got []string
		for _, e := range entries {
			if e.Open != nil {
				got = append(got, e.Path)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v", c.op, got)
		}
	}
	entries, err := run(t, "COPY --from=s --parents --chown=1:2 test/a/b2/c/d/e/bar /", parse(t, files), parse(t, "d 0755 9:9 test"), nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, entries, `d 0755 9:9 test
		d 0700 1:2 test/a
		d 0755 1:2 test/a/b2
		d 0755 1:2 test/a/b2/c
		d 0755 1:2 test/a/b2/c/d
		d 0755 1:2 test/a/b2/c/d/e
		f 0644 1:2 test/a/b2/c/d/e/bar=`)
}

// The cases of BuildKit's own tests of --exclude, and what its reference promises of
// files.
func TestSelectExclude(t *testing.T) {
	const files = `
		f 0644 0:0 dir1/a.png=
		f 0644 0:0 dir1/a.txt=
		f 0644 0:0 dir2/b.pdf=
		f 0644 0:0 dir2/k/b.png=
		f 0644 0:0 home.txt=
		f 0644 0:0 home.md=`
	for op, want := range map[string]string{
		"--exclude=*/*.png --exclude=*/*.pdf . /1": "1/dir1/a.txt 1/dir2/k/b.png 1/home.md 1/home.txt",
		"--exclude=**/*.png . /1":                  "1/dir1/a.txt 1/dir2/b.pdf 1/home.md 1/home.txt",
		"--exclude=dir2 . /1":                      "1/dir1/a.png 1/dir1/a.txt 1/home.md 1/home.txt",
		"--exclude=dir2 --exclude=!dir2/k . /1":    "1/dir1/a.png 1/dir1/a.txt 1/dir2/k/b.png 1/home.md 1/home.txt",
		"--exclude=*.png dir* /1":                  "1/a.txt 1/b.pdf 1/k/b.png",
		"--exclude=*.txt hom* /1/":                 "1/home.md",
		"--exclude=*.txt home.txt /1":              "1",
		"--exclude=* dir* /1":                      "",
		"--parents --exclude=**/*.png dir*/ /1":    "1/dir1/a.txt 1/dir2/b.pdf",
	} {
		entries, err := run(t, "COPY "+op, parse(t, files), tree.New(), nil)
		if err != nil {
			t.Errorf("%s: %v", op, err)
			continue
		}
		var got []string
		for _, e := range entries {
			if e.Open != nil {
				got = append(got, e.Path)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v", op, got)
		}
	}
	entries, err := run(t, "ADD --exclude=* dir* /6", parse(t, files), tree.New(), fetcher(t, copy.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	same(t, entries, "d 0755 0:0 6")
}

// What Select returns is the caller's: it may set times without changing the source.
func TestSelectReturnsCopies(t *testing.T) {
	src, dest := parse(t, source), parse(t, "d 0755 0:0 x")
	entries, err := run(t, "COPY dir /x", src, dest, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		e.Mode = 0
	}
	for _, tr := range []*tree.Tree{src, dest} {
		for _, e := range tr.All() {
			if e.Mode == 0 {
				t.Errorf("%s was changed", e.Path)
			}
		}
	}
}
