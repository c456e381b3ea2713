package state_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

func TestPutKeepsWhatItReplaces(t *testing.T) {
	k := testKey(1)
	b := state.NewBook("shop", k)
	id := function("demo/a")
	one, two, three := resource.Attributes{"n": 1}, resource.Attributes{"n": 2}, resource.Attributes{"n": 3}
	steps := []struct {
		put      resource.Attributes
		previous resource.Attributes
	}{{one, nil}, {one, nil}, {two, one}, {two, one}, {three, two}}
	for i, s := range steps {
		b.Pend(id, k.Seal(schema, s.put))
		b.Put(id, entry(k, s.put))
		e, ok := b.Entry(id)
		if !ok || e.Prints != k.Prints(schema, s.put) || e.Pending != nil {
			t.Fatalf("step %d: %+v", i, e)
		}
		switch {
		case s.previous == nil && e.Previous != nil, s.previous != nil && (e.Previous == nil || e.Previous.Prints != k.Prints(schema, s.previous) || e.Previous.Previous != nil):
			t.Errorf("step %d: previous is %+v", i, e.Previous)
		}
	}
	b.Delete(id)
	if b.Has(id) || len(b.Named()) != 0 {
		t.Error("it is still there")
	}
	b.Put(id, entry(k, one))
	if e, _ := b.Entry(id); e.Previous != nil {
		t.Error("what was deleted is previous")
	}
}

func TestNamesOfABook(t *testing.T) {
	k := testKey(1)
	b := state.NewBook("shop", k)
	ids := []resource.ID{{Kind: "service", Name: "demo"}, function("demo/b"), function("demo/a"), {Kind: "trigger", Name: "demo/a/t"}}
	for _, id := range ids {
		b.Put(id, entry(k, resource.Attributes{"n": 1, "code": map[string]any{"checksum": "1"}}))
	}
	if d := cmp.Diff([]resource.ID{function("demo/a"), function("demo/b"), ids[0], ids[3]}, b.Named()); d != "" {
		t.Error(d)
	}
	check := func(b *state.Book) {
		t.Helper()
		for _, c := range []struct {
			known []resource.ID
			want  int
		}{{ids, 0}, {nil, 4}, {ids[:2], 2}, {[]resource.ID{function("x"), ids[3]}, 3}} {
			if got := b.Others(c.known); got != c.want {
				t.Errorf("others of %v: %d, not %d", c.known, got, c.want)
			}
		}
		if !b.Has(ids[3]) || b.Has(function("demo/c")) {
			t.Error("Has is wrong")
		}
	}
	check(b)
	set, _, _ := state.EncodeNotes(b, nil, 20)
	read, err := state.DecodeNotes("shop", "", set)
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Named()) != 0 {
		t.Error("notes told names")
	}
	check(read)
	read.Put(ids[1], entry(k, resource.Attributes{"n": 2}))
	read.Pend(ids[2], resource.Attributes{"n": 2})
	check(read)
	if e, _ := read.Entry(ids[1]); e.Previous == nil || e.Previous.Attrs != nil {
		t.Errorf("previous is %+v", e.Previous)
	}
	read.Delete(ids[0])
	read.Delete(ids[2])
	if read.Has(ids[0]) || read.Has(ids[2]) || read.Others(nil) != 2 {
		t.Error("what was deleted is still there")
	}
}

func TestBookIsSafeForConcurrentUse(t *testing.T) {
	k := testKey(1)
	b := state.NewBook("shop", k)
	folder := state.Folder{Dir: t.TempDir()}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := function(fmt.Sprint("demo/", i))
			found := &resource.Found{Attrs: resource.Attributes{"n": i, "env": map[string]any{"A": "x"}}}
			for range 10 {
				b.Pend(id, k.Seal(schema, found.Attrs))
				b.Put(id, entry(k, found.Attrs))
				if r := b.Recorded(schema, id, found); !r.Known || r.Moved() {
					t.Errorf("got %+v", r)
				}
				b.Named()
				b.Others(nil)
				state.EncodeNotes(b, nil, 20)
				if err := folder.Save(t.Context(), at, b); err != nil {
					t.Error(err)
				}
				b.Merge(state.NewBook("shop", k))
			}
		})
	}
	wg.Wait()
	read, err := folder.Load(t.Context(), at)
	if err != nil || len(read.Named()) != 8 {
		t.Errorf("read %v, %v", read, err)
	}
}

func TestRecorded(t *testing.T) {
	k := testKey(1)
	id := function("demo/a")
	deployed := `{"n":1,"memory":256,"env":{"A":"1","B":"2"},"zones":["a","b"],"cpu":2,"code":{"checksum":"1","size":9}}`
	for _, c := range []struct {
		name, found  string
		config, code bool
	}{
		{"as it was", deployed, false, false},
		{"in another form", `{"n":1.0,"memory":"256","env":{"B":2,"A":"1"},"zones":["b","a"],"cpu":2,"made":"x","code":{"checksum":"1","size":10}}`, false, false},
		{"a value", `{"n":2,"memory":256,"env":{"A":"1","B":"2"},"zones":["a","b"],"cpu":2,"code":{"checksum":"1"}}`, true, false},
		{"a secret", `{"n":1,"memory":256,"env":{"A":"1","B":"3"},"zones":["a","b"],"cpu":2,"code":{"checksum":"1"}}`, true, false},
		{"what files leave alone", `{"n":1,"memory":256,"env":{"A":"1","B":"2"},"zones":["a","b"],"cpu":1,"code":{"checksum":"1"}}`, true, false},
		{"one more", `{"n":1,"memory":256,"env":{"A":"1","B":"2"},"zones":["a","b"],"cpu":2,"role":"r","code":{"checksum":"1"}}`, true, false},
		{"the code", `{"n":1,"memory":256,"env":{"A":"1","B":"2"},"zones":["a","b"],"cpu":2,"code":{"checksum":"2"}}`, false, true},
		{"no code", `{"n":1,"memory":256,"env":{"A":"1","B":"2"},"zones":["a","b"],"cpu":2}`, false, true},
		{"both", `{}`, true, true},
		{"gone", "", true, true},
	} {
		whole := state.NewBook("shop", k)
		whole.Put(id, entry(k, attrs(t, deployed)))
		set, _, _ := state.EncodeNotes(whole, nil, 20)
		short, err := state.DecodeNotes("shop", "", set)
		if err != nil {
			t.Fatal(err)
		}
		var found *resource.Found
		if c.found != "" {
			found = &resource.Found{Attrs: attrs(t, c.found)}
		}
		for _, b := range []*state.Book{whole, short} {
			r := b.Recorded(schema, id, found)
			if !r.Known || r.Config != c.config || r.Code != c.code || r.Pending || (r.Seal != nil) != (b == whole) || (r.Attrs != nil) != (b == whole) {
				t.Errorf("%s: got %+v", c.name, r)
			}
			if r := b.Recorded(schema, function("demo/b"), found); r.Known || r.Moved() {
				t.Errorf("%s: of another one: %+v", c.name, r)
			}
		}
	}
}

func TestSealOfARecordedEntryGivesItsForm(t *testing.T) {
	k := testKey(1)
	b := state.NewBook("shop", k)
	id := function("demo/a")
	online := resource.Attributes{"token": "canary", "args": []any{"-t", "canary"}, "plain": "x", "count": 47114711.0, "on": true}
	file := resource.Attributes{"token": hidden("canary"), "args": []any{"-t", hidden("canary")}, "plain": "x", "count": hidden("47114711"), "on": hidden("true")}
	e := k.Entry(schema, online, file)
	b.Put(id, e)
	if text := asJSON(t, e); strings.Contains(text, "canary") || strings.Contains(text, "true") || strings.Contains(text, "4711") {
		t.Fatalf("got %s", text)
	}
	r := b.Recorded(schema, id, &resource.Found{Attrs: online})
	if r.Moved() {
		t.Errorf("got %+v", r)
	}
	for name, same := range map[string]resource.Attributes{
		"online": online, "file": file,
		"a secret that was none": {"token": "canary", "args": []any{"-t", "canary"}, "plain": hidden("x"), "count": "47114711", "on": true},
	} {
		if d := schema.Compare(r.Attrs, r.Seal(same), nil); len(d) != 0 {
			t.Errorf("%s: differs in %v", name, d)
		}
	}
	other := r.Seal(resource.Attributes{"token": "moved", "args": []any{"-t", "canary"}, "plain": hidden("y"), "count": 47114711, "on": true})
	if d := schema.Compare(r.Attrs, other, nil); len(d) != 2 || d[0].Path != "plain" || d[1].Path != "token" || strings.Contains(asJSON(t, other), "moved") {
		t.Errorf("got %v", d)
	}
	if r.Seal(nil) != nil {
		t.Error("sealed nothing")
	}
}

func TestAChangeThatWasKilledIsOurs(t *testing.T) {
	k := testKey(1)
	id := function("demo/a")
	before := `{"n":1,"m":1,"env":{"A":"1"},"cpu":2,"code":{"checksum":"1"}}`
	want := resource.Attributes{"n": 2, "m": 2, "env": map[string]any{"A": hidden("2"), "B": "3"}, "code": map[string]any{"checksum": "2"}}
	for _, c := range []struct {
		name, before, found string
		known, config, code bool
	}{
		{"not done", before, before, true, false, false},
		{"done", before, `{"n":2,"m":2,"env":{"A":"2","B":"3"},"cpu":2,"code":{"checksum":"2"}}`, true, false, false},
		{"half done", before, `{"n":2,"m":1,"env":{"A":"1","B":"3"},"cpu":2,"code":{"checksum":"1"}}`, true, false, false},
		{"code done", before, `{"n":1,"m":1,"env":{"A":"1"},"cpu":2,"code":{"checksum":"2"}}`, true, false, false},
		{"done, and moved since", before, `{"n":3,"m":2,"env":{"A":"2","B":"3"},"cpu":2,"code":{"checksum":"2"}}`, true, true, false},
		{"done, and a secret moved", before, `{"n":2,"m":2,"env":{"A":"x","B":"3"},"cpu":2,"code":{"checksum":"2"}}`, true, true, false},
		{"not done, and one more", before, `{"n":1,"m":1,"env":{"A":"1","C":"x"},"cpu":2,"code":{"checksum":"1"}}`, true, true, false},
		{"other code", before, `{"n":2,"m":2,"env":{"A":"2","B":"3"},"cpu":2,"code":{"checksum":"3"}}`, true, false, true},
		{"gone", before, "", true, true, true},
		{"not created", "", "", false, false, false},
		{"created", "", `{"n":2,"m":2,"env":{"A":"2","B":"3"},"cpu":1,"code":{"checksum":"2"}}`, true, false, false},
		{"half created", "", `{"n":2,"code":{"checksum":"2"}}`, true, false, false},
		{"created by somebody else", "", `{"n":9,"m":2,"env":{"A":"2"},"code":{"checksum":"2"}}`, false, false, false},
	} {
		b := state.NewBook("shop", k)
		if c.before != "" {
			b.Put(id, entry(k, attrs(t, c.before)))
		}
		b.Pend(id, k.Seal(schema, want))
		var found *resource.Found
		if c.found != "" {
			found = &resource.Found{Attrs: attrs(t, c.found)}
		}
		r := b.Recorded(schema, id, found)
		if r.Known != c.known || r.Config != c.config || r.Code != c.code || r.Pending != (c.known && found != nil) {
			t.Errorf("%s: got %+v", c.name, r)
		}
	}
}

func TestAKilledChangeDoesNotHideWhatOthersSet(t *testing.T) {
	k := testKey(1)
	id := function("demo/a")
	b := state.NewBook("shop", k)
	b.Put(id, entry(k, resource.Attributes{"n": 1}))
	b.Pend(id, k.Seal(schema, resource.Attributes{"n": 1, "cpu": 4}))
	for cpu, moved := range map[int]bool{3: true, 4: false} {
		if r := b.Recorded(schema, id, &resource.Found{Attrs: resource.Attributes{"n": 1, "cpu": cpu}}); r.Config != moved {
			t.Errorf("cpu %d: %+v", cpu, r)
		}
	}
}

func TestMerge(t *testing.T) {
	k := testKey(1)
	id := function("demo/a")
	one, two, three := resource.Attributes{"n": 1}, resource.Attributes{"n": 2}, resource.Attributes{"n": 3}
	book := func(states ...resource.Attributes) *state.Book {
		b := state.NewBook("shop", k)
		for _, s := range states {
			b.Put(id, entry(k, s))
		}
		return b
	}
	pending := book(one)
	pending.Pend(id, k.Seal(schema, two))
	begun := state.NewBook("shop", k)
	begun.Pend(id, k.Seal(schema, two))
	foreign := state.NewBook("shop", testKey(2))
	foreign.Put(id, entry(testKey(2), one))
	for _, c := range []struct {
		name        string
		notes, full *state.Book
		// what is online and is known not to have moved, moved, or is not known at all
		same, moved, unknown []resource.Attributes
		attrs                bool
	}{
		{"the same", book(one), book(one), []resource.Attributes{one}, []resource.Attributes{two}, nil, true},
		{"the notes are newer", book(two), book(one), []resource.Attributes{two}, []resource.Attributes{one, three}, nil, false},
		{"killed within a change", book(one), pending, []resource.Attributes{one, two}, []resource.Attributes{three}, nil, true},
		{"killed before the notes", book(one), book(one, two), []resource.Attributes{one, two}, []resource.Attributes{three}, nil, true},
		{"killed within a creation", book(), begun, []resource.Attributes{two}, nil, []resource.Attributes{three}, false},
		{"killed after a creation", book(), book(two), []resource.Attributes{two}, nil, []resource.Attributes{three}, false},
		{"another key", book(), foreign, nil, nil, []resource.Attributes{one}, false},
		{"nothing more", book(one), book(), []resource.Attributes{one}, []resource.Attributes{two}, nil, false},
		{"none", book(one), nil, []resource.Attributes{one}, []resource.Attributes{two}, nil, false},
	} {
		set, _, _ := state.EncodeNotes(c.notes, nil, 20)
		b, err := state.DecodeNotes("shop", "", set)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			b = state.NewBook("shop", k)
		}
		b.Merge(c.full)
		for i, list := range [][]resource.Attributes{c.same, c.moved, c.unknown} {
			for _, a := range list {
				r := b.Recorded(schema, id, &resource.Found{Attrs: a})
				if r.Known != (i < 2) || r.Moved() != (i == 1) {
					t.Errorf("%s: online %v: %+v", c.name, a, r)
				}
			}
		}
		if e, _ := b.Entry(id); (e.Attrs != nil) != c.attrs {
			t.Errorf("%s: attributes: %v", c.name, e.Attrs)
		}
		if r := b.Recorded(schema, id, nil); len(c.unknown) > 0 && r.Known {
			t.Errorf("%s: what was deleted elsewhere is still recorded", c.name)
		}
	}
	b := book(one)
	b.Merge(b)
}
