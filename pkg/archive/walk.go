package archive

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/devs/deploy/pkg/diag"
)

// source is one entry to be written.
type source struct {
	path string      // in the package; that of a folder ends in "/"
	file string      // on disk
	mode fs.FileMode // normalised
	info fs.FileInfo // of a file: what it was when the tree was read
	link string      // of a link: its target
}

// walker lists the files of a folder, less those that are left out.
type walker struct {
	open     func(string) (*os.File, error)
	root     string
	sources  []source
	warnings []*diag.Problem
}

// rootRules returns the rules of opts and those of the template's folder, where
// they hold.
func (w *walker) rootRules(opts Options) (*ruleSet, error) {
	rules, err := parseRules("built-in rules", []byte(strings.Join(opts.Ignore, "\n")))
	if err != nil {
		return nil, err
	}
	set := &ruleSet{rules: rules}
	if opts.TemplateDir == "" {
		return set, nil
	}
	if info, err := os.Lstat(filepath.Join(opts.Path, IgnoreFile)); err == nil && !info.IsDir() {
		return set, nil
	}
	file := filepath.Join(opts.TemplateDir, IgnoreFile)
	info, err := os.Lstat(file)
	if err != nil || info.IsDir() {
		return set, nil
	}
	rel, err := relative(opts.TemplateDir, cmp.Or(opts.SourceDir, opts.Path))
	if err != nil {
		return nil, err
	}
	legacy := &ruleSet{outer: set}
	switch {
	case rel == "..", strings.HasPrefix(rel, "../"):
		w.warn("%q is not used: the code is not below its folder", file)
		return set, nil
	case rel != ".":
		w.warn("%q is beside the template, which is deprecated", file)
		legacy.prefix = withSlash(rel)
	}
	return w.readRules(file, info, legacy)
}

func (w *walker) warn(format string, args ...any) {
	w.warnings = append(w.warnings, diag.Errorf(format, args...).
		WithHint("move it into the folder of the code (codeUri), with rules relative to that folder"))
}

// relative returns target relative to base, with slashes.
func relative(base, target string) (string, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return "", fmt.Errorf("finding the template's folder: %w", err)
	}
	target, err = filepath.Abs(target)
	if err != nil {
		return "", fmt.Errorf("finding the code's folder: %w", err)
	}
	rel, err := filepath.Rel(base, target)
	if err != nil {
		return "", fmt.Errorf("comparing the folders of template and code: %w", err)
	}
	return filepath.ToSlash(rel), nil
}

func withSlash(dir string) string {
	if dir == "" {
		return ""
	}
	return dir + "/"
}

// walk returns everything that is to be packed, in the order of the bytes of the
// paths.
func (w *walker) walk(ctx context.Context, rules *ruleSet) ([]source, error) {
	if err := w.folder(ctx, "", rules); err != nil {
		return nil, err
	}
	files := slices.ContainsFunc(w.sources, func(s source) bool { return !s.mode.IsDir() })
	if !files {
		return nil, diag.Errorf("there is nothing to pack in %q", w.root).
			WithHint("check codeUri, build the code first, and see whether %s leaves out everything", IgnoreFile)
	}
	slices.SortFunc(w.sources, func(a, b source) int { return strings.Compare(a.path, b.path) })
	return w.sources, nil
}

// folder adds what is below dir, a path relative to the root, "" for the root.
func (w *walker) folder(ctx context.Context, dir string, rules *ruleSet) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	list, err := w.readDir(w.disk(dir))
	if err != nil {
		return err
	}
	if len(list) == 0 && dir != "" {
		w.sources = append(w.sources, source{path: dir + "/", mode: fs.ModeDir | 0o755})
		return nil
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	rules, err = w.folderRules(dir, list, rules)
	if err != nil {
		return err
	}
	for _, e := range list {
		path := withSlash(dir) + e.Name()
		if rules.ignores(path, e.IsDir()) {
			continue
		}
		if e.IsDir() {
			err = w.folder(ctx, path, rules)
		} else {
			err = w.file(path, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// disk returns where path is on disk.
func (w *walker) disk(path string) string {
	return filepath.Join(w.root, filepath.FromSlash(path))
}

func (w *walker) readDir(dir string) ([]fs.DirEntry, error) {
	f, err := w.open(dir)
	if err != nil {
		return nil, readProblem(dir, err)
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, readProblem(dir, err)
	}
	return list, nil
}

// file adds the file or link at path.
func (w *walker) file(path string, e fs.DirEntry) error {
	src := source{path: path, file: w.disk(path)}
	info, err := e.Info()
	if err != nil {
		return readProblem(src.file, err)
	}
	switch {
	case info.Mode().IsRegular():
		src.info = info
		src.mode = fileMode(path, info.Mode())
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(src.file)
		if err != nil {
			return readProblem(src.file, err)
		}
		src.link = filepath.ToSlash(target)
		src.mode = fs.ModeSymlink | 0o777
	default:
		return specialProblem(src.file, info.Mode())
	}
	if !utf8.ValidString(path) {
		w.warnings = append(w.warnings, diag.Errorf("the name of %q is not UTF-8; it is packed byte for byte", src.file).
			WithHint("rename it: programs that unpack the code may read the name differently"))
	}
	w.sources = append(w.sources, src)
	return nil
}

// fileMode keeps of a file's mode what matters: whether its owner may run it. The
// start file of custom runtimes can always be run.
func fileMode(path string, mode fs.FileMode) fs.FileMode {
	if mode&0o100 != 0 || path == "bootstrap" {
		return 0o755
	}
	return 0o644
}

// folderRules returns the rules for what is in dir: those of its ignore file, if
// list has one, before the outer ones.
func (w *walker) folderRules(dir string, list []fs.DirEntry, outer *ruleSet) (*ruleSet, error) {
	i := slices.IndexFunc(list, func(e fs.DirEntry) bool { return e.Name() == IgnoreFile && !e.IsDir() })
	if i < 0 {
		return outer, nil
	}
	file := w.disk(withSlash(dir) + IgnoreFile)
	info, err := list[i].Info()
	if err != nil {
		return nil, readProblem(file, err)
	}
	return w.readRules(file, info, &ruleSet{outer: outer, strip: len(withSlash(dir))})
}

// readRules fills set with the rules of file. A file that cannot be read for
// what it says is an error: to go on without it would publish what the user
// wants left out.
func (w *walker) readRules(file string, info fs.FileInfo, set *ruleSet) (*ruleSet, error) {
	if !info.Mode().IsRegular() {
		return nil, diag.Errorf("%q is not a regular file, so its rules are not read", file).
			WithHint("put the rules into the file itself")
	}
	f, err := w.open(file)
	if err != nil {
		return nil, readProblem(file, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxIgnoreFile+1))
	if err != nil {
		return nil, readProblem(file, err)
	}
	if len(content) > maxIgnoreFile {
		return nil, diag.At(diag.Pos{File: file}, "the ignore file is larger than %d KiB", maxIgnoreFile>>10).
			WithHint("use fewer rules, with wildcards")
	}
	set.rules, err = parseRules(file, content)
	return set, err
}
