package state

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/devs/deploy/pkg/resource"
)

// Book is the record of one application in one holder. It is safe for concurrent use.
// Attributes and lists that go in or come out are not changed by it, and must not be
// changed by others.
type Book struct {
	App string
	Key Key

	mu      sync.Mutex
	entries map[resource.ID]Entry  // of names that are known
	encoded map[resource.ID][]byte // as in files, of those that were written
	gone    map[resource.ID]Entry  // what the last deploy that deleted anything deleted
	// What notes say of resources whose names nobody has told yet: salted hash of the
	// name and the part, and the beginning of the print.
	hashed map[string]string
	salt   int // with which the names in hashed are hashed
	// partial is set when the notes had no room for all resources.
	partial bool
	saves   map[string]*saving
}

// saving orders the writes of a Book to one place.
type saving struct {
	mu      sync.Mutex
	started int // guarded by Book.mu
	done    int // the last that succeeded
}

// saveTo writes the Book down, one write at a time. A caller whose changes went with the
// write of another one has nothing to do.
func (b *Book) saveTo(place string, write func() error) error {
	b.mu.Lock()
	if b.saves == nil {
		b.saves = map[string]*saving{}
	}
	s := b.saves[place]
	if s == nil {
		s = new(saving)
		b.saves[place] = s
	}
	before := s.started
	b.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done > before {
		return nil
	}
	b.mu.Lock()
	s.started++
	this := s.started
	b.mu.Unlock()
	if err := write(); err != nil {
		return err
	}
	s.done = this
	return nil
}

// NewBook returns an empty Book.
func NewBook(app string, key Key) *Book {
	return &Book{App: app, Key: key, entries: map[resource.ID]Entry{}, encoded: map[resource.ID][]byte{}, gone: map[resource.ID]Entry{}, hashed: map[string]string{}}
}

// The parts of a resource that have entries of their own in notes.
const (
	configPart = iota
	codePart
)

// entry returns what is known of a resource, by its name or the hash of its name.
func (b *Book) entry(id resource.ID) (Entry, bool) {
	if e, ok := b.entries[id]; ok {
		return e, true
	}
	if len(b.hashed) == 0 {
		return Entry{}, false
	}
	print, ok := b.hashed[b.Key.nameHash(b.salt, id, configPart)]
	if !ok {
		return Entry{}, false
	}
	return Entry{Prints: Prints{Config: print, Code: b.hashed[b.Key.nameHash(b.salt, id, codePart)]}}, true
}

// set records a resource whose name is known from now on.
func (b *Book) set(id resource.ID, e Entry) {
	b.unhash(id)
	delete(b.encoded, id)
	b.entries[id] = e
}

func (b *Book) unhash(id resource.ID) {
	if len(b.hashed) > 0 {
		delete(b.hashed, b.Key.nameHash(b.salt, id, configPart))
		delete(b.hashed, b.Key.nameHash(b.salt, id, codePart))
	}
}

// recorded reports whether e says what was deployed, and not only what was begun.
func (e Entry) recorded() bool { return e.Config != "" }

// agree reports whether two prints, of which one may be the beginning of a print only,
// are the same.
func (p Prints) agree(q Prints) bool {
	return samePrint(p.Config, q.Config) && samePrint(p.Code, q.Code)
}

func samePrint(a, b string) bool {
	n := min(len(a), len(b))
	return a == b || n >= printSize && a[:n] == b[:n]
}

// Equal reports whether o, nil for no record at all, says the same as b.
func (b *Book) Equal(o *Book) bool {
	if o == nil {
		return b.Others(nil) == 0
	}
	x, err := encodeFile(Holder{}, b)
	y, err2 := encodeFile(Holder{}, o)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

// Put records a resource as it was found after a change. What it replaces becomes its
// Previous; when it is the same as before, the Previous stays. Nothing is pending then.
func (b *Book) Put(id resource.ID, e Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.Pending = nil
	if old, ok := b.entry(id); ok {
		switch {
		case !old.recorded() || old.agree(e.Prints):
			e.Previous = old.Previous
		default:
			old.Previous, old.Pending = nil, nil
			e.Previous = &old
		}
	}
	delete(b.gone, id)
	b.set(id, e)
}

// Pend notes that a change to these attributes, sealed, is begun.
func (b *Book) Pend(id resource.ID, sealed resource.Attributes) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, _ := b.entry(id)
	e.Pending = sealed
	b.set(id, e)
}

// Delete forgets a resource.
func (b *Book) Delete(id resource.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unhash(id)
	delete(b.encoded, id)
	delete(b.entries, id)
}

// Entry returns what is recorded of a resource. Of one that is only begun, the prints
// are empty.
func (b *Book) Entry(id resource.ID) (Entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entry(id)
}

// Has reports whether a resource is recorded, by its name or the hash of its name.
func (b *Book) Has(id resource.ID) bool {
	_, ok := b.Entry(id)
	return ok
}

// Named returns the resources recorded whose names are known, sorted.
func (b *Book) Named() []resource.ID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Keys(b.entries), compareIDs)
}

func compareIDs(x, y resource.ID) int {
	return cmp.Or(strings.Compare(string(x.Kind), string(y.Kind)), strings.Compare(x.Name, y.Name))
}

// Others returns how many resources are recorded that are none of these.
func (b *Book) Others(known []resource.ID) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	names, hashes := map[resource.ID]bool{}, map[string]bool{}
	for _, id := range known {
		names[id] = true
		if len(b.hashed) > 0 {
			hashes[b.Key.nameHash(b.salt, id, configPart)] = true
		}
	}
	n := 0
	for id := range b.entries {
		if !names[id] {
			n++
		}
	}
	for hash := range b.hashed {
		if hashPart(hash) == configPart && !hashes[hash] {
			n++
		}
	}
	return n
}
