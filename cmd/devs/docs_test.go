package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/emulator"
)

// The documents are tested as a reader would follow them: the blocks of one file
// run in order, in one folder, which begins as a copy of testdata/apps/hello.
//
//	```sh             runs with sh -e and must exit with 0
//	``` (no language) what the sh block above it prints: its lines, in this order
//	```yaml, groovy   a pipeline: its commands of devs run like a sh block
//
// A comment above a block says more, <!-- test: WORD ... -->:
//
//	file PATH   the block becomes this file of the folder
//	exit CODE   the block must exit with this code
//	folder      an empty folder from here on
//	account     not --embedded: the keys in $ALIYUN_... are those of an account, and
//	            FC_ENDPOINT leads to it
//	needs PROG  left out on a machine without this program
//
// `go run ./cmd/devs` runs the binary under test; `go test` is not run within
// itself, see notRun.

// block is one fenced block of a document.
type block struct {
	file     string
	line     int
	lang     string
	text     string
	comments [][]string // words of the test comments above it
}

// notRun are blocks that are checked to be exactly this, not run.
var notRun = map[string]string{
	"go test ./...\n": "this test would run itself",
}

// where is the place of the block.
func (b *block) where() string { return b.file + ":" + strconv.Itoa(b.line) }

// comment returns the words behind word in a test comment of the block.
func (b *block) comment(word string) (rest []string, ok bool) {
	for _, words := range b.comments {
		if words[0] == word {
			return words[1:], true
		}
	}
	return nil, false
}

// isPipeline reports whether the block is a Jenkinsfile, or YAML with commands and no
// application.
func (b *block) isPipeline() bool {
	_, file := b.comment("file")
	return (b.lang == "yaml" || b.lang == "groovy") && !file && !strings.Contains(b.text, "edition:")
}

// commands returns the lines of a pipeline that call devs.
func (b *block) commands() string {
	var out strings.Builder
	for line := range strings.Lines(b.text) {
		if m := regexp.MustCompile(`^(?:[-\s]*(?:run:|sh ')?\s*)((?:devs|s) [^'\n]*)`).FindStringSubmatch(line); m != nil {
			out.WriteString(m[1] + "\n")
		}
	}
	return out.String()
}

var testComment = regexp.MustCompile(`^<!-- test: (.+) -->$`)

// blocksOf reads the blocks of a document, which must be closed and not indented.
func blocksOf(t *testing.T, file string) []*block {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var blocks []*block
	var open *block
	var comments [][]string
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open != nil:
			blocks, open, comments = append(blocks, open), nil, nil
		case fence && line[0] != '`':
			t.Fatalf("%s:%d: an indented block", file, n)
		case fence:
			open = &block{file: file, line: n, lang: strings.TrimPrefix(line, "```"), comments: comments}
		case open != nil:
			open.text += line + "\n"
		default:
			if m := testComment.FindStringSubmatch(line); m != nil {
				comments = append(comments, strings.Fields(m[1]))
			} else if line != "" {
				comments = nil
			}
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block is not closed", file, open.line)
	}
	return blocks
}

func root(elem ...string) string {
	return filepath.Join(append([]string{"..", ".."}, elem...)...)
}

// checkedOnly are documents whose commands run all tests, or measure for minutes:
// they are not run here, see TestCommandsNotRun.
func checkedOnly() []string {
	return []string{root("CONTRIBUTING.md"), root("docs", "performance.md")}
}

// documents returns the documents whose commands run.
func documents(t *testing.T) []string {
	t.Helper()
	var docs []string
	for _, folder := range []string{root("docs"), root("docs", "ci")} {
		found, err := filepath.Glob(filepath.Join(folder, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, found...)
	}
	docs = slices.DeleteFunc(docs, func(file string) bool { return slices.Contains(checkedOnly(), file) })
	return append(docs, root("README.md"))
}

// TestDocs runs every command of README.md, docs and docs/ci.
func TestDocs(t *testing.T) {
	for _, file := range documents(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r := &reader{}
			t.Cleanup(func() { r.end(t) })
			r.begin(t, true)
			for _, b := range blocksOf(t, file) {
				t.Run("line"+strconv.Itoa(b.line), func(t *testing.T) { r.read(t, b) })
			}
		})
	}
}

// reader follows a document.
type reader struct {
	dir    string
	dirs   []string // all there were
	output string   // of the last sh block
	ran    bool     // there was one
	left   bool     // and it was left out
	shells []int    // process groups
	home   string
	env    []string // without what a block says
}

// begin makes a folder, with the application hello or empty.
func (r *reader) begin(t *testing.T, hello bool) {
	t.Helper()
	var err error
	if r.dir, err = os.MkdirTemp("", "devs-docs-"); err != nil {
		t.Fatal(err)
	}
	r.dirs = append(r.dirs, r.dir)
	if r.home == "" {
		if r.home, err = os.MkdirTemp("", "devs-docs-home-"); err != nil {
			t.Fatal(err)
		}
		r.dirs = append(r.dirs, r.home)
		if err := os.Mkdir(filepath.Join(r.home, "tmp"), 0o700); err != nil {
			t.Fatal(err)
		}
		r.env = environ(t, r.home)
	}
	for _, name := range []string{"go.mod", "go.sum"} { // examples in Go use what this module uses
		data, err := os.ReadFile(root(name))
		if err != nil {
			t.Fatal(err)
		}
		r.write(t, name, string(data))
	}
	if !hello {
		return
	}
	for _, to := range []string{".", "testdata/apps/hello"} {
		if err := os.CopyFS(filepath.Join(r.dir, to), os.DirFS(root("testdata", "apps", "hello"))); err != nil {
			t.Fatal(err)
		}
	}
}

// environ is the environment of the blocks: the machine's tools, and the keys of
// the account.
func environ(t *testing.T, home string) []string {
	t.Helper()
	env := []string{
		"HOME=" + home,
		"DEVS_STS_ENDPOINT=http://127.0.0.1:1", // nobody answers whose the keys are
		"TMPDIR=" + filepath.Join(home, "tmp"),
		"npm_config_prefer_offline=true",
		"npm_config_cache=" + filepath.Join(os.TempDir(), "devs-test-npm"),
		"ALIYUN_ACCOUNT_ID=" + emulator.DefaultAccountID,
		"ALIYUN_ACCESS_KEY_ID=" + emulator.DefaultAccessKeyID,
		"ALIYUN_ACCESS_KEY_SECRET=" + emulator.DefaultAccessKeySecret,
	}
	keep := regexp.MustCompile(`(?i)^(PATH|LANG|GO[A-Z]*|NPM_CONFIG_[A-Z]*|[A-Z]+_PROXY|SSL_CERT_[A-Z]+)=`)
	for _, e := range os.Environ() {
		if keep.MatchString(e) {
			env = append(env, e)
		}
	}
	for _, name := range []string{"GOMODCACHE", "GOCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	return env
}

// end ends what the blocks left running, and removes their folders.
func (r *reader) end(t *testing.T) {
	for _, group := range r.shells {
		_ = syscall.Kill(-group, syscall.SIGTERM)
	}
	for _, group := range r.shells {
		deadline := time.Now().Add(10 * time.Second)
		for syscall.Kill(-group, 0) == nil {
			if time.Now().After(deadline) {
				t.Error("a block left a process that does not end")
				_ = syscall.Kill(-group, syscall.SIGKILL)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for _, dir := range r.dirs {
		_ = os.RemoveAll(dir)
	}
}

// account serves the account from here on, in a process like every other, and
// returns its address.
func (r *reader) account(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(r.home, "account")
	if url, ok := emulator.Locate(dir); ok {
		return url
	}
	cmd := exec.Command("devs", "emulator", "--listen", "127.0.0.1:0", "--state", dir)
	cmd.Env, cmd.SysProcAttr = r.env, &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	r.shells = append(r.shells, cmd.Process.Pid)
	for range 500 {
		if url, ok := emulator.Locate(dir); ok {
			return url
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the account does not answer")
	return ""
}

func (r *reader) read(t *testing.T, b *block) {
	if _, ok := b.comment("folder"); ok {
		r.begin(t, false)
	}
	if words, ok := b.comment("file"); ok {
		r.write(t, words[0], b.text)
		return
	}
	switch {
	case notRun[b.text] != "":
	case b.lang == "sh":
		r.run(t, b, b.text)
	case b.isPipeline():
		if commands := b.commands(); commands != "" {
			r.run(t, b, commands)
		}
	case b.lang == "" && r.ran:
		r.compare(t, b)
	}
}

func (r *reader) write(t *testing.T, name, text string) {
	path := filepath.Join(r.dir, name)
	mode := os.FileMode(0o644)
	if strings.HasPrefix(text, "#!") {
		mode = 0o755
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
		t.Fatal(err)
	}
}

func (r *reader) run(t *testing.T, b *block, text string) {
	r.ran, r.left = true, false
	if programs, ok := b.comment("needs"); ok {
		for _, p := range programs {
			if _, err := exec.LookPath(p); err != nil {
				r.left = true
				t.Skipf("%s is not on this machine", p)
			}
		}
	}
	env := append(slices.Clone(r.env), "PWD="+r.dir)
	if _, ok := b.comment("account"); ok {
		env = append(env, "FC_ENDPOINT="+r.account(t))
	} else {
		env = append(env, "DEVS_EMBEDDED=1")
	}
	want := "0"
	if words, ok := b.comment("exit"); ok {
		want = words[0]
	}
	out, err := os.CreateTemp(r.home, "output-") // a file: programs left running do not hold it up
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("sh", "-e", "-c", strings.ReplaceAll(text, "go run ./cmd/devs ", "devs "))
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Run()
	if cmd.Process != nil {
		r.shells = append(r.shells, cmd.Process.Pid)
	}
	printed, _ := os.ReadFile(out.Name())
	r.output = string(printed)
	got := strconv.Itoa(cmd.ProcessState.ExitCode())
	if got != want {
		t.Errorf("%s:%d: exit code %s (%v), want %s\n%s\nprinted:\n%s", b.file, b.line, got, err, want, text, printed)
	}
}

// compare checks that the lines of b are among those printed, in this order.
func (r *reader) compare(t *testing.T, b *block) {
	if r.left {
		t.Skip("the block above it was left out")
	}
	have := strings.Split(settled(r.output), "\n")
	for line := range strings.Lines(settled(b.text)) {
		line = strings.TrimRight(line, "\n")
		i := slices.Index(have, line)
		if i < 0 {
			t.Fatalf("%s:%d: nothing printed is this line, in this order:\n%s\nprinted:\n%s", b.file, b.line, line, r.output)
		}
		have = have[i+1:]
	}
}

// settled replaces what differs from run to run.
func settled(text string) string {
	text = regexp.MustCompile(`\(\d[\d.]*(µs|ms|s)\)`).ReplaceAllString(text, "(...)")
	return regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(text, "127.0.0.1:...")
}
