package copy

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
)

// unpack adds what is in an archive; false means that the file is none. It does what
// untar does in docker, in a root that is the destination: later entries replace
// earlier ones and what the image has, directories are merged, symlinks above an entry
// are followed and do not lead out of the destination. Owners are those in the
// archive, unless --chown says another; --chmod and --exclude do not count.
func (c *copier) unpack(ctx context.Context, e *layer.Entry) (bool, error) {
	if e.Open == nil {
		return false, diag.Errorf("the content of %s is not at hand", layer.Quote(e.Path))
	}
	ok, err := isArchive(e.Open)
	if !ok || err != nil {
		return false, err
	}
	if c.fetch == nil {
		return false, fmt.Errorf("unpacking %s: no folder for temporary files was given", layer.Quote(e.Path))
	}
	entries, err := c.fetch.spool(ctx, e)
	if err != nil {
		return false, fmt.Errorf("unpacking %s: %w", layer.Quote(e.Path), err)
	}
	base, err := c.dest.Resolve(c.op.Dest)
	if err != nil {
		return false, err
	}
	if err := c.makeMissing(base, c.own); err != nil {
		return false, err
	}
	for _, entry := range entries {
		if err := c.extract(base, entry); err != nil {
			return false, fmt.Errorf("unpacking %s: %w", layer.Quote(e.Path), err)
		}
	}
	return true, nil
}

// extract adds one entry of an archive below base.
func (c *copier) extract(base string, e *layer.Entry) error {
	if e.Path == "." {
		return nil
	}
	dir, err := c.below(base, path.Dir(e.Path))
	if err != nil {
		return err
	}
	// Directories that the archive only implies are root's, whatever --chown says.
	if err := c.makeMissing(dir, func(*layer.Entry) {}); err != nil {
		return err
	}
	to := path.Join(dir, path.Base(e.Path))
	if e.Type == layer.Hardlink {
		if e.Linkname, err = c.linkTarget(base, e, to); err != nil {
			return err
		}
	}
	if there, ok := c.dest.Lookup(to); ok && there.Type == layer.Dir && e.Type != layer.Dir {
		if old, ok := c.before.Lookup(to); ok && old.Type == layer.Dir {
			c.wiped[to] = true
		}
	}
	e.Path = to
	c.own(e)
	return c.put(e)
}

// linkTarget returns the file that a hard link of an archive means. It has to be of
// the archive: what the layers below have cannot be linked to.
func (c *copier) linkTarget(base string, e *layer.Entry, to string) (string, error) {
	dir, err := c.below(base, path.Dir(e.Linkname))
	if err != nil {
		return "", err
	}
	target := path.Join(dir, path.Base(e.Linkname))
	there, ok := c.dest.Lookup(target)
	if !ok || !c.added[target] || target == to || there.Type == layer.Dir {
		return "", diag.Errorf("the hard link %s leads to %s, which is no file that stands before it in the archive",
			layer.Quote(e.Path), layer.Quote(e.Linkname))
	}
	return target, nil
}

// maxLinks bounds how many symlinks one path of an archive may go through.
const maxLinks = 255

// below follows the symlinks of a directory of an archive, whose root is base. What is
// missing is taken as it is written, unless a symlink leads there.
func (c *copier) below(base, dir string) (string, error) {
	if dir == "." {
		return base, nil
	}
	at, links := base, 0
	todo := strings.Split(dir, "/")
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if at != base {
				at = path.Dir(at)
			}
			continue
		}
		next := path.Join(at, name)
		e, ok := c.dest.Lookup(next)
		if !ok && links > 0 {
			return "", diag.Errorf("%s stands below a symlink that leads nowhere", layer.Quote(dir))
		}
		if !ok || e.Type != layer.Symlink {
			at = next
			continue
		}
		if links++; links > maxLinks || len(todo) > maxLinks<<8 {
			return "", diag.Errorf("%s leads through more than %d symlinks", layer.Quote(dir), maxLinks)
		}
		if strings.HasPrefix(e.Linkname, "/") {
			at = base
		}
		todo = append(strings.Split(e.Linkname, "/"), todo...)
	}
	return at, nil
}
