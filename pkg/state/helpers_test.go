package state_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/pkg/state"
)

// schema has every rule that matters to fingerprints.
var schema = resource.Schema{
	"env.*":       {Text: true, Secret: true},
	"memory":      {Number: true, Default: int64(128)},
	"role":        {Fold: true},
	"zones":       {Set: true},
	"made":        {Ignore: true},
	"cpu":         {KeepUnset: true},
	"code":        {KeepUnset: true},
	"code.size":   {Ignore: true},
	"routes[].id": {Ignore: true},
}

// testKey is a key that is always the same for a number.
func testKey(n byte) state.Key {
	return state.NewKey(bytes.NewReader(bytes.Repeat([]byte{n}, 16)), "")
}

func function(name string) resource.ID { return resource.ID{Kind: "function", Name: name} }

// attrs decodes JSON; numbers are float64, as from any API.
func attrs(t testing.TB, text string) resource.Attributes {
	t.Helper()
	var a resource.Attributes
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// entry is what a deploy records of what it finds.
func entry(k state.Key, found resource.Attributes) state.Entry {
	return state.Entry{Prints: k.Prints(schema, found), Attrs: k.Seal(schema, found)}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// dump is all that a Book tells of some resources.
func dump(b *state.Book, ids ...resource.ID) string {
	text := fmt.Sprintln(b.App, b.Key.Public(), b.Named(), b.Others(nil))
	for _, id := range ids {
		e, ok := b.Entry(id)
		data, _ := json.Marshal(e)
		text += fmt.Sprintln(id, ok, string(data))
	}
	return text
}

var hidden = secret.New
