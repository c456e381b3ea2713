// Package spec reads an application file (s.yaml), both editions, into app.App:
// it finds the file, reads the YAML, applies inheritance and templates, and checks
// everything that can be known without a component, a credential or the network.
//
// Expressions stay as written: package expr evaluates them later. spec may read
// the application file and the files it extends, nothing else.
package spec

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// Options says what to load.
type Options struct {
	Dir      string // working directory, absolute
	Template string // the -t flag: a file or a folder; "" for the default names in Dir

	// The file system; nil for the real one.
	ReadFile func(path string) ([]byte, error)
	Stat     func(path string) (fs.FileInfo, error)
}

// Load reads the application. Errors are joined diag.Problems, each with the place
// in the file that it came from, and ask for exit code 100.
func Load(opts Options) (*app.App, error) {
	l := newLoader(opts)
	file, err := l.find(opts.Template)
	if err != nil {
		return nil, err
	}
	root, err := l.document(file, nil)
	if err != nil {
		return nil, err
	}
	path := l.abs(file)
	a := &app.App{File: file, Dir: filepath.Dir(path), Root: root}
	b := &builder{app: a, root: root}
	b.build()
	if err := b.err(); err != nil {
		return nil, err
	}
	return a, nil
}

// loader reads files.
type loader struct {
	dir      string
	readFile func(string) ([]byte, error)
	stat     func(string) (fs.FileInfo, error)
}

func newLoader(opts Options) *loader {
	l := &loader{dir: opts.Dir, readFile: opts.ReadFile, stat: opts.Stat}
	if l.readFile == nil {
		l.readFile = os.ReadFile
	}
	if l.stat == nil {
		l.stat = os.Stat
	}
	return l
}

// abs returns the absolute path of a file as the user named it.
func (l *loader) abs(file string) string {
	if filepath.IsAbs(file) {
		return filepath.Clean(file)
	}
	return filepath.Join(l.dir, file)
}

func at(file string) diag.Pos { return diag.Pos{File: file} }
