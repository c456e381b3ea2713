package images

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/renameio/v2"
)

// repository is the document of a repository: one JSON file. It is never changed once
// it is in Registry.repos.
type repository struct {
	Name      string             `json:"name"`
	Manifests []manifestRecord   `json:"manifests"` // in the order in which they came
	Tags      map[string]v1.Hash `json:"tags"`
}

// manifestRecord is a manifest; its content is a file of its own.
type manifestRecord struct {
	Digest    v1.Hash `json:"digest"`
	MediaType string  `json:"mediaType"`
}

// with returns a copy of the repository that has a manifest under a reference.
func (d *repository) with(rec manifestRecord, reference string) *repository {
	next := &repository{Name: d.Name, Manifests: slices.Clone(d.Manifests), Tags: map[string]v1.Hash{}}
	for tag, h := range d.Tags {
		next.Tags[tag] = h
	}
	i := slices.IndexFunc(next.Manifests, func(m manifestRecord) bool { return m.Digest == rec.Digest })
	if i < 0 {
		next.Manifests = append(next.Manifests, rec)
	} else {
		next.Manifests[i] = rec
	}
	if reference != rec.Digest.String() {
		next.Tags[reference] = rec.Digest
	}
	return next
}

func (d *repository) same(other *repository) bool {
	return d != nil && slices.Equal(d.Manifests, other.Manifests) && len(d.Tags) == len(other.Tags) &&
		!slices.ContainsFunc(tagsOf(other), func(tag string) bool { return d.Tags[tag] != other.Tags[tag] })
}

// find returns the manifest of a tag or digest.
func (d *repository) find(reference string) (manifestRecord, bool) {
	h, ok := d.Tags[reference]
	if !ok {
		var err error
		if h, err = v1.NewHash(reference); err != nil {
			return manifestRecord{}, false
		}
	}
	i := slices.IndexFunc(d.Manifests, func(m manifestRecord) bool { return m.Digest == h })
	if i < 0 {
		return manifestRecord{}, false
	}
	return d.Manifests[i], true
}

// serveManifest answers for manifests, which are kept on disk on their way to the
// handler that answers for them.
func (r *Registry) serveManifest(w http.ResponseWriter, rq *request) {
	_, digestErr := v1.NewHash(rq.target)
	if digestErr != nil && (len(rq.target) > maxTag || !tagName.MatchString(rq.target)) {
		fail(w, http.StatusBadRequest, "TAG_INVALID", "%.200q is neither a tag nor a digest", rq.target)
		return
	}
	switch rq.Method {
	case http.MethodGet, http.MethodHead:
		r.pass(w, rq)
	case http.MethodPut:
		r.putManifest(w, rq)
	default:
		unsupported(w, rq)
	}
}

// document is what any manifest can refer to.
type document struct {
	MediaType string          `json:"mediaType"`
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
}

// blobs are the blobs that must be there for the manifest to be of use.
func (d *document) blobs() []v1.Hash {
	var list []v1.Hash
	if d.Config != nil {
		list = append(list, d.Config.Digest)
	}
	for _, l := range d.Layers {
		if len(l.URLs) == 0 && l.MediaType.IsDistributable() {
			list = append(list, l.Digest)
		}
	}
	return list
}

func (r *Registry) putManifest(w http.ResponseWriter, rq *request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, rq.Body, maxManifest))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		fail(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID", "a manifest has at most %d bytes", maxManifest)
		return
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "MANIFEST_INVALID", "the manifest ended early")
		return
	}
	digest, _, _ := v1.SHA256(bytes.NewReader(raw)) // reading from memory does not fail
	if h, err := v1.NewHash(rq.target); err == nil && h != digest {
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "the manifest has the digest %s", digest)
		return
	}
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		fail(w, http.StatusBadRequest, "MANIFEST_INVALID", "reading the manifest: %v", err)
		return
	}
	kind := rq.Header.Get("Content-Type")
	if kind == "" {
		kind = doc.MediaType
	}
	if media := types.MediaType(kind); !media.IsImage() && !media.IsIndex() {
		fail(w, http.StatusBadRequest, "MANIFEST_INVALID", "the registry of the embedded cloud takes manifests and indexes of OCI and Docker, not %.200q", kind)
		return
	}
	for _, h := range doc.blobs() {
		if !r.hasBlob(h) {
			fail(w, http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "the manifest names the blob %s, which did not come", h)
			return
		}
	}
	r.keep(w, rq, raw, manifestRecord{digest, kind})
}

// keep puts a manifest to the handler and to disk, and then acknowledges it.
func (r *Registry) keep(w http.ResponseWriter, rq *request, raw []byte, rec manifestRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer := r.hand(rq.repo, rq.target, raw, rec.MediaType)
	if answer.status == http.StatusCreated {
		old := r.repos[rq.repo]
		if old == nil {
			old = &repository{Name: rq.repo}
		}
		if next := old.with(rec, rq.target); !r.repos[rq.repo].same(next) {
			if err := r.store(next, rec.Digest, raw); err != nil {
				broken(w, "storing a manifest", err)
				return
			}
			r.repos[rq.repo] = next
		}
		w.Header().Set("Location", "/v2/"+rq.asked+"/manifests/"+rec.Digest.String())
	}
	answer.send(w)
}

// store writes a manifest and the document that refers to it.
func (r *Registry) store(doc *repository, digest v1.Hash, raw []byte) error {
	if err := r.write(r.file(dirManifests, digest), raw); err != nil {
		return err
	}
	data, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return err
	}
	return r.write(r.path(dirRepos, fileName(doc.Name)), append(data, '\n'))
}

func (r *Registry) write(name string, data []byte) error {
	return renameio.WriteFile(name, data, 0o600, renameio.WithTempDir(r.path(dirUploads)), renameio.WithStaticPermissions(0o600))
}

// hand puts a manifest to the handler that answers for it.
func (r *Registry) hand(repo, reference string, raw []byte, mediaType string) *memo {
	answer := &memo{header: http.Header{}}
	req, err := http.NewRequest(http.MethodPut, "http://registry/v2/"+repo+"/manifests/"+reference, bytes.NewReader(raw))
	if err != nil {
		fail(answer, http.StatusBadRequest, "MANIFEST_INVALID", "%v", err)
		return answer
	}
	req.Header.Set("Content-Type", mediaType)
	r.answers.ServeHTTP(answer, req)
	return answer
}

// memo is an answer that is not sent yet.
type memo struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (m *memo) Header() http.Header { return m.header }

func (m *memo) WriteHeader(status int) {
	if m.status == 0 {
		m.status = status
	}
}

func (m *memo) Write(p []byte) (int, error) {
	m.WriteHeader(http.StatusOK)
	return m.body.Write(p)
}

func (m *memo) send(w http.ResponseWriter) {
	for name, values := range m.header {
		w.Header()[name] = values
	}
	w.WriteHeader(m.status)
	_, _ = w.Write(m.body.Bytes())
}

// load reads all repositories and hands their manifests to the handler. What cannot
// be read is an error that names the file: images are never dropped in silence.
func (r *Registry) load() error {
	entries, err := os.ReadDir(r.path(dirRepos))
	if err != nil {
		return fmt.Errorf("reading the images of the embedded cloud: %w", err)
	}
	for _, e := range entries {
		name := r.path(dirRepos, e.Name())
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading the images of the embedded cloud: %w", err)
		}
		doc := new(repository)
		err = json.Unmarshal(data, doc)
		if err == nil && (!repositoryName.MatchString(doc.Name) || filepath.Base(name) != fileName(doc.Name)) {
			err = errors.New("it describes another repository")
		}
		if err == nil {
			err = r.restore(doc)
		}
		if err != nil {
			return fmt.Errorf("reading %s: the state file is damaged (%w); restore or remove it", name, err)
		}
		r.repos[doc.Name] = doc
	}
	return nil
}

// restore hands the manifests of a repository to the handler: in the order in which
// they came, so that those that an index names are there before it.
func (r *Registry) restore(doc *repository) error {
	for _, m := range doc.Manifests {
		raw, err := os.ReadFile(r.file(dirManifests, m.Digest))
		if err != nil {
			return err
		}
		references := []string{m.Digest.String()}
		for tag, h := range doc.Tags {
			if h == m.Digest {
				references = append(references, tag)
			}
		}
		if h, _, _ := v1.SHA256(bytes.NewReader(raw)); h != m.Digest {
			return fmt.Errorf("the manifest %s has other content", m.Digest)
		}
		for _, reference := range references {
			if answer := r.hand(doc.Name, reference, raw, m.MediaType); answer.status != http.StatusCreated {
				return fmt.Errorf("the manifest %s: %s", m.Digest, answer.body.String())
			}
		}
	}
	return nil
}
