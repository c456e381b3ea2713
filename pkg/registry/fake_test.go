package registry_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// fake is a registry that does what the OCI distribution specification says and no
// more: it keeps what came of a chunk that was cut, tells where an upload is, and
// refuses chunks that are out of step.
type fake struct {
	host     string // set when it serves
	minChunk int64
	// emptyPut makes it refuse bytes in the request that ends an upload of several.
	emptyPut bool
	noRange  bool // blobs come always whole
	auth     string
	pingOpen bool // the ping needs no credentials
	life     int  // seconds that a token lives
	rights   func(user, scope string) bool

	chunks    sync.Mutex // one request of an upload at a time
	mu        sync.Mutex
	blobs     map[string][]byte
	manifests map[string][]byte
	uploads   map[string]*bytes.Buffer
	log       []string // "METHOD path", in order
	deleted   int      // uploads that were cancelled
	tokens    map[string]bool
	next      int
}

func newFake() *fake {
	return &fake{blobs: map[string][]byte{}, manifests: map[string][]byte{}, uploads: map[string]*bytes.Buffer{}, tokens: map[string]bool{}}
}

var (
	blobPath     = regexp.MustCompile(`^/v2/(.+)/blobs/(sha256:[0-9a-f]{64})$`)
	uploadPath   = regexp.MustCompile(`^/v2/(.+)/blobs/uploads/([0-9]*)$`)
	manifestPath = regexp.MustCompile(`^/v2/(.+)/manifests/(.+)$`)
)

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.log = append(f.log, r.Method+" "+r.URL.Path)
	f.mu.Unlock()
	if r.URL.Path == "/token" {
		f.token(w, r)
		return
	}
	if !f.allowed(w, r) {
		return
	}
	switch {
	case r.URL.Path == "/v2/":
	case blobPath.MatchString(r.URL.Path):
		f.blob(w, r, blobPath.FindStringSubmatch(r.URL.Path)[2])
	case uploadPath.MatchString(r.URL.Path):
		f.upload(w, r, uploadPath.FindStringSubmatch(r.URL.Path)[2])
	case manifestPath.MatchString(r.URL.Path):
		m := manifestPath.FindStringSubmatch(r.URL.Path)
		f.manifest(w, r, m[1]+":"+m[2])
	default:
		fail(w, 404, "NAME_UNKNOWN")
	}
}

func fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"as the test wants"}]}`, code)
}

// allowed checks Basic credentials or a token.
func (f *fake) allowed(w http.ResponseWriter, r *http.Request) bool {
	given := r.Header.Get("Authorization")
	f.mu.Lock()
	known := f.tokens[strings.TrimPrefix(given, "Bearer ")]
	f.mu.Unlock()
	switch f.auth {
	case "basic":
		if given == "Basic "+base64.StdEncoding.EncodeToString([]byte("user:pass")) {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="fake"`)
	case "bearer":
		if known {
			return true
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="fake"`, f.host))
	default:
		return true
	}
	if f.pingOpen && r.URL.Path == "/v2/" {
		w.Header().Del("WWW-Authenticate")
		return true
	}
	_, _ = io.Copy(io.Discard, r.Body)
	fail(w, 401, "UNAUTHORIZED")
	return false
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	user, pass, ok := r.BasicAuth()
	if ok && pass != "pass" {
		fail(w, 401, "UNAUTHORIZED")
		return
	}
	for _, scope := range r.URL.Query()["scope"] {
		if f.rights != nil && !f.rights(user, scope) {
			fail(w, 403, "DENIED")
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	name := fmt.Sprintf("t%d", f.next)
	f.tokens[name] = true
	fmt.Fprintf(w, `{"token":%q,"expires_in":%d}`, name, f.life)
}

func (f *fake) blob(w http.ResponseWriter, r *http.Request, digest string) {
	f.mu.Lock()
	data, ok := f.blobs[digest]
	f.mu.Unlock()
	if !ok {
		fail(w, 404, "BLOB_UNKNOWN")
		return
	}
	from := 0
	if text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && !f.noRange {
		from, _ = strconv.Atoi(strings.TrimSuffix(text, "-"))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
		w.Header().Set("Content-Length", strconv.Itoa(len(data)-from))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(data[from:])
	}
}

func (f *fake) manifest(w http.ResponseWriter, r *http.Request, key string) {
	if r.Method == http.MethodPut {
		data, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.manifests[key] = data
		f.mu.Unlock()
		w.Header().Set("Docker-Content-Digest", digestOf(data).String())
		w.WriteHeader(http.StatusCreated)
		return
	}
	f.mu.Lock()
	data, ok := f.manifests[key]
	f.mu.Unlock()
	if !ok {
		fail(w, 404, "MANIFEST_UNKNOWN")
		return
	}
	w.Header().Set("Docker-Content-Digest", digestOf(data).String())
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}

func (f *fake) upload(w http.ResponseWriter, r *http.Request, id string) {
	f.mu.Lock()
	data, ok := f.uploads[id]
	if r.Method == http.MethodPost {
		f.next++
		id, data, ok = strconv.Itoa(f.next), new(bytes.Buffer), true
		f.uploads[id] = data
	}
	f.mu.Unlock()
	if !ok {
		fail(w, 404, "BLOB_UPLOAD_UNKNOWN")
		return
	}
	if r.Method != http.MethodPost {
		f.chunks.Lock()
		defer f.chunks.Unlock()
	}
	if f.minChunk > 0 {
		w.Header().Set("OCI-Chunk-Min-Length", strconv.FormatInt(f.minChunk, 10))
	}
	here := strings.TrimSuffix(r.URL.Path, "/")
	if r.Method == http.MethodPost {
		here += "/" + id
	}
	status := http.StatusNoContent
	switch r.Method {
	case http.MethodPost:
		status = http.StatusAccepted
	case http.MethodPatch:
		if status = f.chunk(r, data); status >= 400 {
			fail(w, status, "BLOB_UPLOAD_INVALID")
			return
		}
	case http.MethodDelete:
		f.mu.Lock()
		delete(f.uploads, id)
		f.deleted++
		f.mu.Unlock()
	case http.MethodPut:
		f.commit(w, r, id, data)
		return
	}
	w.Header().Set("Location", here)
	f.mu.Lock()
	defer f.mu.Unlock()
	if data.Len() > 0 {
		w.Header().Set("Range", fmt.Sprintf("0-%d", data.Len()-1))
	}
	w.WriteHeader(status)
}

// chunk takes a chunk, and keeps what came of it when it is cut.
func (f *fake) chunk(r *http.Request, data *bytes.Buffer) int {
	f.mu.Lock()
	at := data.Len()
	f.mu.Unlock()
	if first, _, _ := strings.Cut(r.Header.Get("Content-Range"), "-"); first != strconv.Itoa(at) {
		return http.StatusRequestedRangeNotSatisfiable
	}
	body, err := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	data.Write(body)
	if err == nil && int64(len(body)) < f.minChunk {
		return http.StatusBadRequest
	}
	return http.StatusAccepted
}

func (f *fake) commit(w http.ResponseWriter, r *http.Request, id string, data *bytes.Buffer) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	digest := r.URL.Query().Get("digest")
	whole := slices.Concat(data.Bytes(), body)
	if f.emptyPut && data.Len() > 0 && len(body) > 0 || digestOf(whole).String() != digest {
		delete(f.uploads, id)
		fail(w, 400, "DIGEST_INVALID")
		return
	}
	f.blobs[digest] = whole
	delete(f.uploads, id)
	w.WriteHeader(http.StatusCreated)
}

// requests returns the log, and begins it anew.
func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.log
	f.log = nil
	return log
}

func (f *fake) count(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range f.log {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}
