package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devs/deploy/pkg/secret"
)

// throttle answers as an API that admits some calls a second, each of which takes its
// time. It is a transport, so that a test can run on virtual time.
type throttle struct {
	perSecond float64
	takes     time.Duration
	status    int
	header    http.Header

	mu             sync.Mutex
	tokens         float64
	last           time.Time
	busy           int
	admitted, most int
	refused        int
}

func (h *throttle) RoundTrip(*http.Request) (*http.Response, error) {
	h.mu.Lock()
	now := time.Now()
	if h.last.IsZero() {
		h.tokens = h.perSecond
	} else {
		h.tokens = min(h.perSecond, h.tokens+h.perSecond*now.Sub(h.last).Seconds())
	}
	h.last = now
	h.busy++
	h.most = max(h.most, h.busy)
	ok := h.tokens >= 1
	if ok {
		h.tokens--
		h.admitted++
	} else {
		h.refused++
	}
	h.mu.Unlock()
	time.Sleep(h.takes)
	h.mu.Lock()
	h.busy--
	h.mu.Unlock()
	rec := httptest.NewRecorder()
	if !ok {
		for k, v := range h.header {
			rec.Header()[k] = v
		}
		answer(rec, h.status, `{"ErrorCode":"ResourceThrottled","ErrorMessage":"too many"}`)
		return rec.Result(), nil
	}
	answer(rec, 200, `{"serviceName":"s"}`)
	return rec.Result(), nil
}

func (h *throttle) client(t *testing.T, l *Limiter) *Client {
	t.Helper()
	c, err := New(Config{
		Endpoint: "http://fc.example.com", AccountID: "123", Region: "cn-hangzhou",
		AccessKeyID: secret.New("id"), AccessKeySecret: secret.New(canary), Transport: h, Limiter: l,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A storm: hundreds of calls against an API that admits five a second all get through,
// also those that create something, and the API is not flooded meanwhile.
func TestStorm(t *testing.T) {
	for _, status := range []int{429, 400} {
		synctest.Test(t, func(t *testing.T) {
			api := &throttle{perSecond: 5, takes: 50 * time.Millisecond, status: status}
			l := NewLimiter(16, Retry{})
			clients := []*Client{api.client(t, l), api.client(t, l)} // they share the limit
			start := time.Now()
			var wg sync.WaitGroup
			for i := range 200 {
				wg.Go(func() {
					_, err := clients[i%2].CreateService(context.Background(), map[string]any{"serviceName": fmt.Sprint("s", i)})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			took := time.Since(start)
			if api.admitted != 200 || took < 39*time.Second || took > 3*time.Minute {
				t.Errorf("%d calls in %v", api.admitted, took)
			}
			if api.most > 16 || api.refused > 200 {
				t.Errorf("%d at once, %d turned away", api.most, api.refused)
			}
			t.Logf("%d: 200 calls in %v, %d turned away", status, took, api.refused)
		})
	}
}

func TestParallelism(t *testing.T) {
	for _, most := range []int{0, 1, 3, 40} {
		synctest.Test(t, func(t *testing.T) {
			api := &throttle{perSecond: 1e9, takes: 50 * time.Millisecond}
			c := api.client(t, NewLimiter(most, Retry{}))
			start := time.Now()
			var wg sync.WaitGroup
			for range 120 {
				wg.Go(func() {
					if _, err := c.GetService(context.Background(), "s"); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			want := max(most, 1)
			if most == 0 {
				want = 8
			}
			if got := time.Since(start); api.most != want || got != time.Duration(120/want)*50*time.Millisecond {
				t.Errorf("%d: %d at once, %v", most, api.most, got)
			}
		})
	}
}

// One wave of refusals halves the limit once; answers bring it back, one by one.
func TestLimitHalvesAndGrows(t *testing.T) {
	l := NewLimiter(8, Retry{Sleep: func(context.Context, time.Duration) error { return nil }})
	wave := func(n int, outcome error) {
		epochs := make([]int, n)
		for i := range epochs {
			epoch, err := l.begin(context.Background(), false)
			if err != nil {
				t.Fatal(err)
			}
			epochs[i] = epoch
		}
		for _, epoch := range epochs {
			l.end(epoch, outcome)
		}
	}
	throttled, unavailable := &Error{Status: 429}, &Error{Status: 503}
	for i, step := range []struct {
		calls   int
		outcome error
		want    int
	}{
		{8, throttled, 4}, {4, unavailable, 2}, {2, throttled, 1}, {1, throttled, 1},
		{1, nil, 1}, {1, &Error{Status: 404}, 1}, {1, &Error{Status: 500}, 1}, {1, errors.New("reset"), 1},
	} {
		if wave(step.calls, step.outcome); l.limit != step.want {
			t.Errorf("step %d: limit %d, want %d", i, l.limit, step.want)
		}
	}
	for range 8 {
		wave(1, nil)
	}
	if l.limit != 2 {
		t.Errorf("after ten answers the limit is %d", l.limit)
	}
	for range 1000 {
		wave(1, nil)
	}
	if l.limit != 8 || l.busy != 0 {
		t.Errorf("limit %d, %d under way", l.limit, l.busy)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &throttle{perSecond: 1, status: 429, header: http.Header{"Retry-After": {"17"}}}
		c := api.client(t, nil)
		get := func() {
			if _, err := c.GetService(context.Background(), "s"); err != nil {
				t.Error(err)
			}
		}
		get()
		start := time.Now()
		get()
		if took := time.Since(start); took < 17*time.Second || took > 22*time.Second || api.refused != 1 {
			t.Errorf("waited %v, turned away %d times", took, api.refused)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "0": 0, "-1": 0, "1.5": 0, "soon": 0, "99999999999999999999": 0, "86400": time.Minute,
		"Mon, 06 May 2024 07:08:29 GMT": 20 * time.Second, "Mon, 06 May 2024 07:08:00 GMT": 0, "Fri, 06 May 2044 07:08:00 GMT": time.Minute,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// Whoever waits for a turn when the context ends makes no call and takes no place.
func TestEndWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &throttle{perSecond: 1e9, takes: time.Second}
		l := NewLimiter(2, Retry{})
		c := api.client(t, l)
		ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		var done, ended atomic.Int32
		for range 10 {
			wg.Go(func() {
				_, err := c.CreateService(ctx, map[string]any{"serviceName": "s"})
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					ended.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done.Load() != 4 || ended.Load() != 6 || api.admitted != 4 || l.busy != 0 || len(l.queue) != 0 {
			t.Errorf("%d done, %d ended, %d calls, %d under way, %d waiting", done.Load(), ended.Load(), api.admitted, l.busy, len(l.queue))
		}
	})
}

// Tags keep a lock alive: they wait behind no other call.
func TestTagsDoNotQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &throttle{perSecond: 1e9, takes: time.Hour}
		c := api.client(t, NewLimiter(1, Retry{}))
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { _, _ = c.GetService(ctx, "s") })
		}
		synctest.Wait()
		wg.Go(func() { _ = c.TagResource(context.Background(), "s", map[string]string{"a": "b"}) })
		synctest.Wait()
		if api.most != 2 {
			t.Errorf("%d at once", api.most)
		}
		cancel()
		wg.Wait()
	})
}

// A changing call that never ends is given up a while after the context did, as unsure.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		sent := 0
		c, err := New(Config{
			Endpoint: "http://fc.example.com", AccountID: "123", Region: "cn-hangzhou",
			AccessKeyID: secret.New("id"), AccessKeySecret: secret.New(canary),
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				sent++
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				return nil, r.Context().Err()
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.CreateService(ctx, map[string]any{"serviceName": "s"})
		e, ok := errors.AsType[*Error](err)
		if !ok || !e.Unsure || !strings.Contains(err.Error(), "the run was interrupted") || time.Since(start) != 8*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel = context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start = time.Now()
		_, err = c.UpdateService(ctx, "s", "etag", map[string]any{"description": "d"})
		e, ok = errors.AsType[*Error](err)
		if !ok || !e.Unsure || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 8*time.Second || sent != 2 {
			t.Errorf("after %v and %d calls: %v", time.Since(start), sent, err)
		}
		start = time.Now()
		ctx, cancel = context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := c.GetService(ctx, "s"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("reading: after %v: %v", time.Since(start), err)
		}
		start = time.Now()
		ctx, cancel = context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := c.UntagResource(ctx, "s", []string{"key"}); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("a tag: after %v: %v", time.Since(start), err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "1", "-1", "1e9", "Mon, 06 May 2024 07:08:29 GMT", "9999999999999999999"} {
		f.Add(s)
	}
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if got := retryAfter(http.Header{"Retry-After": {s}}, now); got < 0 || got > longestPause {
			t.Errorf("%q: %v", s, got)
		}
	})
}
