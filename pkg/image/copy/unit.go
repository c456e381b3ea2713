package copy

import (
	"io/fs"
	"path"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

// unit is one thing to copy: a file, or what is in a directory.
type unit struct {
	from *tree.Tree
	path string // in from, without symlinks
	name string // what it is called in a directory; "" when nothing tells
	// include, when it is there, matches what is to be copied of a directory.
	include *matcher
}

// copy copies a unit to where the instruction says, and returns how many entries of
// the unit were taken.
func (c *copier) copy(u unit) (int, error) {
	src, ok := u.from.Lookup(u.path)
	if !ok {
		return 0, diag.Errorf("%s does not exist", layer.Quote("/"+u.path))
	}
	to, err := c.target(u, src.Type == layer.Dir)
	if err != nil {
		return 0, err
	}
	if src.Type != layer.Dir {
		e, err := c.entry(src, to)
		if err != nil {
			return 0, err
		}
		return 1, c.put(e)
	}
	w := &dirCopy{copier: c, unit: u, to: to, first: map[string]string{}}
	if err := u.from.Walk(u.path, w.visit); err != nil {
		return 0, err
	}
	return w.taken, c.put(w.entries...)
}

// target returns where a unit goes, symlinks of the image followed, and makes the
// directories above it: the file itself, or the directory that gets what is in u.
func (c *copier) target(u unit, isDir bool) (string, error) {
	dest := c.op.Dest
	above := path.Dir(dest)
	if strings.HasSuffix(dest, "/") {
		above = dest
	}
	dir, err := c.dest.Resolve(above)
	if err != nil {
		return "", err
	}
	if err := c.makeDirs(dir); err != nil {
		return "", err
	}
	to, err := c.dest.Resolve(dest)
	if err != nil {
		return "", err
	}
	if isDir {
		return to, c.makeDirs(to)
	}
	if e, ok := c.dest.Lookup(to); ok && e.Type == layer.Dir {
		if u.name == "" {
			return "", diag.Errorf("nothing tells what the file is to be called in %s", dest).
				WithHint("write the name of the file at the end of the destination")
		}
		to = path.Join(to, u.name)
	} else if c.added[to] {
		return "", diag.Errorf("several files cannot all become %s, which is no directory", dest).
			WithHint("end the destination with a slash, when it is to be a folder")
	}
	return to, c.makeDirs(path.Dir(to))
}

// entry returns src as it comes to be at a path of the image, which has to be free for
// it: directories take no file's place, and files no directory's.
func (c *copier) entry(src *layer.Entry, to string) (*layer.Entry, error) {
	if there, ok := c.dest.Lookup(to); ok {
		isDir, wasDir := src.Type == layer.Dir, there.Type == layer.Dir
		switch {
		case isDir && !wasDir:
			return nil, diag.Errorf("the directory %s cannot take the place of what the image has at %s, which is no directory",
				layer.Quote(src.Path), layer.Quote("/"+to)).
				WithHint("copy what is in it to another place, or remove the file (or symlink) before")
		case wasDir && !isDir:
			return nil, diag.Errorf("the file %s cannot take the place of the directory %s",
				layer.Quote(src.Path), layer.Quote("/"+to)).
				WithHint("choose another destination, or remove the directory before")
		}
	}
	e := *src
	e.Path = to
	c.own(&e)
	if c.mode != nil && e.Type != layer.Symlink {
		e.Mode = c.mode(e.Mode)
	}
	return &e, nil
}

// dirCopy copies what is in a directory.
type dirCopy struct {
	*copier
	unit
	to      string
	entries []*layer.Entry
	first   map[string]string // path in the source -> where the file went
	above   []dirState        // the directories from the unit down to the entry
	taken   int
}

type dirState struct {
	src      *layer.Entry
	rel      string
	in, out  seen // what include and exclude said
	put      bool
	excluded bool
}

// visit handles one entry below the directory. Directories that are not wanted
// themselves come along when something in them is.
func (w *dirCopy) visit(src *layer.Entry) error {
	rel := src.Path
	if w.unit.path != "." {
		rel = strings.TrimPrefix(src.Path, w.unit.path+"/")
	}
	for len(w.above) > 0 && !strings.HasPrefix(rel, w.above[len(w.above)-1].rel+"/") {
		w.above = w.above[:len(w.above)-1]
	}
	state := dirState{src: src, rel: rel}
	wanted, err := w.wanted(&state)
	if err != nil {
		return err
	}
	if wanted {
		if err := w.takeAbove(); err != nil {
			return err
		}
		if err := w.take(src, rel); err != nil {
			return err
		}
		state.put = true
	}
	if src.Type != layer.Dir {
		return nil
	}
	if !wanted && !w.mayWantBelow(state) {
		return fs.SkipDir
	}
	w.above = append(w.above, state)
	return nil
}

// wanted asks the patterns.
func (w *dirCopy) wanted(s *dirState) (bool, error) {
	var above dirState
	if len(w.above) > 0 {
		above = w.above[len(w.above)-1]
	}
	wanted := true
	var err error
	isDir := s.src.Type == layer.Dir
	if w.include != nil {
		if wanted, s.in, err = w.include.match(s.rel, isDir, above.in); err != nil {
			return false, err
		}
	}
	s.excluded, s.out, err = w.exclude.match(s.rel, isDir, above.out)
	return wanted && !s.excluded, err
}

func (w *dirCopy) mayWantBelow(s dirState) bool {
	if s.excluded && !w.exclude.mayMatchBelow(s.rel, true) {
		return false
	}
	return w.include == nil || w.include.mayMatchBelow(s.rel, false)
}

// takeAbove takes the directories above that were not wanted for themselves. Where the
// image has them they keep their owner, but get the mode of the source, as in
// BuildKit.
func (w *dirCopy) takeAbove() error {
	for i := range w.above {
		s := &w.above[i]
		if s.put {
			continue
		}
		s.put = true
		e, err := w.entry(s.src, path.Join(w.to, s.rel))
		if err != nil {
			return err
		}
		if there, ok := w.dest.Lookup(e.Path); ok {
			kept := *there
			kept.Mode = s.src.Mode
			e = &kept
		}
		w.entries = append(w.entries, e)
	}
	return nil
}

// take takes an entry. A further name of a file becomes a hard link when its first
// name came along.
func (w *dirCopy) take(src *layer.Entry, rel string) error {
	w.taken++
	to := path.Join(w.to, rel)
	origin := src.Path
	if src.Type == layer.Hardlink {
		origin = src.Linkname
		if there, ok := w.first[origin]; ok {
			link := *src
			link.Linkname = there
			src = &link
		} else {
			src, _ = w.from.Lookup(src.Path)
		}
	}
	if src.Type == layer.File {
		w.first[origin] = to
	}
	e, err := w.entry(src, to)
	if err != nil {
		return err
	}
	w.entries = append(w.entries, e)
	return nil
}
