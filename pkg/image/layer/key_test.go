package layer_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/image/layer"
)

func key(t *testing.T, entries []*layer.Entry) v1.Hash {
	t.Helper()
	k, err := layer.Key(context.Background(), entries)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A key differs exactly when the tar does.
func TestKeyIsOfWhatIsWritten(t *testing.T) {
	base := func() *layer.Entry { return file("a", "content") }
	device := func() *layer.Entry {
		return &layer.Entry{Path: "a", Type: layer.Char, Mode: 0o644, ModTime: epoch, Major: 1, Minor: 3}
	}
	change := func(e *layer.Entry, f func(*layer.Entry)) []*layer.Entry { f(e); return []*layer.Entry{e} }
	layers := map[string][]*layer.Entry{
		"base":         {base()},
		"again":        {base()},
		"nanoseconds":  change(base(), func(e *layer.Entry) { e.ModTime = e.ModTime.Add(5) }),
		"zone":         change(base(), func(e *layer.Entry) { e.ModTime = e.ModTime.UTC() }),
		"other bits":   change(base(), func(e *layer.Entry) { e.Mode |= 0o100000 }),
		"path":         change(base(), func(e *layer.Entry) { e.Path = "b" }),
		"content":      {file("a", "kontent")},
		"size":         {file("a", "content2")},
		"mode":         change(base(), func(e *layer.Entry) { e.Mode = 0o4644 }),
		"uid":          change(base(), func(e *layer.Entry) { e.UID = 1 }),
		"gid":          change(base(), func(e *layer.Entry) { e.GID = 1 }),
		"time":         change(base(), func(e *layer.Entry) { e.ModTime = e.ModTime.Add(time.Second) }),
		"no time":      change(base(), func(e *layer.Entry) { e.ModTime = time.Time{} }),
		"epoch":        change(base(), func(e *layer.Entry) { e.ModTime = time.Unix(0, 0) }),
		"xattr":        change(base(), func(e *layer.Entry) { e.Xattrs = map[string]string{"user.a": "bc", "user.d": ""} }),
		"other xattr":  change(base(), func(e *layer.Entry) { e.Xattrs = map[string]string{"user.a": "b", "user.d": "c"} }),
		"directory":    {dir("a")},
		"symlink":      {link("a", "content")},
		"other target": {link("a", "kontent")},
		"device":       {device()},
		"other major":  change(device(), func(e *layer.Entry) { e.Major = 2 }),
		"other minor":  change(device(), func(e *layer.Entry) { e.Minor = 2 }),
		"block device": change(device(), func(e *layer.Entry) { e.Type = layer.Block }),
		"fifo":         change(device(), func(e *layer.Entry) { e.Type = layer.Fifo }),
		"whiteout":     {{Path: "a", Type: layer.Whiteout}},
		"whiteout 2":   {{Path: "a", Type: layer.Whiteout, Mode: 0o644, UID: 3}},
		"opaque":       {{Path: "a", Type: layer.Opaque}},
		"two":          {base(), file("b", "x")},
		"hard link":    {base(), hard("b", "a")},
		"hard link 2":  {base(), {Path: "b", Type: layer.Hardlink, Linkname: "a", Mode: 0o777}},
		"other link":   {base(), file("c", ""), hard("b", "c")},
		"nothing":      {},
	}
	names := slices.Sorted(maps.Keys(layers))
	keys, tars := map[string]v1.Hash{}, map[string]layer.Written{}
	for _, name := range names {
		keys[name] = key(t, layers[name])
		_, tars[name] = write(t, layers[name], layer.None)
	}
	for _, a := range names {
		for _, b := range names {
			if key, tar := keys[a] == keys[b], tars[a] == tars[b]; key != tar {
				t.Errorf("%s and %s: the same key: %v, the same tar: %v", a, b, key, tar)
			}
		}
	}
}

// Keys of parts need no second reading.
func TestSumReadsOnce(t *testing.T) {
	var opened atomic.Int64
	entries := project()
	content := strings.Repeat("x", 5<<20)
	for _, e := range entries {
		if e.Type == layer.File {
			e.Open = func() (io.ReadCloser, error) {
				opened.Add(1)
				return io.NopCloser(strings.NewReader(content[:e.Size])), nil
			}
		}
	}
	sums, err := layer.Sum(context.Background(), entries)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[v1.Hash]bool{}
	for _, part := range layer.Split(entries) {
		k, err := sums.Key(part)
		if err != nil || seen[k] {
			t.Errorf("%v, %v", k, err)
		}
		seen[k] = true
	}
	if opened.Load() != 5001 {
		t.Errorf("%d files were opened", opened.Load())
	}
	if _, err := sums.Key([]*layer.Entry{file("new", "x")}); err == nil {
		t.Error("a file that was not read has a key")
	}
}

func TestSumFails(t *testing.T) {
	grown := file("log", "123456")
	grown.Size = 5
	missing := file("m", "x")
	missing.Open = func() (io.ReadCloser, error) { return nil, os.ErrNotExist }
	for want, e := range map[string]*layer.Entry{
		`"log" changed its size`:                  grown,
		`reading "m": file does not exist`:        missing,
		`reading "n": its content is not at hand`: {Path: "n", Type: layer.File, Size: 1},
	} {
		if _, err := layer.Key(context.Background(), append(someFiles(20, 10), e)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := layer.Key(ctx, someFiles(20, 10)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
