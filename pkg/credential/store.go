package credential

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"

	"github.com/devs/deploy/pkg/diag"
)

// Internal fields of an entry, as Serverless Devs writes them.
const (
	keyProvider = "__provider"
	keyDefault  = "__default"
)

// Store reads and writes access.yaml. Make one with NewStore. It is safe for
// concurrent use, also by several processes.
type Store struct{ config Config }

// NewStore returns the store in the root home that c describes. Nothing is read
// or created yet.
func NewStore(c Config) *Store { return &Store{config: c.withDefaults()} }

// Entry is one stored alias, masked.
type Entry struct {
	Alias    string
	Provider string
	Default  bool // chosen by SetDefault
	Fields   []MaskedField
}

// Get returns a stored alias, masked. An unknown alias is an error.
func (s *Store) Get(alias string) (Entry, error) {
	file, err := s.open()
	if err != nil {
		return Entry{}, err
	}
	if file.doc.index(alias) < 0 {
		return Entry{}, s.unknown(file, alias)
	}
	return s.entry(file.doc, alias)
}

// List returns every stored alias in the order of the file, masked.
func (s *Store) List() ([]Entry, error) {
	file, err := s.open()
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, alias := range file.doc.aliases() {
		e, err := s.entry(file.doc, alias)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (s *Store) entry(doc *document, alias string) (Entry, error) {
	fields, _, err := doc.fields(alias)
	if err != nil {
		return Entry{}, err
	}
	register(s.config.Redactor, fields)
	e := Entry{Alias: alias, Provider: providerOf(fields), Default: internalValue(fields, keyDefault) == "true"}
	for _, f := range canonicalFields(fields) {
		e.Fields = append(e.Fields, MaskedField{Name: f.Name, Value: mask(f)})
	}
	return e, nil
}

// providerOf returns the provider that __provider names, else the one whose keys
// are there.
func providerOf(raw []Field) string {
	if p, ok := findProvider(internalValue(raw, keyProvider)); ok {
		return p.name
	}
	return detectProvider(canonicalFields(raw))
}

// Delete removes an alias. An unknown alias is an error.
func (s *Store) Delete(ctx context.Context, alias string) error {
	return s.change(ctx, func(file *accessFile) error {
		if !file.doc.remove(alias) {
			return s.unknown(file, alias)
		}
		return nil
	})
}

// Rename gives an alias another name. An unknown source and a target that is
// taken are errors.
func (s *Store) Rename(ctx context.Context, source, target string) error {
	target = strings.TrimSpace(target)
	if err := checkAlias(target); err != nil {
		return err
	}
	return s.change(ctx, func(file *accessFile) error {
		i := file.doc.index(source)
		if i < 0 {
			return s.unknown(file, source)
		}
		if file.doc.index(target) >= 0 {
			return diag.Errorf("alias %q exists already in %s", target, file.path).
				WithHint("delete it first: devs config delete -a %s", target)
		}
		file.doc.root.Content[i].SetString(target)
		return nil
	})
}

// SetDefault makes alias the one that is used when none is named. It writes
// __default: 'true', encrypted like every value, and 'false' where another entry
// has that field.
func (s *Store) SetDefault(ctx context.Context, alias string) error {
	return s.change(ctx, func(file *accessFile) error {
		if file.doc.index(alias) < 0 {
			return s.unknown(file, alias)
		}
		for _, other := range file.doc.aliases() {
			fields, _, err := file.doc.fields(other)
			if err != nil {
				return err
			}
			if other != alias && !hasField(fields, keyDefault) {
				continue
			}
			value, err := encrypt(s.config.Rand, fmt.Sprint(other == alias))
			if err != nil {
				return err
			}
			file.doc.put(other, keyDefault, value)
		}
		return nil
	})
}

func (s *Store) unknown(file *accessFile, alias string) error {
	p := diag.Errorf("alias %q was not found in %s", s.config.Redactor.Redact(alias), file.path).
		WithDetail(strings.Join(file.notes, "\n"))
	names := file.doc.aliases()
	if len(names) == 0 {
		return p.WithHint("no credential is stored; add one: devs config add")
	}
	return p.WithHint("%s", diag.DidYouMean(alias, names))
}

// checkAlias refuses names that cannot be written in a file, a flag or s.yaml.
func checkAlias(alias string) error {
	bad := strings.ContainsFunc(alias, func(r rune) bool { return r < ' ' || r == 0x7f })
	if alias == "" || bad || len(alias) > 128 || strings.HasPrefix(alias, "-") || strings.ContainsAny(alias, "{}$") {
		return diag.Errorf("this is no name for an alias").
			WithHint("use up to 128 letters, digits, dots, dashes and underscores, such as default or prod")
	}
	return nil
}

// accessFile is access.yaml as it was found.
type accessFile struct {
	path   string
	exists bool
	notes  []string // files that were passed over, and why
	doc    *document
}

// open finds and reads access.yaml; one that is not there is empty.
func (s *Store) open() (*accessFile, error) {
	roots, err := roots(s.config)
	if err != nil {
		return nil, err
	}
	file, err := s.locate(roots)
	if err != nil {
		return nil, err
	}
	if !file.exists { // a file of that name may be there, but was ignored
		file.doc, err = parseDocument(file.path, nil)
		return file, err
	}
	return file, file.read()
}

func (f *accessFile) read() error {
	data, err := readFile(f.path, maxAccessFile)
	if err != nil && !isAbsent(err) {
		return err
	}
	f.exists = err == nil
	f.doc, err = parseDocument(f.path, data)
	return err
}

// locate returns the first access.yaml (or access.yml) in roots. A file in a
// shared root counts only when it is private to us, as those that we write are:
// the keys that somebody else put there must not become ours.
func (s *Store) locate(roots []root) (*accessFile, error) {
	file := &accessFile{path: filepath.Join(roots[0].path, "access.yaml")}
	for _, root := range roots {
		for _, name := range []string{"access.yaml", "access.yml"} {
			path := filepath.Join(root.path, name)
			_, err := os.Stat(path)
			switch {
			case errors.Is(err, fs.ErrPermission):
				file.notes = append(file.notes, path+": not accessible")
			case isAbsent(err):
			case err != nil:
				return nil, fmt.Errorf("looking for %s: %w", path, err)
			case root.shared && !(isPrivate(root.path, s.config.UID, 0o022) && isPrivate(path, s.config.UID, 0o077)):
				file.notes = append(file.notes, path+": ignored, it is not private to this user")
			default:
				file.path, file.exists = path, true
				return file, nil
			}
		}
	}
	return file, nil
}

// change is update for entries that must be there: without a file edit is tried on
// an empty one, for its error, and nothing is created.
func (s *Store) change(ctx context.Context, edit func(*accessFile) error) error {
	file, err := s.open()
	if err != nil {
		return err
	}
	if !file.exists {
		return edit(file)
	}
	return s.update(ctx, edit)
}

// update edits access.yaml under a lock and replaces it as a whole.
func (s *Store) update(ctx context.Context, edit func(*accessFile) error) error {
	file, err := s.writable()
	if err != nil {
		return err
	}
	unlock, err := s.lock(ctx, file.path)
	if err != nil {
		return err
	}
	defer unlock()
	if err := file.read(); err != nil {
		return err
	}
	if err := edit(file); err != nil {
		return err
	}
	data, err := file.doc.bytes()
	if err != nil {
		return err
	}
	return writeFile(file.path, data)
}

// writable returns the access.yaml to write: the one that is there, else a new
// one in the first root that can be written.
func (s *Store) writable() (*accessFile, error) {
	roots, err := roots(s.config)
	if err != nil {
		return nil, err
	}
	file, err := s.locate(roots)
	if err != nil || file.exists {
		return file, err
	}
	var tried []string
	for _, root := range roots {
		if err := probe(root.path); err != nil {
			tried = append(tried, root.path+": cannot be written")
			continue
		}
		if root.shared && !isPrivate(root.path, s.config.UID, 0o022) {
			tried = append(tried, root.path+": is not private to this user")
			continue
		}
		path := filepath.Join(root.path, "access.yaml")
		if _, err := os.Lstat(path); err == nil && root.shared && !isPrivate(path, s.config.UID, 0o077) {
			tried = append(tried, path+": is there, but is not private to this user")
			continue
		}
		file.path = path
		return file, nil
	}
	return nil, diag.Errorf("there is no folder to store credentials in").
		WithDetail(strings.Join(tried, "\n")).
		WithHint("set serverless_devs_config_home to a folder that this user can write")
}

// probe makes root, with mode 0700, and reports whether files can be made in it.
func probe(root string) error {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(root, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// lock takes the lock beside path, and gives up after LockTimeout.
func (s *Store) lock(ctx context.Context, path string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.LockTimeout)
	defer cancel()
	l := flock.New(path+".lock", flock.SetPermissions(0o600))
	ok, err := l.TryLockContext(ctx, 20*time.Millisecond)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, diag.Errorf("another process holds %s.lock", path).WithHint("wait for it and try again").WithCause(err)
	case errors.Is(err, context.Canceled):
		return nil, err
	case err != nil || !ok:
		return nil, diag.Errorf("%s.lock cannot be made", path).WithHint("check that this user can write the folder").WithCause(err)
	}
	return func() { _ = l.Close() }, nil
}

// writeFile replaces path by data, with mode 0600. A link is followed, so that
// the file it names is replaced, not the link.
func writeFile(path string, data []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	err := replaceFile(path, data)
	if err != nil {
		return diag.Errorf("%s cannot be written", path).WithHint("check that this user can write the folder").WithCause(err)
	}
	return nil
}

func replaceFile(path string, data []byte) error {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
