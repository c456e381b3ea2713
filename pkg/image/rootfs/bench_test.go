//go:build linux

package rootfs

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"testing"

	"github.com/devs/deploy/pkg/image/layer"
)

// distribution returns entries like those of the base of a distribution: 8,000, of
// 140 MB, a tenth of them links.
func distribution() []*layer.Entry {
	random := rand.New(rand.NewSource(1))
	data := make([]byte, 64<<10)
	for i := range data {
		data[i] = byte(random.Intn(20))
	}
	var entries []*layer.Entry
	for i := range 700 {
		at := fmt.Sprintf("usr/share/d%d", i)
		entries = append(entries, dir(at))
		for j := range 10 {
			p := fmt.Sprintf("%s/f%d", at, j)
			if j == 9 {
				entries = append(entries, symlink(p, "f0"))
				continue
			}
			entries = append(entries, file(p, string(data[random.Intn(len(data)/2):][:random.Intn(len(data)/2)])))
		}
	}
	large := file("usr/lib/large", string(bytes.Repeat(data, 500)))
	entries = append(entries, dir("usr"), dir("usr/lib"), large, dir("usr/share"))
	layer.Sort(entries)
	return entries
}

func BenchmarkApplyLayer(b *testing.B) {
	stream := packed(b, distribution()).Bytes()
	for b.Loop() {
		r := newRoot(b)
		if err := r.ApplyLayer(context.Background(), bytes.NewReader(stream)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	r := newRoot(b)
	apply(b, r, distribution()...)
	for b.Loop() {
		take(b, r.Dir(), nil)
	}
}

func BenchmarkDiff(b *testing.B) {
	r := newRoot(b)
	apply(b, r, distribution()...)
	before := take(b, r.Dir(), nil)
	apply(b, r, file("usr/share/d5/f5", "changed"))
	after := take(b, r.Dir(), nil)
	for b.Loop() {
		diff(b, before, after)
	}
}
