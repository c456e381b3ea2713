package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devs/deploy/pkg/internal/wait"
)

// ErrNoHolder is returned by Acquire when there is nothing that could hold a lock.
var ErrNoHolder = errors.New("what would hold the lock does not exist")

// LockConfig is what Acquire needs to know. Notes and App are needed, the rest may be
// zero.
type LockConfig struct {
	Notes Notes
	App   string // the name of the application whose lock it is
	Who   string // is shown to those who wait, such as "run 123 on host"

	Process ProcessInfo // of this process, see ThisProcess
	// Parents are the names of locks that are held by runs of which this one is a part:
	// they are not waited for.
	Parents []string
	Rand    io.Reader // for names and the jitter of waits; nil means crypto/rand
	Now     func() time.Time
	// Sleep waits, or returns the error of a context that ends first.
	Sleep func(ctx context.Context, d time.Duration) error

	Renew time.Duration // between two signs of life; 0 means 5 s
	Stale time.Duration // without a sign of life a claim is dead; 0 means 15 s
	Wait  time.Duration // for the lock, at most; 0 means 10 min
	// Waiting is told whom Acquire waits for, whenever that changes; nil for nobody.
	Waiting func(who string)
}

func (c LockConfig) withDefaults() LockConfig {
	for d, v := range map[*time.Duration]time.Duration{&c.Renew: 5 * time.Second, &c.Stale: 15 * time.Second, &c.Wait: 10 * time.Minute} {
		if *d == 0 {
			*d = v
		}
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = wait.For
	}
	if c.Waiting == nil {
		c.Waiting = func(string) {}
	}
	return c
}

// Lock is mutual exclusion over notes, which have no compare-and-swap. Whoever wants it
// writes a note of its own, a claim, and then reads all: alone there, it has the lock.
// Of two that do so at once, the one that reads last sees both; so never both have it.
// A claim that does not change for Stale is dead, and is removed by those who wait. The
// holder renews its claim, and knows by its own clock when it may have been taken for
// dead.
type Lock struct {
	c     LockConfig
	name  string // of the claim
	claim claim

	wake   context.CancelFunc // ends the pause between renewals, and the renewing
	cancel context.CancelFunc // cuts a renewal short
	done   chan struct{}      // closed when nothing renews any more

	mu   sync.Mutex
	last time.Time // before the last write that succeeded began
	lost error
}

// Acquire takes the lock of an application, and returns all notes as they were read
// while holding it. It waits for others. The error is ErrNoHolder when there is no
// holder, *resource.Forbidden when the credential may not use its notes, and a
// *diag.Problem when Wait was too short.
func Acquire(ctx context.Context, c LockConfig) (*Lock, map[string]string, error) {
	c = c.withDefaults()
	l := &Lock{c: c, done: make(chan struct{})}
	l.claim = claim{place: c.Process.place(), pid: c.Process.PID, start: c.Process.Start, who: c.Who}
	w := &waiter{Lock: l, until: c.Now().Add(c.Wait), watch: watch{process: c.Process, stale: c.Stale, seen: map[string]sighting{}}}
	notes, err := w.acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	renewing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	asleep, wake := context.WithCancel(renewing)
	l.cancel, l.wake = cancel, wake
	go l.keep(renewing, asleep)
	return l, notes, nil
}

// newClaim returns the name of a claim that nobody has.
func newClaim(c LockConfig) string {
	id := random(c.Rand)
	for i, b := range id {
		id[i] = "abcdefghijklmnopqrstuvwxyz234567"[b&31]
	}
	return lockPrefix(c.App) + string(id[:6])
}

// Name returns the name of the lock, for Parents of the runs within this one.
func (l *Lock) Name() string { return l.name }

func lockPrefix(app string) string { return notePrefix(app) + "lock." }

// IsLock reports whether a note is a claim to the lock of any application.
func IsLock(name string) bool {
	parts := strings.Split(name, ".")
	return len(parts) == 4 && parts[0] == "devs" && len(parts[1]) == 8 && parts[2] == "lock" && parts[3] != ""
}

// random returns 8 random bytes.
func random(r io.Reader) (b [8]byte) {
	if _, err := io.ReadFull(r, b[:]); err != nil {
		_, _ = rand.Read(b[:]) // never fails
	}
	return b
}

// read returns all notes and the claims of others.
func (l *Lock) read(ctx context.Context) (notes, others map[string]string, err error) {
	notes, exists, err := l.c.Notes.Read(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !exists {
		return nil, nil, ErrNoHolder
	}
	others = maps.Clone(notes)
	maps.DeleteFunc(others, func(name, _ string) bool {
		return name == l.name || slices.Contains(l.c.Parents, name) || !strings.HasPrefix(name, lockPrefix(l.c.App))
	})
	return notes, others, nil
}

// write writes the claim with a new counter, and returns when that began.
func (l *Lock) write(ctx context.Context) (time.Time, error) {
	began := l.c.Now()
	l.claim.counter++
	return began, l.c.Notes.Write(ctx, map[string]string{l.name: l.claim.String()}, nil)
}

// withdraw removes the claim, also when ctx has ended: others would wait for it.
func (l *Lock) withdraw(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.c.Renew)
	defer cancel()
	return l.c.Notes.Write(ctx, nil, []string{l.name})
}

// keep renews the claim until the lock is given back or lost.
func (l *Lock) keep(ctx, asleep context.Context) {
	defer close(l.done)
	pause := l.c.Renew
	for l.c.Sleep(asleep, pause) == nil && l.Lost() == nil {
		pause = l.c.Renew
		if err := l.renew(ctx); err != nil {
			pause /= 5 // soon again: there is not much time
		}
	}
}

// renew gives a sign of life. It counts only when it was written before others could
// have taken the claim for dead.
func (l *Lock) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.c.Stale-l.elapsed())
	defer cancel()
	notes, _, err := l.read(ctx)
	if errors.Is(err, ErrNoHolder) { // it was deleted, and what it held with it
		l.alive(l.c.Now())
		return nil
	}
	if err != nil {
		return err
	}
	if _, there := notes[l.name]; !there {
		l.lose(errors.New("its tag " + l.name + " was removed"))
		return nil
	}
	began, err := l.write(ctx)
	if err == nil && l.elapsed() < l.c.Stale {
		l.alive(began)
	}
	return err
}

// elapsed returns the time since the last sign of life, by the clock that goes on while
// the machine sleeps, or the one that nobody sets: whichever says more.
func (l *Lock) elapsed() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.c.Now()
	return max(now.Sub(l.last), now.Round(0).Sub(l.last.Round(0)))
}

func (l *Lock) alive(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = at
}

func (l *Lock) lose(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		l.lost = err
	}
}

// Lost returns why the lock may not be held any more, nil while it surely is.
func (l *Lock) Lost() error {
	elapsed := l.elapsed()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil && elapsed >= l.c.Stale {
		l.lost = fmt.Errorf("its tag %s could not be renewed for %s", l.name, l.c.Stale)
	}
	return l.lost
}

// Release gives the lock back. When it fails, others wait for Stale. It may be called
// again.
func (l *Lock) Release(ctx context.Context) error {
	l.wake()
	select {
	case <-l.done: // a sign of life after the removal would bring the claim back
	case <-ctx.Done():
		l.cancel()
		return fmt.Errorf("giving back the lock: %w", ctx.Err())
	}
	l.cancel()
	if err := l.c.Notes.Write(ctx, nil, []string{l.name}); err != nil {
		return fmt.Errorf("giving back the lock: %w", err)
	}
	return nil
}
