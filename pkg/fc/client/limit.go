package client

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// parallelism is how many calls are under way at once when nobody says.
	parallelism = 8
	// growAfter is after how many answers without throttling one call more is let
	// through at once.
	growAfter = 10
	// longestPause bounds what an answer can ask to wait.
	longestPause = time.Minute
)

// Limiter bounds how many calls are under way at once. It is shared by all clients
// of one API, account and region: when one of them is told to slow down, all do. The
// bound is halved then, and grows by one with every ten answers. A limiter is safe
// for concurrent use.
type Limiter struct {
	retry Retry
	most  int

	mu    sync.Mutex
	limit int             // how many may be under way, 1 to most
	busy  int             // how many are
	good  int             // answers since the limit changed
	level int             // how often in a row the limit was halved
	epoch int             // counts halvings, so that calls which were under way together count once
	until time.Time       // nothing begins before
	queue []chan struct{} // closed when it is the turn of the one who waits
}

// NewLimiter returns a limiter that lets most calls through at once, 8 when most is
// 0. Of retry it takes pauses, sleep, jitter and the clock.
func NewLimiter(most int, retry Retry) *Limiter {
	if most <= 0 {
		most = parallelism
	}
	return &Limiter{retry: retry.withDefaults(), most: most, limit: most}
}

// begin waits for the turn of a call, in the order of arrival; again puts one that was
// turned away before in front. Whoever got a turn has to end it.
func (l *Limiter) begin(ctx context.Context, again bool) (epoch int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := l.wait(ctx, again); err != nil {
		return 0, err
	}
	l.mu.Lock()
	pause := l.until.Sub(l.retry.Now())
	l.mu.Unlock()
	if pause > 0 {
		pause += time.Duration(l.retry.Jitter() * float64(pause/4)) // not all at once
		if err := l.retry.Sleep(ctx, pause); err != nil {
			l.leave()
			return 0, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch, nil
}

func (l *Limiter) wait(ctx context.Context, again bool) error {
	l.mu.Lock()
	if l.busy < l.limit && (again || len(l.queue) == 0) {
		l.busy++
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	at := len(l.queue)
	if again {
		at = 0
	}
	l.queue = slices.Insert(l.queue, at, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.queue, turn); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
	} else { // the turn came meanwhile
		l.busy--
		l.next()
	}
	return ctx.Err()
}

func (l *Limiter) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	l.next()
}

// next gives free places to those who wait. The lock is held.
func (l *Limiter) next() {
	for l.busy < l.limit && len(l.queue) > 0 {
		l.busy++
		close(l.queue[0])
		l.queue = l.queue[1:]
	}
}

// end ends a turn with how the call went.
func (l *Limiter) end(epoch int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	e, answered := errors.AsType[*Error](err)
	switch {
	case answered && e.overload():
		pause := e.after
		if epoch == l.epoch {
			l.epoch++
			l.level++
			l.good = 0
			l.limit = max(1, l.limit/2)
			pause = max(pause, l.retry.pause(l.level))
		}
		if until := l.retry.Now().Add(pause); until.After(l.until) {
			l.until = until
		}
	case err == nil || answered && e.Status < http.StatusInternalServerError:
		l.level = 0
		if l.good++; l.good >= growAfter && l.limit < l.most {
			l.limit++
			l.good = 0
		}
	}
	l.next()
}

// overload reports whether the service says that there is too much to do.
func (e *Error) overload() bool { return e.throttled() || e.Status == http.StatusServiceUnavailable }

// retryAfter reads the header of that name (RFC 9110, 10.2.3): seconds or a date. It
// is 0 when there is none, and a minute at most.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	var wait time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), longestPause)
}
