package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/devs/deploy/pkg/diag"
)

const (
	attempts  = 5 // of a request that fails for reasons that may pass
	firstWait = 200 * time.Millisecond
	maxWait   = 10 * time.Second
	maxAsked  = 2 * time.Minute // the longest Retry-After that is waited for
)

// call is one request to a registry.
type call struct {
	doing  string // for errors: "reading the manifest of X"
	method string
	repo   name.Repository
	url    *url.URL // absolute, when it came from the registry; else nil
	path   string   // below /v2/<repository>/
	query  url.Values
	header http.Header
	body   [][]byte // parts of one body, sent again as often as needed
	access access
	ok     []int // the statuses that are a success
	once   bool  // not to be repeated here
	// quick calls end within minutes even when the network hangs; others stream.
	quick bool
	owner *chunk // of the body; may be nil
}

// retry runs try until it succeeds, fails for good, or has failed too often.
func (c *Client) retry(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		if err == nil || ctx.Err() != nil || n == attempts || !worthRetrying(err) {
			return err
		}
		if e := c.wait(ctx, n, err); e != nil {
			return e
		}
	}
}

// wait waits before the attempt after the n-th, as err and the schedule ask for.
func (c *Client) wait(ctx context.Context, n int, err error) error {
	d := min(maxWait, firstWait<<(n-1))
	d = d/2 + time.Duration(c.cfg.Rand()*float64(d))
	var status *statusError
	if errors.As(err, &status) && status.retryAfter > 0 {
		if status.retryAfter > maxAsked {
			return diag.Errorf("the registry asks to come back in %s: %s", status.retryAfter.Round(time.Second), status).
				WithHint("log in to raise the limit of the registry, or try again later").WithCause(err).WithCode(diag.ExitComponent)
		}
		d = max(d, status.retryAfter)
	}
	return c.cfg.Sleep(ctx, d)
}

// do sends a call and returns the answer when its status is one of call.ok; its body
// must be closed. Errors say what was being done.
func (c *Client) do(ctx context.Context, q call) (*http.Response, error) {
	s := c.session(q.repo)
	var resp *http.Response
	try := func() (err error) {
		resp, err = s.send(ctx, q)
		return err
	}
	var err error
	if q.once {
		err = try()
	} else {
		err = c.retry(ctx, try)
	}
	return resp, s.explain(ctx, q, err)
}

// explain adds to err what was being done, and for a refusal what to do.
func (s *session) explain(ctx context.Context, q call, err error) error {
	var problem *diag.Problem
	var status *statusError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", q.doing, ctx.Err())
	case errors.As(err, &problem):
		return err
	case errors.As(err, &status) && errors.Is(err, ErrDenied):
		return s.denied(q.doing, status)
	}
	return fmt.Errorf("%s: %w", q.doing, shown(err))
}

// send sends a call once; a token that is refused is renewed once.
func (s *session) send(ctx context.Context, q call) (*http.Response, error) {
	for renewed := false; ; renewed = true {
		header, err := s.authorize(ctx, q.access)
		if err != nil {
			return nil, err
		}
		resp, err := s.roundTrip(ctx, q, header)
		if err != nil {
			return nil, err
		}
		if slices.Contains(q.ok, resp.StatusCode) {
			return resp, nil
		}
		if resp.StatusCode != http.StatusUnauthorized || renewed {
			return nil, s.host.c.failed(resp)
		}
		again, err := s.again(ctx, q, resp, header)
		if !again {
			return nil, err
		}
	}
}

// again reports whether a call that was answered with 401 may be sent once more.
func (s *session) again(ctx context.Context, q call, resp *http.Response, used string) (bool, error) {
	failure := s.host.c.failed(resp)
	challenge, ok := s.host.read(ctx, resp)
	if !ok || !s.refused(challenge, q.access, used) {
		return false, failure
	}
	return true, nil
}

// roundTrip sends the request itself.
func (s *session) roundTrip(ctx context.Context, q call, authorization string) (*http.Response, error) {
	cancel := context.CancelFunc(func() {})
	if q.quick {
		ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	}
	req, err := s.request(ctx, q)
	if err != nil {
		cancel()
		return nil, err
	}
	client := http.Client{
		Transport:     &authorized{c: s.host.c, host: s.repo.RegistryStr(), scheme: s.host.scheme, header: authorization},
		CheckRedirect: s.host.c.http.CheckRedirect,
	}
	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &closer{resp.Body, cancel}
	return resp, nil
}

func (s *session) request(ctx context.Context, q call) (*http.Request, error) {
	u := q.url
	if u == nil {
		u = &url.URL{Scheme: s.host.scheme, Host: s.repo.RegistryStr(), Path: "/v2/" + s.repo.RepositoryStr() + "/" + q.path}
	}
	if len(q.query) > 0 {
		with := *u
		values := with.Query()
		for key, v := range q.query {
			values[key] = v
		}
		with.RawQuery = values.Encode()
		u = &with
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	for key, v := range q.header {
		req.Header[key] = v
	}
	if q.body != nil {
		setBody(req, q.body, q.owner)
	}
	return req, nil
}

// authorized adds credentials to the requests for one host, and to no others.
type authorized struct {
	c                    *Client
	host, scheme, header string
}

// RoundTrip implements http.RoundTripper.
func (a *authorized) RoundTrip(in *http.Request) (*http.Response, error) {
	if a.header == "" || in.URL.Host != a.host || in.URL.Scheme != a.scheme {
		return a.c.http.Transport.RoundTrip(in)
	}
	out := in.Clone(in.Context())
	out.Header.Set("Authorization", a.header)
	resp, err := a.c.http.Transport.RoundTrip(out)
	if resp != nil {
		resp.Request = in
	}
	return resp, err
}

// closer ends the context of a request with its body.
type closer struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (b *closer) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// drain reads the little that may be left of an answer, so that its connection is
// kept, and closes it.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

// isCut reports whether err is that of a connection that ended too early.
func isCut(err error) bool {
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.As(err, &network)
}
