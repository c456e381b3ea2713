package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Blob opens a blob. The digest was checked when the blob came.
func (r *Registry) Blob(h v1.Hash) (io.ReadCloser, error) {
	f, err := os.Open(r.file(dirBlobs, h))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the blob %s: %w", h, ErrNotFound)
	}
	return f, err
}

func (r *Registry) hasBlob(h v1.Hash) bool {
	info, err := os.Stat(r.file(dirBlobs, h))
	return err == nil && info.Mode().IsRegular()
}

// serveBlob answers for a blob. All repositories share the blobs: who can name the
// digest has the content.
func (r *Registry) serveBlob(w http.ResponseWriter, rq *request) {
	if rq.Method != http.MethodGet && rq.Method != http.MethodHead {
		unsupported(w, rq)
		return
	}
	h, err := v1.NewHash(rq.target)
	if err != nil {
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "%.200q is no digest", rq.target)
		return
	}
	f, err := os.Open(r.file(dirBlobs, h))
	if errors.Is(err, fs.ErrNotExist) {
		fail(w, http.StatusNotFound, "BLOB_UNKNOWN", "there is no blob %s", h)
		return
	}
	if err != nil {
		broken(w, "reading a blob", err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Docker-Content-Digest", h.String())
	w.Header().Set("Etag", `"`+h.String()+`"`)
	http.ServeContent(w, rq.Request, "", time.Time{}, f)
}

// collect removes the blobs that came long ago for a manifest that never did.
func (r *Registry) collect() error {
	used, err := r.references()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(r.path(dirBlobs, "sha256"))
	if err != nil {
		return fmt.Errorf("reading the blobs of the embedded cloud: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && !used[e.Name()] && r.now().Sub(info.ModTime()) > strayLife {
			_ = os.Remove(r.path(dirBlobs, "sha256", e.Name())) // else the next time
		}
	}
	return nil
}

// references returns the blobs that manifests name, by their SHA-256.
func (r *Registry) references() (map[string]bool, error) {
	used := map[string]bool{}
	for _, repo := range r.repos {
		for _, m := range repo.Manifests {
			var doc document
			raw, err := os.ReadFile(r.file(dirManifests, m.Digest))
			if err == nil {
				err = json.Unmarshal(raw, &doc)
			}
			if err != nil {
				return nil, fmt.Errorf("reading the manifest %s: %w", m.Digest, err)
			}
			for _, d := range slices.Concat(doc.Layers, doc.Manifests) {
				used[d.Digest.Hex] = true
			}
			if doc.Config != nil {
				used[doc.Config.Digest.Hex] = true
			}
		}
	}
	return used, nil
}
