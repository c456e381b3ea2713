package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// version is the edition of the API.
const version = "2021-04-06"

// Object is one answer of the API.
type Object struct {
	Attrs     map[string]any // the JSON object; numbers are int64 or float64
	ETag      string         // "" when the answer has none
	RequestID string
}

// request is one call of the API.
type request struct {
	action string
	method string
	path   []string // segments, not escaped
	query  map[string]string
	header map[string]string
	body   map[string]any // sent as JSON
	shape  any            // the SDK's type of the body, a pointer; nil checks nothing
	raw    []byte         // sent as it is, for invocations
	answer answerKind
	limit  time.Duration // of one attempt; 0 means by method
	once   bool          // never repeated, and given up when the context ends

	idempotent bool // can be repeated although the method does not say so
	urgent     bool // small, and does not wait for others
}

// do makes the call, repeated as far as that is safe.
func (c *Client) do(ctx context.Context, r request) (*Object, error) {
	a, err := c.exchange(ctx, r)
	if err != nil {
		return nil, err
	}
	return &Object{Attrs: a.attrs, ETag: a.header.Get("Etag"), RequestID: a.header.Get(requestIDHeader)}, nil
}

func (c *Client) exchange(ctx context.Context, r request) (*reply, error) {
	body, err := r.encode()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.action, err)
	}
	path, err := escapePath(r.path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.action, err)
	}
	var failed tally
	var last *Error
	for {
		a, err := c.turn(ctx, r, path, body, failed.turnedAway > 0)
		if err == nil {
			return a, nil
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil, ended(ctx.Err(), last)
		}
		e := c.explain(r.action, err)
		e.Earlier = last != nil && (last.Unsure || last.Earlier)
		last = e
		if !failed.again(c.retry, e) || !r.mayRepeat(e) {
			return nil, e
		}
		if r.limited() && e.overload() { // the limiter pauses
			continue
		}
		if err := c.retry.Sleep(ctx, max(e.after, c.retry.pause(failed.all()))); err != nil {
			return nil, ended(err, e)
		}
	}
}

// ended is the error for a call that was not repeated because the context ended.
func ended(err error, last *Error) error {
	if last == nil {
		return err
	}
	return fmt.Errorf("%w; before that: %w", err, last)
}

// tally counts the failed attempts of one call.
type tally struct{ turnedAway, unavailable, other int }

func (t *tally) all() int { return t.turnedAway + t.unavailable + t.other }

// again counts one and reports whether there may be another attempt. Being turned
// away is no reason to give up before minutes have passed.
func (t *tally) again(r Retry, e *Error) bool {
	switch {
	case e.throttled():
		t.turnedAway++
		return t.turnedAway < r.Throttled
	case e.Status == http.StatusServiceUnavailable && !e.elsewhere:
		t.unavailable++
		return t.unavailable < 2*r.Attempts
	}
	t.other++
	return t.other < r.Attempts
}

// turn makes the call once, when the limiter lets it through.
func (c *Client) turn(ctx context.Context, r request, path string, body []byte, again bool) (*reply, error) {
	epoch, err := 0, error(nil)
	if r.limited() {
		if epoch, err = c.limiter.begin(ctx, again); err != nil {
			return nil, err
		}
	}
	start := c.retry.Now()
	a, err := c.attempt(ctx, r, path, body)
	if r.limited() {
		c.limiter.end(epoch, err)
	}
	c.trace(fmt.Sprintf("%s %s /%s: %s (%s)", r.action, r.method, strings.Join(r.path, "/"), outcome(err), c.retry.Now().Sub(start).Round(time.Millisecond)))
	return a, err
}

// limited reports whether the call takes part in the limit of how many are under way.
func (r request) limited() bool { return !r.once && !r.urgent }

// outcome is how an attempt ended, in a word. The text of an error is left out: it
// may hold what was sent.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	e, ok := errors.AsType[*Error](err)
	switch {
	case ok && e.Code != "":
		return e.Code
	case ok:
		return fmt.Sprintf("HTTP %d", e.Status)
	}
	return "no answer"
}

// mayRepeat reports whether the same call can be made again without harm: it was
// turned away, it never left, or it is idempotent and the failure will pass.
func (r request) mayRepeat(e *Error) bool {
	switch {
	case r.once || e.cause != nil && isHopeless(e.cause):
		return false
	case e.throttled() || e.unsent:
		return true
	}
	idempotent := r.idempotent || r.method == http.MethodGet || r.method == http.MethodDelete ||
		r.method == http.MethodPut && r.header["If-Match"] != ""
	return idempotent && e.Unsure
}

const (
	// answerTime is how long the service may take to do what it is told.
	answerTime = 2 * time.Minute
	// slowest is the speed of an upload that is still waited for, in bytes a second.
	slowest = 128 << 10
)

// attempt makes the call once. When the context ends, a call that changes nothing,
// and an invocation, is given up; a call that changes something is waited for a
// while, so that its outcome is known.
func (c *Client) attempt(ctx context.Context, r request, path string, body []byte) (*reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	limit := r.limit
	if limit == 0 {
		limit = min(c.write, answerTime+time.Duration(len(body)/slowest)*time.Second)
		if r.method == http.MethodGet {
			limit = c.read
		}
	}
	if r.method != http.MethodGet && !r.once {
		patient, cancel := c.patient(ctx, r.urgent)
		defer cancel()
		ctx = patient
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a, err := c.send(limited, r, path, body)
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errInterrupted):
		return nil, fmt.Errorf("%w, and no whole answer came within %s: nobody knows whether it was done", errInterrupted, c.grace)
	case err != nil && ctx.Err() == nil && limited.Err() != nil:
		return nil, fmt.Errorf("no whole answer within %s: %w", limit, err)
	case err != nil:
		return nil, err
	}
	return a, c.check(r, a)
}

// errInterrupted ends a call that was waited for long enough.
var errInterrupted = errors.New("the run was interrupted")

// patient returns a context that ends a while after ctx does. An urgent call ends with
// the deadline of ctx: who sets one knows how much time there is.
func (c *Client) patient(ctx context.Context, urgent bool) (context.Context, func()) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if urgent && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cancel(ctx.Err())
			return
		}
		timer := time.NewTimer(c.grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(errInterrupted)
		case <-out.Done():
		}
	})
	return out, func() {
		stop()
		cancel(nil)
	}
}

// encode returns the body as it is sent, nil for none.
func (r request) encode() ([]byte, error) {
	if r.raw != nil || r.body == nil {
		return r.raw, nil
	}
	body, err := plainBody(r.body)
	if err != nil {
		return nil, err
	}
	if err := checkShape(body, r.shape); err != nil {
		return nil, err
	}
	return marshal(body)
}

// escapePath joins the segments under the API's version. An empty name would make
// another call out of this one.
func escapePath(segments []string) (string, error) {
	var b strings.Builder
	b.WriteString("/" + version)
	for _, s := range segments {
		if s == "" || s == "." || s == ".." {
			return "", fmt.Errorf("the name %q cannot stand in an address", s)
		}
		escaped := strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(s))
		b.WriteString("/" + escaped)
	}
	return b.String(), nil
}
