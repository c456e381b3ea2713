package spec

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/devs/deploy/pkg/diag"
)

// defaultNames in the order in which they are tried.
func defaultNames() []string { return []string{"s.yaml", "s.YAML", "s.YML", "s.yml"} }

// find returns the application file as the user would name it.
func (l *loader) find(template string) (string, error) {
	if template == "" {
		return l.inFolder("")
	}
	info, err := l.stat(l.abs(template))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", diag.At(at(template), "the application file does not exist").WithCause(err).
			WithHint("check -t %s: it is relative to %s", template, l.dir)
	case err != nil:
		return "", diag.At(at(template), "the application file cannot be opened").WithCause(err).
			WithHint("check its permissions")
	case info.IsDir():
		return l.inFolder(template)
	}
	return template, nil
}

// inFolder tries the default names; folder "" is the working directory.
func (l *loader) inFolder(folder string) (string, error) {
	for _, name := range defaultNames() {
		file := filepath.Join(folder, name)
		if info, err := l.stat(l.abs(file)); err == nil && !info.IsDir() {
			return file, nil
		}
	}
	return "", diag.Errorf("no s.yaml or s.yml in %s", l.abs(folder)).
		WithHint("go to the folder of the application, or name its file with -t path/to/s.yaml")
}
