package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
)

// ownTop is the only root that is ever exchanged.
const ownTop = "/"

// isOwnImage returns why this container is not made from our image, or nothing. It is
// what stands between the exchange and the root of a machine: it asks for the marker,
// for our program in the image's folder, and for nothing but links into that folder,
// mounts and what Docker puts there.
func isOwnImage(top, executable string, uid int, mounts map[string]bool) (o *outer, wrong string, err error) {
	if uid != 0 {
		return nil, "not root", nil
	}
	if info, err := os.Lstat(filepath.Join(top, home)); err != nil || !info.IsDir() {
		return nil, "this is not the product's own image", nil
	}
	if info, err := os.Lstat(filepath.Join(top, home, "image")); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Sprintf("/%s/image is missing, so this is not the product's own image", home), nil
	}
	if filepath.Dir(executable) != filepath.Join(top, home, "bin") {
		return nil, fmt.Sprintf("the program is %s, and not in /%s/bin", executable, home), nil
	}
	o, list, err := survey(top, mounts)
	if err != nil {
		return nil, "", err
	}
	if len(list) > 0 {
		return nil, "the container has files of its own: " + strings.Join(list, ", "), nil
	}
	return o, "", nil
}

// lookOutside finds out what the container has at its root.
func lookOutside() (*outer, string, error) {
	executable, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, "", fmt.Errorf("finding the program: %w", err)
	}
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, "", fmt.Errorf("reading the mounts: %w", err)
	}
	defer file.Close()
	mounts, err := mountPoints(file, ownTop)
	if err != nil {
		return nil, "", err
	}
	return isOwnImage(ownTop, executable, os.Geteuid(), mounts)
}

// canRename returns why files of folder cannot be renamed into top, or nothing.
func canRename(folder, top string) string {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err.Error()
	}
	if err := unix.Access(top, unix.W_OK); err != nil {
		return fmt.Sprintf("%s cannot be written: %v", top, err)
	}
	var one, two unix.Stat_t
	if err := errors.Join(unix.Stat(folder, &one), unix.Stat(top, &two)); err != nil {
		return err.Error()
	}
	if one.Dev != two.Dev {
		return folder + " is a mount, and not on the file system of the container's root"
	}
	return ""
}

// Recover undoes an exchange of the container's root that was interrupted by a kill.
// Outside our own image it does nothing. Probe calls it, too. What is left of the stage
// is in its folder, which the caller removes: it may hold secrets of the command that
// was killed.
func Recover(Config) error {
	executable, err := os.Readlink("/proc/self/exe")
	if err != nil || filepath.Dir(executable) != filepath.Join(ownTop, home, "bin") || os.Geteuid() != 0 {
		return nil
	}
	w := newSwap(ownTop, nil)
	if _, err := os.Lstat(w.file()); err != nil {
		return nil
	}
	lock, err := w.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	return w.recover()
}

// recover undoes what the journal tells of. The lock is held.
func (w *swap) recover() error {
	found, err := w.load()
	if err != nil || !found {
		return err
	}
	if err := os.MkdirAll(w.Root, 0o700); err != nil {
		return fmt.Errorf("undoing an interrupted build: %w", err)
	}
	if err := w.out(); err != nil {
		return fmt.Errorf("undoing an interrupted build: %w", err)
	}
	return nil
}

// lockPatience is how long the helper of a killed builder may take to go.
const lockPatience = 5 * time.Second

// lock keeps other processes from the root. The kernel gives it back when the file is
// closed here and in the helper, which has it too: nobody undoes an exchange while a
// command of a killed builder still runs.
func (w *swap) lock() (*os.File, error) {
	if err := os.MkdirAll(w.folder(), 0o700); err != nil {
		return nil, fmt.Errorf("locking the container's root: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(w.folder(), "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the container's root: %w", err)
	}
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(10 * time.Millisecond) {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			break
		}
	}
	file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, diag.Errorf("another build uses the root of this container").
			WithHint("run one build after the other, each in a container of its own, or with --isolation chroot")
	}
	return nil, fmt.Errorf("locking the container's root: %w", err)
}

// arriveOwnRoot places the mounts in the stage's folder and exchanges the root.
func (x *Session) arriveOwnRoot(ctx context.Context, s *Sandbox, mounts []Mount) error {
	if !strings.HasPrefix(x.root, s.Folder()+"/") {
		return fmt.Errorf("the stage's folder %s is not below %s", x.root, s.Folder())
	}
	select {
	case s.shared.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	x.unlock = func() { <-s.shared.turn }
	var err error
	w := newSwap(ownTop, s.shared.step)
	if x.lock, err = w.lock(); err != nil {
		return err
	}
	x.unlock = func() { x.lock.Close(); <-s.shared.turn }
	if err := w.recover(); err != nil {
		return err
	}
	o, wrong, err := lookOutside()
	if err != nil {
		return err
	}
	if wrong != "" {
		return diag.Errorf("the root of this container cannot be exchanged: %s", wrong).WithHint("use --isolation chroot")
	}
	for _, m := range mounts {
		place, err := scoped(x.root, m.Target)
		if err != nil {
			return err
		}
		if dir := below(x.root, place); dir != "" {
			return diag.Errorf("a mount below /%s needs the right to mount", dir).
				WithHint("give the container that right (docker run --privileged), or leave out the mount %s", m.Target)
		}
		if err := x.places.put(m); err != nil {
			return err
		}
	}
	if err := w.plan(x.root, o); err != nil {
		return err
	}
	x.swap = w
	return w.in()
}

// owns reports whether a path of the exchanged root is the container's.
func (w *swap) owns(rel string) bool {
	first, _, _ := strings.Cut(rel, "/")
	return stays(first) || w.Mounts[rel]
}

// inStage reports whether the stage had the folder, too.
func (w *swap) inStage(rel string) bool {
	for _, s := range w.Shells {
		if s.Path == rel {
			return s.InStage
		}
	}
	return false
}
