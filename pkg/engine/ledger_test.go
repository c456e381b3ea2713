package engine

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// paper holds notes as a cloud does.
type paper struct {
	mu    sync.Mutex
	notes map[string]string
	fail  error // of writing
}

func (p *paper) Read(context.Context) (map[string]string, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]string{}
	for key, v := range p.notes {
		out[key] = v
	}
	return out, true, nil
}

func (p *paper) Write(_ context.Context, set map[string]string, remove []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, v := range set {
		p.notes[key] = v
	}
	for _, key := range remove {
		delete(p.notes, key)
	}
	return p.fail
}

func newLedger(t *testing.T, notes state.Notes) *ledger {
	l := &ledger{
		Records: Records{Store: state.Folder{Dir: t.TempDir()}},
		at:      state.Holder{Account: "a", Region: "r", ID: resource.ID{Kind: "box", Name: "home"}, App: "test"},
		notes:   notes,
		warn:    func(text string) { t.Errorf("warned: %s", text) },
		waiting: func(who string) { t.Errorf("waits for %s", who) },
	}
	if err := l.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// What was unrecorded before a part of it was deployed stays so, and the record whole.
func TestAPartOfWhatIsUnrecordedIsNotRecorded(t *testing.T) {
	l := newLedger(t, nil)
	id := resource.ID{Kind: "box", Name: "a"}
	found := &resource.Found{Attrs: resource.Attributes{"size": "1", "code": map[string]any{"checksum": "2"}}}
	l.book().Pend(id, resource.Attributes{"code": map[string]any{"checksum": "2"}})
	l.put(resource.Schema{}, &resource.Resource{ID: id, Attrs: found.Attrs, Managed: []string{"code"}}, found, time.Time{})
	l.keepWhole(t.Context())
	book, err := l.Store.Load(t.Context(), l.at)
	if err != nil || book.Has(id) {
		t.Errorf("recorded: %v, %v", book, err)
	}
}

// Two services of a run that come to the same lock late do not wait for each other.
func TestARunDoesNotWaitForItself(t *testing.T) {
	l := newLedger(t, &paper{notes: map[string]string{}})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if same, err := l.acquire(t.Context(), noWait); err != nil || !same {
				t.Errorf("got %v, %v", same, err)
			}
		})
	}
	wg.Wait()
	l.close(t.Context())
}

// Who finds out that somebody else deployed tells all services of the run.
func TestAllServicesLearnThatTheRecordMoved(t *testing.T) {
	notes := &paper{notes: map[string]string{}}
	l := newLedger(t, notes)
	notes.notes["devs.other"] = "new"
	for range 2 {
		if same, err := l.acquire(t.Context(), noWait); err != nil || same {
			t.Errorf("got %v, %v", same, err)
		}
	}
	l.books.Store(nil)
	if err := l.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if same, err := l.acquire(t.Context(), noWait); err != nil || !same {
		t.Errorf("read again: got %v, %v", same, err)
	}
	l.close(t.Context())
}

// The notes tell nothing of a record that a folder or a repository alone keeps.
func TestARecordThatStandsAloneIsReadUnderTheLock(t *testing.T) {
	for _, moved := range []bool{false, true} {
		l := newLedger(t, &paper{notes: map[string]string{}})
		l.Alone = true
		if moved {
			other := newLedger(t, nil)
			other.book().Put(resource.ID{Kind: "box", Name: "a"}, other.book().Key.Entry(resource.Schema{}, resource.Attributes{"size": "1"}, nil))
			if err := l.Store.Save(t.Context(), l.at, other.book()); err != nil {
				t.Fatal(err)
			}
		}
		if same, err := l.acquire(t.Context(), noWait); err != nil || same == moved {
			t.Errorf("moved %v: got %v, %v", moved, same, err)
		}
		l.close(t.Context())
	}
}

// A holder that is made again has neither the lock nor the notes of the one before.
func TestAHolderThatIsMadeAgain(t *testing.T) {
	notes := &paper{notes: map[string]string{}}
	l := newLedger(t, notes)
	l.book().Put(resource.ID{Kind: "box", Name: "a"}, l.book().Key.Entry(resource.Schema{}, resource.Attributes{"size": "1"}, nil))
	record := func() {
		t.Helper()
		if _, err := l.acquire(t.Context(), noWait); err != nil {
			t.Fatal(err)
		}
		l.keep(t.Context())
		l.mu.Lock()
		writing := l.writing
		l.mu.Unlock()
		if writing != nil {
			<-writing
		}
		if len(notes.notes) != 2 { // the lock and the record
			t.Errorf("notes: %v", notes.notes)
		}
	}
	record()
	l.holderGone(t.Context())
	clear(notes.notes)
	record()
	if err := l.lost(); err != nil {
		t.Error(err)
	}
	l.close(t.Context())
	if len(notes.notes) != 1 {
		t.Errorf("notes: %v", notes.notes)
	}
}

// Notes that are under way while their holder is deleted are no loss.
func TestNotesOfAHolderThatIsGone(t *testing.T) {
	notes := &paper{notes: map[string]string{}}
	l := newLedger(t, notes)
	notes.fail = errors.Join(state.ErrNoHolder, errors.New("404"))
	l.book().Put(resource.ID{Kind: "box", Name: "a"}, l.book().Key.Entry(resource.Schema{}, resource.Attributes{"size": "1"}, nil))
	l.keep(t.Context())
	l.close(t.Context())
}

// A record that this run cannot read is left to those who can.
func TestARecordOfAnotherKeyStays(t *testing.T) {
	notes := &paper{notes: map[string]string{}}
	theirs := state.NewBook("test", state.NewKey(nil, "their key"))
	id := resource.ID{Kind: "box", Name: "a"}
	theirs.Put(id, theirs.Key.Entry(resource.Schema{}, resource.Attributes{"size": "1"}, nil))
	notes.notes, _, _ = state.EncodeNotes(theirs, nil, maxNotes)
	before := maps.Clone(notes.notes)
	l := newLedger(t, nil)
	l.books.Store(nil)
	l.notes = notes
	warned := ""
	l.warn = func(text string) { warned += text }
	if err := l.load(t.Context()); err != nil || !strings.Contains(warned, "DEVS_STATE_KEY") {
		t.Errorf("got %v, warned %q", err, warned)
	}
	l.book().Put(id, l.book().Key.Entry(resource.Schema{}, resource.Attributes{"size": "2"}, nil))
	l.keep(t.Context())
	l.close(t.Context())
	if !maps.Equal(before, notes.notes) {
		t.Errorf("notes: %v", notes.notes)
	}
}

// stuck is a store that never answers.
type stuck struct{ state.Folder }

func (stuck) Save(ctx context.Context, _ state.Holder, _ *state.Book) error {
	<-ctx.Done()
	return ctx.Err()
}

// A store that does not answer does not hold up the end of a run that was interrupted.
func TestAStoreIsNotWaitedForAfterAnInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, nil)
		l.Store = stuck{}
		warned := false
		l.warn = func(string) { warned = true }
		ctx, interrupt := context.WithCancel(t.Context())
		start := time.Now()
		time.AfterFunc(time.Minute, interrupt)
		l.keepWhole(ctx)
		if took := time.Since(start); took != time.Minute+hurry || !warned {
			t.Errorf("after %s", took)
		}
	})
}
