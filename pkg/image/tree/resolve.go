package tree

import (
	"path"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
)

// How many symlinks one path may follow, as docker has it, and how many parts they
// may add to it.
const (
	maxLinks = 255
	maxParts = 1 << 12
)

// find returns the node at a clean path, following no symlink.
func (n *node) find(p string) *node {
	if p == "." {
		return n
	}
	for name := range strings.SplitSeq(p, "/") {
		if n = n.children[name]; n == nil {
			return nil
		}
	}
	return n
}

// resolve follows p from root as a process in a chroot would: symlinks stay inside,
// ".." ends at the root. What does not exist, and what is below a file, is taken as
// it is written. The result is a clean path.
func (n *node) resolve(p string) (string, error) {
	w := way{todo: pushParts(nil, p), at: []*node{n}}
	links, most := 0, len(w.todo)+maxParts
	for steps := 0; len(w.todo) > 0; steps++ {
		if steps > most || len(w.todo) > most {
			return "", diag.Errorf("%s leads through symlinks without end", layer.Quote(p))
		}
		link := w.step()
		if link == nil {
			continue
		}
		if links++; links > maxLinks {
			return "", diag.Errorf("%s leads through more than %d symlinks", layer.Quote(p), maxLinks)
		}
		if strings.HasPrefix(link.Linkname, "/") {
			w.done, w.at = nil, w.at[:1]
		}
		w.todo = pushParts(w.todo, link.Linkname)
	}
	if len(w.done) == 0 {
		return ".", nil
	}
	return strings.Join(w.done, "/"), nil
}

// way is a path while it is followed.
type way struct {
	todo []string // the parts to come, the next one last
	done []string // the parts behind, without symlinks
	at   []*node  // the root, then the nodes of done; nil for what is missing
}

// step takes one part. It returns the symlink that stands there, if one does.
func (w *way) step() *layer.Entry {
	name := w.todo[len(w.todo)-1]
	w.todo = w.todo[:len(w.todo)-1]
	switch name {
	case "", ".":
		return nil
	case "..":
		if len(w.done) > 0 {
			w.done, w.at = w.done[:len(w.done)-1], w.at[:len(w.at)-1]
		}
		return nil
	}
	var child *node
	if last := w.at[len(w.at)-1]; last != nil {
		child = last.children[name]
	}
	if child != nil && child.entry.Type == layer.Symlink {
		return child.entry
	}
	w.done, w.at = append(w.done, name), append(w.at, child)
	return nil
}

func pushParts(todo []string, p string) []string {
	parts := strings.Split(p, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		todo = append(todo, parts[i])
	}
	return todo
}

// Lookup returns the entry at path, following no symlink. The root is there always.
// Each name of a hard-linked file is a File.
func (t *Tree) Lookup(p string) (*layer.Entry, bool) {
	clean, err := layer.CleanPath(p)
	if err != nil {
		return nil, false
	}
	n := t.root.find(clean)
	if n == nil {
		return nil, false
	}
	return n.entry, true
}

// Resolve returns where path leads, as for a process whose root is the tree: all
// symlinks are followed, the last one too, and lead nowhere outside. What does not
// exist stays as it is written. A loop is an error.
func (t *Tree) Resolve(p string) (string, error) { return t.root.resolve(p) }

// Parents returns the directories above path that exist, the highest first, without
// the root. It follows no symlink.
func (t *Tree) Parents(p string) []*layer.Entry {
	clean, err := layer.CleanPath(p)
	if err != nil || clean == "." {
		return nil
	}
	var parents []*layer.Entry
	n := t.root
	for name := range strings.SplitSeq(path.Dir(clean), "/") {
		if n = n.children[name]; n == nil || !n.isDir() {
			break
		}
		parents = append(parents, n.entry)
	}
	return parents
}
