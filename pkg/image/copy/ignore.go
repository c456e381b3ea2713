package copy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/patternmatcher/ignorefile"

	"github.com/devs/deploy/pkg/diag"
)

const (
	ignoreName = ".dockerignore"
	maxIgnore  = 4 << 20 // bytes of an ignore file
)

// readIgnore reads the ignore file of a context, when there is one.
func readIgnore(root, dockerfile string) (*matcher, error) {
	files := []string{filepath.Join(root, ignoreName)}
	if dockerfile != "" {
		files = append([]string{dockerfile + ignoreName}, files...)
	}
	for _, file := range files {
		src, err := readSmall(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the rules of the build context: %w", err)
		}
		return parseIgnore(file, src)
	}
	return nil, nil
}

func readSmall(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxIgnore+1))
	if err == nil && len(src) > maxIgnore {
		err = diag.Errorf("%s is larger than %d bytes", file, maxIgnore)
	}
	return src, err
}

// parseIgnore parses an ignore file; the errors point to the line.
func parseIgnore(file string, src []byte) (*matcher, error) {
	patterns, err := ignorefile.ReadAll(bytes.NewReader(src))
	if err != nil {
		return nil, diag.At(diag.Pos{File: file}, "the file cannot be read: %v", err)
	}
	rules, err := newMatcher(patterns)
	if err == nil {
		return rules, nil
	}
	for i, line := range bytes.Split(src, []byte("\n")) {
		one, readErr := ignorefile.ReadAll(bytes.NewReader(line))
		if readErr != nil {
			continue
		}
		if _, err := newMatcher(one); err != nil {
			return nil, diag.At(diag.Pos{File: file, Line: i + 1, Column: 1}, "the pattern cannot be understood: %v", err).
				WithHint("see the rules of Go's filepath.Match; ** stands for any number of folders, and ! brings files back")
		}
	}
	return nil, diag.At(diag.Pos{File: file}, "the patterns cannot be understood: %v", err)
}
