package plan

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/devs/deploy/pkg/resource"
)

// check refuses a file that NewFile does not make, and brings it into the form in
// which equal files are equal values.
func (f *File) check() error {
	if f.Command != "deploy" && f.Command != "remove" {
		return fmt.Errorf("command %q", f.Command)
	}
	if f.Policy != "" && !slices.Contains(Policies(), string(f.Policy)) {
		return fmt.Errorf("policy %q", f.Policy)
	}
	if f.Key == "" {
		return errors.New("it has no key")
	}
	f.Args, f.Services = orNil(f.Args), orNil(f.Services)
	seen := map[string]bool{}
	for i := range f.Services {
		s := &f.Services[i]
		if seen[s.Name] {
			return fmt.Errorf("service %q twice", s.Name)
		}
		seen[s.Name] = true
		s.Changes = orNil(s.Changes)
		if err := s.check(); err != nil {
			return fmt.Errorf("service %q: %w", s.Name, err)
		}
	}
	return nil
}

func (s *FileService) check() error {
	seen := map[resource.ID]bool{}
	for i := range s.Changes {
		c := &s.Changes[i]
		if c.Kind == "" || c.Name == "" {
			return errors.New("a resource without a name")
		}
		if seen[c.ID()] {
			return fmt.Errorf("%q twice", c.ID())
		}
		seen[c.ID()] = true
		c.Fields = orNil(c.Fields)
		if err := c.check(); err != nil {
			return fmt.Errorf("%q: %w", c.ID(), err)
		}
	}
	return nil
}

func (c *FileChange) check() error {
	if !slices.Contains([]Action{None, Create, Update, Replace, Delete}, c.Action) {
		return fmt.Errorf("action %q", c.Action)
	}
	if !slices.Contains([]Decision{Nothing, Apply, Leave, Refuse}, c.Decision) || (c.Action == None) != (c.Decision == Nothing) {
		return fmt.Errorf("decision %q", c.Decision)
	}
	if !slices.Contains([]Drift{"", Unrecorded, Same, Moved, Gone}, c.Drift) {
		return fmt.Errorf("drift %q", c.Drift)
	}
	if !c.sided() {
		return fmt.Errorf("action %q does not go with what is wanted and found", c.Action)
	}
	for _, f := range c.Fields {
		if !slices.Contains([]Origin{"", Ours, Drifted, Both, Unknown}, f.Origin) {
			return fmt.Errorf("origin %q", f.Origin)
		}
	}
	for _, prints := range []map[string]string{c.Want, c.Found} {
		for field, p := range prints {
			if !isPrint(p) {
				return fmt.Errorf("the fingerprint of %q is damaged", field)
			}
		}
	}
	return nil
}

// sided reports whether the action goes with what is there and shall be.
func (c *FileChange) sided() bool {
	wanted, there := c.Want != nil, c.Found != nil
	switch c.Action {
	case Create:
		return wanted && !there
	case Delete:
		return !wanted && there
	case None:
		return wanted == there
	}
	return wanted && there
}

// isPrint tells a fingerprint: a SHA-256 HMAC as base64url.
func isPrint(text string) bool {
	if text == NotYet {
		return true
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(sum) == 32
}

func orNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}
