package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/registry"
)

// recordType is the media type of a record in a registry.
const recordType = "application/vnd.devs.record.v1+json"

// ociScheme begins the address of a repository in an application file.
const ociScheme = "oci://"

// OCI keeps Books as artifacts of a repository, one tag for each holder. A tag is
// replaced as a whole; of two that write at once, the last wins.
type OCI struct {
	Client *registry.Client
	Repo   name.Repository
	Extra  string // DEVS_STATE_KEY
}

// IsOCI reports whether an address of records is that of a repository.
func IsOCI(address string) bool { return strings.HasPrefix(address, ociScheme) }

// NewOCI returns the store in a repository such as oci://registry.example.com/team/records.
func NewOCI(client *registry.Client, address, extra string) (OCI, error) {
	repo, err := name.NewRepository(strings.TrimPrefix(address, ociScheme), name.StrictValidation)
	if !IsOCI(address) || err != nil {
		return OCI{}, diag.Errorf("%q is no repository for records", address).WithCause(err).
			WithHint("write oci://<registry>/<repository>, without a tag")
	}
	return OCI{Client: client, Repo: repo, Extra: extra}, nil
}

// Load implements Store.
func (o OCI) Load(ctx context.Context, at Holder) (*Book, error) {
	ref := o.tag(at)
	raw, d, err := o.Client.GetRaw(ctx, ref)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the record: %w", err)
	}
	layer, err := recordLayer(d, raw)
	if err != nil {
		return nil, o.damaged(ref, err)
	}
	r, err := o.Client.Blob(ctx, o.Repo, layer)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, o.damaged(ref, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the record: %w", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the record: %w", err)
	}
	b, err := decodeFile(at, o.Extra, data)
	if err != nil {
		return nil, o.damaged(ref, err)
	}
	return b, nil
}

func (o OCI) damaged(ref name.Tag, err error) error {
	return unreadable("the record "+ref.Name(), err, "remove the tag to begin a new record")
}

// recordLayer returns the one layer of the manifest of a record.
func recordLayer(d v1.Descriptor, raw []byte) (v1.Descriptor, error) {
	var m v1.Manifest
	if d.MediaType != types.OCIManifestSchema1 {
		return v1.Descriptor{}, fmt.Errorf("its media type is %q", d.MediaType)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return v1.Descriptor{}, err
	}
	if len(m.Layers) != 1 || m.Layers[0].MediaType != recordType {
		return v1.Descriptor{}, errors.New("it is something else than a record")
	}
	if m.Layers[0].Size > maxFile {
		return v1.Descriptor{}, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	return m.Layers[0], nil
}

// Save implements Store.
func (o OCI) Save(ctx context.Context, at Holder, b *Book) error {
	ref := o.tag(at)
	return b.saveTo(ref.Name(), func() error {
		if err := o.save(ctx, ref, at, b); err != nil {
			return fmt.Errorf("writing the record: %w", err)
		}
		return nil
	})
}

func (o OCI) save(ctx context.Context, ref name.Tag, at Holder, b *Book) error {
	data, err := encodeFile(at, b)
	if err != nil {
		return err
	}
	digest, size, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if _, err := o.Client.Send(ctx, o.Repo, func(w io.Writer) (v1.Hash, error) {
		_, err := w.Write(data)
		return digest, err
	}); err != nil {
		return err
	}
	// The record is its own config: one blob less, and registries that know nothing of
	// artifacts tell them by the media type of the config.
	d := v1.Descriptor{MediaType: recordType, Size: size, Digest: digest}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: d, Layers: []v1.Descriptor{d},
		Annotations: map[string]string{"org.opencontainers.image.title": at.slug() + ".json"},
	})
	if err != nil {
		return err
	}
	_, err = o.Client.PutManifest(ctx, ref, types.OCIManifestSchema1, manifest)
	return err
}

func (o OCI) tag(at Holder) name.Tag { return o.Repo.Tag(at.slug()) }
