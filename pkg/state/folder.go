package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/devs/deploy/pkg/diag"
)

// Folder keeps Books as files of a folder, one for each holder. A file is replaced as a
// whole, so that a reader finds the old or the new one; of two that write at once, the
// last wins.
type Folder struct {
	Dir   string // is made when something is saved
	Extra string // DEVS_STATE_KEY
}

// Load implements Store. A file that is damaged, or no file, is an error.
func (f Folder) Load(_ context.Context, at Holder) (*Book, error) {
	path := f.path(at)
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the record: %w", err)
	}
	b, err := decodeFile(at, f.Extra, data)
	if err != nil {
		return nil, unreadable("the record "+path, err, "restore the file, or remove it to begin a new record")
	}
	return b, nil
}

// unreadable says why a stored record cannot be read.
func unreadable(what string, err error, hint string) error {
	if p, ok := errors.AsType[*diag.Problem](err); ok { // another key: nothing is damaged
		return p
	}
	if errors.Is(err, errFormat) {
		return diag.Errorf("%s cannot be read: %v", what, err).WithCause(err).WithCode(diag.ExitComponent).
			WithHint("use the version that wrote it, or a newer one")
	}
	return diag.Errorf("%s is damaged: %v", what, err).WithCause(err).WithCode(diag.ExitComponent).WithHint("%s", hint)
}

// readFile reads a plain file of no more than maxFile bytes.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", path, maxFile)
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxFile+1))
}

// Save implements Store. The file is for its owner alone.
func (f Folder) Save(_ context.Context, at Holder, b *Book) error {
	return b.saveTo(f.path(at), func() error {
		data, err := encodeFile(at, b)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(f.Dir, 0o700); err != nil {
			return fmt.Errorf("writing the record: %w", err)
		}
		if err := replaceFile(f.path(at), data); err != nil {
			return fmt.Errorf("writing the record %s: %w", f.path(at), reason(err))
		}
		return nil
	})
}

// replaceFile puts a file in the place of one that may be there, for its owner alone
// whatever that one was.
func replaceFile(path string, data []byte) error {
	p, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer func() { _ = p.Cleanup() }() // of a file that was not finished
	if _, err := p.Write(data); err != nil {
		return err
	}
	return p.CloseAtomicallyReplace()
}

// reason returns why a file could not be replaced, without the name of the temporary
// one: it is another one each time, and the same error is told once.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Err
	}
	return err
}

func (f Folder) path(at Holder) string { return filepath.Join(f.Dir, at.slug()+".json") }

// slug returns a name for a holder that is fit for a file and for a tag of a registry:
// what people recognize, and a hash that makes it the only one.
func (h Holder) slug() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{h.Account, h.Region, string(h.ID.Kind), h.ID.Name, h.App}, "\x00")))
	return fmt.Sprintf("devs-%s.%s.%s.%s", plainName(h.App), plainName(h.Region), plainName(h.ID.Name), hex.EncodeToString(sum[:8]))
}

// plainName returns a text with letters, digits, "-" and "_" alone, of at most 32
// characters.
func plainName(text string) string {
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune(alphabet, r) {
			return r
		}
		return '_'
	}, text)
	return text[:min(len(text), 32)]
}
