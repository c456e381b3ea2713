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
	earlier := false
	for attempt := 1; ; attempt++ {
		start := time.Now()
		a, err := c.attempt(ctx, r, path, body)
		c.trace(fmt.Sprintf("%s %s /%s: %s (%s)", r.action, r.method, strings.Join(r.path, "/"), outcome(err), time.Since(start).Round(time.Millisecond)))
		if err == nil {
			return a, nil
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil, ctx.Err()
		}
		e := c.explain(r.action, err)
		e.Earlier = earlier
		earlier = earlier || e.Unsure
		if attempt >= c.retry.Attempts || !r.mayRepeat(e) {
			return nil, e
		}
		if err := c.retry.Sleep(ctx, c.retry.pause(attempt)); err != nil {
			return nil, fmt.Errorf("%w; before that: %w", err, e)
		}
	}
}

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
	idempotent := r.method == http.MethodGet || r.method == http.MethodDelete ||
		r.method == http.MethodPut && r.header["If-Match"] != ""
	return idempotent && e.Unsure
}

// attempt makes the call once. When the context ends, a call that changes nothing,
// and an invocation, is given up; a call that changes something is waited for, so
// that its outcome is known.
func (c *Client) attempt(ctx context.Context, r request, path string, body []byte) (*reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	limit := r.limit
	if limit == 0 {
		limit = c.write
		if r.method == http.MethodGet {
			limit = c.read
		}
	}
	if r.method != http.MethodGet && !r.once {
		ctx = context.WithoutCancel(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a, err := c.send(limited, r, path, body)
	switch {
	case err != nil && ctx.Err() == nil && limited.Err() != nil:
		return nil, fmt.Errorf("no whole answer within %s: %w", limit, err)
	case err != nil:
		return nil, err
	}
	return a, c.check(r, a)
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
