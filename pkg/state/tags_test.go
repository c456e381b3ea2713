package state_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// bigBook is the record of n functions, each with a trigger.
func bigBook(n int) (*state.Book, []resource.ID) {
	k := testKey(3)
	b := state.NewBook("shop", k)
	ids := []resource.ID{{Kind: "service", Name: "demo"}}
	for i := range n {
		ids = append(ids, function(fmt.Sprintf("demo/f%d", i)))
	}
	for i := range n {
		ids = append(ids, resource.ID{Kind: "trigger", Name: fmt.Sprintf("demo/f%d/http", i)})
	}
	for i, id := range ids {
		a := resource.Attributes{"n": i}
		if id.Kind == "function" {
			a["code"] = map[string]any{"checksum": fmt.Sprint(i)}
		}
		b.Put(id, entry(k, a))
	}
	return b, ids
}

// apply does to notes what EncodeNotes says.
func apply(notes, set map[string]string, remove []string) map[string]string {
	out := maps.Clone(notes)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, set)
	for _, name := range remove {
		delete(out, name)
	}
	return out
}

func TestNotesRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5, 11, 12, 50, 90} {
		b, ids := bigBook(n)
		set, remove, dropped := state.EncodeNotes(b, nil, 20)
		if len(remove) != 0 || dropped != 0 {
			t.Fatalf("%d functions: remove %v, dropped %d", n, remove, dropped)
		}
		for name, value := range set {
			if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`).MatchString(value) || !state.IsRecord("shop", name) || state.IsLock(name) || len(name) > 64 {
				t.Errorf("note %s=%s", name, value)
			}
		}
		read, err := state.DecodeNotes("shop", "", set)
		if err != nil {
			t.Fatal(err)
		}
		if read.Key != b.Key || read.Others(nil) != len(ids) {
			t.Errorf("%d functions: read %d", n, read.Others(nil))
		}
		for i, id := range ids {
			a := resource.Attributes{"n": i}
			if id.Kind == "function" {
				a["code"] = map[string]any{"checksum": fmt.Sprint(i)}
			}
			if r := read.Recorded(schema, id, &resource.Found{Attrs: a}); !r.Known || r.Moved() {
				t.Fatalf("%s: %+v", id, r)
			}
			a["n"] = -1
			if r := read.Recorded(schema, id, &resource.Found{Attrs: a}); !r.Config || r.Code {
				t.Fatalf("%s: %+v", id, r)
			}
		}
		for _, same := range []*state.Book{b, read} {
			if set, remove, _ := state.EncodeNotes(same, set, 20); len(set)+len(remove) != 0 {
				t.Errorf("%d functions: an unchanged book changes %v, %v", n, set, remove)
			}
		}
	}
}

func TestAnEmptyBookHasNoNotes(t *testing.T) {
	b := state.NewBook("shop", testKey(1))
	b.Pend(function("demo/a"), resource.Attributes{"n": 1})
	if set, remove, dropped := state.EncodeNotes(b, nil, 20); len(set)+len(remove)+dropped != 0 {
		t.Errorf("got %v, %v, %d", set, remove, dropped)
	}
	for _, notes := range []map[string]string{nil, {}, {"owner": "me", "devs.abcdefgh.0": "of another application"}} {
		if b, err := state.DecodeNotes("shop", "", notes); b != nil || err != nil {
			t.Errorf("%v: got %v, %v", notes, b, err)
		}
	}
	one, _ := bigBook(3)
	notes, _, _ := state.EncodeNotes(one, nil, 20)
	for _, id := range one.Named() {
		one.Delete(id)
	}
	set, remove, _ := state.EncodeNotes(one, notes, 20)
	if len(apply(notes, set, remove)) != 0 {
		t.Errorf("left: %v", apply(notes, set, remove))
	}
}

func TestNotesLeaveRoomForOthers(t *testing.T) {
	for _, others := range []int{0, 1, 10, 16, 17, 18, 19, 25} {
		old := map[string]string{"devs.abcdefgh.lock.aaaaaa": "of another application", "devs.abcdefgh.lock.bbbbbb": "and its rival"}
		for i := range others {
			old[fmt.Sprintf("team.%d", i)] = "x"
		}
		b, ids := bigBook(100)
		set, remove, dropped := state.EncodeNotes(b, old, 20)
		if n := len(apply(old, set, remove)) - 2; n > max(18, others) || dropped == 0 {
			t.Errorf("%d others: %d notes, %d dropped", others, n, dropped)
		}
		read, err := state.DecodeNotes("shop", "", set)
		if err != nil {
			t.Fatal(err)
		}
		if others >= 18 {
			if read != nil || dropped != len(ids) {
				t.Errorf("%d others: %d dropped, of %d", others, dropped, len(ids))
			}
			continue
		}
		if got := read.Others(nil); got != len(ids)-dropped || got == 0 {
			t.Errorf("%d others: %d kept, %d dropped, of %d", others, got, dropped, len(ids))
		}
		// The service first, then functions, then triggers.
		last := true
		for _, id := range []resource.ID{ids[0], ids[1], ids[100], ids[101], ids[200]} {
			if has := read.Has(id); has && !last && id.Kind == "trigger" {
				t.Errorf("%d others: %s is kept, what is more important is not", others, id)
			} else {
				last = has
			}
		}
		// What the notes had no room for comes from a whole book.
		read.Merge(b)
		if read.Others(nil) != len(ids) || len(read.Named()) != len(ids) {
			t.Errorf("%d others: %d after the merge", others, read.Others(nil))
		}
	}
}

func TestNotesShrinkAndGrow(t *testing.T) {
	b, ids := bigBook(60)
	notes, _, _ := state.EncodeNotes(b, map[string]string{"owner": "me"}, 20)
	notes["owner"] = "me"
	for _, id := range ids[10:] {
		b.Delete(id)
	}
	set, remove, _ := state.EncodeNotes(b, notes, 20)
	notes = apply(notes, set, remove)
	if len(remove) == 0 || len(notes) != 3 {
		t.Errorf("removed %v, left %v", remove, notes)
	}
	// A fresh run knows no names; it changes one resource and makes one.
	read, err := state.DecodeNotes("shop", "", notes)
	if err != nil {
		t.Fatal(err)
	}
	fresh := function("demo/new")
	read.Put(ids[1], entry(read.Key, resource.Attributes{"n": "changed"}))
	read.Put(fresh, entry(read.Key, resource.Attributes{"n": "new"}))
	set, remove, dropped := state.EncodeNotes(read, notes, 20)
	read, err = state.DecodeNotes("shop", "", apply(notes, set, remove))
	if err != nil || dropped != 0 {
		t.Fatal(err, dropped)
	}
	if n := read.Others(append(slices.Clone(ids[:10]), fresh)); n != 0 || read.Others(nil) != 11 {
		t.Errorf("%d are left over, of %d", n, read.Others(nil))
	}
	if r := read.Recorded(schema, ids[1], &resource.Found{Attrs: resource.Attributes{"n": "changed"}}); !r.Known || r.Moved() {
		t.Errorf("got %+v", r)
	}
}

func TestEveryDamageToNotesIsNoticed(t *testing.T) {
	b, _ := bigBook(8)
	notes, _, _ := state.EncodeNotes(b, nil, 20)
	if len(notes) != 2 {
		t.Fatalf("%d notes", len(notes))
	}
	for name, value := range notes {
		for i := range value {
			for _, other := range []string{value[:i], value[:i] + "A" + value[i+1:], value[:i] + "*" + value[i+1:], value[:i] + "\xff" + value[i:]} {
				if other == value {
					continue
				}
				damaged := maps.Clone(notes)
				damaged[name] = other
				if b, err := state.DecodeNotes("shop", "", damaged); err == nil {
					t.Fatalf("%s=%s was read: %v", name, other, b)
				}
			}
		}
		torn := maps.Clone(notes)
		delete(torn, name)
		if _, err := state.DecodeNotes("shop", "", torn); err == nil {
			t.Errorf("read without %s", name)
		}
	}
	if _, err := state.DecodeNotes("shop", "a secret", notes); err == nil || !strings.Contains(err.Error(), "DEVS_STATE_KEY") {
		t.Errorf("got %v", err)
	}
}

func TestNamesOfNotes(t *testing.T) {
	b, _ := bigBook(1)
	set, _, _ := state.EncodeNotes(b, nil, 20)
	prefix := strings.TrimSuffix(slices.Collect(maps.Keys(set))[0], "0")
	for name, want := range map[string][2]bool{ // record of shop, lock
		prefix + "0": {true, false}, prefix + "17": {true, false}, prefix + "lock.abcdef": {false, true}, prefix + "x": {}, prefix: {},
		"devs.abcdefgh.lock.abcdef": {false, true}, "devs.abcdefgh.0": {}, "devs.lock.x": {}, "devs.abcdefgh.lock.": {}, "owner": {}, "": {},
	} {
		if got := [2]bool{state.IsRecord("shop", name), state.IsLock(name)}; got != want {
			t.Errorf("%q: got %v", name, got)
		}
	}
	if state.IsRecord("another", prefix+"0") {
		t.Error("two applications share their notes")
	}
}

// Many names: the salt is chosen so that all can be told apart.
func TestNoTwoNamesCollide(t *testing.T) {
	for n := range byte(40) {
		k := testKey(n)
		b := state.NewBook("shop", k)
		var ids []resource.ID
		for i := range 280 {
			ids = append(ids, resource.ID{Kind: "trigger", Name: fmt.Sprint("demo/f/", i)})
			b.Put(ids[i], entry(k, resource.Attributes{"n": i}))
		}
		set, _, dropped := state.EncodeNotes(b, nil, 20)
		read, err := state.DecodeNotes("shop", "", set)
		if err != nil || dropped != 0 || read.Others(nil) != len(ids) || read.Others(ids) != 0 {
			t.Errorf("key %d: %d dropped, %v", n, dropped, err)
		}
	}
}

func FuzzDecodeNotes(f *testing.F) {
	b, _ := bigBook(20)
	notes, _, _ := state.EncodeNotes(b, nil, 20)
	var values []string
	var prefix string
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		values = append(values, notes[name])
		prefix = name[:strings.LastIndex(name, ".")+1]
	}
	f.Add(strings.Join(values, " "), "")
	f.Add(values[0], "x")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, text, extra string) {
		in := map[string]string{}
		for i, v := range strings.Split(text, " ") {
			in[fmt.Sprint(prefix, i)] = v
		}
		b, err := state.DecodeNotes("shop", extra, in)
		if (b == nil) == (err == nil) && len(in) > 0 {
			t.Fatalf("got %v, %v", b, err)
		}
		if err != nil {
			return
		}
		set, remove, _ := state.EncodeNotes(b, in, 20)
		again, err := state.DecodeNotes("shop", extra, apply(in, set, remove))
		if err != nil || again != nil && dump(again) != dump(b) {
			t.Fatalf("not the same after encoding: %v\n%s\n%s", err, cmp.Diff(dump(b), dump(again)), text)
		}
	})
}
