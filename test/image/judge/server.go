package judge

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const servedFile = "served\n"

func servedSHA256() string {
	sum := sha256.Sum256([]byte(servedFile))
	return hex.EncodeToString(sum[:])
}

// handler serves what ADD fetches: a file, an archive, and a git repository of dir.
func handler(dir string) (http.Handler, error) {
	backend, err := gitRepository(dir)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(archive()); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	at := time.Unix(1_000_000_000, 0)
	mux := http.NewServeMux()
	mux.HandleFunc("/file.txt", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "file.txt", at, strings.NewReader(servedFile))
	})
	mux.HandleFunc("/a.tar.gz", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/gzip")
		http.ServeContent(w, r, "a.tar.gz", at, bytes.NewReader(packed.Bytes()))
	})
	mux.Handle("/repo.git/", backend)
	return mux, nil
}

// gitRepository makes a repository with a tag v1 and a branch main, and serves it by
// git's own program for HTTP.
func gitRepository(dir string) (http.Handler, error) {
	repo := filepath.Join(dir, "repo")
	script := `set -e
git init -q -b main .
mkdir sub && echo inner >sub/inner && echo 1 >version
printf '#!/bin/sh\n' >run.sh && chmod 755 run.sh
git add . && git commit -q -m one && git tag v1
echo 2 >version && git commit -q -a -m two
git config uploadpack.allowAnySHA1InWant true && git config uploadpack.allowFilter true
git --exec-path`
	if err := os.MkdirAll(repo, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=judge", "GIT_AUTHOR_EMAIL=judge@example.com", "GIT_AUTHOR_DATE=2001-09-09T01:46:40Z",
		"GIT_COMMITTER_NAME=judge", "GIT_COMMITTER_EMAIL=judge@example.com", "GIT_COMMITTER_DATE=2001-09-09T01:46:40Z")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("making the git repository: %w", err)
	}
	if err := os.Symlink(filepath.Join(repo, ".git"), filepath.Join(dir, "repo.git")); err != nil {
		return nil, err
	}
	return &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1",
			"GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}, nil
}
