package emulator

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// serviceDoc is all that is known of a service: one state file.
type serviceDoc struct {
	Rev         int64                                `json:"rev"` // grows with every change
	Service     serviceRecord                        `json:"service"`
	Functions   map[string]*functionRecord           `json:"functions,omitempty"`
	Triggers    map[string]map[string]*triggerRecord `json:"triggers,omitempty"` // by function and name
	LastVersion int                                  `json:"lastVersion,omitempty"`
	Versions    []*versionRecord                     `json:"versions,omitempty"` // ascending
	Aliases     map[string]*aliasRecord              `json:"aliases,omitempty"`
	Async       map[string]*asyncRecord              `json:"asyncConfigs,omitempty"`     // by target.key
	Provision   map[string]*provisionRecord          `json:"provisionConfigs,omitempty"` // by target.key
	OnDemand    map[string]*onDemandRecord           `json:"onDemandConfigs,omitempty"`  // by target.key
	Bindings    []string                             `json:"vpcBindings,omitempty"`
	Tags        map[string]string                    `json:"tags,omitempty"`
}

// check tells the document's key, and whether the document can be one.
func (d *serviceDoc) check() (string, error) {
	if validName("serviceName", d.Service.Spec.ServiceName, 128) != nil || d.Service.ID == "" {
		return "", errors.New("it describes no service")
	}
	for name, f := range d.Functions {
		if f == nil || f.Spec.FunctionName != name {
			return "", fmt.Errorf("its function %q is incomplete", name)
		}
	}
	for _, v := range d.Versions {
		if v == nil || v.ID == "" {
			return "", errors.New("one of its versions is incomplete")
		}
	}
	return d.Service.Spec.ServiceName, nil
}

// next counts a change.
func (d *serviceDoc) next() int64 {
	d.Rev++
	return d.Rev
}

// stamps is what the server adds to a resource.
type stamps struct {
	ID       string `json:"id,omitempty"`
	Created  string `json:"createdTime"`
	Modified string `json:"lastModifiedTime"`
	Rev      int64  `json:"rev"`
}

// etag identifies one state of one resource.
func (s stamps) etag() string {
	sum := sha256.Sum256([]byte(s.ID + "\x00" + strconv.FormatInt(s.Rev, 10)))
	return hex.EncodeToString(sum[:16])
}

// touch marks a change.
func (s *stamps) touch(now string, rev int64) {
	s.Modified, s.Rev = now, rev
}

func newStamps(now string, rev int64) stamps {
	return stamps{ID: newUUID(), Created: now, Modified: now, Rev: rev}
}

type serviceRecord struct {
	stamps
	Spec serviceSpec `json:"spec"`
}

type functionRecord struct {
	stamps
	Spec functionSpec `json:"spec"`
	Code codeRef      `json:"code"`
	// Image is pinned for runtime custom-container, nil for all others.
	Image *imageRef `json:"image,omitempty"`
}

// codeRef is a code package in the store.
type codeRef struct {
	SHA256   string `json:"sha256,omitempty"` // "" for container images
	Size     int64  `json:"size"`
	Checksum string `json:"checksum"` // CRC-64/ECMA, decimal, as the API shows it
}

type triggerRecord struct {
	stamps
	Spec triggerSpec `json:"spec"`
}

type versionRecord struct {
	ID          string                     `json:"versionId"`
	Description string                     `json:"description"`
	Created     string                     `json:"createdTime"`
	Service     serviceRecord              `json:"service"`
	Functions   map[string]*functionRecord `json:"functions,omitempty"`
}

type aliasRecord struct {
	stamps
	Spec aliasSpec `json:"spec"`
}

// target is a function at a qualifier, for the configurations bound to such.
type target struct{ function, qualifier string }

// key never collides: neither part can hold a slash.
func (t target) key() string { return t.function + "/" + t.qualifier }

// newUUID returns a random UUID of version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func sortedValues[K cmp.Ordered, V any](m map[K]V) []V {
	values := make([]V, 0, len(m))
	for _, k := range sortedKeys(m) {
		values = append(values, m[k])
	}
	return values
}

// set puts a value into a map that may be nil.
func set[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}
