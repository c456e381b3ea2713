package judge

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// File is what is compared of one file of an image.
type File struct {
	Type     byte // a tar type flag; regular files and hard links are both '0'
	Mode     int64
	UID, GID int
	Size     int64
	SHA256   string
	Target   string // of a symbolic link, or the first name of a file with several
	Device   string
	Caps     string // security.capability in hexadecimal
}

func (f File) String() string {
	text := fmt.Sprintf("%c %04o %d:%d", f.Type, f.Mode, f.UID, f.GID)
	if f.SHA256 != "" {
		text += fmt.Sprintf(" %d sha256:%.16s", f.Size, f.SHA256)
	}
	if f.Target != "" {
		text += fmt.Sprintf(" -> %q", f.Target)
	}
	if f.Device != "" {
		text += " " + f.Device
	}
	if f.Caps != "" {
		text += " caps:" + f.Caps
	}
	return text
}

// Tree is the files of an image by path, without a leading slash.
type Tree map[string]File

// Image is what is compared of an image.
type Image struct {
	Tree   Tree
	Config map[string]any
}

// Load has dockerd pull an image and hand out its files, and reads its config from
// the registry.
func (w World) Load(ctx context.Context, ref string) (*Image, error) {
	if out, _, err := w.run(ctx, command{args: []string{w.Docker, "pull", "-q", ref}}); err != nil {
		return nil, fmt.Errorf("docker pull %s: %w: %s", ref, err, out)
	}
	// A command has to be named for images that have none; it is never started.
	all, id, err := w.run(ctx, command{args: []string{w.Docker, "create", "--network=host", ref, "x"}})
	if err != nil {
		return nil, fmt.Errorf("docker create %s: %w: %s", ref, err, all)
	}
	id = strings.TrimSpace(id)
	tree, err := w.export(ctx, id)
	if _, _, removed := w.run(ctx, command{args: []string{w.Docker, "rm", "-v", id}}); err == nil {
		err = removed
	}
	if err != nil {
		return nil, err
	}
	config, err := loadConfig(ref)
	return &Image{Tree: tree, Config: config}, err
}

func (w World) export(ctx context.Context, id string) (Tree, error) {
	cmd := exec.CommandContext(ctx, w.Docker, "export", id)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	tree, err := readTree(out)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading docker export: %w", err), cmd.Wait())
	}
	return tree, cmd.Wait()
}

// readTree reads the tar of a whole file system.
func readTree(r io.Reader) (Tree, error) {
	tree := Tree{}
	reader := tar.NewReader(r)
	first := map[string]string{} // of hard links: from a later name to the first
	for {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return tree, linkGroups(tree, first)
		}
		if err != nil {
			return nil, err
		}
		p := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if p == "" || ignored(p) {
			continue
		}
		f := File{Type: h.Typeflag, Mode: h.Mode & 0o7777, UID: h.Uid, GID: h.Gid, Caps: hex.EncodeToString([]byte(h.PAXRecords["SCHILY.xattr.security.capability"]))}
		switch h.Typeflag {
		case tar.TypeReg:
			sum := sha256.New()
			if f.Size, err = io.Copy(sum, reader); err != nil {
				return nil, err
			}
			f.SHA256 = hex.EncodeToString(sum.Sum(nil))
		case tar.TypeLink:
			first[p] = strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
		case tar.TypeSymlink:
			f.Target, f.Mode = h.Linkname, 0o777
		case tar.TypeChar, tar.TypeBlock:
			f.Device = fmt.Sprintf("%d,%d", h.Devmajor, h.Devminor)
		}
		tree[p] = f
	}
}

// linkGroups writes hard links as files that name the smallest of their names.
func linkGroups(tree Tree, first map[string]string) error {
	least := map[string]string{}
	for later, target := range first {
		if least[target] == "" || later < least[target] {
			least[target] = later
		}
	}
	for target, name := range least {
		f, ok := tree[target]
		if !ok {
			return fmt.Errorf("the hard link %s leads nowhere", name)
		}
		f.Target = min(target, name)
		tree[target] = f
	}
	for later, target := range first {
		tree[later] = tree[target]
	}
	return nil
}

// ignored are the paths that docker mounts into every container, and the inside of git
// repositories, which each git writes in its own way.
func ignored(p string) bool {
	if strings.Contains(p, "/.git/") {
		return true
	}
	for _, own := range []string{"dev", "proc", "sys"} {
		if p == own || strings.HasPrefix(p, own+"/") {
			return true
		}
	}
	switch p {
	case ".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab":
		return true
	}
	return false
}

// loadConfig reads the parts of the config that a Dockerfile decides.
func loadConfig(ref string) (map[string]any, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	image, err := remote.Image(parsed)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	raw, err := image.RawConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the config of %s: %w", ref, err)
	}
	var file struct {
		Architecture, OS, Author string
		Config                   map[string]any
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("reading the config of %s: %w", ref, err)
	}
	return canonicalConfig(file.Config, map[string]any{"architecture": file.Architecture, "os": file.OS, "author": file.Author}), nil
}

// canonicalConfig keeps the fields that are compared, and leaves out empty ones.
func canonicalConfig(config, more map[string]any) map[string]any {
	fields := []string{"Env", "Cmd", "Entrypoint", "WorkingDir", "User", "Labels", "Volumes", "ExposedPorts", "Healthcheck", "StopSignal", "OnBuild", "Shell"}
	kept := more
	for _, field := range fields {
		kept[field] = config[field]
	}
	for field, value := range kept {
		switch v := value.(type) {
		case nil:
			delete(kept, field)
		case string:
			if v == "" {
				delete(kept, field)
			}
		case []any:
			if len(v) == 0 {
				delete(kept, field)
			}
		case map[string]any:
			if len(v) == 0 {
				delete(kept, field)
			}
		}
	}
	return kept
}
