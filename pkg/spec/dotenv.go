package spec

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/joho/godotenv"

	"github.com/devs/deploy/pkg/diag"
)

// LoadDotEnv reads the file .env of dir; no file is an empty map. Its values are
// secrets: never print them. Look a name up in the process environment first, see
// WithDotEnv.
func LoadDotEnv(dir string) (map[string]string, error) {
	file := filepath.Join(dir, ".env")
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, diag.At(at(file), "the file cannot be read").WithCause(err).WithHint("check its permissions, or delete it")
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	env, err := godotenv.Unmarshal(text)
	if err != nil {
		// The library's message quotes the file, which holds secrets.
		return nil, diag.At(diag.Pos{File: file, Line: badLine(text)}, "the line is not NAME=value").
			WithHint("write NAME=value, with quotes around a value of several words, or # in front of a comment")
	}
	return env, nil
}

// badLine returns the first line with which text cannot be read any more.
func badLine(text string) int {
	all := strings.SplitAfter(text, "\n")
	for n := len(all) - 1; n > 0; n-- {
		if _, err := godotenv.Unmarshal(strings.Join(all[:n], "")); err == nil {
			return n + 1
		}
	}
	return 1
}

// WithDotEnv returns a look-up that asks the process environment first, then the
// values of .env.
func WithDotEnv(process func(string) (string, bool), dotenv map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if process != nil {
			if v, ok := process(name); ok {
				return v, true
			}
		}
		v, ok := dotenv[name]
		return v, ok
	}
}
