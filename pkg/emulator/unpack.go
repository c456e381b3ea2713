package emulator

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Limits of an unpacked code package.
const (
	maxUnpacked = 1 << 30 // bytes
	maxEntries  = 100_000
	maxLink     = 4096 // bytes of a symbolic link's target
)

// unpacking is a package on its way to disk, for others that wait for it.
type unpacking struct {
	done chan struct{}
	err  error
}

// codeDir returns the folder of an unpacked package, unpacking it at its first
// use. The package must be pinned.
func (s *store) codeDir(ctx context.Context, sha string) (string, error) {
	if sha == "" {
		return "", nil
	}
	dir := s.path(dirCode, sha)
	s.unpackMu.Lock()
	u := s.unpacking[sha]
	if u == nil {
		if _, err := os.Stat(dir); err == nil {
			s.unpackMu.Unlock()
			return dir, nil
		}
		u = &unpacking{done: make(chan struct{})}
		s.unpacking[sha] = u
		s.unpacks.Go(func() {
			u.err = s.unpack(sha, dir)
			s.unpackMu.Lock()
			delete(s.unpacking, sha)
			s.unpackMu.Unlock()
			close(u.done)
		})
	}
	s.unpackMu.Unlock()
	select {
	case <-u.done:
		return dir, u.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// unpack brings a package to disk as one step.
func (s *store) unpack(sha, dir string) error {
	tmp, err := os.MkdirTemp(s.path(dirTemp), "code-")
	if err != nil {
		return fmt.Errorf("unpacking the code: %w", err)
	}
	defer func() { _ = removeTree(tmp) }()
	root := filepath.Join(tmp, "root")
	if err := unpackZip(s.blobPath(sha), root); err != nil {
		return fmt.Errorf("unpacking the code: %w", err)
	}
	if err := os.Rename(root, dir); err != nil {
		return fmt.Errorf("unpacking the code: %w", err)
	}
	return nil
}

// entry is one thing to create, and its place.
type entry struct {
	file *zip.File
	name string // clean, relative, with slashes
	mode fs.FileMode
	link string // target of a symbolic link
}

// planUnpack checks all that an archive's directory tells and returns what to
// create, or an error: names that leave the folder, other things than files,
// folders and links, names that are taken, too many or too large entries.
func planUnpack(files []*zip.File) ([]entry, error) {
	if len(files) > maxEntries {
		return nil, fmt.Errorf("it has more than %d entries", maxEntries)
	}
	plan := make([]entry, 0, len(files))
	seen := make(map[string]bool, len(files))
	var total uint64
	for _, f := range files {
		name, err := entryName(f.Name)
		if err != nil {
			return nil, err
		}
		mode := f.Mode()
		if strings.HasSuffix(f.Name, "/") {
			mode |= fs.ModeDir
		}
		if t := mode.Type(); t != 0 && t != fs.ModeDir && t != fs.ModeSymlink {
			return nil, fmt.Errorf("entry %q is neither a file nor a folder nor a symbolic link", f.Name)
		}
		if name == "." || seen[name] && mode.IsDir() {
			continue
		}
		if seen[name] {
			return nil, fmt.Errorf("entry %q is there twice", f.Name)
		}
		seen[name] = true
		if total += f.UncompressedSize64; total > maxUnpacked || f.UncompressedSize64 > maxUnpacked {
			return nil, fmt.Errorf("it holds more than %d bytes when unpacked", maxUnpacked)
		}
		e := entry{file: f, name: name, mode: mode}
		if mode.Type() == fs.ModeSymlink {
			if e.link, err = linkTarget(f, name); err != nil {
				return nil, fmt.Errorf("entry %q: %w", f.Name, err)
			}
		}
		plan = append(plan, e)
	}
	return plan, nil
}

// entryName returns the place of an entry inside the folder.
func entryName(name string) (string, error) {
	if strings.ContainsAny(name, "\x00\\") || strings.HasPrefix(name, "/") {
		return "", fmt.Errorf("entry %q has a name that cannot be used", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || len(part) > 255 {
			return "", fmt.Errorf("entry %q has a name that cannot be used", name)
		}
	}
	if len(name) > 4096 {
		return "", fmt.Errorf("entry %.40q... has a name that is too long", name)
	}
	return path.Clean(name), nil
}

// unpackZip creates root with the archive's content. All writes go through an
// os.Root, so that nothing lands outside, whatever the archive says; links are
// created last, so that nothing is written through one.
func unpackZip(name, root string) error {
	archive, err := zip.OpenReader(name)
	if err != nil {
		return err
	}
	defer archive.Close()
	plan, err := planUnpack(archive.File)
	if err != nil {
		return err
	}
	if err := os.Mkdir(root, 0o700); err != nil {
		return err
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, e := range plan {
		if err := create(r, e); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return createLinks(r, plan)
}

// createLinks makes the symbolic links and then follows each: one that leaves the
// folder by way of another is found only now. Links to nothing are let be.
func createLinks(r *os.Root, plan []entry) error {
	var links []string
	for _, e := range plan {
		if e.mode.Type() != fs.ModeSymlink {
			continue
		}
		name := filepath.FromSlash(e.name)
		if err := r.Symlink(filepath.FromSlash(e.link), name); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		links = append(links, name)
	}
	for _, name := range links {
		if _, err := r.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("following the symbolic link %s: %w", name, err)
		}
	}
	return nil
}

// create makes the parents of e and, unless it is a link, e itself.
func create(r *os.Root, e entry) error {
	if e.mode.IsDir() {
		return r.MkdirAll(filepath.FromSlash(e.name), 0o755)
	}
	if dir := path.Dir(e.name); dir != "." {
		if err := r.MkdirAll(filepath.FromSlash(dir), 0o755); err != nil {
			return err
		}
	}
	if e.mode.Type() == fs.ModeSymlink {
		return nil
	}
	src, err := e.file.Open()
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := r.OpenFile(filepath.FromSlash(e.name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(dst, src, int64(e.file.UncompressedSize64)+1)
	if err == nil {
		err = errors.New("it is larger than the archive says")
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, dst.Chmod(fileMode(e)), dst.Close())
}

// fileMode keeps the permissions, readable for the owner always, and makes a
// custom runtime's bootstrap executable.
func fileMode(e entry) fs.FileMode {
	mode := e.mode.Perm() | 0o400
	if mode == 0o400 {
		mode = 0o644
	}
	if e.name == "bootstrap" {
		mode |= 0o111
	}
	return mode
}

// linkTarget reads the target of a symbolic link, which must not point out of the
// package.
func linkTarget(f *zip.File, name string) (string, error) {
	src, err := f.Open()
	if err != nil {
		return "", err
	}
	defer src.Close()
	data, err := io.ReadAll(io.LimitReader(src, maxLink+1))
	if err != nil {
		return "", err
	}
	to := string(data)
	if len(to) > maxLink || to == "" || strings.ContainsRune(to, 0) {
		return "", errors.New("the symbolic link's target cannot be used")
	}
	if path.IsAbs(to) || !filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(name), to))) {
		return "", fmt.Errorf("the symbolic link to %q leaves the package", to)
	}
	return to, nil
}
