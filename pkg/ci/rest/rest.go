// Package rest is how the APIs of CIs are asked: with bounded answers, a few tries where
// trying again is safe, no token in an error, and none sent to another host.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	tries     = 5
	maxAnswer = 16 << 20 // bytes
	maxWait   = 30 * time.Second
)

// Transport tries requests again that nothing can go wrong with: those that change
// nothing, and those that a busy server did not take (429, and 403 with Retry-After, as
// GitHub has it).
type Transport struct {
	Base  http.RoundTripper // nil for http.DefaultTransport
	Pause func(ctx context.Context, d time.Duration) error
}

// RoundTrip sends a request, as http.RoundTripper has it.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	for try := 1; ; try++ {
		resp, err := base.RoundTrip(req)
		wait, again := after(req, resp, err, try)
		if !again || try == tries {
			return resp, err
		}
		if resp != nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
			_ = resp.Body.Close()
		}
		if err := t.Pause(req.Context(), wait); err != nil {
			return nil, err
		}
		if req.Body != nil {
			if req.GetBody == nil {
				return nil, errors.New("a request cannot be sent again")
			}
			next := req.Clone(req.Context())
			if next.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
			req = next
		}
	}
}

// after returns whether a request is sent again, and when.
func after(req *http.Request, resp *http.Response, err error, try int) (time.Duration, bool) {
	wait := time.Duration(1<<(try-1)) * 500 * time.Millisecond
	safe := req.Method == http.MethodGet || req.Method == http.MethodPatch || req.Method == http.MethodPut
	if err != nil {
		return wait, safe && req.Context().Err() == nil
	}
	given := resp.Header.Get("Retry-After")
	if s, err := strconv.Atoi(given); err == nil && s >= 0 {
		wait = time.Duration(s) * time.Second
	}
	if wait > maxWait {
		return 0, false
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusForbidden && given != "":
		return wait, true
	}
	return wait, safe && resp.StatusCode >= 500
}

// Client asks one API.
type Client struct {
	Base   string // without a slash at the end
	Header http.Header
	HTTP   *http.Client
}

// NewHTTP returns an HTTP client that follows no redirect.
func NewHTTP(base http.RoundTripper, pause func(ctx context.Context, d time.Duration) error) *http.Client {
	return &http.Client{
		Timeout: time.Minute, Transport: &Transport{Base: base, Pause: pause},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// StatusError is an answer that is none of success.
type StatusError struct {
	Status  int
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("HTTP %d: %s", e.Status, e.Message) }

// Do sends in as JSON, nil for nothing, and reads the answer into out, nil for nothing.
// It returns the headers of the answer.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	target := c.Base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, errors.New("the address of the API is not one")
	}
	req.Header = c.Header.Clone()
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.HTTP.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		return nil, fmt.Errorf("%s %s: %w", method, req.URL.Host, e.Err)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", req.URL.Host, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, &StatusError{Status: resp.StatusCode, Message: message(data, resp.StatusCode)}
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			return nil, fmt.Errorf("the answer of %s is not what the API gives: %w", req.URL.Host, err)
		}
	}
	return resp.Header, nil
}

// The pages of a list.
const (
	pageSize = 100
	maxPages = 30
)

// List reads a list page by page, up to 3000 elements.
func List[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	all := url.Values{"per_page": {strconv.Itoa(pageSize)}}
	maps.Copy(all, query)
	var list []T
	for page := 1; page <= maxPages; page++ {
		all.Set("page", strconv.Itoa(page))
		var got []T
		if _, err := c.Do(ctx, http.MethodGet, path, all, nil, &got); err != nil {
			return nil, err
		}
		list = append(list, got...)
		if len(got) < pageSize {
			break
		}
	}
	return list, nil
}

// message returns what a failed request is told, which may be anything.
func message(data []byte, status int) string {
	var m struct {
		Message any `json:"message"`
		Error   any `json:"error"`
	}
	if json.Unmarshal(data, &m) == nil {
		for _, v := range []any{m.Message, m.Error} {
			if v != nil {
				return fmt.Sprintf("%.300v", v)
			}
		}
	}
	return http.StatusText(status)
}

// Gone reports whether an API has no such thing.
func Gone(err error) bool {
	e, ok := errors.AsType[*StatusError](err)
	return ok && e.Status == http.StatusNotFound
}

// Forbidden reports whether an API refused for want of a right. APIs also answer 404 for
// what a token may not see.
func Forbidden(err error) bool {
	e, ok := errors.AsType[*StatusError](err)
	return ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden || e.Status == http.StatusNotFound)
}
