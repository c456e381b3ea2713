package emulator

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc64"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxCode is the largest code package that the API takes inline, in bytes.
const maxCode = 50 << 20

// refer describes a package.
func refer(data []byte) codeRef {
	sum := sha256.Sum256(data)
	return codeRef{
		SHA256:   hex.EncodeToString(sum[:]),
		Size:     int64(len(data)),
		Checksum: strconv.FormatUint(crc64.Checksum(data, crc64.MakeTable(crc64.ECMA)), 10),
	}
}

// addBlob stores a code package and pins it, so that it survives until a document
// refers to it. The caller calls release when that is done.
func (s *store) addBlob(ref codeRef, data []byte) (release func(), err error) {
	archive, err := zip.NewReader(bytes.NewReader(data), ref.Size)
	if err != nil {
		return nil, invalid("the code is not a valid zip file: %v", err)
	}
	if _, err := planUnpack(archive.File); err != nil {
		return nil, invalid("the code cannot be used: %v", err)
	}
	release = s.pin(ref.SHA256)
	name := s.blobPath(ref.SHA256)
	if _, err := os.Stat(name); err == nil {
		return release, nil
	}
	if err := s.write(name, data); err != nil {
		release()
		return nil, internalError(fmt.Errorf("storing the code package: %w", err))
	}
	return release, nil
}

func (s *store) blobPath(sha string) string { return s.path(dirBlobs, sha+".zip") }

// pin keeps a package from being collected until release is called.
func (s *store) pin(sha string) (release func()) {
	if sha == "" {
		return func() {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins[sha]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pins[sha]--; s.pins[sha] <= 0 {
			delete(s.pins, sha)
		}
	}
}

// references returns the packages that a document or a pin refers to. The caller
// holds mu.
func (s *store) references() map[string]bool {
	used := map[string]bool{}
	for sha := range s.pins {
		used[sha] = true
	}
	for _, doc := range s.services {
		for _, f := range doc.Functions {
			used[f.Code.SHA256] = true
		}
		for _, v := range doc.Versions {
			for _, f := range v.Functions {
				used[f.Code.SHA256] = true
			}
		}
	}
	for _, doc := range s.layers {
		for _, v := range doc.Versions {
			used[v.Code.SHA256] = true
		}
	}
	return used
}

// collect removes the packages that nothing refers to. What cannot be removed now
// is tried again by the next collection.
func (s *store) collect() {
	trash, err := os.MkdirTemp(s.path(dirTemp), "trash-")
	if err != nil {
		return
	}
	s.discard(trash)
	_ = removeTree(trash) // without the lock: unpacked code can be large
}

// discard moves the packages that nothing refers to into a folder.
func (s *store) discard(trash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := s.references()
	for _, sub := range []string{dirBlobs, dirCode} {
		entries, err := os.ReadDir(s.path(sub))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !used[strings.TrimSuffix(e.Name(), ".zip")] {
				_ = os.Rename(s.path(sub, e.Name()), filepath.Join(trash, e.Name()))
			}
		}
	}
}

// checkBlobs makes sure that every package that a document names is there.
func (s *store) checkBlobs() error {
	for sha := range s.references() {
		if sha == "" {
			continue
		}
		if _, err := os.Stat(s.blobPath(sha)); err != nil {
			return fmt.Errorf("reading %s: a function's code package is missing from the state folder", s.blobPath(sha))
		}
	}
	return nil
}

// removeTree removes a file or folder, also when folders in it are read-only.
func removeTree(path string) error {
	err := os.RemoveAll(path)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}
