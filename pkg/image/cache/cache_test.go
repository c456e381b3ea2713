package cache

import "testing"

// What was used last stays at the end from build to build, as the beginning is what is
// forgotten.
func TestMergeKeepsOrder(t *testing.T) {
	old := &Cache{}
	for _, key := range []string{"first", "second", "third"} {
		old.Put(Record{Key: key})
	}
	c := &Cache{}
	c.Put(Record{Key: "own"})
	c.Merge(old)
	var keys []string
	for _, r := range c.Records() {
		keys = append(keys, r.Key)
	}
	want := []string{"first", "second", "third", "own"}
	for i := range want {
		if len(keys) != len(want) || keys[i] != want[i] {
			t.Fatalf("the records are %q, want %q", keys, want)
		}
	}
}
