// Package archive turns a user's code into the package that Function Compute
// runs: a folder becomes a zip whose bytes depend on nothing but the names,
// contents, exec bits and link targets of its files. It knows the ignore rules,
// the checksums the service uses, and how to keep a large package out of
// memory. It reads the user's files and never writes to them; it knows nothing
// of services, clouds or templates.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

const (
	// MaxInline is the size in bytes up to which a package travels inside the
	// API call (code.zipFile); a larger one goes through OSS. A package of
	// exactly this size is still sent inline.
	MaxInline = 50 << 20

	// DefaultMemoryLimit is how many bytes of a package stay in memory when
	// Options.MemoryLimit is zero.
	DefaultMemoryLimit = 16 << 20

	// maxWorkers bounds the memory that compression takes on large machines.
	maxWorkers = 16

	// filesPerWorker and bytesPerWorker are what a further worker is worth.
	filesPerWorker = 32
	bytesPerWorker = 1 << 18
)

// Options says what to pack and how.
type Options struct {
	// Path is the code: a folder, a .zip, .jar or .war that is sent as it is,
	// or any other file, which becomes a zip of one entry.
	Path string

	// ZipJar puts a .jar into a zip of one entry instead of sending it as it
	// is: custom runtimes that start "java -jar" need the file itself.
	ZipJar bool

	// Ignore holds rules in gitignore syntax, relative to Path. They are the
	// weakest: .fcignore may take any of them back with "!". FunctionIgnores
	// gives those of a runtime.
	Ignore []string

	// TemplateDir is the folder of the template. A .fcignore there is obeyed,
	// with a warning, when Path has none of its own. May be empty.
	TemplateDir string

	// SourceDir is the folder of the user's that Path was built from, when
	// Path is a build artifact; it places the rules of TemplateDir. Empty
	// means Path.
	SourceDir string

	// TempDir is where a package above MemoryLimit is kept until Close.
	TempDir string

	// MemoryLimit is how many bytes of the package may stay in memory; zero
	// means DefaultMemoryLimit, a negative number none.
	MemoryLimit int64

	// Workers is how many files are compressed at once; zero means one for
	// each processor. The bytes of the package do not depend on it.
	Workers int
}

// Entry is one member of a package.
type Entry struct {
	// Path is relative to the root of the code, with slashes; that of a folder
	// ends in one. It holds the bytes of the file name, UTF-8 or not.
	Path string
	// Mode is 0644 or 0755, with fs.ModeSymlink (0777) or fs.ModeDir (0755).
	// In a package that was sent as it is, it is what the file says.
	Mode fs.FileMode
	// Size is the number of bytes before compression.
	Size int64
	// CRC32 is the IEEE checksum of the content; of a link, of its target.
	CRC32 uint32
}

// Pack reads the code that opts names and returns its package, to be closed by
// the caller. Errors the user can act on are of type *diag.Problem.
func Pack(ctx context.Context, opts Options) (*Package, error) {
	if opts.TempDir == "" {
		return nil, errors.New("packing code: no folder for temporary files is set")
	}
	info, err := os.Stat(opts.Path)
	if err != nil {
		return nil, readProblem(opts.Path, err)
	}
	switch {
	case info.IsDir():
		return packFolder(ctx, opts)
	case !info.Mode().IsRegular():
		return nil, specialProblem(opts.Path, info.Mode())
	case sentAsIs(opts):
		return packAsIs(ctx, opts, info)
	}
	name := filepath.Base(opts.Path)
	src := source{path: name, file: opts.Path, info: info, mode: fileMode(name, info.Mode())}
	return packSources(ctx, opts, []source{src})
}

func packFolder(ctx context.Context, opts Options) (*Package, error) {
	w := &walker{open: os.Open, root: opts.Path}
	rules, err := w.rootRules(opts)
	if err != nil {
		return nil, err
	}
	sources, err := w.walk(ctx, rules)
	if err != nil {
		return nil, err
	}
	p, err := packSources(ctx, opts, sources)
	if err != nil {
		return nil, err
	}
	p.Warnings = w.warnings
	return p, nil
}

// packSources writes the zip of sources.
func packSources(ctx context.Context, opts Options, sources []source) (*Package, error) {
	s := newStore(opts)
	c := &compressor{open: os.Open, workers: workers(opts.Workers, sources)}
	entries, err := c.run(ctx, s, sources)
	if err != nil {
		return nil, s.abandon(err)
	}
	return s.seal(entries), nil
}

// workers returns how many workers compress sources when n are allowed: a few small
// files are done before a second worker is ready, which has about 1 MB to set up.
func workers(n int, sources []source) int {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	var total int64
	for i := range sources {
		total += sources[i].size()
	}
	return int(min(int64(n), maxWorkers, 1+int64(len(sources))/filesPerWorker+total/bytesPerWorker))
}

func sentAsIs(opts Options) bool {
	switch strings.ToLower(filepath.Ext(opts.Path)) {
	case ".zip", ".war":
		return true
	case ".jar":
		return !opts.ZipJar
	}
	return false
}

// readProblem says which of the user's files could not be read.
func readProblem(path string, err error) error {
	p := diag.Errorf("cannot read %q: %v", path, cause(err)).WithCause(err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p.WithHint("check codeUri, and build the code before it is deployed")
	case errors.Is(err, fs.ErrPermission):
		return p.WithHint("make it readable for the user who deploys, or leave it out with a rule in %s", IgnoreFile)
	}
	return p
}

// cause returns err without the operation and path that readProblem names.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

func specialProblem(path string, mode fs.FileMode) error {
	return diag.Errorf("%q is %s, which a code package cannot hold", path, kindOf(mode)).
		WithHint("remove it, or leave it out with a rule in %s", IgnoreFile)
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return fmt.Sprintf("a special file (%s)", mode.Type())
}

func changedProblem(path string) error {
	return diag.Errorf("%q changed while it was being packed", path).
		WithHint("let builds and watchers finish, then run the command again")
}
