package state

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/renameio/v2"

	"github.com/devs/deploy/pkg/registry"
	"github.com/devs/deploy/pkg/resource"
)

// Codes is a Store that also keeps code packages, for those who want to go back to them.
// Packages are never deleted: that is the user's to do.
type Codes interface {
	// KeepCode keeps a package under the checksum that the cloud has of it. One that is
	// kept already is not written again.
	KeepCode(ctx context.Context, p resource.Payload) error
	// KeptCode returns the package kept under a checksum, nil when there is none. What is
	// in it is not checked.
	KeptCode(ctx context.Context, sum string) (resource.Payload, error)
}

// codeType is the media type of a code package in a registry.
const codeType = "application/vnd.devs.code.v1+zip"

// keptCode is a package that is kept.
type keptCode struct {
	open func() (io.ReadCloser, error)
	size int64
	sum  string
}

func (k keptCode) Open() (io.ReadCloser, error) { return k.open() }
func (k keptCode) Size() int64                  { return k.size }
func (k keptCode) Checksum() string             { return k.sum }

// codeName returns a checksum as a name of a file and of a tag.
func codeName(sum string) string {
	if sum != "" && len(sum) <= 64 && strings.Trim(sum, "0123456789abcdef") == "" {
		return sum
	}
	hash := sha256.Sum256([]byte(sum))
	return "x" + hex.EncodeToString(hash[:])
}

func (f Folder) codePath(sum string) string {
	return filepath.Join(f.Dir, "code", codeName(sum)+".zip")
}

// KeepCode implements Codes. The file is for its owner alone.
func (f Folder) KeepCode(_ context.Context, p resource.Payload) error {
	path := f.codePath(p.Checksum())
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() == p.Size() {
		return nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keeping the code: %w", err)
	}
	out, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(0o600), renameio.WithTempDir(dir))
	if err != nil {
		return fmt.Errorf("keeping the code: %w", err)
	}
	defer func() { _ = out.Cleanup() }()
	if err := copyCode(out, p); err != nil {
		return fmt.Errorf("keeping the code: %w", err)
	}
	if err := out.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("keeping the code: %w", err)
	}
	return nil
}

// copyCode writes a package to w, which must be as long as it says.
func copyCode(w io.Writer, p resource.Payload) error {
	in, err := p.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	n, err := io.Copy(w, io.LimitReader(in, p.Size()+1))
	if err == nil && n != p.Size() {
		err = fmt.Errorf("it has %d bytes, not the %d that were planned", n, p.Size())
	}
	return err
}

// KeptCode implements Codes.
func (f Folder) KeptCode(_ context.Context, sum string) (resource.Payload, error) {
	path := f.codePath(sum)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading kept code: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("reading kept code: %s is no file", path)
	}
	return keptCode{open: func() (io.ReadCloser, error) { return os.Open(path) }, size: info.Size(), sum: sum}, nil
}

func (o OCI) codeTag(sum string) name.Tag { return o.Repo.Tag("devs-code-" + codeName(sum)) }

// KeepCode implements Codes.
func (o OCI) KeepCode(ctx context.Context, p resource.Payload) error {
	if kept, err := o.KeptCode(ctx, p.Checksum()); err == nil && kept != nil && kept.Size() == p.Size() {
		return nil
	}
	if err := o.keepCode(ctx, p); err != nil {
		return fmt.Errorf("keeping the code: %w", err)
	}
	return nil
}

func (o OCI) keepCode(ctx context.Context, p resource.Payload) error {
	digest, err := o.Client.Send(ctx, o.Repo, func(w io.Writer) (v1.Hash, error) {
		hash := sha256.New()
		err := copyCode(io.MultiWriter(w, hash), p)
		return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(hash.Sum(nil))}, err
	})
	if err != nil {
		return err
	}
	empty := []byte("{}")
	config, size, err := v1.SHA256(bytes.NewReader(empty))
	if err != nil {
		return err
	}
	if _, err := o.Client.Send(ctx, o.Repo, func(w io.Writer) (v1.Hash, error) {
		_, err := w.Write(empty)
		return config, err
	}); err != nil {
		return err
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config:      v1.Descriptor{MediaType: codeType, Size: size, Digest: config},
		Layers:      []v1.Descriptor{{MediaType: codeType, Size: p.Size(), Digest: digest}},
		Annotations: map[string]string{"org.opencontainers.image.title": codeName(p.Checksum()) + ".zip"},
	})
	if err != nil {
		return err
	}
	_, err = o.Client.PutManifest(ctx, o.codeTag(p.Checksum()), types.OCIManifestSchema1, manifest)
	return err
}

// KeptCode implements Codes.
func (o OCI) KeptCode(ctx context.Context, sum string) (resource.Payload, error) {
	ref := o.codeTag(sum)
	raw, d, err := o.Client.GetRaw(ctx, ref)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading kept code: %w", err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || d.MediaType != types.OCIManifestSchema1 || len(m.Layers) != 1 || m.Layers[0].MediaType != codeType {
		return nil, fmt.Errorf("reading kept code: %s is something else", ref.Name())
	}
	layer := m.Layers[0]
	return keptCode{open: func() (io.ReadCloser, error) { return o.Client.Blob(ctx, o.Repo, layer) }, size: layer.Size, sum: sum}, nil
}
