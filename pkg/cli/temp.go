package cli

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// TempDir returns the folder for temporary files in place of the system's, where that
// cannot be written, as in a container whose root is read-only: one that the CI gives to
// the job, the usual one, or .s/tmp in the working directory, which no code package
// contains. It is "" when the system's can be used, and when there is no other either.
func TempDir(env *Env, system, usual string) string {
	if writable(system) {
		return ""
	}
	t := &tool{Env: env}
	for _, dir := range []string{t.env("WORKSPACE_TMP"), t.env("RUNNER_TEMP"), usual} {
		if filepath.IsAbs(dir) && writable(dir) {
			return dir
		}
	}
	own := filepath.Join(env.Dir, ".s", "tmp")
	if os.MkdirAll(own, 0o700) == nil && writable(own) {
		return own
	}
	return ""
}

// writable reports whether files can be made in a folder.
func writable(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir() && unix.Access(dir, unix.W_OK|unix.X_OK) == nil
}
