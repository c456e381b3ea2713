package state_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// shelf is notes in memory.
type shelf struct {
	mu    sync.Mutex
	notes map[string]string
	gone  bool
	limit int // of notes, 0 for none
}

func newShelf() *shelf { return &shelf{notes: map[string]string{}} }

func (s *shelf) Read(context.Context) (map[string]string, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.notes), !s.gone, nil
}

func (s *shelf) Write(_ context.Context, set map[string]string, remove []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return errors.New("no such holder")
	}
	next := maps.Clone(s.notes)
	maps.Copy(next, set)
	for _, name := range remove {
		delete(next, name)
	}
	if s.limit > 0 && len(next) > s.limit {
		return errors.New("too many tags")
	}
	s.notes = next
	return nil
}

func (s *shelf) claims() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for name := range s.notes {
		if state.IsLock(name) {
			n++
		}
	}
	return n
}

// turns lets one of several claimants do one step at a time, in an order that choose
// decides.
type turns struct {
	parked chan chan struct{} // a claimant wants to go on
	ended  chan struct{}
}

func (t *turns) park() {
	grant := make(chan struct{})
	t.parked <- grant
	<-grant
}

type turnNotes struct {
	*shelf
	t *turns
}

func (n turnNotes) Read(ctx context.Context) (map[string]string, bool, error) {
	n.t.park()
	return n.shelf.Read(ctx)
}

func (n turnNotes) Write(ctx context.Context, set map[string]string, remove []string) error {
	n.t.park()
	return n.shelf.Write(ctx, set, remove)
}

// schedule runs claimants step by step and returns how many held the lock at once, at
// most, and how many held it in all.
func schedule(t *testing.T, claimants int, seed uint64, choose func(step, n int) int) (most, held int) {
	t.Helper()
	turn := &turns{parked: make(chan chan struct{}), ended: make(chan struct{})}
	notes := turnNotes{newShelf(), turn}
	var holders, peak, all atomic.Int32
	for i := range claimants {
		go func() {
			defer func() { turn.ended <- struct{}{} }()
			turn.park()
			lock, _, err := state.Acquire(context.Background(), state.LockConfig{
				Notes: notes, App: "shop", Renew: time.Hour, Stale: 2 * time.Hour, Wait: time.Hour,
				Rand: rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(i)}),
				Now:  func() time.Time { return time.Unix(0, 0) },
				Sleep: func(ctx context.Context, d time.Duration) error {
					if d == time.Hour { // between renewals
						<-ctx.Done()
						return ctx.Err()
					}
					turn.park()
					return nil
				},
			})
			if err != nil {
				t.Error(err)
				return
			}
			all.Add(1)
			for n := holders.Add(1); n > peak.Load(); {
				peak.Store(n)
			}
			turn.park()
			turn.park()
			holders.Add(-1)
			if err := lock.Release(context.Background()); err != nil {
				t.Error(err)
			}
		}()
	}
	var waiting []chan struct{}
	running := claimants
	for step := 0; running > 0; {
		for len(waiting) < running {
			select {
			case grant := <-turn.parked:
				waiting = append(waiting, grant)
			case <-turn.ended:
				running--
			}
		}
		if running == 0 {
			break
		}
		i := choose(step, len(waiting)) % len(waiting)
		step++
		if step > 100_000 {
			t.Fatal("nobody gets the lock")
		}
		grant := waiting[i]
		waiting = append(waiting[:i], waiting[i+1:]...)
		close(grant)
	}
	if n := notes.claims(); n != 0 {
		t.Errorf("%d claims are left", n)
	}
	return int(peak.Load()), int(all.Load())
}

func TestLockInEveryOrderOfTheFirstSteps(t *testing.T) {
	const depth = 11
	for order := range 1 << depth {
		most, held := schedule(t, 2, 7, func(step, n int) int {
			if step < depth {
				return order >> step & 1
			}
			return step
		})
		if most != 1 || held != 2 {
			t.Fatalf("order %b: %d at once, %d in all", order, most, held)
		}
	}
}

func TestLockInRandomOrders(t *testing.T) {
	for seed := range uint64(1000) {
		claimants := 2 + int(seed%4)
		r := rand.New(rand.NewPCG(seed, 1))
		most, held := schedule(t, claimants, seed, func(_, n int) int { return r.IntN(n) })
		if most != 1 || held != claimants {
			t.Fatalf("seed %d: %d at once, %d of %d in all", seed, most, held, claimants)
		}
	}
}

func TestLockUnderRealConcurrency(t *testing.T) {
	const claimants, rounds = 5, 400
	notes := newShelf()
	var holders, all atomic.Int32
	var wg sync.WaitGroup
	for range claimants {
		wg.Go(func() {
			for range rounds {
				lock, _, err := state.Acquire(context.Background(), state.LockConfig{Notes: notes, App: "shop", Sleep: func(ctx context.Context, d time.Duration) error {
					if d >= 5*time.Second {
						<-ctx.Done()
						return ctx.Err()
					}
					runtime.Gosched()
					return ctx.Err()
				}})
				if err != nil {
					t.Error(err)
					return
				}
				if holders.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				runtime.Gosched()
				all.Add(1)
				holders.Add(-1)
				if err := lock.Release(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if all.Load() != claimants*rounds || notes.claims() != 0 {
		t.Errorf("held %d times, %d claims left", all.Load(), notes.claims())
	}
}

// slow is notes behind a network that takes its time, in which requests of a caller who
// has given up still arrive.
type slow struct {
	*shelf
	delay func() time.Duration
	dead  *atomic.Bool // nothing arrives any more
}

func (s slow) wait(ctx context.Context) error {
	if s.dead.Load() {
		return errors.New("network is down")
	}
	select {
	case <-time.After(s.delay()):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slow) Read(ctx context.Context) (map[string]string, bool, error) {
	if err := s.wait(ctx); err != nil {
		return nil, false, err
	}
	notes, exists, _ := s.shelf.Read(ctx)
	return notes, exists, s.wait(ctx)
}

func (s slow) Write(ctx context.Context, set map[string]string, remove []string) error {
	if s.dead.Load() {
		return errors.New("network is down")
	}
	arrived := make(chan error, 1)
	go func() {
		time.Sleep(s.delay())
		arrived <- s.shelf.Write(context.Background(), set, remove)
	}()
	select {
	case err := <-arrived:
		return errors.Join(err, s.wait(ctx))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestLockOverABadNetwork lets claimants die and requests hang for longer than a claim
// lives. Whoever gets the lock must find that all others who had it know they lost it.
func TestLockOverABadNetwork(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			r := rand.New(rand.NewPCG(seed, 2))
			random := func(n time.Duration) time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return time.Duration(r.Int64N(int64(n)))
			}
			delay := func() time.Duration {
				if random(100) < 4 {
					return random(25 * time.Second)
				}
				return random(300 * time.Millisecond)
			}
			notes := newShelf()
			held := map[*state.Lock]bool{}
			got := 0
			var wg sync.WaitGroup
			for range 2 + seed%4 {
				wg.Go(func() {
					for range 6 {
						dead := new(atomic.Bool)
						lock, _, err := state.Acquire(t.Context(), state.LockConfig{Notes: slow{notes, delay, dead}, App: "shop"})
						if err != nil {
							continue // the network, or a long wait
						}
						mu.Lock()
						for other := range held {
							if other.Lost() == nil {
								t.Errorf("seed %d: two hold the lock", seed)
							}
						}
						held[lock] = true
						got++
						mu.Unlock()
						time.Sleep(random(20 * time.Second))
						dead.Store(random(100) < 20)
						for dead.Load() && lock.Lost() == nil {
							time.Sleep(time.Second)
						}
						mu.Lock()
						delete(held, lock)
						mu.Unlock()
						ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
						_ = lock.Release(ctx) // of a network that is down
						cancel()
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Minute) // for what is still on its way
			if got == 0 {
				t.Errorf("seed %d: nobody got the lock", seed)
			}
		})
	}
}

func TestLockIsRenewedAndStaleClaimsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := newShelf()
		down := new(atomic.Bool)
		first, _, err := state.Acquire(t.Context(), state.LockConfig{Notes: slow{notes, func() time.Duration { return 50 * time.Millisecond }, down}, App: "shop", Who: "run 7 on host"})
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		waiting := state.LockConfig{Notes: notes, App: "shop", Wait: 2 * time.Minute, Waiting: func(who string) { told = append(told, who) }}
		_, _, err = state.Acquire(t.Context(), waiting)
		if p, ok := errors.AsType[*diag.Problem](err); !ok || diag.ExitCode(err) != diag.ExitComponent || !strings.Contains(p.Summary, "run 7 on host") {
			t.Fatalf("got %v", err)
		}
		if len(told) != 1 || told[0] != "run 7 on host" || first.Lost() != nil {
			t.Errorf("told %q, lost %v", told, first.Lost())
		}
		down.Store(true)
		began := time.Now()
		second, _, err := state.Acquire(t.Context(), waiting)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 25*time.Second {
			t.Errorf("a dead claim was removed after %s", took)
		}
		if first.Lost() == nil || second.Lost() != nil {
			t.Errorf("lost: %v, %v", first.Lost(), second.Lost())
		}
		if err := first.Release(t.Context()); err == nil {
			t.Error("released over a network that is down")
		}
		if err := second.Release(t.Context()); err != nil || notes.claims() != 0 {
			t.Errorf("release: %v, claims left: %d", err, notes.claims())
		}
	})
}

func TestLockOfAProcessThatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		process := func(machine string, pid int, ended int) state.ProcessInfo {
			return state.ProcessInfo{Machine: machine, Namespace: "pid:[4]", PID: pid, Start: "99", Gone: func(pid int, start string) bool { return pid == ended && start == "99" }}
		}
		for _, c := range []struct {
			name string
			me   state.ProcessInfo
			soon bool
		}{
			{"ended", process("a", 2, 1), true},
			{"alive", process("a", 2, 3), false},
			{"of another machine", process("b", 2, 1), false},
			{"not known", state.ProcessInfo{}, false},
		} {
			notes := newShelf()
			down := new(atomic.Bool)
			_, _, err := state.Acquire(t.Context(), state.LockConfig{Notes: slow{notes, func() time.Duration { return 0 }, down}, App: "shop", Process: process("a", 1, 0)})
			if err != nil {
				t.Fatal(err)
			}
			down.Store(true)
			began := time.Now()
			lock, _, err := state.Acquire(t.Context(), state.LockConfig{Notes: notes, App: "shop", Process: c.me})
			if err != nil {
				t.Fatal(err)
			}
			if soon := time.Since(began) < 2*time.Second; soon != c.soon {
				t.Errorf("%s: took %s", c.name, time.Since(began))
			}
			if err := lock.Release(t.Context()); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute) // the first ones find out
	})
}

func TestLockWithoutAHolderOrTheRight(t *testing.T) {
	gone := newShelf()
	gone.gone = true
	if _, _, err := state.Acquire(t.Context(), state.LockConfig{Notes: gone, App: "shop"}); !errors.Is(err, state.ErrNoHolder) {
		t.Errorf("got %v", err)
	}
	_, _, err := state.Acquire(t.Context(), state.LockConfig{Notes: denied{}, App: "shop"})
	if f, ok := errors.AsType[*resource.Forbidden](err); !ok || f.Action != "fc:TagResource" {
		t.Errorf("got %v", err)
	}
}

type denied struct{}

func (denied) Read(context.Context) (map[string]string, bool, error) { return nil, true, nil }
func (denied) Write(context.Context, map[string]string, []string) error {
	return &resource.Forbidden{Action: "fc:TagResource", Err: errors.New("no")}
}

func TestLockKeepsOtherNotesAndFitsIntoTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := newShelf()
		notes.limit = 3
		notes.notes["owner"], notes.notes["devs.abcdefgh.lock.zzzzzz"] = "me", "of another application"
		first, read, err := state.Acquire(t.Context(), state.LockConfig{Notes: notes, App: "shop"})
		if err != nil || read["owner"] != "me" {
			t.Fatalf("%v, %v", read, err)
		}
		done := make(chan error)
		go func() { // there is no room for another claim
			second, _, err := state.Acquire(t.Context(), state.LockConfig{Notes: notes, App: "shop"})
			if err == nil {
				err = second.Release(t.Context())
			}
			done <- err
		}()
		time.Sleep(30 * time.Second)
		if err := errors.Join(first.Lost(), first.Release(t.Context()), <-done); err != nil {
			t.Error(err)
		}
		if len(notes.notes) != 2 {
			t.Errorf("left: %v", notes.notes)
		}
	})
}

func TestLockIsLostWithItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := newShelf()
		lock, _, err := state.Acquire(t.Context(), state.LockConfig{Notes: notes, App: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		notes.mu.Lock()
		clear(notes.notes)
		notes.mu.Unlock()
		time.Sleep(6 * time.Second)
		if err := lock.Lost(); err == nil || !strings.Contains(err.Error(), "removed") {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Minute)
		if notes.claims() != 0 {
			t.Error("a claim that was lost came back")
		}
		if err := lock.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestLockOfAHolderThatIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := newShelf()
		lock, _, err := state.Acquire(t.Context(), state.LockConfig{Notes: notes, App: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		notes.mu.Lock()
		notes.gone = true
		notes.mu.Unlock()
		time.Sleep(time.Minute)
		if err := lock.Lost(); err != nil {
			t.Error(err) // there is nothing that anybody else could lock
		}
		_ = lock.Release(t.Context())
	})
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := newShelf()
		lock, _, err := state.Acquire(t.Context(), state.LockConfig{Notes: notes, App: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := state.Acquire(ctx, state.LockConfig{Notes: notes, App: "shop"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if notes.claims() != 1 {
			t.Errorf("%d claims", notes.claims())
		}
		if err := errors.Join(lock.Release(t.Context()), lock.Release(t.Context())); err != nil {
			t.Error(err)
		}
	})
}
