package copy

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/dfgitutil"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

// clone adds the files of a git repository.
func (c *copier) clone(ctx context.Context, src string) error {
	if c.fetch == nil {
		return errors.New("fetching a git repository: no folder for temporary files was given")
	}
	ref, err := gitSource(src, c.op.KeepGitDir, c.op.Checksum)
	if err != nil {
		return err
	}
	t, err := c.fetch.clone(ctx, ref)
	if err != nil {
		return err
	}
	at, err := t.Resolve(ref.SubDir)
	if err != nil {
		return err
	}
	e, ok := t.Lookup(at)
	if !ok || e.Type != layer.Dir {
		return diag.Errorf("the repository %s has no folder %s", redact(ref.Remote, ref.Remote), ref.SubDir)
	}
	_, err = c.copy(unit{from: t, path: at, name: ref.ShortName})
	return err
}

// gitSource is what a git address and the flags of ADD say together.
func gitSource(src string, keep *bool, checksum string) (*dfgitutil.GitRef, error) {
	ref, _, err := dfgitutil.ParseGitRef(src)
	if err != nil {
		return nil, diag.Errorf("the address of the repository cannot be understood: %v", err)
	}
	if keep != nil && ref.KeepGitDir != nil && *keep != *ref.KeepGitDir {
		return nil, diag.Errorf("--keep-git-dir and the address contradict each other")
	}
	if ref.KeepGitDir == nil {
		ref.KeepGitDir = keep
	}
	if checksum != "" && ref.Checksum != "" && checksum != ref.Checksum {
		return nil, diag.Errorf("--checksum and the address name different commits")
	}
	if ref.Checksum == "" {
		ref.Checksum = checksum
	}
	ref.Checksum = strings.ToLower(ref.Checksum)
	if strings.Trim(ref.Checksum, "0123456789abcdef") != "" {
		return nil, diag.Errorf("--checksum=%s is no commit", ref.Checksum).WithHint("write the first digits of the commit's hash")
	}
	if strings.HasPrefix(ref.Ref, "-") || strings.HasPrefix(ref.Remote, "-") || strings.ContainsAny(ref.Ref, ":*?[\\^~ \x00\n") {
		return nil, diag.Errorf("%q is no name of a branch, tag or commit", ref.Ref)
	}
	return ref, nil
}

// repository is a clone that is being made.
type repository struct {
	fetcher *Fetcher
	ref     *dfgitutil.GitRef
	dir     string
}

// clone fetches a repository and returns its files: modes are 0755 for directories and
// programs, 0644 for other files.
func (f *Fetcher) clone(ctx context.Context, ref *dfgitutil.GitRef) (*tree.Tree, error) {
	dir, err := f.folder()
	if err != nil {
		return nil, err
	}
	r := &repository{fetcher: f, ref: ref, dir: dir}
	if err := r.checkout(ctx); err != nil {
		return nil, fmt.Errorf("fetching %s: %w", redact(ref.Remote, ref.Remote), err)
	}
	w := &walk{root: dir, mode: func(mode uint32) uint32 { return 0o644 | mode&0o100/0o100*0o111 }}
	if ref.KeepGitDir == nil || !*ref.KeepGitDir {
		w.skip = func(name string) bool { return name == ".git" }
	}
	t, err := w.tree()
	if err != nil {
		return nil, fmt.Errorf("reading the clone of %s: %w", redact(ref.Remote, ref.Remote), err)
	}
	return t, nil
}

func (r *repository) checkout(ctx context.Context) error {
	if _, err := r.git(ctx, "init", "-q"); err != nil {
		return err
	}
	if _, err := r.git(ctx, "remote", "add", "origin", r.ref.Remote); err != nil {
		return err
	}
	commit, err := r.fetch(ctx)
	if err != nil {
		return err
	}
	if _, err := r.git(ctx, "checkout", "-q", "--detach", commit); err != nil {
		return err
	}
	if err := r.submodules(ctx); err != nil {
		return err
	}
	if r.ref.KeepGitDir == nil || !*r.ref.KeepGitDir {
		return nil
	}
	return r.tidy(ctx)
}

func (r *repository) hasSubmodules() bool {
	_, err := os.Lstat(filepath.Join(r.dir, ".gitmodules"))
	return err == nil && (r.ref.Submodules == nil || *r.ref.Submodules)
}

func (r *repository) submodules(ctx context.Context) error {
	if !r.hasSubmodules() {
		return nil
	}
	update := []string{"submodule", "update", "-q", "--init", "--recursive"}
	if _, err := r.git(ctx, append(update, "--depth=1")...); err == nil || ctx.Err() != nil {
		return err
	}
	_, err := r.git(ctx, update...) // a server that gives no part of a history
	return err
}

// tidy takes out of .git what a layer must not have: the user and password of the address,
// when and where the clone was made, and in the index what the files of this machine are
// like. The repositories of submodules lie in it too.
func (r *repository) tidy(ctx context.Context) error {
	user := userOf(r.ref.Remote)
	err := filepath.WalkDir(filepath.Join(r.dir, ".git"), func(dir string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		if name := e.Name(); name == "objects" || name == "refs" {
			return fs.SkipDir
		}
		if _, err := os.Lstat(filepath.Join(dir, "HEAD")); err != nil {
			return nil // no repository
		}
		for _, name := range []string{"logs", "FETCH_HEAD", "ORIG_HEAD"} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		if user == "" {
			return nil
		}
		config := filepath.Join(dir, "config")
		text, err := os.ReadFile(config)
		if err != nil {
			return err
		}
		return os.WriteFile(config, []byte(strings.ReplaceAll(string(text), "://"+user, "://")), 0o644)
	})
	if err != nil {
		return err
	}
	const index = "read-tree HEAD" // without -m: nothing is known of any file
	if _, err := r.git(ctx, strings.Fields(index)...); err != nil || !r.hasSubmodules() {
		return err
	}
	_, err = r.git(ctx, "submodule", "-q", "foreach", "--recursive", "git "+index)
	return err
}

// userOf returns the user and password of an address of the web, with the @ behind them.
func userOf(remote string) string {
	scheme, rest, _ := strings.Cut(remote, "://")
	if scheme != "http" && scheme != "https" {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	return host[:strings.LastIndex(host, "@")+1]
}

// fetch gets the commit that is asked for, its history only where the server gives
// nothing less, and returns it.
func (r *repository) fetch(ctx context.Context) (string, error) {
	want := r.ref.Ref
	if r.ref.FetchByCommit && r.ref.Checksum != "" {
		want = r.ref.Checksum
	}
	var sum, name string
	if isCommit(want) {
		sum, name = want, want
	} else {
		var err error
		if sum, name, err = r.find(ctx, want); err != nil {
			return "", err
		}
	}
	_, err := r.git(ctx, "fetch", "-q", "--no-tags", "--depth=1", "origin", name)
	if err != nil && ctx.Err() == nil {
		all := []string{"fetch", "-q", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"}
		if !isCommit(name) {
			all = append(all, name)
		}
		_, err = r.git(ctx, all...)
	}
	if err != nil {
		return "", err
	}
	commit, err := r.git(ctx, "rev-parse", "--verify", "-q", sum+"^{commit}")
	if err != nil {
		return "", diag.Errorf("the repository has no commit %s", sum)
	}
	if sub := r.ref.Checksum; !strings.HasPrefix(sum, sub) && !strings.HasPrefix(commit, sub) {
		return "", diag.Errorf("the commit is %s, which --checksum=%s does not allow", commit, sub).
			WithHint("check whether the branch or tag was meant to move")
	}
	return commit, nil
}

// find returns what the name of a branch, a tag or, for "", the default branch stands
// for, and its full name. Branches win, as in BuildKit.
func (r *repository) find(ctx context.Context, want string) (sum, name string, err error) {
	names := []string{"HEAD"}
	if want != "" {
		short := strings.TrimPrefix(want, "refs/")
		names = []string{"refs/" + short, "refs/heads/" + want, "refs/tags/" + want}
	}
	out, err := r.git(ctx, append([]string{"ls-remote", "-q", "origin"}, names...)...)
	if err != nil {
		return "", "", err
	}
	found := map[string]string{}
	for line := range strings.Lines(out) {
		if sum, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && isCommit(sum) {
			found[name] = sum
		}
	}
	for _, name := range names {
		if sum, ok := found[name]; ok {
			return sum, name, nil
		}
	}
	if want == "" {
		return "", "", diag.Errorf("the repository is empty")
	}
	return "", "", diag.Errorf("the repository has no branch or tag %s", want)
}

func isCommit(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && (len(s) == 40 || len(s) == 64)
}

// git runs git in the clone and returns what it prints, without white space around it.
func (r *repository) git(ctx context.Context, args ...string) (string, error) {
	settings := []string{
		"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never",
		"-c", "core.autocrlf=false", "-c", "core.symlinks=true", "-c", "advice.detachedHead=false",
		"-c", "init.defaultBranch=main", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
	}
	cmd := exec.CommandContext(ctx, r.fetcher.cfg.Git, append(settings, args...)...)
	cmd.Dir = r.dir
	cmd.Env = append(gitEnv(r.fetcher.cfg.Env), "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return "", diag.Errorf("ADD of a git repository needs the program git, which is not here").
			WithHint("install git, or clone the repository before the build and COPY it")
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		said := redact(strings.TrimSpace(messages.String()), r.ref.Remote)
		return "", diag.Errorf("git %s failed: %v", args[0], err).WithDetail(said).
			WithHint("check the address and whether the machine may read the repository")
	}
	return strings.TrimSpace(out.String()), nil
}

// gitEnv returns the environment without what would lead git to another repository, as
// hooks of git have it.
func gitEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_NAMESPACE":
			return true
		}
		return false
	})
}

// redact takes the user and password of a URL out of a text.
func redact(text, remote string) string {
	u, err := url.Parse(remote)
	if err != nil || u.User == nil {
		return text
	}
	if _, ok := u.User.Password(); !ok && u.Scheme == "ssh" {
		return text // only a name
	}
	text = strings.ReplaceAll(text, u.User.String()+"@", "***@")
	if password, ok := u.User.Password(); ok && password != "" {
		text = strings.ReplaceAll(text, password, "***")
	}
	return text
}
