package spec

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/spec/yamlvalue"
)

// document reads a file and what it extends. chain holds the files that led here,
// as absolute paths.
func (l *loader) document(file string, chain []string) (*app.Value, error) {
	path := l.abs(file)
	data, err := l.readFile(path)
	if err != nil {
		return nil, diag.At(at(file), "the application file cannot be read").WithCause(err).WithHint("check that it exists and its permissions")
	}
	root, err := parse(data, file)
	if err != nil {
		return nil, err
	}
	parent, err := extends(root)
	if err != nil || parent == nil {
		return root, err
	}
	chain = append(chain, path)
	base := filepath.Join(filepath.Dir(file), parent.Str())
	if filepath.IsAbs(parent.Str()) {
		base = parent.Str()
	}
	if i := slices.Index(chain, l.abs(base)); i >= 0 {
		return nil, diag.At(parent.Pos, "the files extend each other: %s", l.cycle(append(chain[i:], l.abs(base)))).
			WithHint("remove the extend of one of them")
	}
	if _, err := l.stat(l.abs(base)); errors.Is(err, fs.ErrNotExist) {
		return nil, diag.At(parent.Pos, "the extended file %s does not exist", parent.Str()).WithCause(err).
			WithHint("the path is relative to the folder of %s", file)
	}
	inherited, err := l.document(base, chain)
	if err != nil {
		return nil, err
	}
	return merge(inherited, without(root, "extend", "extends")), nil
}

func (l *loader) cycle(paths []string) string {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = p
		if rel, err := filepath.Rel(l.dir, p); err == nil && filepath.IsLocal(rel) {
			names[i] = rel
		}
	}
	return strings.Join(names, " -> ")
}

// parse reads one file and demands a mapping.
func parse(data []byte, file string) (*app.Value, error) {
	root, err := yamlvalue.Parse(data, yamlvalue.Options{File: file, Expressions: true})
	if err != nil {
		if p := templateFile(data, file); p != nil {
			return nil, p.WithCause(err)
		}
		return nil, err
	}
	switch root.Kind {
	case app.Map:
		return root, nil
	case app.Null:
		return nil, diag.At(diag.Pos{File: file, Line: 1, Column: 1}, "the file is empty").
			WithHint("an application file begins with edition: 1.0.0 and name:, then services:")
	}
	return nil, diag.At(root.Pos, "the file is %s, not a mapping", root.Kind).
		WithHint("an application file begins with edition: 1.0.0 and name:, then services:")
}

// extends returns the path of the parent file, nil for none. `extends` is the old
// spelling and may be a list, of which the first entry counts.
func extends(root *app.Value) (*app.Value, error) {
	for _, key := range []string{"extend", "extends"} {
		v := root.Get(key)
		if v.IsNull() {
			continue
		}
		if v.Kind == app.List && len(v.Items) > 0 {
			v = v.Items[0]
		}
		if v.Kind != app.String || v.Str() == "" {
			return nil, diag.At(v.Pos, "%s is %s, not the path of a file", key, v.Kind).WithHint("write %s: ./base.yaml", key)
		}
		if len(v.Exprs) > 0 {
			return nil, diag.At(v.Exprs[0], "%s cannot hold expressions", key).WithHint("write the path, for example %s: ./base.yaml", key)
		}
		return v, nil
	}
	return nil, nil
}
