package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxCuts is how often the transfer of one blob may be cut, whatever it brought.
const maxCuts = 100

// Blob streams a blob. The last Read returns io.EOF only when the size and the digest
// are those of the descriptor. A connection that is cut, or brings nothing for
// Config.Stall, is taken up again where it ended. Close ends the transfer at any time.
func (c *Client) Blob(ctx context.Context, repo name.Repository, d v1.Descriptor) (io.ReadCloser, error) {
	doing := fmt.Sprintf("reading %s of %s", d.Digest, repo)
	if d.Size < 0 || !isDigest(d.Digest) {
		return nil, wrap(doing, hostile("the descriptor is malformed"))
	}
	b := &blob{c: c, ctx: ctx, repo: repo, d: d, doing: doing, hash: sha256.New()}
	if err := b.open(); err != nil {
		return nil, err
	}
	return b, nil
}

// blob is the transfer of one blob. It holds the context of its caller, as its Read
// makes requests.
type blob struct {
	c     *Client
	ctx   context.Context
	repo  name.Repository
	d     v1.Descriptor
	doing string

	hash   hash.Hash
	offset int64 // bytes returned
	cuts   int   // in all
	idle   int   // cuts since the last byte
	err    error // what Read returns from now on

	body  io.ReadCloser
	stall *time.Timer
	end   context.CancelFunc
}

// open asks for the blob from b.offset on.
func (b *blob) open() error {
	ctx, cancel := context.WithCancel(b.ctx)
	header := http.Header{}
	if b.offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", b.offset))
	}
	resp, err := b.c.do(ctx, call{
		doing: b.doing, method: http.MethodGet, repo: b.repo, path: "blobs/" + b.d.Digest.String(),
		header: header, ok: []int{http.StatusOK, http.StatusPartialContent},
	})
	if err != nil {
		cancel()
		return err
	}
	b.body, b.end = resp.Body, cancel
	b.stall = time.AfterFunc(b.c.cfg.Stall, cancel)
	if err = b.begin(resp); err != nil {
		b.release()
	}
	return err
}

// begin checks where the body of an answer begins, and skips what is there already.
func (b *blob) begin(resp *http.Response) error {
	left := b.d.Size - b.offset
	if resp.StatusCode == http.StatusPartialContent {
		var first int64
		if _, err := fmt.Sscanf(strings.ToLower(resp.Header.Get("Content-Range")), "bytes %d-", &first); err != nil || first != b.offset {
			return wrap(b.doing, hostile("it was asked from byte %d on and gave %q", b.offset, clean(resp.Header.Get("Content-Range"))))
		}
	} else {
		left = b.d.Size
	}
	if resp.ContentLength >= 0 && resp.ContentLength != left {
		return wrap(b.doing, hostile("its size is %d bytes, not %d", resp.ContentLength+b.d.Size-left, b.d.Size))
	}
	if resp.StatusCode == http.StatusPartialContent {
		return nil
	}
	for skipped := int64(0); skipped < b.offset; {
		n, err := io.CopyN(io.Discard, b.body, min(1<<20, b.offset-skipped))
		skipped += n
		if err != nil {
			return &cutError{err}
		}
		b.stall.Reset(b.c.cfg.Stall)
	}
	return nil
}

// cutError is that of a connection that ended too early.
type cutError struct{ error }

// Read implements io.Reader.
func (b *blob) Read(p []byte) (int, error) {
	for b.err == nil {
		if b.body == nil {
			b.err = b.reopen()
			continue
		}
		if len(p) == 0 {
			return 0, nil
		}
		n, err := b.body.Read(p)
		if n > 0 {
			b.stall.Reset(b.c.cfg.Stall)
			b.take(p[:n])
		}
		if b.err == nil && err != nil {
			b.ended(err)
		}
		if n > 0 {
			return n, b.final(n)
		}
	}
	return 0, b.err
}

// final returns the error that goes with n bytes: none, unless they are not to be
// trusted.
func (b *blob) final(int) error {
	if b.err != nil && !errors.Is(b.err, io.EOF) {
		return b.err
	}
	return nil
}

// take counts and hashes bytes.
func (b *blob) take(p []byte) {
	b.offset += int64(len(p))
	b.idle = 0
	if b.offset > b.d.Size {
		b.fail(hostile("it has more than %d bytes", b.d.Size))
		return
	}
	b.hash.Write(p)
}

// ended handles the end of one answer.
func (b *blob) ended(err error) {
	switch {
	case b.offset == b.d.Size: // however it ended: the digest decides
		b.release()
		if got := hex.EncodeToString(b.hash.Sum(nil)); got != b.d.Digest.Hex {
			b.fail(hostile("its digest is sha256:%s", got))
			return
		}
		b.err = io.EOF
	case b.ctx.Err() != nil:
		b.fail(b.ctx.Err())
	default:
		b.cut(err)
	}
}

// cut lets go of an answer that ended too early.
func (b *blob) cut(err error) {
	b.release()
	b.cuts++
	b.idle++
	if b.cuts >= maxCuts || b.idle >= attempts {
		b.fail(fmt.Errorf("the connection was cut after %d of %d bytes: %w", b.offset, b.d.Size, shown(err)))
	}
}

// reopen waits a little and asks for the rest.
func (b *blob) reopen() error {
	if err := b.c.wait(b.ctx, max(1, b.idle), io.ErrUnexpectedEOF); err != nil {
		return wrap(b.doing, err)
	}
	err := b.open()
	var cut *cutError
	if errors.As(err, &cut) {
		b.cut(cut.error)
		return b.err
	}
	return err
}

func (b *blob) fail(err error) {
	b.release()
	b.err = wrap(b.doing, err)
}

// release lets go of the answer that is being read.
func (b *blob) release() {
	if b.body == nil {
		return
	}
	b.stall.Stop()
	_ = b.body.Close()
	b.end()
	b.body = nil
}

// Close implements io.Closer.
func (b *blob) Close() error {
	b.release()
	if b.err == nil {
		b.err = errors.New("reading a blob that was closed")
	}
	return nil
}
