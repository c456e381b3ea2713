package tree

import (
	"path"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
)

// Apply puts a layer over the tree, as dockerd does with overlay2: the layer is
// unpacked by itself, then laid over what is there. So
//   - a symlink of the same layer is followed where it stands above an entry, one of a
//     layer below is replaced by a directory, and so is a file;
//   - whiteouts and opaque marks take away what layers below brought, and nothing of
//     their own layer, wherever they stand in it;
//   - an entry below a symlink that leads nowhere in the layer, which dockerd refuses,
//     goes where the symlink leads;
//   - a directory that the layer does not have, but has something in, keeps its
//     metadata from below, or is root's with mode 0755.
//
// A hard link may lead to a file of a layer below. After an error the tree is as it
// was before.
func (t *Tree) Apply(entries []*layer.Entry) error {
	owner := t.owner.Load()
	u := &upper{root: impliedDir(".", owner), owner: owner, lower: t.root}
	for _, e := range entries {
		if err := u.add(e); err != nil {
			return err
		}
	}
	t.root = merge(t.root, u.root, owner)
	return nil
}

// upper is a layer while it is unpacked by itself.
type upper struct {
	root  *node
	lower *node
	owner *mark
	// implied counts the directories that have no entry, of which two bytes of a path
	// are enough to make one.
	implied int
}

// maxImplied is the most of them that a layer may have.
const maxImplied = 250_000

func (u *upper) add(e *layer.Entry) error {
	p, err := layer.CleanPath(e.Path)
	if err != nil {
		return err
	}
	switch {
	case e.Type == layer.Opaque:
		dir, err := u.dir(p, e.Path)
		if err != nil {
			return err
		}
		dir.opaque = true
		return nil
	case p == ".":
		if e.Type != layer.Dir {
			return diag.Errorf("the root of an image has to be a directory")
		}
		u.root.entry, u.root.implied = withPath(e, p), false
		return nil
	}
	dir, err := u.dir(path.Dir(p), e.Path)
	if err != nil {
		return err
	}
	name := path.Base(p)
	full := p
	if parent := dir.entry.Path; parent != path.Dir(p) {
		full = path.Join(parent, name)
		if _, err := layer.CleanPath(full); err != nil {
			return err
		}
	}
	switch e.Type {
	case layer.Whiteout:
		if dir.gone == nil {
			dir.gone = map[string]bool{}
		}
		dir.gone[name] = true
	case layer.Dir:
		u.addDir(dir, name, withPath(e, full))
	case layer.Hardlink:
		target, err := u.target(e)
		if err != nil {
			return err
		}
		dir.set(name, &node{entry: withPath(target.entry, full), link: target.identity(), owner: u.owner})
	case layer.File, layer.Symlink, layer.Char, layer.Block, layer.Fifo:
		dir.set(name, &node{entry: withPath(e, full), owner: u.owner})
	default:
		return diag.Errorf("%s has the unknown type %d", layer.Quote(e.Path), e.Type)
	}
	return nil
}

func (u *upper) addDir(parent *node, name string, e *layer.Entry) {
	if n := parent.children[name]; n != nil && n.isDir() {
		n.entry, n.implied = e, false
		return
	}
	parent.set(name, &node{entry: e, owner: u.owner})
}

// dir returns the directory at p, through symlinks of the layer, and makes what is
// missing of it. what is the path of the entry that needs it.
func (u *upper) dir(p, what string) (*node, error) {
	n := u.root.find(p)
	if n != nil && n.isDir() {
		return n, nil
	}
	p, err := u.root.resolve(p)
	if err != nil {
		return nil, err
	}
	if _, err := layer.CleanPath(p); err != nil { // what a symlink says is no checked path
		return nil, err
	}
	n = u.root
	for end := 0; p != "." && end < len(p); end++ {
		start := end
		for end < len(p) && p[end] != '/' {
			end++
		}
		child := n.children[p[start:end]]
		if child == nil {
			if u.implied++; u.implied > maxImplied {
				return nil, diag.Errorf("the layer has no entries for more than %d of its directories", maxImplied)
			}
			child = impliedDir(p[:end], u.owner)
			n.set(p[start:end], child)
		}
		if !child.isDir() {
			return nil, diag.Errorf("%s stands below %s, which is no directory", layer.Quote(what), layer.Quote(child.entry.Path))
		}
		n = child
	}
	return n, nil
}

// target finds what a hard link leads to: in its own layer, else below.
func (u *upper) target(e *layer.Entry) (*node, error) {
	p, err := layer.CleanPath(e.Linkname)
	if err != nil {
		return nil, err
	}
	for _, root := range []*node{u.root, u.lower} {
		dir, err := root.resolve(path.Dir(p))
		if err != nil {
			return nil, err
		}
		if n := root.find(path.Join(dir, path.Base(p))); n != nil && !n.isDir() {
			return n, nil
		}
	}
	return nil, diag.Errorf("the hard link %s leads to %s, which is no file of the image", layer.Quote(e.Path), layer.Quote(e.Linkname))
}

// withPath returns e at a path, which differs from its own where a symlink was
// followed, or where it is another name of a file.
func withPath(e *layer.Entry, p string) *layer.Entry {
	if e.Path == p {
		return e
	}
	c := *e
	c.Path = p
	return &c
}

// merge lays the directory u of a layer over l, which is of the layers below and may
// be nil or no directory.
func merge(l, u *node, owner *mark) *node {
	if l == nil || !l.isDir() || u.opaque {
		if u.opaque && u.implied && l != nil && l.isDir() {
			u.entry, u.implied = l.entry, l.implied
		}
		u.settle()
		return u
	}
	n := l.own(owner)
	if !u.implied {
		n.entry, n.implied = u.entry, false
	}
	for name := range u.gone {
		delete(n.children, name)
	}
	for name, child := range u.children {
		if child.isDir() {
			child = merge(n.children[name], child, owner)
		}
		n.set(name, child)
	}
	return n
}

// settle takes the marks of a layer away where nothing is below.
func (n *node) settle() {
	n.opaque, n.gone = false, nil
	for _, c := range n.children {
		if c.isDir() {
			c.settle()
		}
	}
}
