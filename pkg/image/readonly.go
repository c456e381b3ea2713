package image

import (
	"context"
	"path"
	"path/filepath"
	"slices"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/rootfs"
	"github.com/devs/deploy/pkg/image/sandbox"
)

// watched is a read-only mount that a command can write to, because nothing can be
// mounted here. Its changes are thrown away, and so a command that makes some fails.
type watched struct {
	sandbox.Copy
	dir    string
	skip   func(string) bool
	before *rootfs.Snapshot
}

// watch looks at the read-only mounts before a command.
func watch(ctx context.Context, x *sandbox.Session) ([]*watched, error) {
	all := x.Copies()
	var list []*watched
	for _, c := range all {
		w := &watched{Copy: c, dir: c.Place}
		if c.File {
			w.dir = filepath.Dir(c.Place)
		}
		places := x.Places()
		w.skip = func(p string) bool {
			at := filepath.Join(w.dir, p)
			if c.File {
				return p != "." && at != c.Place
			}
			// Other mounts in it have their own rules. Python keeps compiled files there where
			// it can, and goes on without a word where it cannot.
			return at != c.Place && slices.Contains(places, at) || path.Base(p) == "__pycache__"
		}
		var err error
		if w.before, err = rootfs.Take(ctx, w.dir, w.skip); err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

// check fails when the command changed the mount.
func (w *watched) check(ctx context.Context) error {
	after, err := rootfs.Take(ctx, w.dir, w.skip)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil { // the folder itself is gone
		return w.problem(w.Target)
	}
	entries, err := w.before.Diff(after)
	if err != nil {
		return err
	}
	for i, e := range entries {
		above := i+1 < len(entries) && e.Type == layer.Dir && (e.Path == "." || path.Dir(entries[i+1].Path) == e.Path)
		if above || w.File && e.Path == "." { // it is there because of what is below it
			continue
		}
		if w.File {
			return w.problem(w.Target)
		}
		return w.problem(path.Join(w.Target, e.Path))
	}
	return nil
}

func (w *watched) problem(changed string) error {
	return diag.Errorf("the command changed %s, and the mount %s is read-only", changed, w.Target).
		WithHint("write elsewhere, or, if the changes may be thrown away, make it type=bind,rw; here nothing can be mounted, so that it fails after the command").
		WithCode(diag.ExitComponent)
}
