package registry

import (
	"context"
	"errors"
	"io"
	"net/url"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	pieceSize = 1 << 20 // bytes of one buffer
	chunkSize = 4       // pieces that are sent at once; a blob of no more goes in one request
	aheadSize = 2       // pieces that are filled beside those that are being sent
	// maxMinChunk is the largest OCI-Chunk-Min-Length that is honoured, in bytes.
	maxMinChunk = 32 << 20
)

// Upload is the upload of one blob whose size and digest need not be known yet. Write
// fills buffers while a chunk is being sent; what the registry has not confirmed is
// kept (4 MiB, unless the registry wants larger chunks), so that a cut is mended by
// sending it again. With what is filled meanwhile an upload holds 6 MiB at most.
//
// An Upload is for one goroutine. It holds the context of its caller, as an
// io.Writer must.
type Upload struct {
	c    *Client
	ctx  context.Context
	repo name.Repository

	location *url.URL // nil until the registry was asked
	minimum  int64    // bytes that the registry wants in a chunk
	acked    int64    // bytes that the registry has confirmed
	pending  [][]byte // full pieces that are not being sent
	current  []byte   // the piece that Write fills
	sending  chan error
	resumed  bool // a cut was mended in the middle
	err      error
	done     bool
}

// Upload begins an upload to a repository. Nothing is asked of the registry before
// there is more than the buffers hold, or Commit.
func (c *Client) Upload(ctx context.Context, repo name.Repository) (*Upload, error) {
	return &Upload{c: c, ctx: ctx, repo: repo}, ctx.Err()
}

// Send uploads the blob that produce writes, and returns its digest as produce tells.
// When the registry loses the upload, produce is called again, up to twice.
func (c *Client) Send(ctx context.Context, repo name.Repository, produce func(w io.Writer) (v1.Hash, error)) (v1.Hash, error) {
	for n := 1; ; n++ {
		digest, err := c.sendOnce(ctx, repo, produce)
		if err == nil || n == 3 || !errors.Is(err, ErrLost) {
			return digest, err
		}
	}
}

func (c *Client) sendOnce(ctx context.Context, repo name.Repository, produce func(w io.Writer) (v1.Hash, error)) (v1.Hash, error) {
	u, err := c.Upload(ctx, repo)
	if err != nil {
		return v1.Hash{}, err
	}
	defer u.Cancel()
	digest, err := produce(u)
	if err != nil {
		return v1.Hash{}, err
	}
	return digest, u.Commit(ctx, digest)
}

// Write implements io.Writer. Its error may be that of bytes written before.
func (u *Upload) Write(p []byte) (int, error) {
	if u.done && u.err == nil {
		return 0, errors.New("writing to an upload that has ended")
	}
	written := 0
	for len(p) > 0 && u.err == nil {
		if u.current == nil {
			u.current = (*u.c.pieces.Get().(*[]byte))[:0]
		}
		n := copy(u.current[len(u.current):pieceSize], p)
		u.current = u.current[:len(u.current)+n]
		written, p = written+n, p[n:]
		if len(u.current) == pieceSize && len(p) > 0 {
			u.err = u.handOff()
		}
	}
	return written, u.err
}

// handOff puts the full piece with the pending ones, and sends them when there are
// enough.
func (u *Upload) handOff() error {
	u.pending, u.current = append(u.pending, u.current), nil
	if u.sending != nil && len(u.pending) >= aheadSize {
		if err := u.wait(); err != nil {
			return err
		}
	}
	if len(u.pending) < chunkSize || total(u.pending) < u.minimum {
		return nil
	}
	if u.location == nil {
		if err := u.start(u.ctx); err != nil || total(u.pending) < u.minimum {
			return err
		}
	}
	if err := u.wait(); err != nil {
		return err
	}
	k := u.c.newChunk(u.pending)
	u.pending = nil
	u.sending = make(chan error, 1)
	go func(sending chan<- error) {
		err := u.patch(u.ctx, k)
		k.release()
		sending <- err
	}(u.sending)
	return nil
}

// wait waits for the chunk that is being sent.
func (u *Upload) wait() error {
	if u.sending == nil {
		return nil
	}
	err := <-u.sending
	u.sending = nil
	return err
}

func (u *Upload) doing() string { return "uploading to " + u.repo.Name() }

// Commit sends what is left and makes the blob of it. The registry checks the digest.
// ErrLost is in the error when the blob has to be written again.
func (u *Upload) Commit(ctx context.Context, digest v1.Hash) error {
	if u.done && u.err == nil {
		return errors.New("committing an upload that has ended")
	}
	if u.err == nil {
		u.err = u.commit(ctx, digest)
	}
	if u.err == nil {
		u.done = true
	}
	return u.err
}

func (u *Upload) commit(ctx context.Context, digest v1.Hash) error {
	if err := u.wait(); err != nil {
		return err
	}
	rest := u.pending
	if len(u.current) > 0 {
		rest = append(rest, u.current)
	}
	u.pending, u.current = nil, nil
	k := u.c.newChunk(rest)
	defer k.release()
	if u.location == nil {
		if err := u.start(ctx); err != nil {
			return err
		}
	}
	if u.acked > 0 && len(rest) > 0 && u.c.host(u.repo.Registry).emptyPut.Load() {
		if err := u.patch(ctx, k); err != nil {
			return err
		}
		return u.finish(ctx, digest, &chunk{})
	}
	return u.finish(ctx, digest, k)
}

// Cancel ends an upload that is not committed; after Commit it does nothing.
func (u *Upload) Cancel() {
	if u.done {
		return
	}
	u.done = true
	if u.err == nil {
		u.err = errors.New("the upload was cancelled")
	}
	_ = u.wait()
	if u.location != nil {
		u.abandon()
	}
}

// abandon tells the registry to forget the upload, whatever it answers: it is
// politeness, and works also when the context of the caller has ended.
func (u *Upload) abandon() { u.c.abandon(u.ctx, u.repo, u.location) }
