package copy

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/dockerfile"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

// Request is an instruction and what it works on.
type Request struct {
	Op *dockerfile.Copy
	// Source has the files of op.From: the build context, a stage, an image.
	Source *tree.Tree
	// Dest is the image as it is before the instruction. It is not changed.
	Dest *tree.Tree
	// Fetch brings in what ADD takes from elsewhere; COPY needs none.
	Fetch *Fetcher
}

// Select returns the entries that a COPY or an ADD adds to an image, in the order of
// layer.Compare. Directories above them are among them: those that the image has as
// they are, missing ones as they are made. The entries belong to the caller. Files
// that ADD fetched or unpacked can be read until Fetch is closed.
func Select(ctx context.Context, r Request) ([]*layer.Entry, error) {
	c, err := newCopier(r)
	if err != nil {
		return nil, at(r.Op.Pos(), err)
	}
	for i, src := range r.Op.Sources {
		pos := r.Op.Pos()
		if i < len(r.Op.SourceAt) && !r.Op.SourceAt[i].IsZero() {
			pos = r.Op.SourceAt[i]
		}
		if err := c.add(ctx, src); err != nil {
			return nil, at(pos, err)
		}
	}
	for _, h := range r.Op.Inline {
		if err := c.inline(h); err != nil {
			return nil, at(r.Op.Pos(), err)
		}
	}
	entries, err := c.result()
	if err != nil {
		return nil, at(r.Op.Pos(), err)
	}
	return entries, nil
}

// at gives an error its place in the Dockerfile, unless it has one or the work was
// given up.
func at(pos diag.Pos, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	p, ok := errors.AsType[*diag.Problem](err)
	if !ok {
		return diag.At(pos, "%v", err).WithCause(err)
	}
	if !p.Pos.IsZero() {
		return err
	}
	placed := *p
	placed.Pos = pos
	return &placed
}

// copier is an instruction that is under way.
type copier struct {
	op      *dockerfile.Copy
	source  *tree.Tree
	before  *tree.Tree // the image before the instruction
	dest    *tree.Tree // the image as it is by now
	fetch   *Fetcher
	owner   *owner // nil keeps the owners of the source
	mode    func(uint32) uint32
	exclude *matcher

	added   map[string]bool // paths that the instruction made or changed
	carried map[string]bool // directories above them
	wiped   map[string]bool // directories of the image that something else took the place of
}

type owner struct{ uid, gid int }

func newCopier(r Request) (*copier, error) {
	op := r.Op
	c := &copier{
		op: op, source: r.Source, before: r.Dest, fetch: r.Fetch,
		added: map[string]bool{}, carried: map[string]bool{}, wiped: map[string]bool{},
	}
	if c.source == nil {
		c.source = tree.New()
	}
	if c.before == nil || op.Link && op.Chmod == "" {
		// --link makes a layer that knows nothing of the image, except with --chmod.
		c.before = tree.New()
	}
	c.dest = c.before.Clone()
	if op.Chown != "" {
		uid, gid, err := c.before.Chown(op.Chown)
		if err != nil {
			return nil, err
		}
		c.owner = &owner{uid, gid}
	}
	var err error
	if c.mode, err = parseMode(op.Chmod); err != nil {
		return nil, err
	}
	if len(op.Excludes) > 0 {
		if c.exclude, err = newMatcher(op.Excludes); err != nil {
			return nil, diag.Errorf("--exclude: a pattern cannot be understood: %v", err)
		}
	}
	return c, nil
}

// add adds what one source gives.
func (c *copier) add(ctx context.Context, src string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.op.Add {
		switch dockerfile.RemoteOf(src) {
		case dockerfile.HTTP:
			return c.download(ctx, src)
		case dockerfile.Git:
			return c.clone(ctx, src)
		}
	}
	if c.op.Parents {
		return c.withParents(ctx, src)
	}
	return c.local(ctx, src)
}

// inline adds a file that stands in the Dockerfile.
func (c *copier) inline(h dockerfile.Heredoc) error {
	t, err := single(&layer.Entry{Path: h.Name, Type: layer.File, Mode: 0o644, Size: int64(len(h.Data)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(h.Data)), nil }})
	if err != nil {
		return err
	}
	_, err = c.copy(unit{from: t, path: h.Name, name: h.Name})
	return err
}

// single returns a tree with one file.
func single(e *layer.Entry) (*tree.Tree, error) {
	t := tree.New()
	return t, t.Apply([]*layer.Entry{e})
}

// put adds entries to the image.
func (c *copier) put(entries ...*layer.Entry) error {
	for _, e := range entries {
		if err := e.Check(); err != nil {
			return err
		}
		c.added[e.Path] = true
		for p := path.Dir(e.Path); p != "." && !c.carried[p]; p = path.Dir(p) {
			c.carried[p] = true
		}
	}
	return c.dest.Apply(entries)
}

// makeDirs makes a directory and those above it, where they are missing, with the owner
// of --chown and the mode of --chmod, as BuildKit does. dir has no symlinks in it.
func (c *copier) makeDirs(dir string) error {
	return c.makeMissing(dir, func(e *layer.Entry) {
		c.own(e)
		if c.mode != nil {
			e.Mode = c.mode(e.Mode)
		}
	})
}

// makeMissing makes a directory and those above it, where they are missing.
func (c *copier) makeMissing(dir string, change func(*layer.Entry)) error {
	if dir == "." {
		return nil
	}
	var missing []*layer.Entry
	for i := 0; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		p := dir[:i]
		e, ok := c.dest.Lookup(p)
		switch {
		case !ok:
			e := &layer.Entry{Path: p, Type: layer.Dir, Mode: 0o755}
			change(e)
			missing = append(missing, e)
		case e.Type != layer.Dir:
			return diag.Errorf("%s cannot be a directory: the image has a file of that name", layer.Quote("/"+p))
		}
	}
	return c.put(missing...)
}

func (c *copier) own(e *layer.Entry) {
	if c.owner != nil {
		e.UID, e.GID = c.owner.uid, c.owner.gid
	}
}

// result returns what was added, with the directories above it, as it is in the end.
func (c *copier) result() ([]*layer.Entry, error) {
	var entries []*layer.Entry
	err := c.dest.Walk(".", func(e *layer.Entry) error {
		mine := c.added[e.Path]
		if !mine && !c.carried[e.Path] {
			if e.Type == layer.Dir {
				return fs.SkipDir
			}
			return nil
		}
		own := *e
		own.Xattrs = maps.Clone(e.Xattrs)
		entries = append(entries, &own)
		if e.Type == layer.Dir && c.wiped[e.Path] {
			entries = append(entries, &layer.Entry{Path: e.Path, Type: layer.Opaque})
		}
		return nil
	})
	return slices.Clip(entries), err
}
