package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// start opens an upload at the registry.
func (u *Upload) start(ctx context.Context) error {
	location, minimum, err := u.c.begin(ctx, u.repo, u.doing())
	if err != nil {
		return err
	}
	u.location, u.minimum = location, minimum
	return nil
}

// begin opens an upload session.
func (c *Client) begin(ctx context.Context, repo name.Repository, doing string) (location *url.URL, minimum int64, err error) {
	resp, err := c.do(ctx, call{
		doing: doing, method: http.MethodPost, repo: repo, path: "blobs/uploads/", body: [][]byte{},
		access: access{push: true}, ok: []int{http.StatusAccepted}, quick: true,
	})
	if err != nil {
		return nil, 0, err
	}
	drain(resp)
	return c.opened(repo, resp, doing)
}

// opened reads the answer that opens an upload session.
func (c *Client) opened(repo name.Repository, resp *http.Response, doing string) (location *url.URL, minimum int64, err error) {
	if location, err = c.location(repo, resp); err != nil {
		return nil, 0, wrap(doing, err)
	}
	if text := resp.Header.Get("OCI-Chunk-Min-Length"); text != "" {
		if minimum, err = strconv.ParseInt(text, 10, 64); err != nil || minimum < 0 || minimum > maxMinChunk {
			return nil, 0, wrap(doing, hostile("it wants chunks of %q bytes", clean(text)))
		}
	}
	return location, minimum, nil
}

// location returns the Location of an answer. A registry behind a proxy may name
// itself with the wrong scheme: that of the registry holds.
func (c *Client) location(repo name.Repository, resp *http.Response) (*url.URL, error) {
	u, err := resp.Location()
	if err != nil {
		return nil, hostile("it names no place for the upload")
	}
	scheme := c.host(repo.Registry).scheme
	if u.Host == repo.RegistryStr() {
		u.Scheme = scheme
	}
	if u.Scheme != "https" && u.Scheme != scheme || u.Host == "" || u.User != nil {
		return nil, hostile("it names a place for the upload that is no address of a registry")
	}
	return u, nil
}

// patch sends one chunk, and goes on where a cut left it.
func (u *Upload) patch(ctx context.Context, k *chunk) error {
	begin, end := u.acked, u.acked+total(k.parts)
	for n := 1; u.acked < end; n++ {
		err := u.patchOnce(ctx, k, cutFront(k.parts, u.acked-begin), end)
		if err == nil {
			n = 0
			continue
		}
		var status *statusError
		outOfStep := errors.As(err, &status) && (status.status == http.StatusRequestedRangeNotSatisfiable || status.status == http.StatusNotFound)
		if ctx.Err() != nil || n >= attempts || !outOfStep && !worthRetrying(err) {
			return err
		}
		if e := u.c.wait(ctx, n, err); e != nil {
			return e
		}
		if e := u.resync(ctx, begin, end, err); e != nil {
			return e
		}
	}
	return nil
}

// patchOnce sends the bytes from u.acked to end.
func (u *Upload) patchOnce(ctx context.Context, k *chunk, parts [][]byte, end int64) error {
	resp, err := u.c.do(ctx, call{
		doing: u.doing(), method: http.MethodPatch, repo: u.repo, url: u.location, body: parts, owner: k,
		header: http.Header{
			"Content-Type":  {"application/octet-stream"},
			"Content-Range": {fmt.Sprintf("%d-%d", u.acked, end-1)},
		},
		access: access{push: true}, ok: []int{http.StatusAccepted, http.StatusNoContent, http.StatusCreated}, once: true, quick: true,
	})
	if err != nil {
		return err
	}
	drain(resp)
	return u.confirmed(resp, u.acked, end, end)
}

// confirmed takes an answer that tells where the upload is: at least at from and at
// most at to; told is what an answer without a Range means.
func (u *Upload) confirmed(resp *http.Response, from, to, told int64) error {
	at := told
	if text := resp.Header.Get("Range"); text != "" {
		var first, last int64
		if _, err := fmt.Sscanf(strings.TrimPrefix(text, "bytes="), "%d-%d", &first, &last); err != nil || first != 0 {
			return wrap(u.doing(), hostile("it says that it has the bytes %q", clean(text)))
		}
		at = last + 1
	}
	if at < from || at > to {
		return fmt.Errorf("%s: %w: it has %d bytes, and we were at %d", u.doing(), ErrLost, at, from)
	}
	if resp.Header.Get("Location") != "" {
		location, err := u.c.location(u.repo, resp)
		if err != nil {
			return wrap(u.doing(), err)
		}
		u.location = location
	}
	u.acked = at
	return nil
}

// resync asks the registry how far it is after a failure. An upload of which all bytes
// are still here begins again instead; Docker's registry, up to 2.8 at least, forgets
// an upload with a chunk that was cut (measured).
func (u *Upload) resync(ctx context.Context, begin, end int64, cause error) error {
	if begin == 0 {
		u.abandon()
		u.acked = 0
		return u.start(ctx)
	}
	resp, err := u.c.do(ctx, call{
		doing: u.doing(), method: http.MethodGet, repo: u.repo, url: u.location, access: access{push: true},
		ok: []int{http.StatusNoContent, http.StatusOK, http.StatusAccepted}, quick: true,
	})
	var status *statusError
	if errors.As(err, &status) && !temporary(status.status) && !errors.Is(err, ErrDenied) {
		return fmt.Errorf("%s: %w after %d bytes: %w", u.doing(), ErrLost, begin, cause)
	}
	if err != nil {
		return err
	}
	drain(resp)
	u.resumed = true
	return u.confirmed(resp, begin, end, u.acked)
}

// cutFront returns parts without their first n bytes.
func cutFront(parts [][]byte, n int64) [][]byte {
	for n > 0 && len(parts) > 0 {
		if n < int64(len(parts[0])) {
			return append([][]byte{parts[0][n:]}, parts[1:]...)
		}
		n -= int64(len(parts[0]))
		parts = parts[1:]
	}
	return parts
}

// finish sends the last bytes of an upload with its digest. All that the registry has
// not confirmed is in k.
func (u *Upload) finish(ctx context.Context, digest v1.Hash, k *chunk) error {
	begin, end := u.acked, u.acked+total(k.parts)
	for n := 1; ; n++ {
		err := u.put(ctx, digest, k, cutFront(k.parts, u.acked-begin))
		if err == nil {
			return nil
		}
		if begin > 0 {
			err = u.lost(err, end > begin)
		}
		if done, e := u.settled(ctx, digest, n, err); done {
			return e
		}
		if end == begin && begin > 0 {
			continue
		}
		if e := u.resync(ctx, begin, end, err); e != nil {
			return e
		}
	}
}

// lost makes ErrLost of the refusal of a last request of several. Some registries do
// not take the last bytes with the digest: once one refuses, it gets them before.
func (u *Upload) lost(err error, withBytes bool) error {
	var status *statusError
	switch {
	case !errors.As(err, &status) || temporary(status.status) || errors.Is(err, ErrDenied):
		return err
	case u.resumed: // an old request may have added bytes behind our back
	case withBytes:
		u.c.host(u.repo.Registry).emptyPut.Store(true)
	case status.status != http.StatusNotFound:
		return err
	}
	return fmt.Errorf("%s: %w: %w", u.doing(), ErrLost, err)
}

// settled reports whether nothing is left to try after the n-th attempt to commit
// ended with err. A blob can be there although the answer was lost.
func (u *Upload) settled(ctx context.Context, digest v1.Hash, n int, err error) (bool, error) {
	if err == nil || ctx.Err() != nil || n >= attempts || !worthRetrying(err) {
		return true, err
	}
	if e := u.c.wait(ctx, n, err); e != nil {
		return true, e
	}
	there, e := u.c.Has(ctx, u.repo, digest)
	return there || e != nil, e
}

// put closes the upload with the digest, and with what was not sent before.
func (u *Upload) put(ctx context.Context, digest v1.Hash, k *chunk, parts [][]byte) error {
	resp, err := u.c.do(ctx, call{
		doing: u.doing(), method: http.MethodPut, repo: u.repo, url: u.location, query: url.Values{"digest": {digest.String()}},
		header: http.Header{"Content-Type": {"application/octet-stream"}}, body: parts, owner: k,
		access: access{push: true}, ok: []int{http.StatusCreated, http.StatusOK, http.StatusNoContent}, once: true, quick: true,
	})
	if err != nil {
		return err
	}
	drain(resp)
	return nil
}
