package copy

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/dockerfile"
	"github.com/devs/deploy/pkg/image/layer"
)

// local adds what a path or pattern of the source stands for.
func (c *copier) local(ctx context.Context, src string) error {
	found, err := c.find(src)
	if err != nil {
		return err
	}
	for _, p := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, e, err := c.follow(p, src)
		if err != nil {
			return err
		}
		if c.unpacks(c.op.Add) && e.Type == layer.File {
			done, err := c.unpack(ctx, e)
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		if _, err := c.copy(unit{from: c.source, path: at, name: path.Base(p)}); err != nil {
			return err
		}
	}
	return nil
}

// unpacks reports whether archives are to be unpacked.
func (c *copier) unpacks(byDefault bool) bool {
	if c.op.Unpack != nil {
		return *c.op.Unpack
	}
	return byDefault
}

// withParents adds what a source of COPY --parents stands for: the directories above
// what is found come along, those after a /./ only when there is one.
func (c *copier) withParents(ctx context.Context, src string) error {
	root, pattern, ok := strings.Cut(src, "/./")
	if !ok {
		root, pattern = "/", src
	}
	pattern = strings.TrimPrefix(path.Join("/", pattern), "/")
	var include *matcher
	if pattern != "" {
		var err error
		if include, err = newMatcher([]string{pattern}); err != nil {
			return diag.Errorf("the pattern %s cannot be understood: %v", pattern, err)
		}
	}
	roots, err := c.find(root)
	if err != nil {
		return err
	}
	taken := 0
	for _, p := range roots {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, e, err := c.follow(p, src)
		if err != nil {
			return err
		}
		if e.Type != layer.Dir && pattern != "" {
			return c.notFound(src)
		}
		n, err := c.copy(unit{from: c.source, path: at, name: path.Base(p), include: include})
		if err != nil {
			return err
		}
		taken += n
	}
	if taken == 0 && pattern != "" && !isPattern(root) && !isPattern(pattern) && len(c.op.Excludes) == 0 {
		return c.notFound(src)
	}
	return nil
}

// find returns the paths that a source stands for, in order, as they are written: no
// symlink is followed yet. A pattern that matches nothing gives nothing.
func (c *copier) find(src string) ([]string, error) {
	clean := strings.TrimPrefix(path.Join("/", src), "/")
	if clean == "" {
		return []string{"."}, nil
	}
	if strings.IndexByte(clean, 0) >= 0 {
		return nil, c.notFound(src)
	}
	parts := strings.Split(clean, "/")
	fixed := slices.IndexFunc(parts, isPattern)
	if fixed < 0 {
		return []string{clean}, nil
	}
	if _, err := path.Match(clean, ""); err != nil {
		return nil, diag.Errorf("the pattern %s cannot be understood: %v", src, err).
			WithHint("a [ that is meant literally is written [[]")
	}
	dir, e, err := c.follow(path.Join(parts[:fixed]...), src)
	if err != nil || e.Type != layer.Dir {
		return nil, c.notFound(src)
	}
	return c.match(dir, parts[fixed:])
}

// match returns the paths below dir that match a pattern, part by part. Symlinks are
// not followed on the way, and files that --exclude names are left out.
func (c *copier) match(dir string, parts []string) ([]string, error) {
	var found []string
	err := c.source.Walk(dir, func(e *layer.Entry) error {
		rel := e.Path
		if dir != "." {
			rel = strings.TrimPrefix(e.Path, dir+"/")
		}
		depth := strings.Count(rel, "/") + 1
		ok, err := path.Match(path.Join(parts[:depth]...), rel)
		switch {
		case err != nil:
			return err
		case ok && depth == len(parts):
			excluded := false
			if e.Type != layer.Dir {
				excluded, _, err = c.exclude.match(path.Base(rel), false, nil)
			}
			if !excluded {
				found = append(found, e.Path)
			}
			if err != nil {
				return err
			}
		case ok:
			return nil // go on below
		}
		if e.Type == layer.Dir {
			return fs.SkipDir
		}
		return nil
	})
	return found, err
}

// follow returns where a path of the source leads, and what is there.
func (c *copier) follow(p, src string) (string, *layer.Entry, error) {
	at, err := c.source.Resolve(p)
	if err != nil {
		return "", nil, err
	}
	e, ok := c.source.Lookup(at)
	if !ok {
		return "", nil, c.notFound(src)
	}
	return at, e, nil
}

func (c *copier) notFound(src string) error {
	p := diag.Errorf("%s is not in %s", layer.Quote(src), c.op.From)
	if at, err := c.source.Resolve(src); err == nil {
		var names []string
		for _, e := range c.source.List(path.Dir(at)) {
			names = append(names, path.Base(e.Path))
		}
		if name := diag.Suggest(path.Base(at), names); name != "" && name != path.Base(at) {
			return p.WithHint("did you mean %s?", path.Join(path.Dir(at), name))
		}
	}
	if c.op.From.Kind == dockerfile.Context {
		p = p.WithHint("check the path, which is relative to the build context, and whether %s leaves it out", ignoreName)
	}
	return p
}

// isPattern reports whether a name has wildcards, by the rules of docker.
func isPattern(name string) bool {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '*', '?', '[':
			return true
		case '\\':
			i++
		}
	}
	return false
}
