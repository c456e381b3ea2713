package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"
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
	answer string         // json, byte or none
	limit  time.Duration  // of one attempt; 0 means by method
	once   bool           // never repeated, and given up when the context ends
}

// do makes the call, repeated as far as that is safe.
func (c *Client) do(ctx context.Context, r request) (*Object, error) {
	raw, err := c.exchange(ctx, r)
	if err != nil {
		return nil, err
	}
	return toObject(raw), nil
}

func (c *Client) exchange(ctx context.Context, r request) (map[string]any, error) {
	params, req, err := r.forSDK()
	if err != nil {
		return nil, err
	}
	earlier := false
	for attempt := 1; ; attempt++ {
		start := time.Now()
		raw, err := c.attempt(ctx, r, params, req)
		c.trace(fmt.Sprintf("%s %s /%s: %s (%s)", r.action, r.method, strings.Join(r.path, "/"), outcome(err), time.Since(start).Round(time.Millisecond)))
		if err == nil {
			return raw, nil
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil, err
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
	if e, ok := errors.AsType[*tea.SDKError](err); ok {
		return tea.StringValue(e.Code)
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

// attempt makes the call once. The SDK knows no context: a call that changes
// nothing, and an invocation, is left to its time limit when the context ends; a
// call that changes something is waited for, so that its outcome is known.
func (c *Client) attempt(ctx context.Context, r request, params *openapi.Params, req *openapi.OpenApiRequest) (map[string]any, error) {
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
		return c.callSDK(params, req, limit)
	}
	type answer struct {
		raw map[string]any
		err error
	}
	done := make(chan answer, 1)
	go func() {
		raw, err := c.callSDK(params, req, limit)
		done <- answer{raw, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-done:
		return a.raw, a.err
	}
}

// callSDK makes one attempt. The SDK merges headers into new maps, but keeps and
// may write to the ones it is given, so each attempt has its own. Answers that it
// does not expect can make it panic.
func (c *Client) callSDK(params *openapi.Params, req *openapi.OpenApiRequest, limit time.Duration) (raw map[string]any, err error) {
	defer func() {
		if p := recover(); p != nil {
			raw, err = nil, fmt.Errorf("the answer cannot be read: %v", p)
		}
	}()
	own := *req
	own.Headers = maps.Clone(req.Headers)
	own.Query = maps.Clone(req.Query)
	opts := &util.RuntimeOptions{
		Autoretry:   tea.Bool(false),
		ReadTimeout: tea.Int(int(limit / time.Millisecond)),
	}
	return c.sdk.CallApi(params, &own, opts)
}

// forSDK returns the call in the SDK's form.
func (r request) forSDK() (*openapi.Params, *openapi.OpenApiRequest, error) {
	path, err := escapePath(r.path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", r.action, err)
	}
	req := &openapi.OpenApiRequest{Headers: pointers(r.header), Query: pointers(r.query)}
	params := &openapi.Params{
		Action:      tea.String(r.action),
		Version:     tea.String(version),
		Protocol:    tea.String("HTTPS"), // the client's own protocol wins
		Pathname:    tea.String(path),
		Method:      tea.String(r.method),
		AuthType:    tea.String("AK"),
		Style:       tea.String("ROA"),
		ReqBodyType: tea.String("json"),
		BodyType:    tea.String(r.answer),
	}
	if r.answer == "" {
		params.BodyType = tea.String("json")
	}
	switch {
	case r.raw != nil:
		params.ReqBodyType = tea.String("byte")
		req.Body = r.raw
	case r.body != nil:
		body, err := plainBody(r.body)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", r.action, err)
		}
		if err := checkShape(body, r.shape); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", r.action, err)
		}
		req.Body = body
	}
	return params, req, nil
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

func pointers(m map[string]string) map[string]*string {
	out := make(map[string]*string, len(m))
	for k, v := range m {
		if v != "" {
			out[k] = tea.String(v)
		}
	}
	return out
}
