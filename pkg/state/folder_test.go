package state_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// at is where the records of the tests belong.
var at = state.Holder{Account: "123", Region: "cn-hangzhou", ID: resource.ID{Kind: "service", Name: "demo"}, App: "shop"}

// fullBook is a record with all that an entry can hold.
func fullBook(k state.Key) (*state.Book, []resource.ID) {
	b := state.NewBook("shop", k)
	ids := []resource.ID{function("demo/a"), function("demo/b"), {Kind: "trigger", Name: "demo/a/\"<é>\n"}}
	e := entry(k, resource.Attributes{"n": 1, "big": int64(1<<62 + 1), "f": 1.5, "env": map[string]any{"A": "canary"}, "l": []any{"x", map[string]any{"b": true}}})
	e.Time = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	e.Files = []resource.CodeFile{{Path: "index.js", Size: 3, CRC32: 0xFFFFFFFF}}
	b.Put(ids[0], e)
	b.Put(ids[0], entry(k, resource.Attributes{"n": 2}))
	b.Pend(ids[1], k.Seal(schema, resource.Attributes{"n": 3, "env": map[string]any{"A": hidden("canary")}}))
	b.Put(ids[2], entry(k, resource.Attributes{}))
	return b, ids
}

// testStore is what every store has to do.
func testStore(t *testing.T, store, withSecret state.Store) {
	t.Helper()
	ctx := t.Context()
	if b, err := store.Load(ctx, at); b != nil || err != nil {
		t.Fatalf("there is a record: %v, %v", b, err)
	}
	b, ids := fullBook(state.NewKey(nil, ""))
	for range 2 {
		if err := store.Save(ctx, at, b); err != nil {
			t.Fatal(err)
		}
	}
	read, err := store.Load(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(dump(b, ids...), dump(read, ids...)); d != "" || read.Key != b.Key {
		t.Error(d)
	}
	if e, _ := read.Entry(ids[0]); e.Previous.Attrs["big"] != int64(1<<62+1) || e.Previous.Attrs["f"] != 1.5 || e.Previous.Attrs["n"] != int64(1) {
		t.Errorf("numbers: %#v", e.Previous.Attrs)
	}
	// Holders that look alike, and one that has names of notes.
	for _, other := range []state.Holder{
		{Account: "124", Region: at.Region, ID: at.ID, App: at.App}, {Account: at.Account, Region: at.Region, ID: at.ID, App: "Shop"},
		{Account: at.Account, Region: at.Region, ID: resource.ID{Kind: "service", Name: "../../demo"}, App: at.App},
		{Account: at.Account, Region: at.Region, ID: resource.ID{Kind: "service", Name: strings.Repeat("ü", 300)}, App: "-" + strings.Repeat("/", 300)}, {},
	} {
		if b, err := store.Load(ctx, other); b != nil || err != nil {
			t.Errorf("%v: %v, %v", other, b, err)
		}
		whole, names := bigBook(3)
		notes, _, _ := state.EncodeNotes(whole, nil, 20)
		short, err := state.DecodeNotes("shop", "", notes)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Save(ctx, other, short); err != nil {
			t.Fatal(err)
		}
		read, err := store.Load(ctx, other)
		if err != nil {
			t.Fatal(err)
		}
		if read.Others(names) != 0 || read.Others(nil) != len(names) {
			t.Errorf("%v: the hashed names are not the same", other)
		}
	}
	if _, err := withSecret.Load(ctx, at); err == nil || !strings.Contains(err.Error(), "DEVS_STATE_KEY") {
		t.Errorf("read with another secret: %v", err)
	}
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	testStore(t, state.Folder{Dir: dir}, state.Folder{Dir: dir, Extra: "s3cret"})
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 6 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, f := range list {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 || !strings.HasSuffix(f.Name(), ".json") {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || strings.Contains(string(data), "canary") {
			t.Errorf("%s, %v", data, err)
		}
	}
}

// recordFile saves a record and returns the path of its file.
func recordFile(t testing.TB, dir string, b *state.Book) string {
	t.Helper()
	if err := (state.Folder{Dir: dir}).Save(t.Context(), at, b); err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	return list[0]
}

func TestAFileThatOthersMayReadIsClosed(t *testing.T) {
	dir := t.TempDir()
	b, _ := fullBook(testKey(1))
	path := recordFile(t, dir, b)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	recordFile(t, dir, b)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestDamagedFilesAreNeverHalfRead(t *testing.T) {
	dir := t.TempDir()
	b, _ := fullBook(testKey(1))
	path := recordFile(t, dir, b)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("%s is not in %s", old, good)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	bad := map[string]string{
		"empty": "", "null": "null", "list": "[]", "twice": string(good) + string(good), "unknown field": replace(`"app"`, `"apps"`),
		"another version": replace(`"format":1`, `"format":2`), "no version": replace(`"format":1`, `"x":1`),
		"of another application": replace(`"app":"shop"`, `"app":"stop"`), "of another account": replace(`"account":"123"`, `"account":"1234"`),
		"key": replace(`"key":"`, `"key":"x`), "the same resource twice": replace(`demo/b`, `demo/a`), "no kind": replace(`"kind":"function"`, `"kind":""`),
		"an empty entry": replace(`"pending":{`, `"attrs":{`), "print": replace(`"config":"`, `"config":"*`), "salt": replace(`"resources"`, `"salt":64,"resources"`),
		"hashed": replace(`"resources"`, `"hashed":["abc"],"resources"`), "attributes": replace(`"attrs":{`, `"attrs":[{`),
		"huge number": replace(`"format":1`, `"format":1e999`),
	}
	for _, cut := range []int{1, 10, len(good) / 2, len(good) - 3} {
		bad[fmt.Sprint("cut at ", cut)] = string(good[:cut])
	}
	for name, text := range bad {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := state.Folder{Dir: dir}.Load(t.Context(), at)
		p, ok := errors.AsType[*diag.Problem](err)
		if got != nil || !ok || p.Hint == "" || p.Code != diag.ExitComponent {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := (state.Folder{Dir: dir}).Load(t.Context(), at); err == nil {
		t.Error("a folder was read")
	}
	if err := (state.Folder{Dir: dir}).Save(t.Context(), at, b); err == nil {
		t.Error("a folder was overwritten")
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("left: %v", list)
	}
}

func TestLongListsOfFilesAreNotKept(t *testing.T) {
	k := testKey(1)
	folder := state.Folder{Dir: t.TempDir()}
	for n, kept := range map[int]bool{5000: true, 5001: false} {
		b := state.NewBook("shop", k)
		e := entry(k, resource.Attributes{"n": 1})
		e.Files = slices.Repeat([]resource.CodeFile{{Path: "x"}}, n)
		b.Put(function("demo/a"), e)
		b.Put(function("demo/a"), entry(k, resource.Attributes{"n": 2}))
		b.Put(function("demo/b"), e)
		if err := folder.Save(t.Context(), at, b); err != nil {
			t.Fatal(err)
		}
		read, err := folder.Load(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := read.Entry(function("demo/a"))
		c, _ := read.Entry(function("demo/b"))
		if (len(a.Previous.Files) == n) != kept || (len(c.Files) == n) != kept {
			t.Errorf("%d files: %d and %d kept", n, len(a.Previous.Files), len(c.Files))
		}
		if e, _ := b.Entry(function("demo/b")); len(e.Files) != n {
			t.Error("the list in memory was changed")
		}
	}
}

// A Save is done when what was in the Book when it began is in the file.
func TestSavesSideBySideLoseNothing(t *testing.T) {
	k := testKey(1)
	b := state.NewBook("shop", k)
	folder := state.Folder{Dir: t.TempDir()}
	results := make(chan error)
	for i := range 40 {
		go func() {
			id := function(fmt.Sprint("demo/", i))
			b.Put(id, entry(k, resource.Attributes{"n": i}))
			err := folder.Save(t.Context(), at, b)
			if err == nil {
				var read *state.Book
				if read, err = folder.Load(t.Context(), at); err == nil && !read.Has(id) {
					err = fmt.Errorf("%s is not in the file", id)
				}
			}
			results <- err
		}()
	}
	for range 40 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// The same trouble is told in the same words, or it is told again with each change.
func TestFolderTellsTheSameTroubleOnce(t *testing.T) {
	folder := state.Folder{Dir: t.TempDir()}
	b, _ := fullBook(state.NewKey(nil, ""))
	if err := folder.Save(t.Context(), at, b); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(folder.Dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	path := filepath.Join(folder.Dir, files[0].Name())
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	first, second := folder.Save(t.Context(), at, b), folder.Save(t.Context(), at, b)
	if first == nil || second == nil || first.Error() != second.Error() || !strings.Contains(first.Error(), path) {
		t.Errorf("got %v, then %v", first, second)
	}
}

// A resource in which all is as by default has attributes, though none stand there. A
// change of it that is begun must not make a record that nobody can read.
func TestFolderKeepsStatesWithoutAttributes(t *testing.T) {
	folder := state.Folder{Dir: t.TempDir()}
	b := state.NewBook("shop", state.NewKey(nil, ""))
	begun, deployed := function("demo/begun"), function("demo/deployed")
	b.Pend(begun, b.Key.Seal(schema, resource.Attributes{}))
	b.Put(deployed, b.Key.Entry(schema, resource.Attributes{}, resource.Attributes{}))
	if err := folder.Save(t.Context(), at, b); err != nil {
		t.Fatal(err)
	}
	read, err := folder.Load(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := read.Entry(begun); !ok || e.Pending == nil || len(e.Pending) > 0 || e.Attrs != nil {
		t.Errorf("begun: %v, %+v", ok, e)
	}
	if e, ok := read.Entry(deployed); !ok || e.Attrs == nil || e.Pending != nil {
		t.Errorf("deployed: %v, %+v", ok, e)
	}
}
