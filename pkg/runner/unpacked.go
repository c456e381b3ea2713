package runner

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/rootfs"
	"github.com/devs/deploy/pkg/image/tree"
)

// unpacked is an image in a folder. One instance uses it at a time, and writes to it;
// the next instance of the same function finds what was written, as after the restart
// of a container. It is gone when the function changes, or with the pool.
type unpacked struct {
	root     *rootfs.Root
	contents Contents
	user     user
}

// takeImage returns an image for an instance: one that an instance before has left,
// or a newly unpacked one.
func (p *Pool) takeImage(ctx context.Context, inst *instance) (*unpacked, error) {
	key := inst.fn.Key
	p.mu.Lock()
	if left := p.images[key]; len(left) > 0 {
		u := left[len(left)-1]
		p.images[key] = left[:len(left)-1]
		p.mu.Unlock()
		return u, nil
	}
	p.mu.Unlock()
	image := inst.fn.Image
	contents, err := image.Pull(ctx)
	if err != nil {
		return nil, fmt.Errorf("pulling the image %s: %w", image.Name, err)
	}
	root, err := rootfs.Create(p.dir)
	if err != nil {
		return nil, fmt.Errorf("unpacking the image %s: %w", image.Name, err)
	}
	u := &unpacked{root: root, contents: *contents}
	err = u.fill(ctx)
	if err == nil {
		err = u.settle()
	}
	if err != nil {
		p.remove(u)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("unpacking the image %s: %w", image.Name, err)
	}
	if _, missing := root.Lacks(); missing > 0 {
		p.note("the image %s of function %s is not unpacked as it is meant to be: %v", image.Name, inst.fn.FuncName, root.Complete())
	}
	return u, nil
}

// fill unpacks the layers.
func (u *unpacked) fill(ctx context.Context) error {
	for _, open := range u.contents.Layers {
		stream, err := open(ctx)
		if err != nil {
			return err
		}
		err = u.root.ApplyLayer(ctx, stream)
		stream.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// giveBack takes the image of an instance that has ended, for the next one of its
// function.
func (p *Pool) giveBack(inst *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if inst.gone || p.closed {
		p.remove(inst.unpacked)
		return
	}
	p.images[inst.fn.Key] = append(p.images[inst.fn.Key], inst.unpacked)
}

// dropImages removes the images of a key that no instance uses.
func (p *Pool) dropImages(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.images[key] {
		p.remove(u)
	}
	delete(p.images, key)
}

// remove removes an image in the background: it can be large.
func (p *Pool) remove(u *unpacked) {
	p.removals.Go(func() {
		if err := u.root.Remove(); err != nil {
			p.cfg.Log(fmt.Sprintf("removing an unpacked image: %v", err))
		}
	})
}

// removeImages removes all images and waits for all removals. No instance is left.
func (p *Pool) removeImages() {
	p.mu.Lock()
	for key, list := range p.images {
		for _, u := range list {
			p.remove(u)
		}
		delete(p.images, key)
	}
	p.mu.Unlock()
	p.removals.Wait()
}

// user is who runs the program of an image.
type user struct {
	uid, gid int
	groups   []int
	home     string
}

// maxUserFile is the size of the largest file of users or groups that is read, in bytes.
const maxUserFile = 1 << 20

// findUser finds the USER of an image by its files of users and groups.
func findUser(files *os.Root, spec string) (user, error) {
	var entries []*layer.Entry
	for _, name := range []string{"etc/group", "etc/passwd"} {
		info, err := files.Stat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxUserFile {
			continue // numbers do without
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return user{}, fmt.Errorf("reading %s of an image: %w", name, err)
		}
		entries = append(entries, &layer.Entry{
			Path: name, Type: layer.File, Mode: 0o644, Size: int64(len(data)),
			Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
		})
	}
	t := tree.New()
	if err := t.Apply(entries); err != nil {
		return user{}, fmt.Errorf("finding the user of an image: %w", err)
	}
	var u user
	var err error
	u.uid, u.gid, u.groups, u.home, err = t.User(spec)
	return u, err
}
