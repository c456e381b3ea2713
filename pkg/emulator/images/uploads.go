package images

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// upload is a blob on its way to disk. Who holds busy may use the rest.
type upload struct {
	id, repo string
	busy     chan struct{} // of one element: one request at a time
	used     time.Time     // guarded by Registry.uploading

	file *os.File // nil once the upload has ended
	hash hash.Hash
	size int64
}

var errUploadUnknown = errors.New("there is no such upload; begin a new one")

// begin makes an upload.
func (r *Registry) begin(repo string) (*upload, error) {
	f, err := os.CreateTemp(r.path(dirUploads), "upload-")
	if err != nil {
		return nil, err
	}
	u := &upload{id: rand.Text(), repo: repo, busy: make(chan struct{}, 1), file: f, hash: sha256.New()}
	r.uploading.Lock()
	defer r.uploading.Unlock()
	u.used = r.now()
	r.clean()
	r.uploads[u.id] = u
	return u, nil
}

// clean ends the uploads of which nothing was heard for long, and when there are too
// many the one that waits longest. The caller holds uploading.
func (r *Registry) clean() {
	waiting := slices.SortedFunc(maps.Values(r.uploads), func(a, b *upload) int { return a.used.Compare(b.used) })
	for _, u := range waiting {
		if len(r.uploads) < maxUploads && r.now().Sub(u.used) < uploadLife {
			return
		}
		select {
		case u.busy <- struct{}{}:
			u.discard()
			delete(r.uploads, u.id)
			<-u.busy
		default: // it is at work
		}
	}
}

// take waits until an upload is the caller's alone, who gives it back.
func (r *Registry) take(ctx context.Context, repo, id string) (*upload, error) {
	r.uploading.Lock()
	u := r.uploads[id]
	if u != nil {
		u.used = r.now()
	}
	r.uploading.Unlock()
	if u == nil || u.repo != repo {
		return nil, errUploadUnknown
	}
	select {
	case u.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if u.file == nil {
		<-u.busy
		return nil, errUploadUnknown
	}
	return u, nil
}

// give gives an upload back; one that has ended is forgotten.
func (r *Registry) give(u *upload) {
	if u.file == nil {
		r.uploading.Lock()
		delete(r.uploads, u.id)
		r.uploading.Unlock()
	}
	<-u.busy
}

// discard ends an upload and leaves nothing of it.
func (u *upload) discard() {
	if u.file != nil {
		_ = u.file.Close()
		_ = os.Remove(u.file.Name())
		u.file = nil
	}
}

var errBlobSize = fmt.Errorf("a blob has at most %d bytes", int64(maxBlob))

// readError is a body that ended early: what came of it is kept.
type readError struct{ error }

// append adds a body. Only what is in the file counts, so that the client can go on
// from there after the loss of a connection.
func (u *upload) append(body io.Reader) error {
	buf := make([]byte, 128<<10)
	for {
		n, err := body.Read(buf)
		if u.size+int64(n) > maxBlob {
			return errBlobSize
		}
		if _, err := u.file.Write(buf[:n]); err != nil {
			return err
		}
		u.hash.Write(buf[:n])
		u.size += int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return readError{err}
		}
	}
}

var errDigest = errors.New("the digest does not match")

// commit makes the upload a blob.
func (r *Registry) commit(u *upload, want v1.Hash) error {
	if got := hex.EncodeToString(u.hash.Sum(nil)); want.Algorithm != "sha256" || got != want.Hex {
		return fmt.Errorf("%w: the content has sha256:%s", errDigest, got)
	}
	if err := u.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(u.file.Name(), r.file(dirBlobs, want)); err != nil {
		return err
	}
	err := u.file.Close()
	u.file = nil
	return err
}

// serveUpload answers the requests by which blobs come.
func (r *Registry) serveUpload(w http.ResponseWriter, rq *request) {
	if rq.target == "" {
		if rq.Method != http.MethodPost {
			unsupported(w, rq)
			return
		}
		r.startUpload(w, rq)
		return
	}
	handle := map[string]func(http.ResponseWriter, *request, *upload){
		http.MethodGet: r.tellUpload, http.MethodPatch: r.continueUpload,
		http.MethodPut: r.endUpload, http.MethodDelete: r.cancelUpload,
	}[rq.Method]
	if handle == nil {
		unsupported(w, rq)
		return
	}
	u, err := r.take(rq.Context(), rq.repo, rq.target)
	if err != nil {
		fail(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "%v", err)
		return
	}
	defer r.give(u)
	handle(w, rq, u)
}

// startUpload begins an upload, or finishes it at once: with a blob that is there
// already (mount), or with the whole content (digest).
func (r *Registry) startUpload(w http.ResponseWriter, rq *request) {
	query := rq.URL.Query()
	if h, err := v1.NewHash(query.Get("mount")); err == nil && r.hasBlob(h) {
		created(w, rq, h)
		return
	}
	u, err := r.begin(rq.repo)
	if err != nil {
		broken(w, "beginning an upload", err)
		return
	}
	if query.Get("digest") == "" {
		u.tell(w, rq, http.StatusAccepted)
		return
	}
	u.busy <- struct{}{}
	defer r.give(u)
	defer u.discard()
	r.endUpload(w, rq, u)
}

func (r *Registry) tellUpload(w http.ResponseWriter, rq *request, u *upload) {
	u.tell(w, rq, http.StatusNoContent)
}

func (r *Registry) cancelUpload(w http.ResponseWriter, _ *request, u *upload) {
	u.discard()
	w.WriteHeader(http.StatusNoContent)
}

func (r *Registry) continueUpload(w http.ResponseWriter, rq *request, u *upload) {
	if r.extend(w, rq, u) {
		u.tell(w, rq, http.StatusAccepted)
	}
}

func (r *Registry) endUpload(w http.ResponseWriter, rq *request, u *upload) {
	h, err := v1.NewHash(rq.URL.Query().Get("digest"))
	if err != nil {
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "the upload needs its digest")
		return
	}
	if !r.extend(w, rq, u) {
		return
	}
	err = r.commit(u, h)
	if err != nil {
		u.discard()
	}
	switch {
	case errors.Is(err, errDigest):
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "%v", err)
	case err != nil:
		broken(w, "storing a blob", err)
	default:
		created(w, rq, h)
	}
}

// extend adds the body of a request, and answers when it cannot.
func (r *Registry) extend(w http.ResponseWriter, rq *request, u *upload) bool {
	if from := rq.Header.Get("Content-Range"); from != "" {
		var start, end int64
		if _, err := fmt.Sscanf(from, "%d-%d", &start, &end); err != nil || start != u.size || end < start-1 {
			u.tell(w, rq, http.StatusRequestedRangeNotSatisfiable)
			return false
		}
	}
	err := u.append(rq.Body)
	if err == nil {
		return true
	}
	if lost, ok := errors.AsType[readError](err); ok {
		fail(w, http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "the content ended early: %v", lost.error)
		return false
	}
	u.discard() // the file may hold more than was counted
	if errors.Is(err, errBlobSize) {
		fail(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID", "%v", err)
		return false
	}
	broken(w, "storing a blob", err)
	return false
}

// tell says where the upload goes on and what came of it so far.
func (u *upload) tell(w http.ResponseWriter, rq *request, status int) {
	w.Header().Set("Location", "/v2/"+rq.asked+"/blobs/uploads/"+u.id)
	w.Header().Set("Docker-Upload-Uuid", u.id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(0, u.size-1)))
	w.WriteHeader(status)
}

func created(w http.ResponseWriter, rq *request, h v1.Hash) {
	w.Header().Set("Location", "/v2/"+rq.asked+"/blobs/"+h.String())
	w.Header().Set("Docker-Content-Digest", h.String())
	w.WriteHeader(http.StatusCreated)
}
