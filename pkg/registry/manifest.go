package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxManifest bounds a manifest, in bytes (OCI distribution-spec: registries take at
// least 4 MiB).
const maxManifest = 4 << 20

// manifestTypes are the manifests that are read.
var manifestTypes = strings.Join([]string{
	string(types.OCIImageIndex), string(types.DockerManifestList),
	string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
}, ", ")

// Resolve returns the digest, media type and size of the manifest that a reference
// means now, without reading it where the registry tells. The error is ErrNotFound
// when it is not there.
func (c *Client) Resolve(ctx context.Context, ref name.Reference) (v1.Descriptor, error) {
	resp, err := c.do(ctx, call{
		doing: "asking for " + ref.Name(), method: http.MethodHead, repo: ref.Context(), path: "manifests/" + ref.Identifier(),
		header: http.Header{"Accept": {manifestTypes}}, ok: []int{http.StatusOK}, quick: true,
	})
	if err != nil {
		return v1.Descriptor{}, err
	}
	drain(resp)
	digest, err := v1.NewHash(resp.Header.Get("Docker-Content-Digest"))
	if want, ok := ref.(name.Digest); ok {
		digest, err = v1.NewHash(want.DigestStr())
	}
	if err != nil || resp.ContentLength <= 0 || digest.Algorithm != "sha256" {
		_, d, err := c.GetRaw(ctx, ref) // an old registry: the manifest itself tells
		return d, err
	}
	return v1.Descriptor{MediaType: mediaType(resp.Header, nil), Size: resp.ContentLength, Digest: digest}, nil
}

// GetRaw returns the manifest of a reference as it is, and its descriptor; the digest
// is verified. The error is ErrNotFound when it is not there.
func (c *Client) GetRaw(ctx context.Context, ref name.Reference) ([]byte, v1.Descriptor, error) {
	q := call{
		doing: "reading the manifest of " + ref.Name(), method: http.MethodGet, repo: ref.Context(), path: "manifests/" + ref.Identifier(),
		header: http.Header{"Accept": {manifestTypes}}, ok: []int{http.StatusOK}, quick: true,
	}
	var raw []byte
	var header http.Header
	err := c.retry(ctx, func() error {
		q := q
		q.once = true
		resp, err := c.do(ctx, q)
		if err != nil {
			return err
		}
		defer drain(resp)
		header = resp.Header
		raw, err = readAll(resp.Body, maxManifest)
		return err
	})
	if err != nil {
		return nil, v1.Descriptor{}, wrap(q.doing, err)
	}
	d, err := describe(ref, header, raw)
	if err != nil {
		return nil, v1.Descriptor{}, wrap(q.doing, err)
	}
	return raw, d, nil
}

// describe returns the descriptor of a manifest; what the reference or the header
// promise must hold.
func describe(ref name.Reference, header http.Header, raw []byte) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return v1.Descriptor{}, err
	}
	promised := header.Get("Docker-Content-Digest")
	if want, ok := ref.(name.Digest); ok {
		promised = want.DigestStr()
	}
	if strings.HasPrefix(promised, "sha256:") && promised != digest.String() {
		return v1.Descriptor{}, hostile("the digest of the manifest is %s, not %s", digest, promised)
	}
	return v1.Descriptor{MediaType: mediaType(header, raw), Size: size, Digest: digest}, nil
}

// mediaType returns the type of a manifest: what it says itself, else the header.
func mediaType(header http.Header, raw []byte) types.MediaType {
	var self struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	if decode(raw, &self) == nil && self.MediaType != "" {
		return self.MediaType
	}
	media, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return types.MediaType(strings.TrimSpace(media))
}

// PutManifest puts a manifest under a tag or a digest and returns its descriptor.
func (c *Client) PutManifest(ctx context.Context, ref name.Reference, media types.MediaType, raw []byte) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return v1.Descriptor{}, err
	}
	doing := "putting the manifest " + ref.Name()
	if want, ok := ref.(name.Digest); ok && want.DigestStr() != digest.String() {
		return v1.Descriptor{}, fmt.Errorf("%s: its digest is %s", doing, digest)
	}
	resp, err := c.do(ctx, call{
		doing: doing, method: http.MethodPut, repo: ref.Context(), path: "manifests/" + ref.Identifier(),
		header: http.Header{"Content-Type": {string(media)}}, body: [][]byte{raw}, access: access{push: true},
		ok: []int{http.StatusCreated, http.StatusOK, http.StatusAccepted}, quick: true,
	})
	if err != nil {
		return v1.Descriptor{}, err
	}
	drain(resp)
	if got := resp.Header.Get("Docker-Content-Digest"); strings.HasPrefix(got, "sha256:") && got != digest.String() {
		return v1.Descriptor{}, wrap(doing, hostile("the registry stored %s instead of %s", got, digest))
	}
	return v1.Descriptor{MediaType: media, Size: size, Digest: digest}, nil
}

// Has reports whether a repository holds a blob.
func (c *Client) Has(ctx context.Context, repo name.Repository, digest v1.Hash) (bool, error) {
	resp, err := c.do(ctx, call{
		doing: fmt.Sprintf("asking for %s in %s", digest, repo), method: http.MethodHead, repo: repo, path: "blobs/" + digest.String(),
		ok: []int{http.StatusOK}, quick: true,
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	drain(resp)
	return true, nil
}

// readAll reads what has at most limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, hostile("it is larger than %s bytes", strconv.FormatInt(limit, 10))
	}
	return data, nil
}

// wrap adds what was being done, unless err says so.
func wrap(doing string, err error) error {
	if strings.HasPrefix(err.Error(), doing) {
		return err
	}
	return fmt.Errorf("%s: %w", doing, shown(err))
}
