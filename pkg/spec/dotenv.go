package spec

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
	env, err := parseDotEnv(text)
	if err != nil {
		// The library's message quotes the file, which holds secrets.
		return nil, diag.At(diag.Pos{File: file, Line: badLine(text)}, "the line is not NAME=value").
			WithHint("write NAME=value, with quotes around a value of several words, or # in front of a comment")
	}
	return env, nil
}

// parseDotEnv keeps the "$" of values: the library replaces $NAME by nothing when
// the file has no NAME, which would cut a password short without a word. A value is
// expanded when all the names in it are set in the file.
func parseDotEnv(text string) (map[string]string, error) {
	expanded, err := godotenv.Unmarshal(text)
	if err != nil {
		return nil, err
	}
	const stand = "\ue0d0" // private use: stands for "$" while the library looks
	env, err := godotenv.Unmarshal(strings.ReplaceAll(text, "$", stand))
	if err != nil {
		return nil, err
	}
	names := regexp.MustCompile(`\$\{?([A-Z0-9_]*)`)
	for key, value := range env {
		value = strings.ReplaceAll(value, stand, "$")
		known := strings.Contains(value, "$")
		for _, m := range names.FindAllStringSubmatch(value, -1) {
			_, ok := expanded[m[1]]
			known = known && ok
		}
		if known {
			value = expanded[key]
		}
		env[key] = value
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
