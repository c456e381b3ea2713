package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/diag"
)

func TestListAndGetAreMasked(t *testing.T) {
	config := newConfig(t, nil)
	writeAccess(t, config, `# my keys
default:
  AccountID: 1234567890123456
  AccessKeyID: `+vectors()["LTAI5tExampleAccessKey"]+`
  AccessKeySecret: plainSecretValue
  __provider: Alibaba Cloud
  __default: "true"
short:
  AccessKeyID: LTAIshort
  AccessKeySecret: abcdefg
  endpoint: fc.example.com
  Nothing: null
mine:
  Token: abcdefghijklmnopqrst
`)
	store := NewStore(config)
	got, err := store.List()
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{"default", "alibaba", true, []MaskedField{{"AccountID", "123***456"}, {"AccessKeyID", "LTA***Key"}, {"AccessKeySecret", "***"}}},
		{"short", "alibaba", false, []MaskedField{{"AccessKeyID", "***"}, {"AccessKeySecret", "***"}, {"Endpoint", "fc.example.com"}}},
		{"mine", "custom", false, []MaskedField{{"Token", "***"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	entry, err := store.Get("default")
	if diff := cmp.Diff(want[0], entry); err != nil || diff != "" {
		t.Error(err, diff)
	}
	_, err = store.Get("defualt")
	if err == nil || diag.ExitCode(err) != 100 || !strings.Contains(diag.Render(err), "did you mean default?") {
		t.Errorf("Get of an unknown alias: %v", err)
	}
}

func TestBrokenFiles(t *testing.T) {
	cases := []struct{ name, alias, content, want string }{
		{"not YAML", "a", "a: [", "not valid YAML"},
		{"anchor that is missing", "a", "a:\n  AccessKeySecret: *canary", "not valid YAML"},
		{"list", "a", "- a", "mapping of aliases"},
		{"text", "a", "hello", "mapping of aliases"},
		{"two documents", "a", "a: {b: c}\n---\nd: {e: f}", "more than one"},
		{"alias twice", "a", "a: {b: c}\na: {b: d}", "stands twice"},
		{"mapping as alias", "a", "? {a: b}\n: {c: d}", "not a plain text"},
		{"entry that is a text", "a", "a: b", "not a mapping"},
		{"merge key", "d", "a: &x {b: c}\nd:\n  <<: *x", "merge keys"},
		{"damaged value", "a", "a:\n  AccessKeyID: U2FsdGVkX1AAAA", "cannot be decrypted"},
		{"too many fields", "a", "a:\n" + strings.Repeat("  k: v\n", maxFields+1), "too many fields"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			config := newConfig(t, nil)
			path := writeAccess(t, config, tc.content)
			_, err := NewStore(config).Get(tc.alias)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Get: %v, want %q and the path", err, tc.want)
			}
			if err != nil && strings.Contains(diag.Render(err), "canary") {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
	for _, content := range []string{"unknown: [kept]", "", "\n", "# only a comment\n", "null\n", "{}\n", "---\n"} {
		config := newConfig(t, nil)
		writeAccess(t, config, content)
		if entries, err := NewStore(config).List(); err != nil || len(entries) > 0 {
			t.Errorf("%q: %v, %v", content, entries, err)
		}
	}
}

func TestOtherNameOfTheFile(t *testing.T) {
	config := newConfig(t, nil)
	path := filepath.Join(config.HomeDir, ".s", "access.yml")
	writeTestFile(t, path, keyYAML("old", "id"), 0o600)
	if _, err := NewStore(config).Add(context.Background(), AddOptions{Alias: "new", Fields: named("AccessKeyID", "a", "AccessKeySecret", "b")}); err != nil {
		t.Fatal(err)
	}
	entries, err := NewStore(config).List()
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	if _, err := os.Stat(filepath.Join(config.HomeDir, ".s", "access.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a second file was made: %v", err)
	}
}

func TestDelete(t *testing.T) {
	config := newConfig(t, nil)
	path := writeAccess(t, config, keyYAML("a", "1")+"# kept\n"+keyYAML("b", "2")+"unknown: [kept]\n")
	store := NewStore(config)
	if err := store.Delete(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	got := readTestFile(t, path)
	for _, want := range []string{"# kept", "secret-of-2", "unknown: [kept]"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q was lost:\n%s", want, got)
		}
	}
	if strings.Contains(got, "secret-of-1") {
		t.Errorf("the deleted entry is still there:\n%s", got)
	}
	err := store.Delete(context.Background(), "a")
	if err == nil || diag.ExitCode(err) != 100 || !strings.Contains(err.Error(), `alias "a" was not found`) {
		t.Errorf("second Delete: %v", err)
	}
	empty := newConfig(t, nil)
	for _, err := range []error{
		NewStore(empty).Delete(context.Background(), "a"),
		NewStore(empty).Rename(context.Background(), "a", "b"),
		NewStore(empty).SetDefault(context.Background(), "a"),
	} {
		if err == nil || !strings.Contains(diag.Render(err), "no credential is stored") {
			t.Errorf("without a file: %v", err)
		}
	}
	if entries, err := os.ReadDir(empty.HomeDir); err != nil || len(entries) > 0 {
		t.Errorf("folders were made: %v, %v", entries, err)
	}
	last := newConfig(t, nil)
	path = writeAccess(t, last, keyYAML("a", "1"))
	if err := NewStore(last).Delete(context.Background(), "a"); err != nil || readTestFile(t, path) != "{}\n" {
		t.Errorf("after the last one: %v, %q", err, readTestFile(t, path))
	}
	if _, err := NewStore(last).Add(context.Background(), AddOptions{Fields: named("AccessKeyID", "x", "AccessKeySecret", "y")}); err != nil {
		t.Errorf("Add to an emptied file: %v", err)
	}
	if text := readTestFile(t, path); !strings.HasPrefix(text, "default:\n  ") {
		t.Errorf("the file is not in block style: %q", text)
	}
}

func TestRename(t *testing.T) {
	config := newConfig(t, nil)
	path := writeAccess(t, config, keyYAML("a", "1")+keyYAML("b", "2"))
	store := NewStore(config)
	if err := store.Rename(context.Background(), "a", " true "); err != nil {
		t.Fatal(err)
	}
	if got, want := readTestFile(t, path), strings.Replace(keyYAML("a", "1")+keyYAML("b", "2"), "a:", `"true":`, 1); got != want {
		t.Errorf("file is\n%s\nwant\n%s", got, want)
	}
	cases := []struct{ source, target, want string }{
		{"gone", "x", "was not found"},
		{"b", "true", "exists already"},
		{"b", "b", "exists already"},
		{"b", "", "no name"},
		{"b", "a\nb", "no name"},
		{"b", AliyunCLI, "no name"},
		{"b", "-f", "no name"},
		{"b", strings.Repeat("x", 200), "no name"},
	}
	before := readTestFile(t, path)
	for _, tc := range cases {
		if err := store.Rename(context.Background(), tc.source, tc.target); err == nil || !strings.Contains(err.Error(), tc.want) || diag.ExitCode(err) != 100 {
			t.Errorf("Rename(%q, %q): %v, want %q", tc.source, tc.target, err, tc.want)
		}
	}
	if readTestFile(t, path) != before {
		t.Error("a failed Rename changed the file")
	}
}

func TestSetDefault(t *testing.T) {
	config := newConfig(t, nil)
	path := writeAccess(t, config, keyYAML("a", "1")+keyYAML("b", "2")+keyYAML("c", "3"))
	store := NewStore(config)
	for _, alias := range []string{"a", "b"} {
		if err := store.SetDefault(context.Background(), alias); err != nil {
			t.Fatal(err)
		}
		c, err := NewResolver(config).Resolve("")
		if err != nil || c.Alias != alias {
			t.Errorf("after SetDefault(%s): %v, %v", alias, c, err)
		}
	}
	doc, err := parseDocument(path, []byte(readTestFile(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	for alias, want := range map[string]string{"a": "false", "b": "true", "c": ""} {
		fields, _, err := doc.fields(alias)
		if got := internalValue(fields, keyDefault); err != nil || got != want {
			t.Errorf("%s: __default = %q, %v; want %q", alias, got, err, want)
		}
	}
	if err := store.SetDefault(context.Background(), "gone"); err == nil || diag.ExitCode(err) != 100 {
		t.Errorf("unknown alias: %v", err)
	}
}

func TestAnchorsAreNotRewritten(t *testing.T) {
	config := newConfig(t, nil)
	content := "a: &x\n  AccessKeyID: id\n  AccessKeySecret: key\nb: *x\n"
	path := writeAccess(t, config, content)
	if c, err := NewResolver(config).Resolve("b"); err != nil || c.AccessKeyID.Reveal() != "id" {
		t.Errorf("reading: %v, %v", c, err)
	}
	if err := NewStore(config).Delete(context.Background(), "a"); err == nil || readTestFile(t, path) != content {
		t.Errorf("Delete: %v, file\n%s", err, readTestFile(t, path))
	}
}

func TestLinksAreFollowed(t *testing.T) {
	config := newConfig(t, nil)
	target := filepath.Join(t.TempDir(), "keys.yaml")
	writeTestFile(t, target, keyYAML("a", "1"), 0o600)
	path := filepath.Join(config.HomeDir, ".s", "access.yaml")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.Symlink(target, path)); err != nil {
		t.Fatal(err)
	}
	if err := NewStore(config).Rename(context.Background(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	if readTestFile(t, target) != keyYAML("b", "1") {
		t.Errorf("the target holds %q", readTestFile(t, target))
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
}

// Writers at the same time, on a home that does not exist yet, lose nothing.
func TestConcurrentWriters(t *testing.T) {
	config := newConfig(t, nil)
	config.LockTimeout = time.Minute
	const writers = 16
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			_, errs[i] = NewStore(config).Add(context.Background(), AddOptions{
				Alias: fmt.Sprintf("alias-%02d", i), Fields: named("AccessKeyID", "id", "AccessKeySecret", "key"),
			})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	entries, err := NewStore(config).List()
	if err != nil || len(entries) != writers {
		t.Errorf("%d entries, %v; want %d", len(entries), err, writers)
	}
	left, err := os.ReadDir(filepath.Join(config.HomeDir, ".s"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"access.yaml", "access.yaml.lock"}) {
		t.Errorf("files left: %q", names)
	}
}

func TestLockHeldByAnother(t *testing.T) {
	config := newConfig(t, nil)
	config.LockTimeout = time.Millisecond
	path := writeAccess(t, config, keyYAML("a", "1"))
	l := flock.New(path + ".lock")
	if err := l.Lock(); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err := NewStore(config).Delete(context.Background(), "a")
	if err == nil || !strings.Contains(err.Error(), "another process holds") || diag.ExitCode(err) != 100 {
		t.Errorf("Delete: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := NewStore(config).Delete(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete when cancelled: %v", err)
	}
}

func FuzzParseDocument(f *testing.F) {
	f.Add([]byte(keyYAML("a", "1")))
	f.Add([]byte("a: &x {b: c}\nd: *x\n"))
	f.Add([]byte("a: &x {b: *x}\n"))
	f.Add([]byte("? {a: b}\n: c\n"))
	f.Add([]byte("a: {AccessKeyID: U2FsdGVkX1/SawZPzlLsm25BHqysgapOnAkPlUqvB2Y=, __default: 'true'}\n---\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := parseDocument("access.yaml", data)
		if err != nil {
			return
		}
		names := doc.aliases()
		for _, alias := range names {
			_, _, _ = doc.fields(alias)
		}
		doc.put("fuzz-alias", "Field", "value")
		out, err := doc.bytes()
		if err != nil {
			return
		}
		again, err := parseDocument("access.yaml", out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%q", err, out)
		}
		fields, ok, err := again.fields("fuzz-alias")
		if !ok || err == nil && internalValue(fields, "Field") != "value" {
			t.Fatalf("the entry was lost: %v %v %v\n%q", fields, ok, err, out)
		}
		if len(again.aliases()) < len(names) {
			t.Fatalf("aliases %q became %q", names, again.aliases())
		}
	})
}
