package credential

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/devs/deploy/pkg/secret"
)

// newConfig returns a Config over an environment and a fresh home folder.
func newConfig(t testing.TB, env map[string]string) Config {
	t.Helper()
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	return Config{
		Env: func(name string) (string, bool) {
			v, ok := env[name]
			return v, ok
		},
		Environ:  environ,
		HomeDir:  t.TempDir(),
		TempDir:  t.TempDir(),
		UID:      os.Getuid(),
		Redactor: new(secret.Redactor),
	}
}

// writeAccess puts content into ~/.s/access.yaml and returns its path.
func writeAccess(t testing.TB, c Config, content string) string {
	t.Helper()
	path := filepath.Join(c.HomeDir, ".s", "access.yaml")
	writeTestFile(t, path, content, 0o600)
	return path
}

func writeTestFile(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func readTestFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// named makes fields of name, value, name, value, ...
func named(pairs ...string) []Field {
	var fields []Field
	for i := 0; i < len(pairs); i += 2 {
		fields = append(fields, Field{Name: pairs[i], Value: secret.New(pairs[i+1])})
	}
	return fields
}
