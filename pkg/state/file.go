package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/resource"
)

const (
	fileFormat = 1
	// maxFile bounds a whole record, in bytes.
	maxFile = 64 << 20
	// maxFiles is how many files of a code package are kept.
	maxFiles = 5000
)

// file is a whole Book as JSON; its entries are of fileEntry, encoded or not.
type file[E any] struct {
	Format    int           `json:"format"`
	App       string        `json:"app"`
	Account   string        `json:"account"`
	Region    string        `json:"region"`
	Kind      resource.Kind `json:"kind"` // of the holder
	Name      string        `json:"name"` // of the holder
	Key       string        `json:"key"`  // its public part
	Resources []E           `json:"resources"`
	Gone      []fileEntry   `json:"gone,omitempty"` // what was deleted last
	// Hashed is what notes said of resources whose names are not known, as in notes.
	Hashed  []string `json:"hashed,omitempty"`
	Salt    int      `json:"salt,omitempty"`
	Partial bool     `json:"partial,omitempty"`
}

type fileEntry struct {
	Kind resource.Kind `json:"kind"`
	Name string        `json:"name"`
	Entry
}

// encodeFile returns a Book as it is stored. The same Book gives the same bytes.
func encodeFile(at Holder, b *Book) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := file[json.RawMessage]{
		Format: fileFormat, App: at.App, Account: at.Account, Region: at.Region, Kind: at.ID.Kind, Name: at.ID.Name,
		Key: b.Key.Public(), Salt: b.salt, Partial: b.partial, Resources: []json.RawMessage{},
	}
	for _, id := range slices.SortedFunc(maps.Keys(b.entries), compareIDs) {
		text, err := b.encodeEntry(id)
		if err != nil {
			return nil, fmt.Errorf("encoding the record of %s: %w", id, err)
		}
		f.Resources = append(f.Resources, text)
	}
	for _, id := range slices.SortedFunc(maps.Keys(b.gone), compareIDs) {
		e := b.gone[id]
		e.Files = fewFiles(e.Files)
		f.Gone = append(f.Gone, fileEntry{Kind: id.Kind, Name: id.Name, Entry: e})
	}
	for _, hash := range slices.Sorted(maps.Keys(b.hashed)) {
		f.Hashed = append(f.Hashed, hash+b.hashed[hash])
	}
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encoding the record: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("encoding the record: it is larger than %d bytes", maxFile)
	}
	return append(data, '\n'), nil
}

// encodeEntry encodes an entry once: a record is written after each change, and most of
// it is as before.
func (b *Book) encodeEntry(id resource.ID) (json.RawMessage, error) {
	if text, ok := b.encoded[id]; ok {
		return text, nil
	}
	e := b.entries[id]
	e.Files = fewFiles(e.Files)
	if e.Previous != nil {
		before := *e.Previous
		before.Files = fewFiles(before.Files)
		e.Previous = &before
	}
	text, err := json.Marshal(fileEntry{Kind: id.Kind, Name: id.Name, Entry: e})
	if err == nil {
		b.encoded[id] = text
	}
	return text, err
}

func fewFiles(files []resource.CodeFile) []resource.CodeFile {
	if len(files) > maxFiles {
		return nil
	}
	return files
}

// errFormat is in the error for a record of another version.
var errFormat = errors.New("it is in a format that this version does not know")

// decodeFile reads what encodeFile wrote. All of it must be right.
func decodeFile(at Holder, extra string, data []byte) (*Book, error) {
	var version struct{ Format int }
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, err
	}
	if version.Format != fileFormat {
		return nil, errFormat
	}
	f, err := parseFile(data)
	if err != nil {
		return nil, err
	}
	if (Holder{Account: f.Account, Region: f.Region, ID: resource.ID{Kind: f.Kind, Name: f.Name}, App: f.App}) != at {
		return nil, errors.New("it is the record of something else")
	}
	key, err := OpenKey(f.Key, extra)
	if err != nil {
		return nil, err
	}
	b := NewBook(f.App, key)
	b.salt, b.partial = f.Salt, f.Partial
	for _, e := range f.Resources {
		id := resource.ID{Kind: e.Kind, Name: e.Name}
		if _, twice := b.entries[id]; twice || e.Kind == "" {
			return nil, fmt.Errorf("the entry of %s is there twice or has no kind", id)
		}
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		b.entries[id] = e.Entry
	}
	for _, e := range f.Gone {
		if err := e.check(); err != nil || !e.recorded() || e.Previous != nil || e.Kind == "" {
			return nil, errors.New("an entry of what was deleted is malformed")
		}
		id := resource.ID{Kind: e.Kind, Name: e.Name}
		if _, twice := b.gone[id]; twice {
			return nil, fmt.Errorf("the entry of %s is there twice", id)
		}
		b.gone[id] = e.Entry
	}
	if text := strings.Join(f.Hashed, ""); len(text) != len(f.Hashed)*entrySize || b.unpack(text) != nil || f.Salt < 0 || f.Salt >= len(alphabet) {
		return nil, errors.New("the hashed names are malformed")
	}
	return b, nil
}

// parseFile reads JSON strictly, and numbers without loss.
func parseFile(data []byte) (*file[fileEntry], error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	d.UseNumber()
	f := new(file[fileEntry])
	if err := d.Decode(f); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the record")
	}
	for i := range f.Resources {
		f.Resources[i].Entry.numbers()
		if p := f.Resources[i].Previous; p != nil {
			p.numbers()
		}
	}
	for i := range f.Gone {
		f.Gone[i].Entry.numbers()
	}
	return f, nil
}

// numbers makes numbers of what JSON has of them.
func (e *Entry) numbers() {
	for _, attrs := range []resource.Attributes{e.Attrs, e.Pending} {
		for key, v := range attrs {
			attrs[key] = eachLeaf(v, number)
		}
	}
}

func number(v any) any {
	n, ok := v.(json.Number)
	if !ok {
		return v
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	if f, err := n.Float64(); err == nil {
		return f
	}
	return n.String() // out of the range of numbers
}

// check tells what Book never holds.
func (e Entry) check() error {
	switch {
	case !isPrint(e.Config, true), !isPrint(e.Code, true):
		return errors.New("its fingerprint is malformed")
	case !e.recorded() && e.Pending == nil:
		return errors.New("it says nothing")
	case e.Previous == nil:
		return nil
	case e.Previous.Previous != nil || !isPrint(e.Previous.Config, false) || !isPrint(e.Previous.Code, true):
		return errors.New("its previous state is malformed")
	}
	return nil
}

func isPrint(text string, orEmpty bool) bool {
	return text == "" && orEmpty || len(text) >= printSize && len(text) <= 64 && strings.Trim(text, alphabet) == ""
}
