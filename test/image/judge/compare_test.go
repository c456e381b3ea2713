package judge

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadTree(t *testing.T) {
	tree, err := readTree(bytes.NewReader(tarOf(
		tar.Header{Name: "./b/file", Mode: 0o4755, Uid: 1, Gid: 2, Linkname: "x"},
		tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "b/file"},
		tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "../x", Mode: 0o777},
		tar.Header{Name: "dev/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "dev/null", Typeflag: tar.TypeChar},
		tar.Header{Name: "development", Typeflag: tar.TypeDir, Mode: 0o1777},
		tar.Header{Name: "etc/hosts", Linkname: "x"},
		tar.Header{Name: "x/.git/index", Linkname: "x"},
	)))
	if err != nil {
		t.Fatal(err)
	}
	const sum = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	file := File{Type: tar.TypeReg, Mode: 0o4755, UID: 1, GID: 2, Size: 1, SHA256: sum, Target: "a"}
	want := Tree{
		"a": file, "b/file": file,
		"link":        {Type: tar.TypeSymlink, Mode: 0o777, Target: "../x"},
		"development": {Type: tar.TypeDir, Mode: 0o1777},
	}
	if diff := cmp.Diff(want, tree); diff != "" {
		t.Error(diff)
	}
	if _, err := readTree(bytes.NewReader(tarOf(tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "nowhere"}))); err == nil {
		t.Error("a hard link that leads nowhere was taken")
	}
}

func TestCompareAndAllowed(t *testing.T) {
	dir := File{Type: tar.TypeDir, Mode: 0o755}
	private := File{Type: tar.TypeDir, Mode: 0o700}
	got := &Image{Tree: Tree{"same": dir, "mode": dir, "more": dir}, Config: map[string]any{"User": "a", "Env": []any{"A=1"}}}
	want := &Image{Tree: Tree{"same": dir, "mode": private, "less": dir}, Config: map[string]any{"Env": []any{"A=1"}, "Cmd": []any{"x"}}}
	all := Compare(got, want)
	var names []string
	for _, d := range all {
		names = append(names, d.What)
	}
	if diff := cmp.Diff([]string{"/less", "/mode", "/more", "config.Cmd", "config.User"}, names); diff != "" {
		t.Error(diff)
	}
	table := []Allowed{{Judge: classic, Case: "c.*", What: "/mo.*"}, {Judge: buildkit, What: "/less"}}
	used := make([]bool, len(table))
	var open []string
	for _, d := range split(table, used, host, classic, "case", all) {
		open = append(open, d.What)
	}
	if diff := cmp.Diff([]string{"/less", "config.Cmd", "config.User"}, open); diff != "" {
		t.Error(diff)
	}
	if !used[0] || used[1] {
		t.Errorf("rows used: %v", used)
	}
	if len(Compare(got, got)) != 0 {
		t.Error("an image differs from itself")
	}
}

func TestListing(t *testing.T) {
	dir := File{Type: tar.TypeDir, Mode: 0o755}
	base := &Image{Tree: Tree{"same": dir, "gone": dir}, Config: map[string]any{"os": "linux"}}
	image := &Image{Tree: Tree{"same": dir, "new\nline": dir}, Config: map[string]any{"os": "linux", "User": "a"}}
	want := "+ \"/new\\nline\" 5 0755 0:0\n- \"/gone\"\nconfig.User \"a\"\n"
	if got := Listing(image, base); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

// TestCases checks the suite itself: every case can be prepared, and says what it shows.
func TestCases(t *testing.T) {
	cases, err := LoadCases(suiteRoot())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		p, err := c.Prepare(t.TempDir(), map[string]string{})
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		text, err := readFile(p.Dockerfile)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(strings.TrimPrefix(text, "\xef\xbb\xbf"), "# ") {
			t.Errorf("%s: the first line does not say what the case shows", c.Name)
		}
	}
}
