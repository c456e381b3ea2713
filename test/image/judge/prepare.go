package judge

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// preparations make what git can not hold or what would be large.
func preparations() map[string]func(*Prepared) error {
	return map[string]func(*Prepared) error{
		"symlinks":     prepareSymlinks,
		"outside":      prepareOutside,
		"oddnames":     prepareOddNames,
		"modes":        prepareModes,
		"hardlinks":    prepareHardlinks,
		"emptyfolders": prepareEmptyFolders,
		"archives":     prepareArchives,
		"crlf":         prepareCRLF,
	}
}

// write makes a file and the folders above it.
func write(path, content string, mode os.FileMode) error {
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600), os.Chmod(path, mode))
}

func prepareSymlinks(p *Prepared) error {
	tree := filepath.Join(p.Context, "tree")
	return errors.Join(
		write(filepath.Join(tree, "file"), "content\n", 0o644),
		write(filepath.Join(tree, "dir", "inside"), "inside\n", 0o644),
		os.Symlink("file", filepath.Join(tree, "link-to-file")),
		os.Symlink("dir", filepath.Join(tree, "link-to-dir")),
		os.Symlink("nowhere", filepath.Join(tree, "broken")),
		os.Symlink("/etc/passwd", filepath.Join(tree, "absolute")),
	)
}

func prepareOutside(p *Prepared) error {
	outside := filepath.Join(filepath.Dir(p.Dir), "outside.txt")
	return errors.Join(write(outside, "outside\n", 0o644), os.Symlink("../outside.txt", filepath.Join(p.Context, "escape")))
}

func prepareOddNames(p *Prepared) error {
	dir := filepath.Join(p.Context, "names")
	names := map[string]string{
		"with space": "space\n", "-dash": "x", "new\nline": "x", "quo'te\"s": "x", "back\\slash": "x", "$dollar": "x",
		"uni-\u00fc-\u6f22": "x", "*": "x", "[a]": "x", "#hash": "x", "tab\there": "x", ".hidden": "x",
		strings.Repeat("n", 200):                                "x",
		strings.Repeat("folder-with-a-long-name/", 15) + "file": "x",
	}
	var errs []error
	for name, content := range names {
		errs = append(errs, write(filepath.Join(dir, name), content, 0o644))
	}
	return errors.Join(errs...)
}

func prepareModes(p *Prepared) error {
	dir := filepath.Join(p.Context, "modes")
	return errors.Join(
		write(filepath.Join(dir, "600"), "x", 0o600),
		write(filepath.Join(dir, "755"), "x", 0o755),
		write(filepath.Join(dir, "444"), "x", 0o444),
		write(filepath.Join(dir, "dir700", "file"), "x", 0o640),
		os.Chmod(filepath.Join(dir, "dir700"), 0o700),
		os.Chown(filepath.Join(dir, "600"), 1234, 5678),
	)
}

func prepareHardlinks(p *Prepared) error {
	dir := filepath.Join(p.Context, "links")
	return errors.Join(
		write(filepath.Join(dir, "a"), "linked\n", 0o644),
		os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")),
		write(filepath.Join(dir, "big"), "x", 0o644),
		os.Truncate(filepath.Join(dir, "big"), 20<<20),
	)
}

func prepareEmptyFolders(p *Prepared) error {
	tree := filepath.Join(p.Context, "tree")
	return errors.Join(os.MkdirAll(filepath.Join(tree, "empty"), 0o755), os.MkdirAll(filepath.Join(tree, "a", "b", "c"), 0o755))
}

func prepareCRLF(p *Prepared) error {
	text, err := os.ReadFile(p.Dockerfile)
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	return os.WriteFile(p.Dockerfile, append([]byte("\xef\xbb\xbf"), text...), 0o644)
}

// archive is the content of the archives that are unpacked.
func archive() []byte {
	return tarOf(
		tar.Header{Name: "dir/", Mode: 0o750, Typeflag: tar.TypeDir},
		tar.Header{Name: "dir/file", Mode: 0o644, Linkname: "content\n"},
		tar.Header{Name: "dir/hard", Typeflag: tar.TypeLink, Linkname: "dir/file", Mode: 0o644},
		tar.Header{Name: "dir/owned", Mode: 0o640, Uid: 12, Gid: 34, Linkname: "owned\n"},
		tar.Header{Name: "dir/setuid", Mode: 0o4755, Linkname: "setuid\n"},
		tar.Header{Name: "dir/link", Typeflag: tar.TypeSymlink, Linkname: "file", Mode: 0o777},
		tar.Header{Name: "implied/folder/file", Mode: 0o644, Linkname: "x"},
	)
}

// tarOf writes a tar; Linkname of a regular file is its content.
func tarOf(headers ...tar.Header) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		content := ""
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			h.Typeflag = tar.TypeReg
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		h.ModTime = time.Unix(1_000_000_000, 0)
		// A tar in memory takes every header and every byte.
		if err := w.WriteHeader(&h); err != nil {
			panic(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func prepareArchives(p *Prepared) error {
	other := tarOf(tar.Header{Name: "other", Mode: 0o644, Linkname: "other\n"})
	root := tarOf(
		tar.Header{Name: "./", Mode: 0o755, Typeflag: tar.TypeDir},
		tar.Header{Name: "./over/file", Mode: 0o644, Linkname: "new\n"},
		tar.Header{Name: "./made/file", Mode: 0o644, Linkname: "made\n"},
		tar.Header{Name: "./alias/through", Mode: 0o644, Linkname: "through\n"},
	)
	plan := []struct {
		name    string
		content []byte
		program []string
	}{
		{"plain.tar", archive(), nil},
		{"a.tar.gz", archive(), []string{"gzip", "-nc"}},
		{"a.tar.bz2", archive(), []string{"bzip2", "-c"}},
		{"a.tar.xz", archive(), []string{"xz", "-c"}},
		{"a.tar.zst", archive(), []string{"zstd", "-qc"}},
		{"misnamed.bin", archive(), []string{"gzip", "-nc"}},
		{"other.tar.xz", other, []string{"xz", "-c"}},
		{"root.tar.gz", root, []string{"gzip", "-nc"}},
		{"text.tar.gz", []byte("no archive\n"), nil},
	}
	for _, a := range plan {
		content := a.content
		if a.program != nil {
			cmd := exec.Command(a.program[0], a.program[1:]...)
			cmd.Stdin = bytes.NewReader(content)
			packed, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("packing %s: %w", a.name, err)
			}
			content = packed
		}
		if err := write(filepath.Join(p.Context, a.name), string(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
