package archive

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kflate "github.com/klauspost/compress/flate"
)

func fixedTime(n int64) time.Time { return time.Unix(1_600_000_000+n*1000, 0) }

// node is a file, link or folder of a made-up tree.
type node struct {
	data string
	exec bool
	link bool
	dir  bool
}

// randomTree returns paths and what is there.
func randomTree(r *rand.Rand) map[string]node {
	tree := map[string]node{"bootstrap": {data: "#!/bin/sh\n"}}
	for i := range 40 + r.IntN(40) {
		dir := strings.Repeat(fmt.Sprintf("d%d/", r.IntN(4)), r.IntN(4))
		path := fmt.Sprintf("%sf%d", dir, i)
		switch r.IntN(10) {
		case 0:
			tree[path] = node{link: true, data: fmt.Sprintf("../f%d", r.IntN(50))}
		case 1:
			tree[path] = node{dir: true}
		default:
			tree[path] = node{data: randomData(r), exec: r.IntN(5) == 0}
		}
	}
	tree["exactly"] = node{data: strings.Repeat("0123456789abcdef", chunkSize/16)}
	tree["twice"] = node{data: strings.Repeat("0123456789abcdef", 2*chunkSize/16)}
	tree["large"] = node{data: randomText(r, 2*chunkSize+r.IntN(chunkSize))}
	return tree
}

func randomData(r *rand.Rand) string {
	n := int(r.ExpFloat64() * 5000)
	switch r.IntN(4) {
	case 0:
		return ""
	case 1: // incompressible
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	return randomText(r, n)
}

func randomText(r *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "const v%d = require('m%d');\n", r.IntN(1000), int(r.ExpFloat64()*20))
	}
	return b.String()
}

// grow writes the tree in an order, with modes and times, of its own.
func grow(t *testing.T, dir string, tree map[string]node, r *rand.Rand) {
	t.Helper()
	old := syscall.Umask([]int{0o022, 0o077, 0o002}[r.IntN(3)])
	defer syscall.Umask(old)
	list := slices.Sorted(maps.Keys(tree))
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, path := range list {
		n, disk := tree[path], filepath.Join(dir, path)
		err := os.MkdirAll(filepath.Dir(disk), 0o777)
		switch {
		case err != nil:
		case n.dir:
			err = os.Mkdir(disk, 0o777)
		case n.link:
			err = os.Symlink(n.data, disk)
		default:
			mode := fs.FileMode(0o666)
			if n.exec {
				mode = 0o777
			}
			when := fixedTime(r.Int64N(100_000))
			if err = os.WriteFile(disk, []byte(n.data), mode); err == nil {
				err = os.Chtimes(disk, when, when)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSameSourcesSameBytes(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		tree := randomTree(r)
		var first *Package
		for round := range 4 {
			dir := filepath.Join(t.TempDir(), fmt.Sprint(round))
			grow(t, dir, tree, r)
			runtime.GOMAXPROCS([]int{1, 2, 8, procs}[round])
			p := pack(t, Options{Path: dir, Workers: []int{0, 0, 0, 5}[round], MemoryLimit: []int64{0, -1, 100_000, 0}[round]})
			if first == nil {
				first = p
				checkTree(t, tree, content(t, p))
				continue
			}
			if !bytes.Equal(content(t, first), content(t, p)) || first.SHA256 != p.SHA256 || first.CRC64 != p.CRC64 {
				t.Errorf("seed %d, round %d: the bytes differ", seed, round)
			}
		}
	}
}

// checkTree holds a package against the tree it was made of.
func checkTree(t *testing.T, tree map[string]node, content []byte) {
	t.Helper()
	want := map[string]string{}
	for path, n := range tree {
		if n.dir {
			path += "/"
		}
		want[path] = n.data
	}
	got := map[string]string{}
	for path, data := range unzipped(t, content) {
		got[path] = string(data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("content (-want +got):\n%.2000s", diff)
	}
	for _, e := range readZip(t, content) {
		n := tree[strings.TrimSuffix(e.Path, "/")]
		mode := fs.FileMode(0o644)
		switch {
		case n.link:
			mode = fs.ModeSymlink | 0o777
		case n.dir:
			mode = fs.ModeDir | 0o755
		case n.exec, e.Path == "bootstrap":
			mode = 0o755
		}
		if e.Mode != mode {
			t.Errorf("%s has mode %v, want %v", e.Path, e.Mode, mode)
		}
	}
}

func readZip(t *testing.T, content []byte) []Entry {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	var list []Entry
	for _, f := range r.File {
		list = append(list, entryOf(&f.FileHeader))
		if want := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); !f.Modified.Equal(want) {
			t.Errorf("%s is of %v", f.Name, f.Modified)
		}
	}
	return list
}

// unzipped reads a zip with the standard library, checksums included.
func unzipped(t *testing.T, content []byte) map[string][]byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, f := range r.File {
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		rc.Close()
		all[f.Name] = b
	}
	return all
}

// TestBytesArePinned fails when the bytes of packages change for all users: each
// of their functions would be deployed again. A new version of the compression
// library or of Go may do that; then the change has to be announced.
func TestBytesArePinned(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	grow(t, dir, randomTree(r), r)
	const want = "d6f441ea9659fb0967fe6d790e3f546e23af0aa034cb3d777072a6acec51517d"
	if got := pack(t, Options{Path: dir}).SHA256; got != want {
		t.Errorf("SHA-256 %s, want %s", got, want)
	}
}

// TestDeflaterForgets shows that what a worker compressed before does not matter,
// nor how the data reaches it.
func TestDeflaterForgets(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var used bytes.Buffer
	reused, err := kflate.NewWriter(&used, level)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		data := []byte(randomData(r))
		used.Reset()
		reused.Reset(&used)
		for rest := data; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			reused.Write(rest[:n])
			rest = rest[n:]
		}
		reused.Close()
		var fresh bytes.Buffer
		w, _ := kflate.NewWriter(&fresh, level)
		w.Write(data)
		w.Close()
		if !bytes.Equal(used.Bytes(), fresh.Bytes()) {
			t.Fatalf("round %d: %d bytes compress differently", i, len(data))
		}
		if got, err := io.ReadAll(flate.NewReader(&fresh)); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("round %d: does not read back: %v", i, err)
		}
	}
}

func TestOtherProgramsReadIt(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	dir := t.TempDir()
	grow(t, dir, randomTree(r), r)
	write(t, filepath.Join(dir, "日本語"), "x")
	file := filepath.Join(t.TempDir(), "p.zip")
	write(t, file, string(content(t, pack(t, Options{Path: dir}))))
	out := t.TempDir()
	for _, args := range [][]string{
		{"unzip", "-qq", "-t", file},
		{"unzip", "-qq", file, "-d", out},
		{"python3", "-c", "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip())", file},
	} {
		t.Run(args[0], func(t *testing.T) {
			if _, err := exec.LookPath(args[0]); err != nil {
				t.Skipf("%s is not installed", args[0])
			}
			msg, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			if err != nil || strings.Contains(string(msg), "warning") {
				t.Errorf("%v\n%s", err, msg)
			}
		})
	}
	if _, err := exec.LookPath("unzip"); err != nil {
		return
	}
	// What unzip makes of the package is packed to the same bytes.
	again := pack(t, Options{Path: out})
	if want := pack(t, Options{Path: dir}); again.SHA256 != want.SHA256 {
		t.Errorf("unpacked and packed again: %s\nfirst: %s", paths(again), paths(want))
	}
}

// TestSourcesAreLeftAlone packs a tree that is read-only, and compares.
func TestSourcesAreLeftAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	dir := t.TempDir()
	grow(t, dir, randomTree(r), r)
	write(t, filepath.Join(dir, IgnoreFile), "f1*\n")
	chmodAll(t, dir, 0o555, 0o444)
	defer chmodAll(t, dir, 0o755, 0o644)
	before := snapshot(t, dir)
	pack(t, Options{Path: dir, TemplateDir: filepath.Dir(dir), MemoryLimit: -1})
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Errorf("the sources changed:\n%s", diff)
	}
}

func chmodAll(t *testing.T, root string, dirMode, mode fs.FileMode) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.Type()&fs.ModeSymlink != 0:
			return err
		case d.IsDir():
			return os.Chmod(path, dirMode)
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot returns everything about a tree that a write would change.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		facts := fmt.Sprint(info.Mode(), info.Size(), info.ModTime())
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			facts += string(b)
		}
		all[path] = facts
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
