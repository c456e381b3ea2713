package archive

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStore(t *testing.T) {
	for _, c := range []struct {
		limit   int64
		spilled bool
	}{{0, false}, {9, false}, {8, true}, {-1, true}} {
		temp := t.TempDir()
		s := newStore(Options{TempDir: temp, MemoryLimit: c.limit})
		for _, part := range []string{"1234", "56789"} {
			if _, err := io.WriteString(s, part); err != nil {
				t.Fatal(err)
			}
		}
		p := s.seal(nil)
		// The check values of CRC-64/XZ and of SHA-256.
		if want := "11051210869376104954"; p.CRC64 != want {
			t.Errorf("CRC64 %s, want %s", p.CRC64, want)
		}
		if want := "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"; p.SHA256 != want {
			t.Errorf("SHA256 %s, want %s", p.SHA256, want)
		}
		if files, _ := os.ReadDir(temp); (len(files) == 1) != c.spilled {
			t.Errorf("limit %d: %d temporary files", c.limit, len(files))
		}
		for range 2 {
			r, err := p.Open()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || string(got) != "123456789" || r.Close() != nil {
				t.Errorf("limit %d: read %q, %v", c.limit, got, err)
			}
		}
		if got := string(content(t, p)); got != "123456789" {
			t.Errorf("limit %d: Bytes %q", c.limit, got)
		}
		for range 2 {
			if err := p.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
		}
		wantEmpty(t, temp)
		if _, err := p.Open(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("opening after Close: %v", err)
		}
		if _, err := p.Bytes(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("reading after Close: %v", err)
		}
	}
}

func TestSpilledPackageIsTheSame(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), strings.Repeat("some text ", 300000))
	mem := pack(t, Options{Path: dir})
	disk := pack(t, Options{Path: dir, MemoryLimit: 1000})
	if !bytes.Equal(content(t, mem), content(t, disk)) || mem.CRC64 != disk.CRC64 {
		t.Error("the package differs")
	}
}

func TestInline(t *testing.T) {
	for size, want := range map[int64]bool{0: true, 52428800: true, 52428801: false} {
		if got := (&Package{Size: size}).Inline(); got != want {
			t.Errorf("%d bytes inline: %v", size, got)
		}
	}
}
