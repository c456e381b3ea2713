package registry

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// chunk is bytes that are being uploaded. The transport may go on reading the body of
// a request after an early answer, so that the buffers go back to their pool only when
// the upload and all bodies have let go of them.
type chunk struct {
	parts [][]byte // each a piece of the pool
	pool  *sync.Pool
	refs  atomic.Int32
}

// newChunk returns a chunk that its maker holds.
func (c *Client) newChunk(parts [][]byte) *chunk {
	k := &chunk{parts: parts, pool: &c.pieces}
	k.refs.Store(1)
	return k
}

// release lets go of the chunk once.
func (k *chunk) release() {
	if k.refs.Add(-1) != 0 {
		return
	}
	for _, p := range k.parts {
		p = p[:pieceSize]
		k.pool.Put(&p)
	}
}

// setBody gives a request a body of parts that can be sent again. Each body holds the
// owner of the parts, if there is one, until the transport closes it.
func setBody(req *http.Request, parts [][]byte, owner *chunk) {
	open := func() (io.ReadCloser, error) {
		readers := make([]io.Reader, len(parts))
		for i, p := range parts {
			readers[i] = bytes.NewReader(p)
		}
		b := &body{Reader: io.MultiReader(readers...), done: func() {}}
		if owner != nil {
			owner.refs.Add(1)
			b.done = sync.OnceFunc(owner.release)
		}
		return b, nil
	}
	req.ContentLength = total(parts)
	if req.ContentLength == 0 {
		req.Body = http.NoBody
		return
	}
	req.GetBody = open
	req.Body, _ = open()
}

func total(parts [][]byte) (n int64) {
	for _, p := range parts {
		n += int64(len(p))
	}
	return n
}

// body is the body of a request.
type body struct {
	io.Reader
	done func()
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.done()
	return nil
}
