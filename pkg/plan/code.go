package plan

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// addCode tells how the code package changes: its size and checksum, and its files
// when the record has those of what is online.
func (c *Change) addCode(recorded state.Recorded) {
	if c.Action == Delete || !slices.ContainsFunc(c.Fields, func(f Field) bool { return f.Field == codeField }) {
		return
	}
	c.Code = &CodeChange{}
	if c.Found != nil {
		c.Code.OldSize, c.Code.OldSum = packageOf(c.Found.Attrs)
	}
	c.Code.NewSize, c.Code.NewSum = packageOf(c.Want.Attrs)
	if c.Want.Code != nil {
		c.Code.NewSize, c.Code.NewSum = c.Want.Code.Size(), c.Want.Code.Checksum()
	}
	if *c.Code == (CodeChange{}) {
		c.Code = nil // an object of a bucket, of which the cloud tells nothing
	}
	lister, ok := c.Want.Code.(resource.Lister)
	if !ok || recorded.Files == nil || c.Found == nil || c.CodeMoved || !recorded.Known {
		return
	}
	c.Files = compareFiles(recorded.Files, lister.Files())
}

// packageOf returns the size and the checksum that a state tells of its code.
func packageOf(attrs resource.Attributes) (size int64, sum string) {
	code, _ := attrs[codeField].(map[string]any)
	sum, _ = code["checksum"].(string)
	switch n := code["size"].(type) {
	case int:
		size = int64(n)
	case int64:
		size = n
	case float64:
		size = int64(n)
	case json.Number:
		size, _ = n.Int64()
	}
	return size, sum
}

// compareFiles compares two lists of files, whatever their order is.
func compareFiles(old, new []resource.CodeFile) *FileChanges {
	byPath := func(a, b resource.CodeFile) int { return cmp.Compare(a.Path, b.Path) }
	old, new = slices.SortedFunc(slices.Values(old), byPath), slices.SortedFunc(slices.Values(new), byPath)
	changes := &FileChanges{}
	for len(old) > 0 || len(new) > 0 {
		switch {
		case len(new) == 0 || len(old) > 0 && old[0].Path < new[0].Path:
			changes.Removed = append(changes.Removed, old[0].Path)
			old = old[1:]
		case len(old) == 0 || new[0].Path < old[0].Path:
			changes.Added = append(changes.Added, new[0].Path)
			new = new[1:]
		default:
			if old[0] != new[0] {
				changes.Changed = append(changes.Changed, new[0].Path)
			}
			old, new = old[1:], new[1:]
		}
	}
	return changes
}
