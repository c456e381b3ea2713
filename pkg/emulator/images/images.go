// Package images is the OCI registry of the embedded cloud: the distribution API
// below /v2/ over a folder, without authentication.
//
// The handler of go-containerregistry answers for manifests, tags, the catalogue and
// referrers; it keeps them in memory, so this package writes every manifest to disk
// before it is acknowledged and hands all back when the folder is opened again. Blobs
// are this package's own: that handler holds uploads in memory whole, forgets them
// when a connection breaks, and reads one form of ranges only.
//
// Nothing that was acknowledged is lost by a crash: blobs and documents are written
// beside their place, synced and renamed. Uploads under way are lost. Blobs that no
// manifest names are removed a day after they came. There is no deletion: repositories
// only grow, as with the registries that it stands in for; delete the state folder.
//
// The package knows HTTP and files, nothing of functions.
package images

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Limits.
const (
	maxManifest = 4 << 20  // bytes, as registries commonly have it
	maxBlob     = 10 << 30 // bytes; images of functions are at most 10 GB
	maxUploads  = 256      // under way at the same time; the one that waits longest gives way
	maxName     = 255      // bytes of a repository's name
	maxTag      = 128      // characters of a tag (OCI distribution-spec)

	uploadLife = time.Hour      // of an upload of which nothing is heard
	strayLife  = 24 * time.Hour // of a blob that no manifest names
)

// Folders below Config.Dir.
const (
	dirBlobs     = "blobs"        // by digest: blobs/sha256/…
	dirManifests = "manifests"    // likewise
	dirRepos     = "repositories" // one JSON file for each repository
	dirUploads   = "uploads"      // emptied when the registry is opened
)

// ErrNotFound is what lookups return for what is not there.
var ErrNotFound = errors.New("it is not in the registry of the embedded cloud")

// Config is what a Registry is made of.
type Config struct {
	Dir string           // created when it is missing; belongs to one process
	Now func() time.Time // time.Now when nil
}

// Registry is an OCI registry over a folder. It is safe for concurrent use.
type Registry struct {
	dir     string
	now     func() time.Time
	answers http.Handler // for manifests, tags, the catalogue and referrers

	mu    sync.RWMutex // guards repos and their documents
	repos map[string]*repository

	uploading sync.Mutex // guards uploads
	uploads   map[string]*upload
}

// Open loads the registry of a folder.
func Open(cfg Config) (*Registry, error) {
	r := &Registry{
		dir: cfg.Dir, now: cfg.Now,
		answers: registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)),
		repos:   map[string]*repository{},
		uploads: map[string]*upload{},
	}
	if r.now == nil {
		r.now = time.Now
	}
	if err := os.RemoveAll(r.path(dirUploads)); err != nil {
		return nil, fmt.Errorf("clearing unfinished uploads of images: %w", err)
	}
	for _, sub := range []string{dirBlobs + "/sha256", dirManifests + "/sha256", dirRepos, dirUploads} {
		if err := os.MkdirAll(r.path(sub), 0o700); err != nil {
			return nil, fmt.Errorf("creating the folder for images: %w", err)
		}
	}
	if err := r.load(); err != nil {
		return nil, err
	}
	if err := r.collect(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Registry) path(elem ...string) string {
	return filepath.Join(append([]string{r.dir}, elem...)...)
}

// file is the place of what has a digest.
func (r *Registry) file(sub string, h v1.Hash) string { return r.path(sub, h.Algorithm, h.Hex) }

var (
	repositoryName = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagName        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]*$`) // see maxTag
)

// request is one request with the parts of its path.
type request struct {
	*http.Request
	asked  string // the repository as the client names it
	repo   string // the repository, with the prefix of the handler
	kind   string // manifests, blobs, blobs/uploads, tags or referrers; "" for the registry itself
	target string // tag, digest, or id of an upload; of the registry itself the rest of the path
}

// ServeHTTP answers a request of the distribution API, whose path begins with /v2.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.serve(w, req, "") }

// Below returns a handler like ServeHTTP that puts a prefix and a slash before the
// name of every repository.
func (r *Registry) Below(prefix string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.serve(w, req, prefix+"/") })
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request, prefix string) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	path := strings.Trim(strings.TrimPrefix(req.URL.Path, "/v2"), "/")
	rq := parse(path)
	rq.Request, rq.repo = req, prefix+rq.asked
	switch {
	case path == "" || path == "_catalog":
		r.readOnly(w, rq)
	case rq.kind == "":
		fail(w, http.StatusNotFound, "UNSUPPORTED", "the registry of the embedded cloud has no %.20s %.200s", req.Method, req.URL.Path)
	case len(rq.repo) > maxName || !repositoryName.MatchString(rq.repo):
		fail(w, http.StatusBadRequest, "NAME_INVALID", "%.300q is not the name of a repository", rq.asked)
	case rq.kind == "blobs/uploads":
		r.serveUpload(w, rq)
	case rq.kind == "blobs":
		r.serveBlob(w, rq)
	case rq.kind == "manifests":
		r.serveManifest(w, rq)
	default:
		r.readOnly(w, rq)
	}
}

// parse tells by the end of a path what is asked for: the name of the repository
// before it can hold any word.
func parse(path string) *request {
	segments := strings.Split(path, "/")
	last := func(i int) string { return segments[max(0, len(segments)-i)] }
	cut := func(count int, kind, target string) *request {
		return &request{asked: strings.Join(segments[:max(0, len(segments)-count)], "/"), kind: kind, target: target}
	}
	switch {
	case last(2) == "blobs" && last(1) == "uploads":
		return cut(2, "blobs/uploads", "")
	case last(3) == "blobs" && last(2) == "uploads":
		return cut(3, "blobs/uploads", last(1))
	case last(2) == "blobs", last(2) == "manifests", last(2) == "referrers", last(2) == "tags" && last(1) == "list":
		return cut(2, last(2), last(1))
	}
	return &request{target: path}
}

// pass lets go-containerregistry's handler answer.
func (r *Registry) pass(w http.ResponseWriter, rq *request) {
	path := rq.target
	if rq.kind != "" {
		path = rq.repo + "/" + rq.kind + "/" + rq.target
	}
	inner := *rq.URL
	inner.Path, inner.RawPath = "/v2/"+path, ""
	req := rq.Clone(rq.Context())
	req.URL = &inner
	r.answers.ServeHTTP(w, req)
}

// readOnly lets through what asks, and counts sensibly.
func (r *Registry) readOnly(w http.ResponseWriter, rq *request) {
	if rq.Method != http.MethodGet && rq.Method != http.MethodHead {
		unsupported(w, rq)
		return
	}
	if n := rq.URL.Query().Get("n"); n != "" && !smallNumber.MatchString(n) {
		fail(w, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "n must be a number of entries")
		return
	}
	r.pass(w, rq)
}

var smallNumber = regexp.MustCompile(`^[0-9]{1,9}$`)
