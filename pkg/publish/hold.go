package publish

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
)

// hold keeps other processes from building another image into the folder of this one,
// until this process ends: claim does it within a process. The file of the lock says
// what is built. It is locked alone while that is written, and shared by all who build
// the same afterwards.
func (p *Publisher) hold(b component.ImageBuild) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[b.Name] != nil {
		return nil
	}
	path := p.folder(b.ImageRef) + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return diag.Errorf("making the folder of the image: %v", err).WithHint("the folder of the application must be writable")
	}
	lock := flock.New(path, flock.SetPermissions(0o644))
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	want := b.Dockerfile + "\n" + b.Context + "\n"
	alone, err := lock.TryLock()
	if err == nil && alone {
		err = os.WriteFile(path, []byte(want), 0o644)
	}
	if err == nil {
		err = lock.RLock() // gives up the other lock; somebody may come between
	}
	var have []byte
	if err == nil {
		have, err = os.ReadFile(path)
	}
	if err != nil {
		return diag.Errorf("locking the folder of the image: %v", err).WithHint("the folder of the application must be writable")
	}
	if string(have) != want {
		other, _, _ := strings.Cut(string(have), "\n")
		return diag.At(b.Pos, "the image %s is being built from %s by another process: one function would get the files of the other", b.Name, other).
			WithHint("give each of them an image of its own, or build one after the other").WithCode(diag.ExitComponent)
	}
	if p.held == nil {
		p.held = map[string]*flock.Flock{}
	}
	p.held[b.Name] = lock
	return nil
}
