package hook

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

// systemPath is searched when the environment has no PATH.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Environ returns base for the programs of hooks: binDir (see LinkDir; "" for none)
// comes first on PATH, and extra sets variables, or removes those that are "": so a
// token that is left over from elsewhere does not join other keys. A name that
// base has twice counts once, with its last value.
func Environ(base []string, binDir string, extra map[string]string) []string {
	env := map[string]string{}
	var names []string
	set := func(name, value string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		env[name] = value
	}
	for _, e := range base {
		if name, value, ok := strings.Cut(e, "="); ok && name != "" {
			set(name, value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		set(name, extra[name])
		if extra[name] == "" {
			names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		}
	}
	if binDir != "" {
		path := env["PATH"]
		if path == "" {
			path = systemPath
		}
		set("PATH", binDir+":"+path)
	}
	environ := make([]string, len(names))
	for i, name := range names {
		environ[i] = name + "=" + env[name]
	}
	return environ
}

// LinkDir makes a folder below tmp ("" for the system's) with links named devs and
// s to the executable, so that a nested `s …` is this same program. cleanup removes
// the folder.
func LinkDir(tmp, executable string) (dir string, cleanup func(), err error) {
	target, err := filepath.Abs(executable)
	if err != nil {
		return "", nil, fmt.Errorf("finding %s: %w", executable, err)
	}
	made, err := os.MkdirTemp(tmp, "devs-bin-")
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for hooks: %w", err)
	}
	cleanup = func() { _ = os.RemoveAll(made) }
	if dir, err = filepath.Abs(made); err == nil {
		err = link(dir, target)
	}
	if err != nil {
		cleanup()
		return "", nil, err
	}
	return dir, cleanup, nil
}

func link(dir, target string) error {
	if strings.Contains(dir, ":") {
		return diag.Errorf("the folder for temporary files, %s, has a colon in its name and cannot be on PATH", filepath.Dir(dir)).
			WithHint("set TMPDIR to another folder")
	}
	for _, name := range []string{"devs", "s"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("linking %s: %w", name, err)
		}
	}
	return nil
}
