package engine

import (
	"testing"
	"time"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// A record that only the folder has is one that the notes still have to get.
func TestTheNotesGetWhatOnlyTheFolderHas(t *testing.T) {
	notes := &paper{notes: map[string]string{}}
	first := newLedger(t, notes)
	first.book().Put(resource.ID{Kind: "box", Name: "home"}, state.Entry{Prints: first.book().Key.Prints(nil, resource.Attributes{"size": 1}), Time: time.Unix(1, 0)})
	first.keep(t.Context())
	first.close(t.Context())
	if first.unwritten.Load() || len(notes.notes) == 0 {
		t.Fatalf("a new record: unwritten %v, notes %v", first.unwritten.Load(), notes.notes)
	}
	for _, removed := range []bool{false, true} {
		if removed {
			clear(notes.notes)
		}
		l := newLedger(t, nil)
		l.Store, l.notes = first.Store, notes
		l.books.Store(nil)
		if err := l.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l.unwritten.Load() != removed {
			t.Errorf("notes removed %v: unwritten %v", removed, l.unwritten.Load())
		}
	}
}
