package layer_test

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/devs/deploy/pkg/image/layer"
)

// The tree of the benchmarks: many small files, a quarter of them incompressible.
const (
	benchFiles = 20_000
	benchMean  = 15_000 // bytes
)

// benchTree makes the tree in a folder, or takes the one that DEVS_BENCH_TREE names.
func benchTree(b *testing.B) []*layer.Entry {
	b.Helper()
	root := os.Getenv("DEVS_BENCH_TREE")
	if root == "" {
		root = b.TempDir()
		makeTree(b, root)
	}
	var entries []*layer.Entry
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		e := &layer.Entry{Path: filepath.ToSlash(rel), Type: layer.Dir, Mode: 0o755, ModTime: epoch}
		if !d.IsDir() {
			e.Type, e.Mode, e.Size = layer.File, 0o644, info.Size()
			e.Open = func() (io.ReadCloser, error) { return os.Open(p) }
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	layer.Sort(entries)
	return entries
}

func makeTree(b *testing.B, root string) {
	r := rand.New(rand.NewPCG(1, 2))
	words := make([][]byte, 4000)
	for i := range words {
		words[i] = make([]byte, 3+r.IntN(9))
		for j := range words[i] {
			words[i][j] = "etaoinshrdlucmfwypvbgkqjxz (){};.="[min(33, int(r.ExpFloat64()*6))]
		}
	}
	for i := range benchFiles {
		dir := filepath.Join(root, "pkg-"+strconv.Itoa(i/40), []string{"lib", "dist", "src", "util"}[i%4])
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		size := int(r.ExpFloat64() * benchMean)
		var data []byte
		for len(data) < size {
			if i%4 == 0 {
				data = append(data, byte(r.Uint32()))
			} else {
				data = append(data, words[min(3999, int(r.ExpFloat64()*400))]...)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "f"+strconv.Itoa(i)), data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func totalSize(entries []*layer.Entry) (n int64) {
	for _, e := range entries {
		n += e.Size
	}
	return n
}

func BenchmarkWrite(b *testing.B) {
	entries := benchTree(b)
	for _, c := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		b.Run(c.String(), func(b *testing.B) {
			b.SetBytes(totalSize(entries))
			var written layer.Written
			for b.Loop() {
				var err error
				if written, err = layer.Write(context.Background(), io.Discard, entries, c); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(written.Size)/1e6, "MB-written")
			reportMemory(b)
		})
	}
}

// BenchmarkWriteSplit writes the layers of Split, two at a time.
func BenchmarkWriteSplit(b *testing.B) {
	parts := layer.Split(benchTree(b))
	var all []*layer.Entry
	for _, p := range parts {
		all = append(all, p...)
	}
	b.SetBytes(totalSize(all))
	for b.Loop() {
		var wg sync.WaitGroup
		next := make(chan []*layer.Entry)
		for range 2 {
			w, err := layer.NewWriter(layer.Gzip)
			if err != nil {
				b.Fatal(err)
			}
			wg.Go(func() {
				for p := range next {
					if _, err := w.Write(context.Background(), io.Discard, p); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for _, p := range parts {
			next <- p
		}
		close(next)
		wg.Wait()
	}
	b.ReportMetric(float64(len(parts)), "layers")
	reportMemory(b)
}

func BenchmarkKey(b *testing.B) {
	entries := benchTree(b)
	b.SetBytes(totalSize(entries))
	for b.Loop() {
		if _, err := layer.Key(context.Background(), entries); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	entries := benchTree(b)
	for b.Loop() {
		layer.Split(entries)
	}
}

// reportMemory tells what the process took from the system so far.
func reportMemory(b *testing.B) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/1e6, "MB-sys")
}
