//go:build linux

package rootfs

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/image/layer"
)

// guarded returns a root with a sentinel folder beside it, and a check that the
// sentinel is untouched and nothing else has appeared.
func guarded(t *testing.T) (*Root, func()) {
	t.Helper()
	beside := set{t, t.TempDir()}
	beside.mkdir("sentinel")
	beside.write("sentinel/f", "kept")
	beside.chmod("sentinel/f", 0o640)
	beside.mkdir("roots")
	r, err := Create(beside.path("roots"))
	if err != nil {
		t.Fatal(err)
	}
	before := describe(t, beside.path("sentinel"), true)
	return r, func() {
		t.Helper()
		same(t, describe(t, beside.path("sentinel"), true), before)
		if err := r.Remove(); err != nil {
			t.Error(err)
		}
		same(t, tree(t, beside.dir), []string{"roots/", "sentinel/", "sentinel/f: kept"})
	}
}

// TestHostileLayers tries to reach a folder beside the root.
func TestHostileLayers(t *testing.T) {
	up := strings.Repeat("../", 40)
	tests := []struct {
		name string
		make func(outside string) []*layer.Entry
	}{
		{"a file through a link", func(o string) []*layer.Entry {
			return []*layer.Entry{symlink("l", up+o), file("l/f", "bad"), file("l/new", "bad")}
		}},
		{"a file through an absolute link", func(o string) []*layer.Entry {
			return []*layer.Entry{symlink("l", o), file("l/f", "bad"), file("l/new", "bad")}
		}},
		{"a file over a link", func(o string) []*layer.Entry {
			return []*layer.Entry{symlink("l", o+"/f"), file("l", "bad")}
		}},
		{"a link of links", func(o string) []*layer.Entry {
			return []*layer.Entry{symlink("a", ".."), symlink("b", "a/.."), symlink("c", "b/../../.."+o), file("c/f", "bad")}
		}},
		{"a folder that becomes a link", func(o string) []*layer.Entry {
			return []*layer.Entry{dir("d"), file("d/f", "x"), symlink("d", o), file("d/f", "bad")}
		}},
		{"a whiteout through a link", func(o string) []*layer.Entry { return []*layer.Entry{symlink("l", o), gone("l/f")} }},
		{"an opaque link", func(o string) []*layer.Entry { return []*layer.Entry{symlink("l", up+o), opaque("l")} }},
		{"a whiteout of a link", func(o string) []*layer.Entry { return []*layer.Entry{symlink("l", o), gone("l")} }},
		{"a whiteout of ..", func(o string) []*layer.Entry { return []*layer.Entry{gone("..")} }},
		{"a hard link through a link", func(o string) []*layer.Entry {
			return []*layer.Entry{symlink("l", o), hardlink("h", "l/f"), file("h", "bad")}
		}},
		{"a hard link to a link", func(o string) []*layer.Entry {
			return []*layer.Entry{symlink("l", o+"/f"), hardlink("h", "l"), file("h", "bad")}
		}},
		{"modes and times through a link", func(o string) []*layer.Entry {
			return []*layer.Entry{dir("d"), dir("d/e"), symlink("d/e", o), symlink("l", o), dir("l")}
		}},
		{"a folder whose parent becomes a link", func(o string) []*layer.Entry {
			mode := dir("d/sentinel")
			mode.Mode = 0
			return []*layer.Entry{mode, symlink("d", filepath.Dir(o))}
		}},
		{"an attribute of a link", func(o string) []*layer.Entry {
			l := symlink("l", o)
			l.Xattrs = map[string]string{"user.x": "1", "security.x": "1"}
			return []*layer.Entry{l}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, check := guarded(t)
			outside := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(r.Dir()))), "sentinel")
			// Whether it is an error is of no matter here.
			for _, e := range test.make(outside) {
				_ = r.Apply(context.Background(), []*layer.Entry{e})
			}
			_ = r.Apply(context.Background(), test.make(outside))
			check()
		})
	}
}

// alphabet is what the fuzzer makes paths and targets of.
var alphabet = []string{"a", "b", "c", "a/b", "a/b/c", "b/a", "c/c", ".", "..", "../..", "/", "/a", "/b/../c", "../../../../../../../../../..", "sentinel", "a/../../sentinel/f", "b/", "", "a\x00", "//"}

// script turns bytes into the layers of a test: three bytes an entry.
func script(data []byte, outside string) [][]*layer.Entry {
	layers := [][]*layer.Entry{nil}
	words := append([]string{outside, outside + "/f"}, alphabet...)
	for ; len(data) >= 3 && len(layers) < 8; data = data[3:] {
		p, target := words[int(data[1])%len(words)], words[int(data[2])%len(words)]
		var e *layer.Entry
		switch data[0] % 10 {
		case 0:
			layers = append(layers, nil)
			continue
		case 1, 2:
			e = entry(p, layer.Dir, uint32(data[2])<<4|0o700)
		case 3, 4:
			e = file(p, target)
		case 5, 6:
			e = symlink(p, target)
		case 7:
			e = hardlink(p, target)
		case 8:
			e = gone(p)
		case 9:
			e = opaque(p)
		}
		layers[len(layers)-1] = append(layers[len(layers)-1], e)
	}
	return layers
}

// FuzzApply unpacks layers of random entries: nothing beside the root changes, and what
// a layer changes is what Diff makes of it.
func FuzzApply(f *testing.F) {
	f.Add([]byte{5, 2, 0, 3, 2, 0, 4, 5, 0})
	f.Add([]byte{1, 2, 0, 3, 5, 1, 7, 3, 5, 0, 0, 0, 5, 2, 9, 8, 5, 0, 9, 2, 0})
	f.Add([]byte{5, 2, 15, 5, 3, 2, 3, 5, 16, 7, 4, 5, 0, 0, 0, 9, 9, 9, 1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, check := guarded(t)
		outside := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(r.Dir()))), "sentinel")
		before := take(t, r.Dir(), nil)
		for _, entries := range script(data, outside) {
			copied, err := Create(filepath.Dir(filepath.Dir(r.Dir())))
			if err != nil {
				t.Fatal(err)
			}
			apply(t, copied, must(before.Entries())...)
			_ = r.Apply(context.Background(), entries)
			after := take(t, r.Dir(), nil)
			apply(t, copied, must(before.Diff(after))...)
			same(t, describe(t, copied.Dir(), false), describe(t, r.Dir(), false))
			if err := copied.Remove(); err != nil {
				t.Error(err)
			}
			before = after
		}
		check()
	})
}

// FuzzApplyLayer unpacks random bytes.
func FuzzApplyLayer(f *testing.F) {
	for _, entries := range [][]*layer.Entry{
		{dir("d"), file("d/f", "x"), symlink("l", "/d"), hardlink("l/h", "d/f"), gone("x"), opaque("d")},
		{symlink("l", ".."), file("l/f", strings.Repeat("x", 2000)), entry("p", layer.Fifo, 0o600)},
	} {
		var b bytes.Buffer
		if _, err := layer.Write(context.Background(), &b, entries, layer.None); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, check := guarded(t)
		_ = r.ApplyLayer(context.Background(), bytes.NewReader(data))
		if _, err := os.Stat(r.Dir()); err != nil {
			t.Error(err)
		}
		check()
	})
}
