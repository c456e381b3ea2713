package layer

import (
	"archive/tar"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/diag"
)

// Names of whiteouts (OCI image-spec, layer.md).
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	metaPrefix     = ".wh..wh." // what AUFS keeps for itself
	xattrPrefix    = "SCHILY.xattr."
	permissions    = 0o7777
)

// Quote returns a path as errors show it: in quotes, control characters escaped,
// cut when it is very long.
func Quote(p string) string {
	const most = 200
	if len(p) > most {
		return strconv.Quote(p[:most]) + "..."
	}
	return strconv.Quote(p)
}

// firstNames returns the entries that hard links point to, by their path. A layer
// carries the metadata of a file with each of its names, and whoever unpacks it sets
// it again at each one: they must not differ.
func firstNames(entries []*Entry) map[string]*Entry {
	var names map[string]*Entry
	for _, e := range entries {
		if e.Type == Hardlink {
			if names == nil {
				names = map[string]*Entry{}
			}
			names[e.Linkname] = nil
		}
	}
	if names == nil {
		return nil
	}
	for _, e := range entries {
		if _, linked := names[e.Path]; linked && e.Type != Hardlink && !e.removes() {
			names[e.Path] = e
		}
	}
	return names
}

// meta returns the entry whose metadata counts for e: that of the first name of a
// hard link, when it is in the same layer, else e itself.
func meta(e *Entry, first map[string]*Entry) *Entry {
	if e.Type == Hardlink {
		if target := first[e.Linkname]; target != nil {
			return target
		}
	}
	return e
}

// seconds is the modification time as layers keep it: whole seconds, as docker does;
// no time is the epoch.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// Check refuses an entry that a layer cannot express: a path that is not clean or has a
// name of a whiteout, an owner or a target that no system allows, an unknown type.
func (e *Entry) Check() error {
	if !isClean(e.Path) {
		return diag.Errorf("%s is not a path that a layer can have", Quote(e.Path))
	}
	if e.Path == "." && e.Type != Dir && e.Type != Opaque {
		return diag.Errorf("the root of an image has to be a directory")
	}
	if e.Path != "." && strings.Contains("/"+e.Path, "/"+whiteoutPrefix) {
		return diag.Errorf("%s cannot be in an image", Quote(e.Path)).
			WithHint("names that begin with .wh. mean removed files in the layers of images; rename it or exclude it in .dockerignore")
	}
	if e.UID < 0 || e.GID < 0 || e.UID >= math.MaxUint32 || e.GID >= math.MaxUint32 {
		return diag.Errorf("%s has the owner %d:%d, which no system allows", Quote(e.Path), e.UID, e.GID)
	}
	switch e.Type {
	case File:
		if e.Size < 0 {
			return diag.Errorf("%s has a negative size", Quote(e.Path))
		}
	case Symlink:
		return checkTarget(e)
	case Hardlink:
		if !isClean(e.Linkname) || e.Linkname == "." {
			return diag.Errorf("the hard link %s points to %s", Quote(e.Path), Quote(e.Linkname))
		}
	case Dir, Char, Block, Fifo, Whiteout, Opaque:
	default:
		return diag.Errorf("%s has the unknown type %d", Quote(e.Path), e.Type)
	}
	return nil
}

func checkTarget(e *Entry) error {
	if e.Linkname == "" || len(e.Linkname) > maxTarget || strings.IndexByte(e.Linkname, 0) >= 0 {
		return diag.Errorf("the symlink %s has a target that no file system allows: %s", Quote(e.Path), Quote(e.Linkname))
	}
	return nil
}

// header returns the tar header of e with the metadata of m.
func header(e, m *Entry) *tar.Header {
	h := &tar.Header{
		Name:    e.Path,
		Mode:    int64(m.Mode & permissions),
		Uid:     m.UID,
		Gid:     m.GID,
		ModTime: time.Unix(seconds(m.ModTime), 0),
	}
	switch e.Type {
	case Dir:
		h.Typeflag, h.Name = tar.TypeDir, e.Path+"/"
	case File:
		h.Typeflag, h.Size = tar.TypeReg, e.Size
	case Symlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Linkname
	case Hardlink:
		h.Typeflag, h.Linkname = tar.TypeLink, e.Linkname
	case Char:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, int64(e.Major), int64(e.Minor)
	case Block:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeBlock, int64(e.Major), int64(e.Minor)
	case Fifo:
		h.Typeflag = tar.TypeFifo
	case Whiteout:
		return whiteout(path.Join(path.Dir(e.Path), whiteoutPrefix+path.Base(e.Path)))
	case Opaque:
		return whiteout(path.Join(e.Path, opaqueName))
	}
	if len(m.Xattrs) > 0 && e.Type != Hardlink {
		h.PAXRecords = make(map[string]string, len(m.Xattrs))
		for name, value := range m.Xattrs {
			h.PAXRecords[xattrPrefix+name] = value
		}
	}
	return h
}

func whiteout(name string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, ModTime: time.Unix(0, 0)}
}
