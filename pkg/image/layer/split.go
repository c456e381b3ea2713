package layer

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"path"
)

// The rule by which Split cuts. To change one of these is to change the layers of
// every large image.
const (
	splitAbove  = 16 << 20 // bytes of files; what has no more stays one layer
	splitTarget = 8 << 20  // bytes of files that a layer should have
	splitMost   = 64       // layers
	ownBucket   = 1 << 20  // a larger file goes by its own path
	spreadDir   = 8 << 20  // so do the files of a directory that has more than this in smaller ones
)

// Split cuts entries into layers by a rule that looks at paths and sizes only: the
// change of one file changes one layer, a new one moves no other (unless the number
// of layers changes, which is a power of two). Every layer carries the entries of all
// directories above its files. Whiteouts and opaque marks are in the first layer,
// since they would take away what a layer before them brought. The order within a
// layer is that of entries.
func Split(entries []*Entry) [][]*Entry { return SplitAtMost(entries, splitMost) }

// SplitAtMost is Split into no more than most layers, for images that already have
// many: docker allows about 125 in all.
func SplitAtMost(entries []*Entry, most int) [][]*Entry {
	var total int64
	for _, e := range entries {
		total += e.fileSize()
	}
	n := layerCount(total, most)
	if n == 1 {
		return [][]*Entry{entries}
	}
	s := newSplitter(entries, n)
	layers := make([][]*Entry, n)
	for _, e := range entries {
		if own, ok := s.dirs[e.Path]; ok && e.Type == Dir && own != 0 {
			for left := own; left != 0; left &= left - 1 {
				b := bits.TrailingZeros64(left)
				layers[b] = append(layers[b], e)
			}
			continue
		}
		b := s.bucket(e)
		layers[b] = append(layers[b], e)
	}
	return withoutEmpty(layers)
}

// layerCount is the power of two that is nearest to total/splitTarget.
func layerCount(total int64, most int) int {
	if total <= splitAbove {
		return 1
	}
	n := int64(1)
	for 2*n <= total/splitTarget {
		n *= 2
	}
	// sqrt(2) is the middle between n and 2n
	if wanted := float64(total) / splitTarget; wanted*wanted >= 2*float64(n)*float64(n) {
		n *= 2
	}
	for n > int64(min(most, splitMost)) && n > 1 {
		n /= 2
	}
	return int(n)
}

// splitter knows the bucket of every entry.
type splitter struct {
	n      uint64
	dirs   map[string]uint64 // the buckets that have something below a directory, a bit each
	spread map[string]bool   // directories whose files go by their own path
	files  map[string]*Entry // first names of hard links
	byDir  map[string]int    // bucket by hash of the directory's path
}

func newSplitter(entries []*Entry, n int) *splitter {
	s := &splitter{n: uint64(n), dirs: map[string]uint64{}, spread: map[string]bool{}, files: firstNames(entries), byDir: map[string]int{}}
	small := map[string]int64{}
	for _, e := range entries {
		if size := e.fileSize(); size <= ownBucket {
			small[path.Dir(e.Path)] += size
		}
	}
	for dir, size := range small {
		if size > spreadDir {
			s.spread[dir] = true
		}
	}
	// From the end: what is in a directory is known before the directory itself.
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		if e.Type == Dir && s.dirs[e.Path] != 0 {
			continue // it goes wherever its content goes
		}
		p := e.Path
		if e.Type == Opaque {
			p = path.Join(p, opaqueName) // the directory itself has to be there, too
		}
		s.mark(p, 1<<s.bucket(e))
	}
	return s
}

// mark notes that the directories above p have something in a bucket.
func (s *splitter) mark(p string, bit uint64) {
	for p != "." {
		p = path.Dir(p)
		if s.dirs[p]&bit != 0 {
			return // so do those above it
		}
		s.dirs[p] |= bit
	}
}

// bucket returns the layer of an entry that is no directory with content.
func (s *splitter) bucket(e *Entry) int {
	if e.removes() {
		return 0
	}
	if e.Type == Hardlink {
		if target := s.files[e.Linkname]; target != nil {
			e = target
		}
	}
	dir := path.Dir(e.Path)
	if e.Type == Dir || e.Type == File && (e.Size > ownBucket || s.spread[dir]) {
		return s.hash(e.Path)
	}
	b, ok := s.byDir[dir]
	if !ok {
		b = s.hash(dir)
		s.byDir[dir] = b
	}
	return b
}

func (s *splitter) hash(p string) int {
	h := sha256.Sum256([]byte(p))
	return int(binary.BigEndian.Uint64(h[:8]) % s.n)
}

func (e *Entry) fileSize() int64 {
	if e.Type == File {
		return e.Size
	}
	return 0
}

func withoutEmpty(layers [][]*Entry) [][]*Entry {
	kept := layers[:0]
	for _, l := range layers {
		if len(l) > 0 {
			kept = append(kept, l)
		}
	}
	return kept
}
