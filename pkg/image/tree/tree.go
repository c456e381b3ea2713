// Package tree is the file system of an image in memory: which entries a chain of
// layers makes together, where a path leads in it, and who its users are. It knows
// layers as entries only; contents stay where the entries have them. An Index is
// what is kept of a layer so that its entries are known without its files.
package tree

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/devs/deploy/pkg/image/layer"
)

// Tree is a file system of entries. Entries that it returns belong to it and must not
// be changed. A tree may be read and cloned by several goroutines at once; Apply
// needs it alone.
type Tree struct {
	root *node
	// owner marks the nodes that this tree alone has and may change. Clones get other
	// marks, and copy a node before they change it.
	owner atomic.Pointer[mark]
}

type mark struct{ _ byte }

// node is one path of a tree. The fields of the second group say what a node of a
// layer does to the layers below; they count only until the layer is merged.
type node struct {
	entry    *layer.Entry
	link     *layer.Entry // what all names of a hard-linked file share; nil for the first of them
	children map[string]*node
	owner    *mark

	implied bool            // the layer has no entry for this directory
	opaque  bool            // nothing of the layers below is left in the directory
	gone    map[string]bool // names that are removed
}

// New returns a tree that has a root directory and nothing else.
func New() *Tree {
	t := &Tree{}
	m := new(mark)
	t.owner.Store(m)
	t.root = impliedDir(".", m)
	return t
}

// Clone returns a tree with the same entries. It takes no time: what is the same in
// both stays shared.
func (t *Tree) Clone() *Tree {
	c := &Tree{root: t.root}
	t.owner.Store(new(mark))
	c.owner.Store(new(mark))
	return c
}

func impliedDir(path string, owner *mark) *node {
	return &node{
		entry:   &layer.Entry{Path: path, Type: layer.Dir, Mode: 0o755},
		owner:   owner,
		implied: true,
	}
}

func (n *node) isDir() bool { return n.entry.Type == layer.Dir }

// identity is the same for all names of one file.
func (n *node) identity() *layer.Entry {
	if n.link != nil {
		return n.link
	}
	return n.entry
}

func (n *node) set(name string, child *node) {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	n.children[name] = child
}

// names returns the names in a directory, sorted.
func (n *node) names() []string { return slices.Sorted(maps.Keys(n.children)) }

// own returns n, or a copy of it that may be changed.
func (n *node) own(m *mark) *node {
	if n.owner == m {
		return n
	}
	c := *n
	c.owner = m
	c.children = maps.Clone(n.children)
	return &c
}
