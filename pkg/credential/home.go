package credential

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/devs/deploy/pkg/diag"
)

// Limits of the files that are read, in bytes.
const (
	maxAccessFile = 1 << 20
	maxConfigFile = 1 << 20
)

// Roots returns the folders that may be the root home, where access.yaml lies,
// best first. Nothing is created.
//
// The first is <serverless_devs_config_home>/.s or ~/.s; a workspace stored by
// `s set workspace` in its config/s.json replaces it; on Yunxiao it is
// ~/.cache/.s. Only where the home folder was not named explicitly, others follow
// for a home that cannot be written, as in a Jenkins container: $WORKSPACE_TMP/.s,
// $WORKSPACE/.s and <TempDir>/devs-<uid>.
func Roots(c Config) ([]string, error) {
	found, err := roots(c.withDefaults())
	var paths []string
	for _, r := range found {
		paths = append(paths, r.path)
	}
	return paths, err
}

// root is a folder that may be the root home. Others may write into the parent of
// a shared one.
type root struct {
	path   string
	shared bool
}

func roots(c Config) ([]root, error) {
	base, explicit := c.HomeDir, false
	if v, ok := c.Env("serverless_devs_config_home"); ok && strings.TrimSpace(v) != "" {
		base, explicit = strings.TrimSpace(v), true
	}
	var found []root
	if filepath.IsAbs(base) || explicit {
		home := filepath.Join(base, ".s")
		workspace, err := readWorkspace(filepath.Join(home, "config", "s.json"), base)
		switch {
		case err != nil:
			return nil, err
		case workspace != "":
			home, explicit = workspace, true
		case c.Yunxiao:
			home = filepath.Join(base, ".cache", ".s")
		}
		found = append(found, root{path: home})
	}
	if explicit || len(found) > 0 && canWrite(found[0].path) {
		return found, nil
	}
	for _, name := range []string{"WORKSPACE_TMP", "WORKSPACE"} {
		if dir, ok := c.Env(name); ok && filepath.IsAbs(dir) {
			found = append(found, root{filepath.Join(dir, ".s"), true})
		}
	}
	return append(found, root{filepath.Join(c.TempDir, "devs-"+strconv.Itoa(c.UID)), true}), nil
}

// canWrite reports whether the folder can be written, or made.
func canWrite(dir string) bool {
	for {
		err := syscall.Access(dir, 2) // W_OK
		if !errors.Is(err, syscall.ENOENT) || dir == filepath.Dir(dir) {
			return err == nil
		}
		dir = filepath.Dir(dir)
	}
}

// readWorkspace returns the root home that `s set workspace` stored, or "".
func readWorkspace(file, base string) (string, error) {
	data, err := readFile(file, maxConfigFile)
	if isAbsent(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var config struct {
		Workspace string `json:"workspace"`
	}
	if json.Unmarshal(data, &config) != nil {
		return "", diag.At(diag.Pos{File: file}, "this file is not valid JSON").
			WithHint("repair or remove it; it only holds what s set workspace stored")
	}
	workspace := strings.TrimSpace(config.Workspace)
	if workspace == "~" || strings.HasPrefix(workspace, "~/") {
		workspace = filepath.Join(base, workspace[1:])
	}
	if workspace != "" && !filepath.IsAbs(workspace) {
		return "", diag.At(diag.Pos{File: file}, "the workspace must be an absolute path")
	}
	return workspace, nil
}

// isAbsent reports whether a file is not there for us: it does not exist, or a
// folder on the way to it is closed to us, as the home of another user is.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, errClosedFolder)
}

var errClosedFolder = errors.New("a folder on the way is not accessible")

// readFile reads a regular file of at most limit bytes. Its errors name the file
// and hold nothing of its content.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, errClosedFolder
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, diag.At(diag.Pos{File: path}, "this is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, diag.At(diag.Pos{File: path}, "this file cannot be read").
			WithHint("check its owner and mode").WithCause(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, diag.At(diag.Pos{File: path}, "this file cannot be read").WithCause(err)
	}
	if int64(len(data)) > limit {
		return nil, diag.At(diag.Pos{File: path}, "this file is larger than %d bytes", limit)
	}
	return data, nil
}

// isPrivate reports whether a file or folder belongs to uid alone: nobody else
// may have put it there. The path itself must not be a link.
func isPrivate(path string, uid int, forbidden fs.FileMode) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink != 0 || info.Mode().Perm()&forbidden != 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == uid
}
