package rootfs

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/image/layer"
)

// Diff returns what a layer needs to turn the files of before into those of after: what
// is new or changed with all directories above it, and a whiteout for each path that is
// gone (one for a directory). Explicit whiteouts only, never an opaque directory, as
// the OCI image-spec recommends in layer.md. The order is that of layer.Sort; the first
// name of a file with several is a File, the others are Hardlinks.
//
// A regular file counts as changed when its inode or its ctime is another one: whoever
// changes it cannot set that back. A directory counts by its own owner, mode and
// attributes, a symbolic link by its target and owner: both get a new ctime when they
// are only moved away and back. What either snapshot skipped is the same in both.
func (before *Snapshot) Diff(after *Snapshot) ([]*layer.Entry, error) {
	c, err := after.collector()
	if err != nil {
		return nil, err
	}
	defer c.close()
	d := &differ{before: before, after: after}
	d.both(before.root, after.root, ".")
	if d.linked = shared(d.found); len(d.linked) > 0 {
		// A file may have a name that did not change (below a folder that was moved): all
		// its names must be in the layer to be one file again.
		d.found = nil
		d.both(before.root, after.root, ".")
	}
	for _, f := range d.found {
		if f.node == nil {
			c.entries = append(c.entries, &layer.Entry{Path: f.path, Type: layer.Whiteout})
		} else if err := c.add(f.node, f.path); err != nil {
			return nil, fmt.Errorf("reading what has changed: %w", err)
		}
	}
	layer.Sort(c.entries)
	return c.entries, nil
}

// found is a path of a layer; without a node it is gone.
type found struct {
	path string
	node *node
}

type differ struct {
	before, after *Snapshot
	linked        map[inode]bool // files of which all names are wanted
	found         []found
}

// shared returns the files with several names.
func shared(list []found) map[inode]bool {
	files := map[inode]bool{}
	for _, f := range list {
		if f.node != nil && f.node.shared() {
			files[f.node.inode()] = true
		}
	}
	return files
}

// both compares two nodes of the same path.
func (d *differ) both(old, new *node, path string) {
	if old.kind() != new.kind() || !new.isDir() {
		// What replaces a directory hides all that was in it, and the other way round.
		if changed(old, new) || new.shared() && d.linked[new.inode()] {
			d.all(new, path)
		}
		return
	}
	at := len(d.found)
	d.found = append(d.found, found{path, new})
	d.children(old.children, new.children, path)
	if len(d.found) == at+1 && !changed(old, new) {
		d.found = d.found[:at]
	}
	if path == "." && len(d.found) > at && !changed(old, new) {
		d.found = d.found[1:]
	}
}

// children merges two sorted lists.
func (d *differ) children(old, new []*node, dir string) {
	for len(old) > 0 || len(new) > 0 {
		switch {
		case len(new) == 0 || len(old) > 0 && old[0].name < new[0].name:
			if path := join(dir, old[0].name); !d.after.skip(path) {
				d.found = append(d.found, found{path, nil})
			}
			old = old[1:]
		case len(old) == 0 || new[0].name < old[0].name:
			if path := join(dir, new[0].name); !d.before.skip(path) {
				d.all(new[0], path)
			}
			new = new[1:]
		default:
			d.both(old[0], new[0], join(dir, old[0].name))
			old, new = old[1:], new[1:]
		}
	}
}

// all adds a node and what is below it.
func (d *differ) all(n *node, path string) {
	d.found = append(d.found, found{path, n})
	for _, child := range n.children {
		if below := join(path, child.name); !d.before.skip(below) {
			d.all(child, below)
		}
	}
}

// changed reports whether a layer has to say something of the path itself.
func changed(old, new *node) bool {
	if old.mode != new.mode || old.uid != new.uid || old.gid != new.gid || old.rdev != new.rdev {
		return true
	}
	switch new.kind() {
	case unix.S_IFDIR:
		return !equal(old.xattrs, new.xattrs)
	case unix.S_IFLNK:
		return old.link != new.link
	case unix.S_IFREG:
		return old.ino != new.ino || old.ctime != new.ctime || old.size != new.size || old.mtime != new.mtime
	}
	return false
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}
