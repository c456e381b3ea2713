package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

const (
	fileVersion = 1
	// MaxFile is the size of the largest plan file that is read, in bytes.
	MaxFile = 64 << 20
	// NotYet stands in a plan file in the place of the fingerprint of a value that is
	// known only when something else is deployed.
	NotYet = "unknown"
)

// File is a plan as it is kept, to be applied later exactly as it is. It holds
// fingerprints of what is wanted and found, and no secret.
type File struct {
	Version  int           `json:"version"`
	App      string        `json:"app"`
	Command  string        `json:"command"` // deploy or remove
	Args     []string      `json:"args,omitempty"`
	Policy   Policy        `json:"policy,omitempty"`
	Key      string        `json:"key"` // the public part of the key of the fingerprints
	Services []FileService `json:"services,omitempty"`
}

// FileService is one service of a File.
type FileService struct {
	Name    string       `json:"name"`
	Region  string       `json:"region"`
	Account string       `json:"account,omitempty"`
	Changes []FileChange `json:"changes,omitempty"`
}

// FileChange is one change of a File.
type FileChange struct {
	Kind     resource.Kind `json:"kind"`
	Name     string        `json:"name"`
	Action   Action        `json:"action"`
	Decision Decision      `json:"decision"`
	Drift    Drift         `json:"drift"`
	Pruned   bool          `json:"pruned,omitempty"`
	Fields   []FileField   `json:"fields,omitempty"`
	// Want and Found are fingerprints of the top-level attributes: null when the resource
	// shall not be there, or is not; without the attributes that are absent.
	Want  map[string]string `json:"want"`
	Found map[string]string `json:"found"`
}

// ID returns the name of the resource.
func (c FileChange) ID() resource.ID { return resource.ID{Kind: c.Kind, Name: c.Name} }

// FileField is one difference, as people read it.
type FileField struct {
	Path   string `json:"path"`
	Old    string `json:"old"`
	New    string `json:"new"`
	Origin Origin `json:"origin,omitempty"`
}

// NewFile returns p as a File. args are the arguments that the plan was made with.
func NewFile(p *Plan, key state.Key, args []string) *File {
	f := &File{Version: fileVersion, App: p.App, Command: p.Command, Args: slices.Clone(args), Policy: p.Policy, Key: key.Public()}
	if len(args) == 0 {
		f.Args = nil
	}
	for _, s := range p.Services {
		svc := FileService{Name: s.Name, Region: s.Region, Account: s.Account}
		for _, c := range s.Changes {
			svc.Changes = append(svc.Changes, fileChange(c, key))
		}
		f.Services = append(f.Services, svc)
	}
	return f
}

func fileChange(c *Change, key state.Key) FileChange {
	out := FileChange{Kind: c.Resource.Kind, Name: c.Resource.Name, Action: c.Action, Decision: c.Decision, Drift: c.Drift, Pruned: c.Pruned}
	for _, f := range c.Fields {
		out.Fields = append(out.Fields, FileField{Path: f.Path, Old: Show(f.Old), New: Show(f.New), Origin: f.Origin})
	}
	if c.Want != nil && !c.Want.Absent {
		out.Want = c.prints(key, c.Want.Attrs)
	}
	if c.Found != nil {
		out.Found = c.prints(key, c.Found.Attrs)
	}
	return out
}

// prints returns the fingerprints of those top-level attributes that are managed.
func (c *Change) prints(key state.Key, attrs resource.Attributes) map[string]string {
	prints := map[string]string{}
	for _, field := range slices.Sorted(maps.Keys(attrs)) {
		switch {
		case !c.managesField(field):
		case holdsUnknown(attrs[field]):
			prints[field] = NotYet
		default:
			if p := key.Field(c.Schema, attrs, field); p != "" {
				prints[field] = p
			}
		}
	}
	return prints
}

// Encode returns the bytes of the file, the same for the same plan.
func (f *File) Encode() ([]byte, error) {
	for _, arg := range f.Args {
		if !utf8.ValidString(arg) {
			return nil, fmt.Errorf("encoding the plan: the argument %q is not UTF-8", arg)
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("encoding the plan: %w", err)
	}
	return b.Bytes(), nil
}

// Digest returns the SHA-256 of the file in hex: two plans are the same when their
// digests are.
func (f *File) Digest() string {
	data, err := f.Encode()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Find returns the change of a resource.
func (f *File) Find(service string, id resource.ID) (FileChange, bool) {
	for _, s := range f.Services {
		if s.Name != service {
			continue
		}
		if i := slices.IndexFunc(s.Changes, func(c FileChange) bool { return c.ID() == id }); i >= 0 {
			return s.Changes[i], true
		}
	}
	return FileChange{}, false
}

// DecodeFile reads a plan file. It trusts nothing in it; its errors are *diag.Problem.
func DecodeFile(data []byte) (*File, error) {
	if len(data) > MaxFile {
		return nil, damaged(fmt.Errorf("it has more than %d bytes", MaxFile))
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, damaged(err)
	}
	if head.Version != fileVersion {
		return nil, diag.Errorf("this is no plan file that this version reads").WithHint("make the plan again with devs plan -o")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	f := &File{}
	if err := d.Decode(f); err != nil {
		return nil, damaged(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, damaged(errors.New("something follows behind the plan"))
	}
	if err := f.check(); err != nil {
		return nil, damaged(err)
	}
	return f, nil
}

func damaged(err error) error {
	return diag.Errorf("the plan file is damaged: %v", strings.ToValidUTF8(err.Error(), "?")).
		WithHint("make the plan again with devs plan -o").WithCause(err)
}
