package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// CheckPush reports whether the credentials allow to push to a repository: it begins
// an upload and cancels it. A refusal is ErrDenied, a diag.Problem with what to do.
func (c *Client) CheckPush(ctx context.Context, repo name.Repository) error {
	location, _, err := c.begin(ctx, repo, "checking the right to push to "+repo.Name())
	if err != nil {
		return err
	}
	c.abandon(ctx, repo, location)
	return nil
}

// abandon cancels an upload session; nothing depends on its success.
func (c *Client) abandon(ctx context.Context, repo name.Repository, location *url.URL) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	resp, err := c.do(ctx, call{
		doing: "cancelling an upload", method: http.MethodDelete, repo: repo, url: location, access: access{push: true},
		ok: []int{http.StatusNoContent, http.StatusOK, http.StatusAccepted}, once: true,
	})
	if err == nil {
		drain(resp)
	}
}

// Mount makes a blob of another repository of the same registry one of repo. It
// returns false when the registry does not do that: the blob must be copied then.
func (c *Client) Mount(ctx context.Context, repo name.Repository, digest v1.Hash, from name.Repository) (bool, error) {
	location, _, err := c.mount(ctx, repo, digest, from)
	if err != nil || location == nil {
		return err == nil && repo.RegistryStr() == from.RegistryStr(), err
	}
	c.abandon(ctx, repo, location)
	return false, nil
}

// mount asks for a mount. A registry that does not mount opens an upload instead,
// whose place is returned.
func (c *Client) mount(ctx context.Context, repo name.Repository, digest v1.Hash, from name.Repository) (*url.URL, int64, error) {
	if repo.RegistryStr() != from.RegistryStr() {
		return nil, 0, nil
	}
	doing := fmt.Sprintf("mounting %s from %s in %s", digest, from.RepositoryStr(), repo)
	resp, err := c.do(ctx, call{
		doing: doing, method: http.MethodPost, repo: repo, path: "blobs/uploads/", body: [][]byte{},
		query:  url.Values{"mount": {digest.String()}, "from": {from.RepositoryStr()}},
		access: access{push: true, from: &from}, ok: []int{http.StatusCreated, http.StatusAccepted}, quick: true,
	})
	if err != nil {
		return nil, 0, err
	}
	drain(resp)
	if resp.StatusCode == http.StatusCreated {
		return nil, 0, nil
	}
	return c.opened(repo, resp, doing)
}

// Copy makes a blob of one repository a blob of another one: by mounting it within a
// registry, else, when it is not there yet, by streaming it.
func (c *Client) Copy(ctx context.Context, from, to name.Repository, d v1.Descriptor) error {
	if from.Name() == to.Name() {
		return nil
	}
	var opened *url.URL
	var minimum int64
	if from.RegistryStr() == to.RegistryStr() {
		location, m, err := c.mount(ctx, to, d.Digest, from)
		if err == nil && location == nil {
			return nil
		}
		if err != nil && ctx.Err() != nil {
			return err
		}
		opened, minimum = location, m // after an error: a plain upload may be allowed
	}
	there, err := c.Has(ctx, to, d.Digest)
	if err == nil && !there {
		return c.stream(ctx, from, to, d, opened, minimum)
	}
	if opened != nil {
		c.abandon(ctx, to, opened)
	}
	return err
}

// stream copies a blob through this machine; opened is an upload that is open
// already, or nil.
func (c *Client) stream(ctx context.Context, from, to name.Repository, d v1.Descriptor, opened *url.URL, minimum int64) error {
	for n := 1; ; n++ {
		err := c.streamOnce(ctx, from, to, d, &Upload{c: c, ctx: ctx, repo: to, location: opened, minimum: minimum})
		if err == nil || n == 3 || !errors.Is(err, ErrLost) {
			return err
		}
		opened = nil
	}
}

func (c *Client) streamOnce(ctx context.Context, from, to name.Repository, d v1.Descriptor, u *Upload) error {
	defer u.Cancel()
	r, err := c.Blob(ctx, from, d)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{u}, r, make([]byte, 128<<10)); err != nil {
		return wrap(fmt.Sprintf("copying %s from %s to %s", d.Digest, from, to), err)
	}
	return u.Commit(ctx, d.Digest)
}
