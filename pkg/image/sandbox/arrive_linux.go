package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/devs/deploy/pkg/diag"
)

// arrive prepares the folder for commands, as the level needs it. After an error Leave
// undoes what was done.
func (x *Session) arrive(ctx context.Context, s *Sandbox, network, mounts []Mount) error {
	var err error
	if x.level != Namespaces {
		if x.places, err = newPlaces(x.root); err != nil {
			return err
		}
	}
	switch x.level {
	case Namespaces:
		return x.arriveNamespaces(network, mounts)
	case OwnRoot:
		return x.arriveOwnRoot(ctx, s, mounts)
	case Chroot:
		return x.arriveChroot(network, mounts)
	}
	return x.arriveProot(network, mounts)
}

// arriveNamespaces makes what the helper mounts on.
func (x *Session) arriveNamespaces(network, mounts []Mount) error {
	for _, dir := range systemFolders() {
		if err := x.addStub("/"+dir, false); err != nil {
			return err
		}
	}
	x.mounts = network
	for _, m := range mounts {
		if m.Type == Socket {
			// The relay gives the socket its own mode and owner.
			if x.places == nil {
				places, err := newPlaces(x.root)
				if err != nil {
					return err
				}
				x.places = places
			}
			source, err := x.places.relay(m)
			if err != nil {
				return err
			}
			m = Mount{Type: Bind, Source: source, Target: m.Target}
		}
		x.mounts = append(x.mounts, m)
	}
	for _, m := range x.mounts {
		if err := x.addStub(m.Target, m.isFile()); err != nil {
			return err
		}
	}
	return nil
}

// addStub makes the target of a mount in the folder of the image. One that lies in an
// earlier mount is made there, by the helper.
func (x *Session) addStub(target string, file bool) error {
	place, err := scoped(x.root, target)
	if err != nil {
		return err
	}
	if below(x.root, place) != "" {
		return nil
	}
	for _, m := range x.mounts {
		at, err := scoped(x.root, m.Target)
		if err != nil {
			return err
		}
		if strings.HasPrefix(place, at+"/") {
			return nil
		}
	}
	made, err := makeStubs(place, file)
	x.stubs = append(x.stubs, made...)
	return err
}

// below returns the system folder in which a place lies, or nothing.
func below(root, place string) string {
	for _, dir := range systemFolders() {
		if strings.HasPrefix(place, filepath.Join(root, dir)+"/") {
			return dir
		}
	}
	return ""
}

// arriveChroot makes /dev, and empty folders for what cannot be there.
func (x *Session) arriveChroot(network, mounts []Mount) error {
	for _, dir := range systemFolders() {
		err := x.places.put(Mount{Type: Tmpfs, Target: "/" + dir, Mode: 0o755})
		if err != nil {
			return err
		}
	}
	if err := makeDev(filepath.Join(x.root, "dev")); err != nil {
		return err
	}
	for _, m := range append(network, mounts...) {
		if err := x.places.put(m); err != nil {
			return err
		}
	}
	return nil
}

// makeDev fills a folder with the nodes of /dev, and proves that they work.
func makeDev(dir string) error {
	nodes := append(devices(), device{"ptmx", 5, 2})
	for _, d := range nodes {
		name := filepath.Join(dir, d.name)
		if err := unix.Mknod(name, unix.S_IFCHR|0o666, d.number()); err != nil {
			return fmt.Errorf("making /dev/%s: %w", d.name, err)
		}
		if err := unix.Chmod(name, 0o666); err != nil {
			return fmt.Errorf("making /dev/%s: %w", d.name, err)
		}
	}
	for _, l := range devLinks() {
		err := os.Symlink(l.target, filepath.Join(dir, l.name))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("making /dev/%s: %w", l.name, err)
		}
	}
	for name, mode := range map[string]uint32{"pts": 0o755, "shm": 0o1777, "mqueue": 0o1777} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return fmt.Errorf("making /dev/%s: %w", name, err)
		}
		if err := unix.Chmod(filepath.Join(dir, name), mode); err != nil {
			return fmt.Errorf("making /dev/%s: %w", name, err)
		}
	}
	null, err := os.OpenFile(filepath.Join(dir, "null"), os.O_RDWR, 0)
	if err != nil {
		return diag.Errorf("device nodes cannot be used in %s: %v", filepath.Dir(dir), err).
			WithHint("keep the work folder on a file system that is not mounted with nodev")
	}
	return null.Close()
}

// arriveProot makes what proot shows at other places.
func (x *Session) arriveProot(network, mounts []Mount) error {
	if err := x.addStub(helperPlace, true); err != nil {
		return err
	}
	for i, m := range append(network, mounts...) {
		if m.Type != Bind || m.ReadOnly {
			source := filepath.Join(x.places.aside, fmt.Sprintf("mount-%d", i))
			l := &place{Mount: m, target: source}
			l.UID, l.GID = os.Getuid(), os.Getgid()
			if err := l.make(); err != nil {
				return fmt.Errorf("making the mount %s: %w", m.Target, err)
			}
			x.places.done = append(x.places.done, l)
			m.Source = source
		}
		x.mounts = append(x.mounts, m)
		place, err := scoped(x.root, m.Target)
		if err != nil {
			return err
		}
		made, err := makeStubs(place, m.isFile())
		x.stubs = append(x.stubs, made...)
		if err != nil {
			return err
		}
	}
	return nil
}

// helperPlace is where proot shows the helper in the image.
const helperPlace = "/.devs/" + helperName

// wrapProot returns the command of proot that starts the helper in the image, which
// knows best when a command has ended, how, and what it left.
func wrapProot(proot, root string, uid, gid int, mounts []Mount) ([]string, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the program: %w", err)
	}
	args := []string{proot, "-r", root, "-i", fmt.Sprintf("%d:%d", uid, gid), "-w", "/"}
	for _, dir := range systemFolders() {
		args = append(args, "-b", "/"+dir)
	}
	for _, m := range mounts {
		args = append(args, "-b", m.Source+":"+m.Target)
	}
	return append(args, "-b", executable+":"+helperPlace, helperPlace), nil
}
