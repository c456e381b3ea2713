package engine

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// tray holds as many notes as a service does.
type tray struct{ paper }

func (p *tray) Write(ctx context.Context, set map[string]string, remove []string) error {
	have, _, _ := p.Read(ctx)
	maps.Copy(have, set)
	if len(have) > maxNotes {
		return fmt.Errorf("writing: %w", state.ErrNoRoom)
	}
	return p.paper.Write(ctx, set, remove)
}

// The record gives its room to the lock when others have come to need much; where even
// that is not enough, a deploy goes on without.
func TestRoomForTheLock(t *testing.T) {
	for _, c := range []struct {
		foreign int
		locked  bool
	}{{0, true}, {13, true}, {18, true}, {20, false}} {
		notes := &tray{paper{notes: map[string]string{}}}
		l := newLedger(t, notes)
		for i := range 100 {
			l.book().Put(resource.ID{Kind: "box", Name: fmt.Sprint("home/", i)}, state.Entry{Prints: state.Prints{Config: fmt.Sprintf("%043d", i)}})
		}
		l.exists = true
		notes.notes, _, _ = state.EncodeNotes(l.book(), nil, maxNotes)
		for i := range c.foreign { // somebody tags the service, and takes the last room
			notes.notes[fmt.Sprint("foreign", i)] = "x"
			if len(notes.notes) > maxNotes {
				for key := range notes.notes {
					if state.IsRecord("test", key) {
						delete(notes.notes, key)
						break
					}
				}
			}
		}
		warned := 0
		l.warn = func(string) { warned++ }
		if _, err := l.acquire(t.Context(), 0); err != nil {
			t.Errorf("%d notes of others: %v", c.foreign, err)
		}
		if got := l.lock != nil; got != c.locked || (warned > 0) == c.locked {
			t.Errorf("%d notes of others: locked %v, %d warnings", c.foreign, got, warned)
		}
		if l.lock != nil {
			if err := l.lock.Release(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}
