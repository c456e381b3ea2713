package state_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/pkg/state"
)

func TestRestore(t *testing.T) {
	k := testKey(1)
	env := func(values ...string) resource.Attributes {
		m := map[string]any{}
		for i := 0; i < len(values); i += 2 {
			m[values[i]] = values[i+1]
		}
		return resource.Attributes{"env": m, "memory": 256}
	}
	for _, c := range []struct {
		name    string
		before  resource.Attributes
		known   []resource.Attributes
		missing []string
	}{
		{"the same is online", env("A", "one", "B", "two"), []resource.Attributes{env("A", "one", "B", "two")}, nil},
		{"each in another state", env("A", "one", "B", "two"), []resource.Attributes{env("A", "one"), env("B", "two", "A", "x")}, nil},
		{"one is nowhere", env("A", "one", "B", "two"), []resource.Attributes{env("A", "one", "B", "three")}, []string{"env.B"}},
		{"at another place", env("A", "one"), []resource.Attributes{env("B", "one")}, []string{"env.A"}},
		{"nothing is known", env("B", "x", "A", "one"), nil, []string{"env.A", "env.B"}},
		{"a text that looks like a seal", resource.Attributes{"d": "sealed:" + strings.Repeat("0", 32)}, nil, []string{"d"}},
		{"a secret of the file", resource.Attributes{"d": hidden("text")}, []resource.Attributes{{"d": "text"}}, nil},
		{"in a list", resource.Attributes{"l": []any{map[string]any{"k": hidden("v"), "n": 7, "b": true}}}, []resource.Attributes{{"l": []any{map[string]any{"k": "v", "n": 7.0, "b": true}}}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			sealed := k.Seal(schema, c.before)
			got, missing := k.Restore(schema, sealed, c.known...)
			if d := cmp.Diff(c.missing, missing); d != "" {
				t.Fatal(d)
			}
			if len(missing) > 0 {
				return
			}
			if diffs := schema.Differing(c.before, got); len(diffs) > 0 {
				t.Errorf("differs in %v: %v", diffs, got)
			}
			if strings.Contains(asJSON(t, got), "sealed:") {
				t.Errorf("a seal stayed: %s", asJSON(t, got))
			}
		})
	}
}

// What is restored is as secret as it was, and other keys open nothing.
func TestRestoreKeepsSecrets(t *testing.T) {
	k := testKey(1)
	online := resource.Attributes{"d": "canary", "env": map[string]any{"A": "canary"}}
	sealed := k.Seal(schema, resource.Attributes{"d": hidden("canary"), "env": map[string]any{"A": "canary"}})
	got, _ := k.Restore(schema, sealed, online)
	for _, v := range []any{got["d"], got["env"].(map[string]any)["A"]} {
		if s, ok := v.(secret.String); !ok || s.Reveal() != "canary" {
			t.Errorf("%T is no secret any more", v)
		}
	}
	if _, missing := testKey(2).Restore(schema, sealed, online); len(missing) != 2 {
		t.Errorf("another key opens the seals: %v", missing)
	}
}

func TestMatches(t *testing.T) {
	k := testKey(1)
	a := resource.Attributes{"n": 1, "code": map[string]any{"checksum": "1"}}
	whole := k.Prints(schema, a)
	for _, c := range []struct {
		a            resource.Attributes
		config, code bool
	}{
		{a, true, true},
		{resource.Attributes{"n": 2, "code": map[string]any{"checksum": "1"}}, false, true},
		{resource.Attributes{"n": 1, "code": map[string]any{"checksum": "2"}}, true, false},
		{resource.Attributes{"n": 1}, true, false},
	} {
		for _, p := range []state.Prints{whole, {Config: whole.Config[:5], Code: whole.Code[:5]}} {
			if config, code := k.Matches(schema, c.a, p); config != c.config || code != c.code {
				t.Errorf("%v: %v, %v", c.a, config, code)
			}
		}
	}
}

func TestRemoved(t *testing.T) {
	k := testKey(1)
	first, second := time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC()
	b := state.NewBook("shop", k)
	for _, name := range []string{"demo/a", "demo/b", "demo/c"} {
		b.Put(function(name), entry(k, resource.Attributes{"n": 1}))
	}
	b.Remove(function("demo/never"), first)
	b.Remove(function("demo/a"), first)
	b.Remove(function("demo/b"), second)
	b.Remove(function("demo/c"), second)
	if b.Has(function("demo/b")) || len(b.Removed()) != 2 || b.Removed()[function("demo/b")].Time != second {
		t.Fatalf("removed: %v", b.Removed())
	}
	// It survives the file and a change that is begun; what is made anew is no longer gone.
	store := state.Folder{Dir: t.TempDir()}
	if err := store.Save(t.Context(), at, b); err != nil {
		t.Fatal(err)
	}
	full, err := store.Load(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(b.Removed(), full.Removed()); d != "" {
		t.Error(d)
	}
	notes := state.NewBook("shop", full.Key)
	notes.Put(function("demo/c"), entry(full.Key, resource.Attributes{"n": 3}))
	notes.Merge(full)
	if _, ok := notes.Removed()[function("demo/b")]; !ok || len(notes.Removed()) != 1 {
		t.Errorf("merged: %v", notes.Removed())
	}
	full.Pend(function("demo/b"), resource.Attributes{"n": int64(1)})
	if len(full.Removed()) != 2 {
		t.Error("what is only begun counts as made")
	}
	full.Put(function("demo/b"), entry(full.Key, resource.Attributes{"n": 1}))
	if len(full.Removed()) != 1 {
		t.Error("what is there again counts as gone")
	}
}

// code is a package.
type code struct {
	text string
	sum  string
	size int64
	err  error
}

func (c code) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(c.text)), c.err
}
func (c code) Size() int64      { return c.size }
func (c code) Checksum() string { return c.sum }

// testCodes is what every keeper of code has to do.
func testCodes(t *testing.T, store state.Codes) {
	t.Helper()
	ctx := t.Context()
	if p, err := store.KeptCode(ctx, "1"); p != nil || err != nil {
		t.Fatalf("nothing is kept: %v, %v", p, err)
	}
	big := string(bytes.Repeat([]byte("0123456789"), 100_000))
	for _, c := range []code{{text: "zip", sum: "1", size: 3}, {text: big, sum: "18446744073709551615", size: 1_000_000}, {text: "odd", sum: "../../x", size: 3}, {text: "empty", sum: "", size: 5}} {
		for range 2 {
			if err := store.KeepCode(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		p, err := store.KeptCode(ctx, c.sum)
		if err != nil || p == nil || p.Size() != c.size || p.Checksum() != c.sum {
			t.Fatalf("%q: %v, %v", c.sum, p, err)
		}
		r, err := p.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || string(got) != c.text {
			t.Errorf("%q: %d bytes, %v", c.sum, len(got), err)
		}
	}
	for _, c := range []code{{text: "short", sum: "2", size: 9}, {text: "long", sum: "2", size: 2}, {sum: "2", err: errors.New("broken")}} {
		if err := store.KeepCode(ctx, c); err == nil {
			t.Errorf("%+v was kept", c)
		}
	}
	if p, err := store.KeptCode(ctx, "2"); p != nil || err != nil {
		t.Errorf("half of it was kept: %v, %v", p, err)
	}
}

func TestFolderKeepsCode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	testCodes(t, state.Folder{Dir: dir})
	files, err := filepath.Glob(filepath.Join(dir, "code", "*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
	}
}

func TestOCIKeepsCode(t *testing.T) {
	host, _ := memoryRegistry(t)
	testCodes(t, oci(t, host, ""))
}

func TestDockerRegistryKeepsCode(t *testing.T) {
	testCodes(t, oci(t, dockerRegistry(t), ""))
}
