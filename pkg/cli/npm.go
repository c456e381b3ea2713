package cli

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// envNested is set for the programs of hooks: a call of s there belongs to another one.
const envNested = "DEVS_NESTED"

// tellOfNPM says once in a job of a CI that a line of its script can go: the one that
// installs another s, which is not used.
func (t *tool) tellOfNPM() {
	if t.Silent || !t.inCI() || t.truthy(envNested) {
		return
	}
	self, err := filepath.EvalSymlinks(t.Executable)
	if err != nil || !needlessS(leadsTo("s", t.env("PATH")), self) {
		return
	}
	dir := cmp.Or(t.env("RUNNER_TEMP"), t.env("WORKSPACE_TMP"), os.TempDir())
	if first(filepath.Join(dir, fmt.Sprintf("devs-npm-%d-%.8x", os.Getuid(), sha256.Sum256([]byte(t.job()))))) {
		t.note("npm install -g @serverless-devs/s is not needed here: s is devs")
	}
}

// needlessS reports whether the s of npm is on PATH but never run, because ours is found
// first. found is what s leads to in the folders of PATH, in order; self is this program.
func needlessS(found []string, self string) bool {
	if len(found) == 0 || found[0] != self {
		return false
	}
	for _, file := range found[1:] {
		if strings.Contains(filepath.ToSlash(file), "/node_modules/@serverless-devs/s/") {
			return true
		}
	}
	return false
}

// leadsTo returns the files that a program's name leads to in the folders of path.
func leadsTo(name, path string) []string {
	var found []string
	for _, dir := range filepath.SplitList(path) {
		if file, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err == nil && dir != "" {
			found = append(found, file)
		}
	}
	return found
}

// job tells the jobs of a machine apart, as far as its CI does.
func (t *tool) job() string {
	var parts []string
	for _, name := range []string{
		"GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "CI_JOB_ID", "BUILD_TAG", "GITEE_PIPELINE_BUILD_NUMBER", "PIPELINE_ID", "BUILD_NUMBER",
	} {
		parts = append(parts, t.env(name))
	}
	return strings.Join(parts, "\n")
}

// first reports whether nobody asked with this name before. Where that cannot be
// remembered, everybody is the first.
func first(name string) bool {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_ = f.Close()
	}
	return !errors.Is(err, fs.ErrExist)
}
