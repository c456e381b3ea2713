package emulator

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/renameio/v2"
)

// store is the state of a region: one JSON file for each service, domain and layer, and code
// packages by their SHA-256.
//
// Documents are never changed once they are in a map: a writer clones one,
// changes the clone, writes it to disk and then swaps it in. Readers take a
// pointer under the lock and read without it.
type store struct {
	dir string

	mu       sync.RWMutex
	services map[string]*serviceDoc
	domains  map[string]*domainDoc
	layers   map[string]*layerDoc
	pins     map[string]int // code packages in use beyond the documents

	unpackMu  sync.Mutex
	unpacking map[string]*unpacking // packages being unpacked
	unpacks   sync.WaitGroup
}

// Folders of the state folder.
const (
	dirServices = "services"
	dirDomains  = "domains"
	dirLayers   = "layers"
	dirBlobs    = "packages" // zip files, named by SHA-256
	dirCode     = "code"     // unpacked packages, named likewise
	dirTemp     = "tmp"      // emptied when the store is opened
)

// openStore loads the state of a region from dir, which is created when it is missing.
func openStore(dir string) (*store, error) {
	s := &store{
		dir:       dir,
		services:  map[string]*serviceDoc{},
		domains:   map[string]*domainDoc{},
		layers:    map[string]*layerDoc{},
		pins:      map[string]int{},
		unpacking: map[string]*unpacking{},
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the state folder: %w", err)
	}
	if err := removeTree(s.path(dirTemp)); err != nil {
		return nil, fmt.Errorf("clearing temporary files: %w", err)
	}
	for _, sub := range []string{dirServices, dirDomains, dirLayers, dirBlobs, dirCode, dirTemp} {
		if err := os.MkdirAll(s.path(sub), 0o700); err != nil {
			return nil, fmt.Errorf("creating the state folder: %w", err)
		}
	}
	err := errors.Join(
		loadDocs(s, dirServices, s.services, (*serviceDoc).check),
		loadDocs(s, dirDomains, s.domains, (*domainDoc).check),
		loadDocs(s, dirLayers, s.layers, (*layerDoc).check))
	if err != nil {
		return nil, err
	}
	if err := s.checkBlobs(); err != nil {
		return nil, err
	}
	s.collect()
	return s, nil
}

func (s *store) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// identityFile holds the folder's secret and marks it as a state folder.
const identityFile = "identity"

// checkUnused makes sure that a folder that is not marked holds nothing of anybody
// else: files that nothing refers to are removed from state folders.
func checkUnused(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the state folder: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); name != lockFile && !strings.HasPrefix(name, "."+identityFile) {
			return fmt.Errorf("%s is no state folder of the embedded cloud and holds other files (%s); name an empty or new folder", dir, name)
		}
	}
	return nil
}

// openIdentity reads the secret of a state folder, and makes one for a new folder.
func openIdentity(dir string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the state folder: %w", err)
	}
	name := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(name)
	if err == nil && len(data) == 64 {
		return data, nil
	}
	if err == nil {
		return nil, fmt.Errorf("reading %s: the file is damaged; remove it to get a new one", name)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the state folder's identity: %w", err)
	}
	if err := checkUnused(dir); err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	data = []byte(hex.EncodeToString(key))
	err = renameio.WriteFile(name, data, 0o600, renameio.WithTempDir(dir), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return nil, fmt.Errorf("writing the state folder's identity: %w", err)
	}
	return data, nil
}

// loadDocs reads every document of a folder. A file that cannot be read is an
// error that names it: state is never dropped in silence.
func loadDocs[D any](s *store, sub string, into map[string]*D, check func(*D) (string, error)) error {
	entries, err := os.ReadDir(s.path(sub))
	if err != nil {
		return fmt.Errorf("reading the state folder: %w", err)
	}
	for _, e := range entries {
		name := s.path(sub, e.Name())
		if e.IsDir() || filepath.Ext(name) != ".json" {
			return fmt.Errorf("reading %s: this is no state file of the embedded cloud; move it away", name)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading a state file: %w", err)
		}
		doc := new(D)
		if err := json.Unmarshal(data, doc); err != nil {
			return fmt.Errorf("reading %s: the state file is damaged (%w); restore or remove it", name, err)
		}
		key, err := check(doc)
		if err == nil && e.Name() != fileName(key) {
			err = fmt.Errorf("it describes %q, which has another file name", key)
		}
		if err != nil {
			return fmt.Errorf("reading %s: the state file is damaged (%w); restore or remove it", name, err)
		}
		into[key] = doc
	}
	return nil
}

// fileName is the name of the file of a document: readable, and different for
// names that differ in the case of letters only.
func fileName(key string) string {
	sum := sha256.Sum256([]byte(key))
	readable := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, strings.ToLower(key))
	return readable + "-" + hex.EncodeToString(sum[:8]) + ".json"
}

// write replaces a file as one step, readable for the owner alone.
func (s *store) write(name string, data []byte) error {
	return renameio.WriteFile(name, data, 0o600,
		renameio.WithTempDir(s.path(dirTemp)), renameio.WithStaticPermissions(0o600))
}

// put writes doc and swaps it in; a nil doc removes it. The caller holds mu.
func put[D any](s *store, sub string, docs map[string]*D, key string, doc *D) error {
	name := s.path(sub, fileName(key))
	if doc == nil {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a state file: %w", err)
		}
		delete(docs, key)
		return nil
	}
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding state: %w", err)
	}
	if err := s.write(name, append(data, '\n')); err != nil {
		return fmt.Errorf("writing state: %w", err)
	}
	docs[key] = doc
	return nil
}

// clone copies a document by its JSON form.
func clone[D any](doc *D) (*D, error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("copying state: %w", err)
	}
	out := new(D)
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("copying state: %w", err)
	}
	return out, nil
}

// service returns the document of a service or ServiceNotFound.
func (s *store) service(name string) (*serviceDoc, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if doc := s.services[name]; doc != nil {
		return doc, nil
	}
	return nil, notFound("Service", "service '%s' does not exist", name)
}

// updateService lets change work on a copy of the service's document, and keeps
// the copy when change succeeds.
func (s *store) updateService(name string, change func(*serviceDoc) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.services[name]
	if old == nil {
		return notFound("Service", "service '%s' does not exist", name)
	}
	doc, err := clone(old)
	if err != nil {
		return err
	}
	if err := change(doc); err != nil {
		return err
	}
	return put(s, dirServices, s.services, name, doc)
}

// allServices returns all documents in the order of their names.
func (s *store) allServices() []*serviceDoc {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return sortedValues(s.services)
}

// domain returns the document of a custom domain, or nil.
func (s *store) domain(name string) *domainDoc {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.domains[name]
}

// domainFor returns the custom domain that answers for a host, or nil: that of the
// same name, else the wildcard one level up.
func (s *store) domainFor(host string) *domainDoc {
	if d := s.domain(host); d != nil {
		return d
	}
	_, parent, ok := strings.Cut(host, ".")
	if !ok {
		return nil
	}
	return s.domain("*." + parent)
}
