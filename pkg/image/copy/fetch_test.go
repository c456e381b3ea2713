package copy_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/copy"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/tree"
)

// sha256 of "hello".
const helloSum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

// atOnce stands in for waiting.
func atOnce(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func TestAddURL(t *testing.T) {
	modified := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	archive := func() []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(tarball(t, file("f", "F")))
		_ = w.Close()
		return b.Bytes()
	}()
	tries := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries[r.URL.Path]++
		switch r.URL.Path {
		case "/a.tgz":
			_, _ = w.Write(archive)
		case "/busy":
			if tries[r.URL.Path] < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_, _ = w.Write([]byte("hello"))
		case "/cut":
			w.Header().Set("Content-Length", "5")
			if tries[r.URL.Path] < 2 {
				_, _ = w.Write([]byte("he"))
				return
			}
			_, _ = w.Write([]byte("hello"))
		case "/gone":
			w.WriteHeader(http.StatusNotFound)
		case "/moved":
			http.Redirect(w, r, "/dir/hello", http.StatusFound)
		default:
			w.Header().Set("Last-Modified", modified.Format(http.TimeFormat))
			_, _ = w.Write([]byte("hello"))
		}
	}))
	defer server.Close()
	for _, c := range []struct{ name, op, want string }{
		{"into a directory", "ADD URL/dir/hello?q /x/", "d 0755 0:0 x\n f 0600 0:0 x/hello=hello"},
		{"as a file", "ADD URL/dir/hello /x", "f 0600 0:0 x=hello"},
		{"without a name", "ADD URL /x", "f 0600 0:0 x=hello"},
		{"with owner and mode", "ADD --chown=1:2 --chmod=755 URL/hello /x", "f 0755 1:2 x=hello"},
		{"with its checksum", "ADD --checksum=sha256:" + helloSum + " URL/hello /x", "f 0600 0:0 x=hello"},
		{"redirected", "ADD URL/moved /x/", "d 0755 0:0 x\n f 0600 0:0 x/moved=hello"},
		{"a busy server", "ADD URL/busy /x", "f 0600 0:0 x=hello"},
		{"a connection that is cut", "ADD URL/cut /x", "f 0600 0:0 x=hello"},
		{"an archive unpacked", "ADD --unpack URL/a.tgz /x", "d 0755 0:0 x\n f 0644 0:0 x/f=F"},
		{"no archive unpacked", "ADD --unpack URL/hello /x/", "d 0755 0:0 x\n f 0600 0:0 x/hello=hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, err := run(t, strings.ReplaceAll(c.op, "URL", server.URL), nil, tree.New(), fetcher(t, copy.Config{Sleep: atOnce}))
			if err != nil {
				t.Fatal(err)
			}
			same(t, entries, c.want)
		})
	}
	entries, err := run(t, "ADD "+server.URL+"/a.tgz /x", nil, tree.New(), fetcher(t, copy.Config{}))
	if err != nil || len(entries) != 1 || entries[0].Size != int64(len(archive)) {
		t.Errorf("an archive is not to be unpacked: %v, %v", entries, err)
	}
	entries, err = run(t, "ADD "+server.URL+"/hello /x", nil, tree.New(), fetcher(t, copy.Config{}))
	if err != nil || !entries[0].ModTime.Equal(modified) {
		t.Errorf("the time is not that of Last-Modified: %v, %v", entries, err)
	}
	for _, c := range []struct {
		op, want string
		tries    int
	}{
		{"ADD URL/gone /x", "404", 1},
		{"ADD URL/ /x/", "nothing tells", 0},
		{"ADD --checksum=sha256:" + strings.Repeat("0", 64) + " URL/other /x", helloSum, 1},
		{"ADD --checksum=md5:0 URL/hello /x", "--checksum", 0},
		{"ADD http://user:hunter2@127.0.0.1:1/x /x", "127.0.0.1", 0},
	} {
		clear(tries)
		f := fetcher(t, copy.Config{Sleep: atOnce, MaxBytes: 1 << 20})
		_, err := run(t, strings.ReplaceAll(c.op, "URL", server.URL), nil, tree.New(), f)
		p, ok := errors.AsType[*diag.Problem](err)
		if !ok || p.Pos.Line == 0 || !strings.Contains(err.Error(), c.want) || strings.Contains(diag.Render(err), "hunter2") {
			t.Errorf("%s: got %v, want %q", c.op, err, c.want)
		}
		if n := tries["/gone"] + tries["/other"]; n != c.tries {
			t.Errorf("%s: was asked %d times", c.op, n)
		}
	}
	if _, err := run(t, "ADD "+server.URL+"/hello /x", nil, tree.New(), fetcher(t, copy.Config{MaxBytes: 4})); err == nil || !strings.Contains(err.Error(), "more than 4 bytes") {
		t.Errorf("a file that is too large: %v", err)
	}
}

func TestFetcherIsClosed(t *testing.T) {
	f := copy.NewFetcher(copy.Config{Dir: t.TempDir()})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, "ADD http://127.0.0.1:1/x /x", nil, tree.New(), f); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("got %v", err)
	}
}

// gitServer serves the repositories below a folder, as git does over HTTP.
func gitServer(t *testing.T, root string) string {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not here")
	}
	server := httptest.NewServer(&cgi.Handler{
		Path: git, Args: []string{"http-backend"}, Dir: root,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	})
	t.Cleanup(server.Close)
	return server.URL
}

// repo makes a repository of files and returns what a git command in it says.
func repo(t *testing.T, dir string, files ...string) func(args ...string) string {
	t.Helper()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, files...)
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	return git
}

func TestAddGit(t *testing.T) {
	root := t.TempDir()
	url := gitServer(t, root)
	sub := filepath.Join(root, "sub.git")
	repo(t, sub, "inner")
	dir := filepath.Join(root, "r.git")
	git := repo(t, dir, "a", "docs/b", "l -> a")
	first := git("rev-parse", "HEAD")
	git("tag", "-a", "v1", "-m", "v1")
	tag := git("rev-parse", "v1")
	git("checkout", "-q", "-b", "next")
	if err := os.Chmod(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	git("commit", "-q", "-a", "-m", "two")
	git("branch", "v1") // a branch of the name of a tag wins
	git("checkout", "-q", "-b", "subs", "main")
	git("submodule", "-q", "add", url+"/sub.git", "mod")
	git("commit", "-q", "-m", "three")
	git("checkout", "-q", "main")

	const one = "d 0755 0:0 x\n f 0644 0:0 x/a=a\n d 0755 0:0 x/docs\n f 0644 0:0 x/docs/b=b\n l x/l -> a"
	next := strings.Replace(one, "f 0644 0:0 x/a", "f 0755 0:0 x/a", 1)
	for _, c := range []struct{ name, op, want string }{
		{"default branch", "ADD REPO /x", one},
		{"branch", "ADD REPO#next /x/", next},
		{"branch before tag", "ADD REPO#v1 /x", next},
		{"tag by its full name", "ADD REPO#refs/tags/v1 /x", one},
		{"tag in the query", "ADD REPO?tag=v1 /x", one},
		{"commit", "ADD REPO#" + first + " /x", one},
		{"folder", "ADD REPO#next:docs /x", "d 0755 0:0 x\n f 0644 0:0 x/b=b"},
		{"owner and mode", "ADD --chown=1:2 --chmod=700 REPO#:docs /x", "d 0700 1:2 x\n f 0700 1:2 x/b=b"},
		{"checksum of the commit", "ADD --checksum=" + first[:7] + " REPO#refs/tags/v1 /x", one},
		{"checksum of the tag", "ADD --checksum=" + tag + " REPO#refs/tags/v1 /x", one},
		{"exclude", "ADD --exclude=docs REPO /x", "d 0755 0:0 x\n f 0644 0:0 x/a=a\n l x/l -> a"},
		{"submodule", "ADD REPO#subs /x", `d 0755 0:0 x
			f 0644 0:0 x/.gitmodules=[submodule "mod"]\n	path = mod\n	url = ` + url + `/sub.git\n
			f 0644 0:0 x/a=a
			d 0755 0:0 x/docs
			f 0644 0:0 x/docs/b=b
			l x/l -> a
			d 0755 0:0 x/mod
			f 0644 0:0 x/mod/inner=inner`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fetcher(t, copy.Config{Env: append(os.Environ(), "GIT_DIR=/nowhere")})
			entries, err := run(t, strings.ReplaceAll(c.op, "REPO", url+"/r.git"), nil, tree.New(), f)
			if err != nil {
				t.Fatal(diag.Render(err))
			}
			same(t, entries, c.want)
		})
	}
	t.Run("keep the git folder", func(t *testing.T) {
		var digests []string
		for range 2 {
			address := strings.Replace(url, "://", "://ci:hunter2@", 1) + "/r.git#subs"
			entries, err := run(t, "ADD --keep-git-dir=true "+address+" /x", nil, tree.New(), fetcher(t, copy.Config{Env: os.Environ()}))
			if err != nil {
				t.Fatal(err)
			}
			got := describe(t, entries)
			for _, want := range []string{" x/.git/HEAD=" + git("rev-parse", "subs"), " x/.git/index=", " x/.git/modules/mod/index="} {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in %s", want, got)
				}
			}
			for _, not := range []string{"hunter2", "FETCH_HEAD", "/logs/"} {
				if strings.Contains(got, not) {
					t.Errorf("%s is in %s", not, got)
				}
			}
			entries = slices.DeleteFunc(entries, func(e *layer.Entry) bool { return strings.Contains(e.Path, "/objects/pack/") })
			for _, e := range entries {
				e.ModTime = time.Time{}
			}
			key, err := layer.Key(t.Context(), entries)
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, key.String())
		}
		if digests[0] != digests[1] {
			t.Error("two clones differ")
		}
	})
	for op, want := range map[string]string{
		"ADD REPO#nope /x":                          "no branch or tag nope",
		"ADD REPO#--upload-pack=x /x":               "no name of a branch",
		"ADD REPO#:nope /x":                         "no folder nope",
		"ADD REPO#:a /x":                            "no folder a",
		"ADD --checksum=0123 REPO /x":               "--checksum=0123",
		"ADD --checksum=x REPO /x":                  "no commit",
		"ADD REPO?tag=v1&nope=1 /x":                 "nope",
		"ADD http://u:hunter2@127.0.0.1:1/r.git /x": "ls-remote",
	} {
		_, err := run(t, strings.ReplaceAll(op, "REPO", url+"/r.git"), nil, tree.New(), fetcher(t, copy.Config{Env: os.Environ()}))
		p, ok := errors.AsType[*diag.Problem](err)
		if !ok || !strings.Contains(err.Error(), want) || strings.Contains(diag.Render(err)+fmt.Sprint(p.Detail), "hunter2") {
			t.Errorf("%s: got %v %v, want %q", op, err, p, want)
		}
	}
	_, err := run(t, "ADD "+url+"/r.git /x", nil, tree.New(), fetcher(t, copy.Config{Git: "no-such-git"}))
	if err == nil || !strings.Contains(err.Error(), "needs the program git") {
		t.Errorf("without git: %v", err)
	}
}
