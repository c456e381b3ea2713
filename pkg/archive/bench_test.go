package archive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dependencies writes a tree like an installed node_modules: n files, mean bytes
// each on average, a quarter of them incompressible. It returns the sum of bytes.
func dependencies(b *testing.B, dir string, n int, mean float64) (total int64) {
	b.Helper()
	r := rand.New(rand.NewPCG(42, 42))
	words := make([]string, 3000)
	for i := range words {
		w := make([]byte, 3+r.IntN(9))
		for j := range w {
			w[j] = "etaoinshrdlucmfwypvbgkqjxz"[min(25, int(r.ExpFloat64()*6))]
		}
		words[i] = string(w)
	}
	syntax := []string{"function ", "return ", "const ", "(", ") {\n", "};\n", " = ", ".", "exports.", "require('", "')", "  ", "\n", ", "}
	for i := range n {
		size := int(r.ExpFloat64() * mean)
		text := make([]byte, 0, size+16)
		incompressible := r.IntN(4) == 0
		for len(text) < size {
			switch {
			case incompressible:
				text = append(text, byte(r.Uint32()))
			case r.IntN(2) == 0:
				text = append(text, syntax[r.IntN(len(syntax))]...)
			default:
				text = append(text, words[min(len(words)-1, int(r.ExpFloat64()*400))]...)
			}
		}
		sub := filepath.Join(dir, "node_modules", fmt.Sprintf("pkg-%03d", i/40), []string{"lib", "dist", "src", ".", "lib/util"}[i%5])
		if err := os.MkdirAll(sub, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%05d.js", i)), text, 0o644); err != nil {
			b.Fatal(err)
		}
		total += int64(len(text))
	}
	return total
}

func benchmarkPack(b *testing.B, files int, mean float64) {
	dir, temp := b.TempDir(), b.TempDir()
	b.SetBytes(dependencies(b, dir, files, mean))
	b.ReportAllocs()
	for b.Loop() {
		p, err := Pack(context.Background(), Options{Path: dir, TempDir: temp, Ignore: FunctionIgnores("nodejs16")})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(p.Size), "package-bytes")
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPack20000 packs about 300 MB in 20,000 files, from nothing each time.
func BenchmarkPack20000(b *testing.B) { benchmarkPack(b, 20_000, 15_000) }

// BenchmarkPackSmall packs a function of ten small files.
func BenchmarkPackSmall(b *testing.B) { benchmarkPack(b, 10, 4_000) }

// benchmarkOther has a program pack the same tree, for comparison: it runs in the
// folder, and PACKAGE in its arguments is the file to write.
func benchmarkOther(b *testing.B, name string, args ...string) {
	if _, err := exec.LookPath(name); err != nil {
		b.Skipf("%s is not on this machine", name)
	}
	dir, out := b.TempDir(), filepath.Join(b.TempDir(), "package.zip")
	for i, arg := range args {
		args[i] = strings.ReplaceAll(arg, "PACKAGE", strings.TrimSuffix(out, ".zip"))
	}
	b.SetBytes(dependencies(b, dir, 20_000, 15_000))
	for b.Loop() {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if text, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, text)
		}
		info, err := os.Stat(out)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size()), "package-bytes")
		if err := os.Remove(out); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkZip20000 is BenchmarkPack20000 by Info-ZIP.
func BenchmarkZip20000(b *testing.B) {
	benchmarkOther(b, "zip", "-r", "-q", "PACKAGE.zip", ".")
}

// BenchmarkMakeArchive20000 is BenchmarkPack20000 by shutil.make_archive of Python.
func BenchmarkMakeArchive20000(b *testing.B) {
	benchmarkOther(b, "python3", "-c", `import shutil, sys; shutil.make_archive(sys.argv[1], "zip", ".")`, "PACKAGE")
}
