package layer_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/image/layer"
)

// sized returns a File of a size, whose content nobody reads.
func sized(p string, size int64) *layer.Entry {
	return &layer.Entry{Path: p, Type: layer.File, Size: size, Mode: 0o644, ModTime: epoch}
}

// project is a tree of many small files, about 100 MB.
func project() []*layer.Entry {
	entries := []*layer.Entry{dir("app"), dir("app/empty"), dir("app/node_modules")}
	for i := range 250 {
		pkg := fmt.Sprintf("app/node_modules/p%03d", i)
		entries = append(entries, dir(pkg), dir(pkg+"/lib"), link(pkg+"/link", "lib"))
		for j := range 20 {
			entries = append(entries, sized(fmt.Sprintf("%s/lib/f%02d.js", pkg, j), 20_000))
		}
		entries = append(entries, hard(pkg+"/same", pkg+"/lib/f00.js"))
	}
	entries = append(entries, sized("app/model.bin", 5<<20))
	layer.Sort(entries)
	return entries
}

// where returns the layers of each path.
func where(layers [][]*layer.Entry) map[string][]int {
	found := map[string][]int{}
	for i, l := range layers {
		for _, e := range l {
			found[e.Path] = append(found[e.Path], i)
		}
	}
	return found
}

func TestSplitCounts(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		size int64
		most int
		want int
	}{
		{0, 64, 1}, {mib, 64, 1}, {16 * mib, 64, 1}, {16*mib + 1, 64, 2}, {22 * mib, 64, 2}, {23 * mib, 64, 4},
		{300 * mib, 64, 32}, {400 * mib, 64, 64}, {512 * mib, 64, 64}, {10000 * mib, 64, 64},
		{300 * mib, 16, 16}, {300 * mib, 31, 16}, {300 * mib, 1, 1}, {300 * mib, 0, 1}, {10000 * mib, 1000, 64},
	} {
		var entries []*layer.Entry
		const files = 5000 // enough to reach each layer
		for i := range int64(files) {
			entries = append(entries, sized(fmt.Sprintf("%d/f", i), c.size*(i+1)/files-c.size*i/files))
		}
		if got := len(layer.SplitAtMost(entries, c.most)); got != c.want {
			t.Errorf("%d bytes, at most %d layers: %d layers, want %d", c.size, c.most, got, c.want)
		}
	}
	if got := layer.Split(nil); len(got) != 1 || len(got[0]) != 0 {
		t.Errorf("nothing is %v", got)
	}
}

func TestSplitKeepsEverything(t *testing.T) {
	entries := project()
	layers := layer.Split(entries)
	if len(layers) != 16 {
		t.Fatalf("%d layers", len(layers))
	}
	found := where(layers)
	for _, e := range entries {
		switch n := len(found[e.Path]); {
		case n == 0:
			t.Errorf("%s is in no layer", e.Path)
		case n > 1 && e.Type != layer.Dir:
			t.Errorf("%s is in %d layers", e.Path, n)
		}
	}
	for i, l := range layers {
		if !slices.IsSortedFunc(l, func(a, b *layer.Entry) int { return layer.Compare(a.Path, b.Path) }) {
			t.Errorf("layer %d is not in order", i)
		}
		in := map[string]bool{".": true}
		for _, e := range l {
			if !in[path.Dir(e.Path)] {
				t.Errorf("layer %d has %s without its directory", i, e.Path)
			}
			if in[e.Path] = true; e.Type == layer.Hardlink && !in[e.Linkname] {
				t.Errorf("layer %d has %s without %s", i, e.Path, e.Linkname)
			}
		}
	}
	if n := len(found["app/empty"]); n != 1 {
		t.Errorf("an empty directory is in %d layers", n)
	}
	if !slices.Equal(found["app/node_modules/p001/link"], found["app/node_modules/p001"]) &&
		!slices.Contains(found["app/node_modules/p001"], found["app/node_modules/p001/link"][0]) {
		t.Error("a symlink is not with its directory")
	}
}

func TestSplitIsStable(t *testing.T) {
	before := where(layer.Split(project()))
	edited := project()
	for i, e := range edited {
		if e.Path == "app/node_modules/p007/lib/f03.js" {
			edited[i] = sized(e.Path, e.Size+100)
		}
	}
	if d := cmp.Diff(before, where(layer.Split(edited))); d != "" {
		t.Errorf("an edit moves files:\n%s", d)
	}
	more := append(project(), sized("app/node_modules/p007/lib/new.js", 1000), dir("app/src"), sized("app/src/new.js", 10))
	layer.Sort(more)
	after := where(layer.Split(more))
	for p, layers := range before {
		// A directory may come to one layer more, for what is new in it.
		if got := after[p]; !slices.Equal(got, layers) && p != "app" {
			t.Errorf("a new file moves %s from %v to %v", p, layers, got)
		}
	}
}

// What a layer removes would take away what an earlier one has brought.
func TestSplitRemovesFirst(t *testing.T) {
	entries := append(project(), &layer.Entry{Path: "app", Type: layer.Opaque}, &layer.Entry{Path: "app/node_modules/gone", Type: layer.Whiteout},
		&layer.Entry{Path: "app/node_modules/p100/lib/gone", Type: layer.Whiteout})
	layer.Sort(entries)
	layers := layer.Split(entries)
	for i, l := range layers {
		in := map[string]bool{}
		for _, e := range l {
			if in[e.Path] = true; e.Type != layer.Opaque && e.Type != layer.Whiteout {
				continue
			}
			if i > 0 {
				t.Errorf("layer %d removes %s", i, e.Path)
			}
			if !in["app"] || e.Type == layer.Whiteout && !in[path.Dir(e.Path)] {
				t.Errorf("%s is removed without its directory", e.Path)
			}
		}
	}
}

func TestSplitSpreadsLargeDirectories(t *testing.T) {
	var entries []*layer.Entry
	entries = append(entries, dir("static"))
	for i := range 2000 {
		entries = append(entries, sized(fmt.Sprintf("static/%04d.png", i), 50_000))
	}
	layers := layer.Split(entries)
	if len(layers) != 16 {
		t.Fatalf("%d layers", len(layers))
	}
	for i, l := range layers {
		var size int64
		for _, e := range l {
			size += e.Size
		}
		if size > 16<<20 || l[0].Path != "static" {
			t.Errorf("layer %d begins with %s and has %d bytes", i, l[0].Path, size)
		}
	}
}

func TestSplitGoesByTheOwnPathOfLargeFiles(t *testing.T) {
	var entries []*layer.Entry
	for i := range 30 {
		entries = append(entries, sized(fmt.Sprintf("model/%s.bin", strings.Repeat("x", i)), 2<<20))
	}
	if n := len(layer.Split(entries)); n != 8 {
		t.Errorf("%d layers", n)
	}
}
