package credential

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/devs/deploy/pkg/diag"
)

func TestRoots(t *testing.T) {
	home := t.TempDir()
	elsewhere := t.TempDir()
	withWorkspace := func(base, content string) string {
		writeTestFile(t, filepath.Join(base, ".s", "config", "s.json"), content, 0o600)
		return base
	}
	cases := []struct {
		name string
		c    Config
		env  map[string]string
		want []string
	}{
		{"home", Config{HomeDir: home, UID: 7}, nil, []string{home + "/.s"}},
		{"Jenkins", Config{HomeDir: "/dev/null", UID: 7}, map[string]string{"WORKSPACE": "/ws", "WORKSPACE_TMP": "/ws@tmp"},
			[]string{"/dev/null/.s", "/ws@tmp/.s", "/ws/.s", "/tmp/devs-7"}},
		{"no home", Config{UID: 7, TempDir: "/t"}, nil, []string{"/t/devs-7"}},
		{"relative home", Config{HomeDir: "x", UID: 7}, nil, []string{"/tmp/devs-7"}},
		{"config home", Config{HomeDir: home}, map[string]string{"serverless_devs_config_home": elsewhere, "WORKSPACE": "/ws"},
			[]string{elsewhere + "/.s"}},
		{"Yunxiao", Config{HomeDir: home, Yunxiao: true}, nil, []string{home + "/.cache/.s"}},
		{"workspace", Config{HomeDir: withWorkspace(t.TempDir(), `{"workspace":"/data/s"}`), Yunxiao: true}, nil, []string{"/data/s"}},
		{"no workspace in s.json", Config{HomeDir: withWorkspace(elsewhere, `{"locale":"en"}`)}, nil, []string{elsewhere + "/.s"}},
	}
	for _, tc := range cases {
		tc.c.Env = func(name string) (string, bool) { v, ok := tc.env[name]; return v, ok }
		got, err := Roots(tc.c)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: Roots = %q, %v; want %q", tc.name, got, err, tc.want)
		}
	}
	tilde := withWorkspace(t.TempDir(), `{"workspace":"~/mine"}`)
	if got, err := Roots(Config{HomeDir: tilde}); err != nil || got[0] != tilde+"/mine" {
		t.Errorf("~: Roots = %q, %v", got, err)
	}
	for _, content := range []string{`{`, `{"workspace":"relative"}`} {
		if _, err := Roots(Config{HomeDir: withWorkspace(t.TempDir(), content)}); err == nil {
			t.Errorf("s.json %q was accepted", content)
		}
	}
}

// A home that cannot be written: what is stored goes to the workspace, is found
// there again, and is private.
func TestHomeThatCannotBeWritten(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	writeTestFile(t, blocked, "", 0o600)
	workspace := t.TempDir()
	config := newConfig(t, map[string]string{"WORKSPACE": workspace, "WORKSPACE_TMP": blocked})
	config.HomeDir = blocked // a file: nothing can be made below it, even by root
	result, err := NewStore(config).Add(context.Background(), AddOptions{Fields: named("AccessKeyID", "id", "AccessKeySecret", "key")})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(workspace, ".s", "access.yaml"); result.Path != want {
		t.Errorf("stored in %s, want %s", result.Path, want)
	}
	if c, err := NewResolver(config).Resolve(""); err != nil || c.AccessKeyID.Reveal() != "id" {
		t.Errorf("not found again: %v, %v", c, err)
	}
	config.TempDir = blocked
	config.Env = func(string) (string, bool) { return "", false }
	_, err = NewStore(config).Add(context.Background(), AddOptions{Fields: named("AccessKeyID", "id", "AccessKeySecret", "key")})
	if err == nil || !strings.Contains(diag.Render(err), "serverless_devs_config_home") {
		t.Errorf("nowhere to write: %v", err)
	}
}

// Somebody else's access.yaml in a shared folder must not give us their keys.
func TestSharedFolders(t *testing.T) {
	config := newConfig(t, nil)
	config.HomeDir = ""
	root := filepath.Join(config.TempDir, "devs-"+strconv.Itoa(config.UID))
	path := filepath.Join(root, "access.yaml")
	writeTestFile(t, path, keyYAML("prod", "planted"), 0o600)
	resolve := func() error { _, err := NewResolver(config).Resolve("prod"); return err }
	if err := resolve(); err != nil {
		t.Fatalf("our own file: %v", err)
	}
	ignored := func(name string) {
		t.Helper()
		err := resolve()
		if err == nil || !strings.Contains(diag.Render(err), "not private to this user") {
			t.Errorf("%s: %v", name, err)
		}
	}
	chmod(t, path, 0o644)
	ignored("file that others can read, as a checkout makes it")
	chmod(t, path, 0o600)
	chmod(t, root, 0o777)
	ignored("folder that others can write")
	chmod(t, root, 0o700)
	if os.Getuid() == 0 {
		if err := os.Chown(path, 4711, 4711); err != nil {
			t.Fatal(err)
		}
		ignored("file of another user")
		if err := os.Chown(path, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := errors.Join(os.Rename(path, moved), os.Symlink(moved, path)); err != nil {
		t.Fatal(err)
	}
	ignored("link")
}

func TestFilesThatAreNone(t *testing.T) {
	config := newConfig(t, nil)
	path := filepath.Join(config.HomeDir, ".s", "access.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewStore(config).List(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	writeAccess(t, config, strings.Repeat("#", maxAccessFile+1))
	if _, err := NewStore(config).List(); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a large file: %v", err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// A file that is ignored is not written either.
func TestIgnoredFileIsLeftAlone(t *testing.T) {
	config := newConfig(t, nil)
	config.HomeDir = ""
	path := filepath.Join(config.TempDir, "devs-"+strconv.Itoa(config.UID), "access.yaml")
	content := keyYAML("prod", "planted")
	writeTestFile(t, path, content, 0o644)
	_, err := NewStore(config).Add(context.Background(), AddOptions{Alias: "x", Fields: named("AccessKeyID", "id", "AccessKeySecret", "key")})
	if err == nil || !strings.Contains(diag.Render(err), "not private to this user") {
		t.Errorf("Add: %v", err)
	}
	if readTestFile(t, path) != content {
		t.Error("the ignored file was changed")
	}
}

// A home that is closed to us, such as /root for another user, is passed over.
func TestClosedHome(t *testing.T) {
	config := newConfig(t, map[string]string{"AccessKeyID": "id", "AccessKeySecret": "key"})
	closed := config.HomeDir
	config.HomeDir = filepath.Join(closed, "user")
	if err := os.Mkdir(config.HomeDir, 0o700); err != nil {
		t.Fatal(err)
	}
	chmod(t, closed, 0)
	defer chmod(t, closed, 0o700)
	if c, err := NewResolver(config).Resolve("prod"); err != nil || c.AccessKeyID.Reveal() != "id" {
		t.Errorf("Resolve: %v, %v", c, err)
	}
	result, err := NewStore(config).Add(context.Background(), AddOptions{Alias: "prod", Fields: named("AccessKeyID", "stored", "AccessKeySecret", "key")})
	if err != nil {
		t.Fatal(err)
	}
	if inTemp := strings.HasPrefix(result.Path, config.TempDir); inTemp != (os.Getuid() != 0) {
		t.Errorf("stored in %s", result.Path)
	}
	if c, err := NewResolver(config).Resolve("prod"); err != nil || c.AccessKeyID.Reveal() != "stored" {
		t.Errorf("Resolve after Add: %v, %v", c, err)
	}
}
