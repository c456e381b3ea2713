// Command gentree writes the context of the large benchmark: a tree like that of
// node_modules with many files, a quarter of whose bytes can not be compressed. The
// same flags give the same bytes on every machine.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

func main() {
	files := flag.Int("files", 20000, "how many files")
	bytes := flag.Int64("bytes", 298_000_000, "their size together, about")
	flag.Parse()
	if flag.NArg() != 1 || *files < 1 || *bytes < 0 {
		fmt.Fprintln(os.Stderr, "usage: gentree [-files N] [-bytes N] FOLDER")
		os.Exit(2)
	}
	g := newGenerator(uint64(*files))
	total, err := g.tree(flag.Arg(0), *files, *bytes)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gentree:", err)
		os.Exit(1)
	}
	fmt.Println("files", *files, "bytes", total)
}

// generator makes text that compresses as source code does: few words often, many
// words seldom.
type generator struct {
	random *rand.Rand
	words  []string
}

func newGenerator(seed uint64) *generator {
	g := &generator{random: rand.New(rand.NewPCG(seed, 0x5eed))}
	for range 5000 {
		word := make([]byte, 2+g.random.IntN(10))
		for i := range word {
			word[i] = byte('a' + min(25, g.rare(5)))
		}
		g.words = append(g.words, string(word))
	}
	return g
}

// rare is a number that is small most of the time, with the given mean.
func (g *generator) rare(mean float64) int { return int(g.random.ExpFloat64() * mean) }

// tree writes the files below dir, 50 a package in three folders.
func (g *generator) tree(dir string, files int, bytes int64) (total int64, err error) {
	mean := float64(bytes) / float64(files)
	for i := range files {
		folder := filepath.Join(dir, "modules", fmt.Sprintf("package-%04d", i/50), []string{"dist", "src", filepath.Join("src", "inner")}[i%3])
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return total, err
		}
		size := g.rare(mean)
		// Every fourth file is one that can not be compressed: a quarter of the bytes.
		name, fill := fmt.Sprintf("part%05d.js", i), g.source
		if i%4 == 3 {
			name, fill = fmt.Sprintf("part%05d.bin", i), g.noise
		}
		if err := writeFile(filepath.Join(folder, name), size, fill); err != nil {
			return total, err
		}
		total += int64(size)
	}
	return total, nil
}

func writeFile(path string, size int, fill func(w *bufio.Writer, size int)) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	fill(w, size) // errors stay in w until Flush
	return errors.Join(w.Flush(), file.Close())
}

// source writes size bytes of text.
func (g *generator) source(w *bufio.Writer, size int) {
	marks := []string{"(", ")", " = ", ";\n", ", ", ".", " {\n", "}\n", "const ", "return ", "if (", "\n", "    ", "'", ": ", " => "}
	for left := size; left > 0; {
		token := marks[g.random.IntN(len(marks))]
		if g.random.IntN(2) == 0 {
			token = g.words[min(len(g.words)-1, g.rare(500))]
		}
		token = token[:min(left, len(token))]
		_, _ = w.WriteString(token)
		left -= len(token)
	}
}

// noise writes size random bytes.
func (g *generator) noise(w *bufio.Writer, size int) {
	for range size {
		_ = w.WriteByte(byte(g.random.Uint32()))
	}
}
