package engine

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// Records says where the record of deploys is kept.
type Records struct {
	// Store keeps whole records; nil keeps none but the fingerprints in the notes of the
	// cloud.
	Store state.Store
	// Alone is set when the application named Store: then the notes hold no record.
	Alone bool
	// Extra is mixed into the keys of fingerprints; "" for nothing.
	Extra string
	// KeepCode keeps code packages in Store, as --keep-code does.
	KeepCode bool
	// Rand is where keys come from.
	Rand io.Reader
	// Lock is how the lock is taken; its Notes and App are set by the engine.
	Lock state.LockConfig
}

// maxNotes is how many notes one holder has room for (TagResource of Function Compute).
const maxNotes = 20

// closeTimeout bounds what is done to records and locks after the end of a run.
const closeTimeout = 7 * time.Second

// hurry is the same after an interrupt, when whoever made it soon ends the process.
const hurry = 3 * time.Second

// ledger is the record of the application in one holder during a run.
type ledger struct {
	Records
	at    state.Holder
	notes state.Notes // nil: the cloud keeps none
	warn  func(text string)

	waiting func(who string)           // is told whose lock it waits for
	loading sync.Mutex                 // held while the record is read
	books   atomic.Pointer[state.Book] // holds nil until it is
	// unwritten is set when the notes are there and hold nothing of the record.
	unwritten atomic.Bool
	stale     atomic.Bool // the record is to be read again
	foreign   atomic.Bool // the notes hold a record that this run cannot read, and leaves alone

	taking sync.Mutex // held while the lock is taken

	mu      sync.Mutex
	online  map[string]string // the notes as they are online
	exists  bool              // the holder does
	lock    *state.Lock
	behind  bool // somebody else recorded something since the book was read
	dirty   bool // the notes are behind the book
	written bool // this run has written notes
	writing chan struct{}
}

// book returns the record, nil before it is read.
func (l *ledger) book() *state.Book { return l.books.Load() }

// load reads the record. That it may not be read is a warning: the resources are
// unrecorded then.
func (l *ledger) load(ctx context.Context) error {
	l.loading.Lock()
	defer l.loading.Unlock()
	if l.book() != nil && !l.stale.Swap(false) {
		return nil
	}
	if err := l.readNotes(ctx); err != nil {
		return err
	}
	var book *state.Book
	if !l.Alone {
		var err error
		if book, err = state.DecodeNotes(l.at.App, l.Extra, l.online); err != nil {
			l.warn("the record of " + l.at.ID.String() + " in the cloud cannot be read: " + told(err))
		}
		l.foreign.Store(errors.Is(err, state.ErrForeign))
	}
	if l.Store != nil {
		full, err := l.Store.Load(ctx, l.at)
		switch {
		case err != nil && l.Alone:
			return err
		case err != nil:
			l.warn("the record of " + l.at.ID.String() + " cannot be read: " + told(err))
		case book == nil:
			book = full
			l.unwritten.Store(full != nil && l.there() && !l.Alone && !l.foreign.Load())
		case full != nil:
			book.Merge(full)
		}
	}
	if book == nil {
		book = state.NewBook(l.at.App, state.NewKey(l.Rand, l.Extra))
	}
	l.books.Store(book)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.behind = false
	return nil
}

func (l *ledger) readNotes(ctx context.Context) error {
	l.mu.Lock()
	notes := l.notes
	l.mu.Unlock()
	if notes == nil {
		return nil
	}
	online, exists, err := notes.Read(ctx)
	if l.forbidden(err) {
		return nil
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.online, l.exists = online, exists
	return nil
}

// there reports whether the holder exists.
func (l *ledger) there() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.exists
}

// forbidden reports whether err says that the notes may not be used, and gives them up
// with a warning then.
func (l *ledger) forbidden(err error) bool {
	f, ok := errors.AsType[*resource.Forbidden](err)
	if !ok {
		return false
	}
	l.mu.Lock()
	used := l.notes != nil
	l.notes = nil
	l.mu.Unlock()
	if used {
		l.warn("what was deployed cannot be recorded with " + l.at.ID.String() + ", and deploys at the same time are not kept apart: allow the credential the action " + f.Action)
	}
	return true
}

// put records a resource as it is online after the deploy that began at that time. Where
// only a part of it was deployed, the record of the rest stays.
func (l *ledger) put(schema resource.Schema, r *resource.Resource, found *resource.Found, now time.Time) {
	entry := l.book().Key.Entry(schema, found.Attrs, r.Attrs)
	entry.Time = now
	before, known := l.book().Entry(r.ID)
	known = known && before.Config != "" // else it is only begun
	if files, ok := r.Code.(resource.Lister); ok {
		entry.Files = files.Files()
	} else if known && entry.Code == before.Code {
		entry.Files = before.Files
	}
	if r.Managed != nil {
		if !known { // what is unrecorded stays so
			l.book().Delete(r.ID)
			return
		}
		entry = partOf(entry, before, slices.Contains(r.Managed, codeField))
	}
	if known && !before.Time.IsZero() && before.Agree(entry.Prints) {
		entry.Time = before.Time // it was as it is now
	}
	l.book().Put(r.ID, entry)
}

// codeField is the attribute of which the record keeps a fingerprint of its own.
const codeField = "code"

// partOf returns old with the code, or all but the code, of entry.
func partOf(entry, old state.Entry, code bool) state.Entry {
	config, codes := entry, old
	if code {
		config, codes = old, entry
	}
	entry.Config, entry.Code, entry.Files = config.Config, codes.Code, codes.Files
	entry.Attrs = maps.Clone(config.Attrs)
	delete(entry.Attrs, codeField)
	if c := codes.Attrs[codeField]; c != nil && entry.Attrs != nil {
		entry.Attrs[codeField] = c
	}
	if codes.Attrs == nil {
		entry.Attrs = nil
	}
	return entry
}

// keep writes the whole record down, and begins to bring the notes up to date.
func (l *ledger) keep(ctx context.Context) {
	l.keepWhole(ctx)
	if l.Alone || l.foreign.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirty = true
	if l.writing == nil {
		l.writing = make(chan struct{})
		go l.write(context.WithoutCancel(ctx))
	}
}

func (l *ledger) keepWhole(ctx context.Context) {
	if l.Store == nil {
		return
	}
	ctx, stop := linger(ctx, hurry)
	defer stop()
	if err := l.Store.Save(ctx, l.at, l.book()); err != nil {
		l.warn("the record of " + l.at.ID.String() + " cannot be written: " + told(err))
	}
}

// write brings the notes up to date, until nothing is left to be written. What is put
// into the book while a write is under way goes with the next one.
func (l *ledger) write(ctx context.Context) {
	for {
		l.mu.Lock()
		notes := l.notes
		if !l.dirty || notes == nil || !l.exists {
			close(l.writing)
			l.writing, l.dirty = nil, false
			l.mu.Unlock()
			return
		}
		l.dirty = false
		set, remove, dropped := state.EncodeNotes(l.book(), l.online, maxNotes)
		l.mu.Unlock()
		if dropped > 0 {
			l.warn("the record of " + l.at.ID.String() + " has no room for all resources: keep it elsewhere with state: in the application file")
		}
		// With a holder that is deleted meanwhile, what it held is gone too.
		if err := l.writeNotes(ctx, notes, set, remove); err != nil && !errors.Is(err, state.ErrNoHolder) {
			l.warn("the record of " + l.at.ID.String() + " was not written: " + told(err))
		}
	}
}

func (l *ledger) writeNotes(ctx context.Context, notes state.Notes, set map[string]string, remove []string) error {
	if len(set) == 0 && len(remove) == 0 {
		return nil
	}
	err := notes.Write(ctx, set, remove)
	if l.forbidden(err) {
		return nil
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.online = maps.Clone(l.online)
	if l.online == nil {
		l.online = map[string]string{}
	}
	l.written = true
	maps.Copy(l.online, set)
	for _, name := range remove {
		delete(l.online, name)
	}
	return nil
}

// acquire takes the lock of the holder, for which it waits so long at most (0 is as long
// as Lock says), unless the run has it already. It reports whether the record is still
// what was read before; when it is not, somebody else deployed meanwhile.
func (l *ledger) acquire(ctx context.Context, wait time.Duration) (same bool, err error) {
	l.taking.Lock() // else two services of the run would wait for each other
	defer l.taking.Unlock()
	l.mu.Lock()
	cfg := l.Lock
	waited := false
	cfg.Notes, cfg.App, cfg.Waiting = l.notes, l.at.App, func(who string) { waited = true; l.waiting(who) }
	taken, existed, behind := l.lock != nil, l.exists, l.behind
	l.mu.Unlock()
	if cfg.Notes == nil || taken {
		return !behind, nil
	}
	if wait > 0 {
		cfg.Wait = wait
	}
	lock, notes, err := state.Acquire(ctx, cfg)
	if errors.Is(err, state.ErrNoRoom) && l.makeRoom(ctx, cfg.Notes) {
		lock, notes, err = state.Acquire(ctx, cfg)
	}
	if l.forbidden(err) || l.full(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	same = !waited && maps.Equal(withoutLocks(l.online), withoutLocks(notes))
	l.lock, l.online, l.exists = lock, notes, true
	if same && l.Alone && existed {
		same, err = l.current(ctx)
	}
	l.behind = !same
	return same, err
}

// current reports whether a record of which the notes tell nothing is still what was
// read before.
func (l *ledger) current(ctx context.Context) (bool, error) {
	now, err := l.Store.Load(ctx, l.at)
	return err == nil && l.book().Equal(now), err
}

// makeRoom writes the record so that it leaves room for the lock. It reports whether
// anything was to be written.
func (l *ledger) makeRoom(ctx context.Context, notes state.Notes) bool {
	if err := l.readNotes(ctx); err != nil || l.Alone || l.foreign.Load() {
		return false
	}
	l.mu.Lock()
	set, remove, _ := state.EncodeNotes(l.book(), l.online, maxNotes)
	l.mu.Unlock()
	return len(set)+len(remove) > 0 && l.writeNotes(ctx, notes, set, remove) == nil
}

// full reports whether err says that there is no room for notes, and goes on without
// them then, with a warning.
func (l *ledger) full(err error) bool {
	if !errors.Is(err, state.ErrNoRoom) {
		return false
	}
	l.mu.Lock()
	l.notes = nil
	l.mu.Unlock()
	l.warn(l.at.ID.String() + " has no room for the tags of the lock and the record: deploys at the same time are not kept apart; remove tags that nobody needs")
	return true
}

// withoutLocks returns the notes that outlive a run.
func withoutLocks(notes map[string]string) map[string]string {
	out := maps.Clone(notes)
	maps.DeleteFunc(out, func(name, _ string) bool { return state.IsLock(name) })
	return out
}

// holderGone forgets what was kept with a holder that is deleted, its lock too: another
// one of that name has none of it.
func (l *ledger) holderGone(ctx context.Context) {
	l.mu.Lock()
	lock := l.lock
	l.lock, l.exists, l.online, l.dirty, l.written = nil, false, nil, false, false
	l.mu.Unlock()
	if lock == nil {
		return
	}
	ctx, stop := linger(ctx, hurry)
	defer stop()
	_ = lock.Release(ctx) // went with the holder
}

// close waits for the notes and gives the lock back.
func (l *ledger) close(ctx context.Context) {
	limit := closeTimeout
	if ctx.Err() != nil {
		limit = hurry
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	l.mu.Lock()
	writing, lock := l.writing, l.lock
	l.mu.Unlock()
	if writing != nil {
		select {
		case <-writing:
		case <-ctx.Done():
			l.warn("the record of " + l.at.ID.String() + " was not written in time: what this run changed is unrecorded")
		}
	}
	if lock == nil {
		return
	}
	if err := lock.Release(ctx); err != nil {
		l.warn("the lock of " + l.at.ID.String() + " could not be given back; another deploy waits for a moment before it takes it: " + told(err))
	}
}

// held returns the names of the lock, and of those of the runs that this one is a part of.
func (l *ledger) held() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := slices.Clone(l.Lock.Parents)
	if l.lock != nil {
		names = append(names, l.lock.Name())
	}
	return names
}

// lost is the error when somebody else took the lock.
func (l *ledger) lost() error {
	l.mu.Lock()
	lock := l.lock
	l.mu.Unlock()
	if lock == nil || lock.Lost() == nil {
		return nil
	}
	return diag.Errorf("%s: the lock was lost: %v", l.at.ID, lock.Lost()).WithCode(diag.ExitComponent).
		WithHint("look at what another deploy made of it with devs plan, then deploy again")
}

// told returns an error with what to do about it, in one line.
func told(err error) string {
	if p, ok := errors.AsType[*diag.Problem](err); ok && p.Hint != "" {
		return err.Error() + "; " + p.Hint
	}
	return err.Error()
}

// hasForeign reports whether the notes hold a record of the application that this run
// has not written.
func (l *ledger) hasForeign() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.online {
		if state.IsRecord(l.at.App, name) && !l.written {
			return true
		}
	}
	return false
}
