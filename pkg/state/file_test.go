package state

import (
	"bytes"
	"testing"

	"github.com/devs/deploy/pkg/resource"
)

func FuzzDecodeFile(f *testing.F) {
	at := Holder{Account: "123", Region: "cn-hangzhou", ID: resource.ID{Kind: "service", Name: "demo"}, App: "shop"}
	k := NewKey(bytes.NewReader(make([]byte, saltSize)), "")
	b := NewBook("shop", k)
	for i := range 3 {
		a := resource.Attributes{"n": i, "f": 1.5, "l": []any{"x", map[string]any{"b": true}}, "code": map[string]any{"checksum": "1"}}
		b.Put(resource.ID{Kind: "function", Name: "a"}, Entry{Prints: k.Prints(nil, a), Attrs: k.Seal(nil, a), Files: []resource.CodeFile{{Path: "x", Size: 1}}})
	}
	b.Pend(resource.ID{Kind: "function", Name: "b"}, resource.Attributes{"n": 1})
	b.hashed["AAA"] = "BBBBB"
	good, err := encodeFile(at, b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":1,"app":"shop","account":"123","region":"cn-hangzhou","kind":"service","name":"demo","key":"` + k.Public() + `","resources":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeFile(at, "", data)
		if err != nil {
			return
		}
		once, err := encodeFile(at, b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeFile(at, "", once)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if twice, err := encodeFile(at, again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("not the same when read again: %v\n%s\n%s", err, once, twice)
		}
		for _, id := range b.Named() {
			b.Recorded(nil, id, &resource.Found{Attrs: resource.Attributes{"n": 1}})
			b.Put(id, Entry{Prints: b.Key.Prints(nil, resource.Attributes{"n": 2})})
		}
		EncodeNotes(b, nil, 20)
	})
}
