package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
)

const (
	minPause = 200 * time.Millisecond // between two looks at the claims of others
	maxPause = 2 * time.Second
	// patience is how often the first of several claimants looks whether the others have
	// drawn back.
	patience = 6
)

// waiter is a Lock that is not held yet.
type waiter struct {
	*Lock
	watch watch
	until time.Time // when waiting ends
	now   string    // the claim of the first of the others
	who   string    // is waited for, as Waiting was told
}

// acquire returns the notes as read while holding the lock.
func (w *waiter) acquire(ctx context.Context) (map[string]string, error) {
	for {
		notes, err := w.attempt(ctx)
		if err == nil && notes == nil {
			err = w.free(ctx)
		}
		if err != nil || notes != nil {
			return notes, shown(err)
		}
	}
}

// shown adds what was being done to errors that do not say so.
func shown(err error) error {
	_, forbidden := errors.AsType[*resource.Forbidden](err)
	_, problem := errors.AsType[*diag.Problem](err)
	if err == nil || forbidden || problem || errors.Is(err, ErrNoHolder) {
		return err
	}
	return fmt.Errorf("taking the lock: %w", err)
}

// attempt claims the lock. It returns nil when there are others; the claim is drawn back
// then.
func (w *waiter) attempt(ctx context.Context) (map[string]string, error) {
	notes, err := w.claimed(ctx)
	if _, forbidden := errors.AsType[*resource.Forbidden](err); notes == nil && !forbidden {
		// What is left of it when this fails is dead for all after Stale.
		_ = w.withdraw(ctx)
	}
	return notes, err
}

func (w *waiter) claimed(ctx context.Context) (map[string]string, error) {
	// Each time another name: a removal of the last one, by us or by those who took it
	// for dead, may still be on its way.
	w.name = newClaim(w.c)
	began, err := w.write(ctx)
	if err != nil {
		return nil, w.refused(ctx, err)
	}
	w.mu.Lock()
	w.last, w.lost = began, nil
	w.mu.Unlock()
	for range patience {
		notes, alive, err := w.look(ctx)
		if err != nil {
			return nil, err
		}
		_, there := notes[w.name]
		switch {
		case !there || w.Lost() != nil: // it took so long that others may take us for dead
			return nil, nil
		case len(alive) == 0:
			return notes, nil
		case alive[0] < w.name:
			return nil, nil
		}
		// Of several that try at once the first stays, so that one gets it soon.
		if err := w.c.Sleep(ctx, w.jitter(minPause)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// refused finds out why a claim could not be written: nil when it was for the claims of
// others, as holders have room for few.
func (w *waiter) refused(ctx context.Context, err error) error {
	if _, forbidden := errors.AsType[*resource.Forbidden](err); forbidden || ctx.Err() != nil {
		return err
	}
	_, alive, why := w.look(ctx)
	if why != nil {
		return why
	}
	if len(alive) == 0 {
		return err
	}
	return nil
}

// look reads the notes, and the names of the claims of others that may be alive, sorted.
// It removes the others.
func (w *waiter) look(ctx context.Context) (notes map[string]string, alive []string, err error) {
	before := w.c.Now()
	notes, others, err := w.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	alive, dead := w.watch.look(others, before, w.c.Now())
	if len(dead) > 0 {
		if err := w.c.Notes.Write(ctx, nil, dead); err != nil {
			return nil, nil, err
		}
	}
	if len(alive) > 0 {
		w.now = others[alive[0]]
	}
	return notes, alive, nil
}

// free waits until nobody claims the lock.
func (w *waiter) free(ctx context.Context) error {
	for pause := minPause; ; pause = min(pause*3/2, maxPause) {
		if err := w.c.Sleep(ctx, w.jitter(pause)); err != nil {
			return err
		}
		_, alive, err := w.look(ctx)
		if err != nil {
			return err
		}
		if w.c.Now().After(w.until) {
			return w.busy()
		}
		if len(alive) == 0 {
			return nil
		}
		if who := holderOf(w.now); who != w.who {
			w.who = who
			w.c.Waiting(who)
		}
	}
}

// holderOf returns the words of a claim about who made it.
func holderOf(value string) string {
	if c, ok := parseClaim(value); ok && c.who != "" {
		return c.who
	}
	return "somebody who does not say who"
}

// jitter returns about d: from half of it to one and a half.
func (l *Lock) jitter(d time.Duration) time.Duration {
	b := random(l.c.Rand)
	return d/2 + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(d))
}

// busy says that others have had the lock for as long as we waited.
func (w *waiter) busy() error {
	return diag.Errorf("another deploy of %s is under way: %s", w.c.App, holderOf(w.now)).WithCode(diag.ExitComponent).
		WithHint("it was alive for all of the %s that this one waited: wait for it to end, then deploy again", w.c.Wait)
}
