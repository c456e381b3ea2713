// Package judge builds the Dockerfiles of testdata/dockerfiles with the product and
// with docker, and compares what came out: files and config. judge.sh starts what it
// needs and runs it. It knows the product by its command line alone.
package judge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Case is one folder of the suite: a Dockerfile, its context, and how to build it.
type Case struct {
	Name string `yaml:"-"`
	Dir  string `yaml:"-"`
	// File is the Dockerfile, relative to the folder (default Dockerfile).
	File string `yaml:"file"`
	// Context is the folder of the context, relative to the folder (default all of it).
	Context  string            `yaml:"context"`
	Target   string            `yaml:"target"`
	Args     map[string]string `yaml:"args"`
	Secrets  map[string]string `yaml:"secrets"`  // id to content
	Contexts map[string]string `yaml:"contexts"` // name to folder, relative to the folder
	SSH      bool              `yaml:"ssh"`
	// Made names what is made in the copy of the folder before the build, because
	// git can not hold it.
	Made []string `yaml:"prepare"`
	// Fails is a pattern of the output of a build that has to fail.
	Fails string `yaml:"fails"`
	// MayRefuse is a pattern of the error with which our builder may refuse the case
	// where it has not the right to do it.
	MayRefuse string `yaml:"mayRefuse"`
	// Skip says why a judge, or an ordinary user, can not build the case.
	Skip map[string]string `yaml:"skip"`
	// Heavy cases take minutes; they run on demand.
	Heavy bool `yaml:"heavy"`
	Run   *Run `yaml:"run"`
}

// Run is how the image is started, and what it has to print.
type Run struct {
	Args   []string `yaml:"args"`
	Stdout string   `yaml:"stdout"`
}

const expectedFile = "expected"

// LoadCases reads the suite.
func LoadCases(root string) ([]*Case, error) {
	dirs, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("reading the suite: %w", err)
	}
	var cases []*Case
	for _, dir := range dirs {
		c := &Case{Name: dir.Name(), Dir: filepath.Join(root, dir.Name()), File: "Dockerfile"}
		source, err := os.Open(filepath.Join(c.Dir, "case.yaml"))
		if err == nil {
			decoder := yaml.NewDecoder(source)
			decoder.KnownFields(true)
			err = errors.Join(decoder.Decode(c), source.Close())
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the case %s: %w", c.Name, err)
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("reading the case %s: %w", c.Name, err)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func (c *Case) check() error {
	for _, pattern := range []string{c.Fails, c.MayRefuse} {
		if _, err := regexp.Compile(pattern); err != nil {
			return err
		}
	}
	for judge := range c.Skip {
		if judge != classic && judge != buildkit && judge != modern && judge != user {
			return fmt.Errorf("no such judge: %s", judge)
		}
	}
	_, err := os.Stat(filepath.Join(c.Dir, c.File))
	return err
}

// Prepared is a copy of a case for one build.
type Prepared struct {
	*Case
	Dir, Context, Dockerfile string            // absolute
	Secrets                  map[string]string // id to file
	Contexts                 map[string]string // name to absolute folder
	Bases                    []string          // the arguments for bases that it asks for
}

// Prepare copies the case into dir, puts names in place of @NAME@ in its Dockerfile,
// and makes what it asks for. All times are the same.
func (c *Case) Prepare(dir string, names map[string]string) (*Prepared, error) {
	p := &Prepared{Case: c, Dir: filepath.Join(dir, "case"), Secrets: map[string]string{}, Contexts: map[string]string{}}
	if err := copyCase(c.Dir, p.Dir); err != nil {
		return nil, fmt.Errorf("copying the case %s: %w", c.Name, err)
	}
	p.Dockerfile = filepath.Join(p.Dir, c.File)
	p.Context = filepath.Join(p.Dir, c.Context)
	for name, folder := range c.Contexts {
		p.Contexts[name] = filepath.Join(p.Dir, folder)
	}
	source, err := os.ReadFile(p.Dockerfile)
	if err != nil {
		return nil, err
	}
	text := string(source)
	for name, value := range names {
		text = strings.ReplaceAll(text, "@"+name+"@", value)
	}
	for _, base := range []string{"BUSYBOX", "DEBIAN"} {
		if strings.Contains(text, "ARG "+base) {
			p.Bases = append(p.Bases, base)
		}
	}
	if err := os.WriteFile(p.Dockerfile, []byte(text), 0o644); err != nil {
		return nil, err
	}
	for id, content := range c.Secrets {
		p.Secrets[id] = filepath.Join(dir, "secret-"+id)
		if err := os.WriteFile(p.Secrets[id], []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	for _, name := range c.Made {
		prepare, ok := preparations()[name]
		if !ok {
			return nil, fmt.Errorf("preparing the case %s: no preparation %q", c.Name, name)
		}
		if err := prepare(p); err != nil {
			return nil, fmt.Errorf("preparing the case %s: %w", c.Name, err)
		}
	}
	return p, settle(p.Dir)
}

// copyCase copies files and folders; the files of the judge itself are left out.
func copyCase(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if rel == "case.yaml" || rel == expectedFile {
			return nil
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		return errors.Join(os.WriteFile(target, content, mode), os.Chmod(target, mode))
	})
}

// settle gives all files one time.
func settle(dir string) error {
	at := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, at, at)
	})
}

func suiteRoot() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "testdata", "dockerfiles")
}
