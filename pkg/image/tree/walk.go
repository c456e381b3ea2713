package tree

import (
	"errors"
	"io/fs"

	"github.com/devs/deploy/pkg/image/layer"
)

// List returns what is in a directory, sorted by name; nothing for what is no
// directory. Each name of a hard-linked file is a File.
func (t *Tree) List(dir string) []*layer.Entry {
	clean, err := layer.CleanPath(dir)
	if err != nil {
		return nil
	}
	n := t.root.find(clean)
	if n == nil {
		return nil
	}
	entries := make([]*layer.Entry, 0, len(n.children))
	for _, name := range n.names() {
		entries = append(entries, n.children[name].entry)
	}
	return entries
}

// Walk calls fn for everything below dir, but not for dir itself, in the order of
// layer.Compare. Of the names of a hard-linked file, the first that is met is a File,
// and the others are Hardlinks to it. When fn returns fs.SkipDir, the directory, or
// the rest of the directory of what is none, is left out; fs.SkipAll ends the walk.
// Any other error is returned.
func (t *Tree) Walk(dir string, fn func(*layer.Entry) error) error {
	clean, err := layer.CleanPath(dir)
	if err != nil {
		return err
	}
	n := t.root.find(clean)
	if n == nil {
		return nil
	}
	w := &walker{fn: fn, first: map[*layer.Entry]string{}}
	w.findLinks(n)
	if err := w.walk(n); err != nil && !errors.Is(err, fs.SkipAll) {
		return err
	}
	return nil
}

// All returns all entries in the order of layer.Compare, without the root. Hard links
// are as Walk has them.
func (t *Tree) All() []*layer.Entry {
	var all []*layer.Entry
	_ = t.Walk(".", func(e *layer.Entry) error {
		all = append(all, e)
		return nil
	})
	return all
}

type walker struct {
	fn    func(*layer.Entry) error
	first map[*layer.Entry]string // by identity: the name that was met first, "" before
}

// findLinks notes which files may have several names.
func (w *walker) findLinks(n *node) {
	if n.link != nil {
		w.first[n.link] = ""
	}
	for _, c := range n.children {
		w.findLinks(c)
	}
}

func (w *walker) walk(n *node) error {
	for _, name := range n.names() {
		c := n.children[name]
		err := w.fn(w.entry(c))
		if err == nil {
			err = w.walk(c)
		} else if errors.Is(err, fs.SkipDir) && c.isDir() {
			err = nil
		}
		if errors.Is(err, fs.SkipDir) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entry is the entry of n as it is met now.
func (w *walker) entry(n *node) *layer.Entry {
	first, linked := w.first[n.identity()]
	switch {
	case !linked:
		return n.entry
	case first == "":
		w.first[n.identity()] = n.entry.Path
		return n.entry
	}
	e := *n.entry
	e.Type, e.Linkname, e.Size, e.Open = layer.Hardlink, first, 0, nil
	return &e
}
