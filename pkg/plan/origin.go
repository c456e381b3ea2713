package plan

import (
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// codeField is the attribute that holds the code of a resource, and that has a record
// of its own beside that of all others.
const codeField = "code"

// addDrift tells how what is online stands to the record. Where only the code or only
// the configuration is managed, the other side does not count.
func (c *Change) addDrift(recorded state.Recorded) {
	switch {
	case !recorded.Known:
		c.Drift = Unrecorded
		return
	case c.Found == nil:
		c.Drift = Gone
		return
	}
	c.ConfigMoved, c.CodeMoved = recorded.Config, recorded.Code
	if c.ConfigMoved && c.manages(false) || c.CodeMoved && c.manages(true) {
		c.Drift = Moved
		return
	}
	c.Drift = Same
}

// manages reports whether the change is about the code, or about anything else.
func (c *Change) manages(code bool) bool {
	managed := c.Want.Managed
	return managed == nil || slices.ContainsFunc(managed, func(field string) bool { return (field == codeField) == code })
}

// movedSide reports whether the side of the record that holds a field moved.
func (c *Change) movedSide(field string) bool {
	if field == codeField {
		return c.CodeMoved
	}
	return c.ConfigMoved
}

// addOrigins tells for each field who made it differ, and what changed online to what
// is wanted.
func (c *Change) addOrigins(schema resource.Schema, recorded state.Recorded) {
	if c.Action == Create || c.Found == nil {
		return
	}
	if c.Drift == Unrecorded || recorded.Attrs == nil || recorded.Seal == nil {
		for i, f := range c.Fields {
			if c.Fields[i].Origin = Ours; c.Drift == Unrecorded || c.movedSide(f.Field) {
				c.Fields[i].Origin = Unknown
			}
		}
		return
	}
	found := recorded.Seal(c.Found.Attrs)
	c.hide(schema, found)
	online := schema.Differing(recorded.Attrs, found)
	var file []string
	if !c.Want.Absent {
		file = schema.Differing(recorded.Attrs, recorded.Seal(c.Want.Attrs))
	}
	for i, f := range c.Fields {
		moved := c.movedSide(f.Field) && slices.ContainsFunc(online, overlaps(f.Path))
		ours := c.Want.Absent || slices.ContainsFunc(file, overlaps(f.Path))
		c.Fields[i].Origin = origin(moved, ours, holdsUnknown(f.New))
	}
	for _, path := range online {
		field, _, _ := strings.Cut(path, ".")
		if c.movedSide(field) && c.managesField(field) && !slices.ContainsFunc(c.Fields, func(f Field) bool { return overlaps(path)(f.Path) }) {
			c.Converged = append(c.Converged, path)
		}
	}
}

func origin(moved, ours, unknown bool) Origin {
	switch {
	case !moved:
		return Ours
	case unknown:
		return Unknown // what the file will want is not known yet
	case ours:
		return Both
	}
	return Drifted
}

func (c *Change) managesField(field string) bool {
	return c.Want.Managed == nil || slices.Contains(c.Want.Managed, field)
}

// hide makes secret what the record holds as a secret, whatever the file says of it
// now. sealed is what is found, in the form of the record.
func (c *Change) hide(schema resource.Schema, sealed resource.Attributes) {
	hidden := schema.Differing(c.Found.Attrs, sealed)
	for i, f := range c.Fields {
		if slices.ContainsFunc(hidden, overlaps(f.Path)) {
			c.Fields[i].Old, c.Fields[i].New = resource.Conceal(f.Old), resource.Conceal(f.New)
		}
	}
}

// overlaps returns a test for paths that are path, above it or below it.
func overlaps(path string) func(string) bool {
	return func(other string) bool {
		return other == path || strings.HasPrefix(other, path+".") || strings.HasPrefix(path, other+".")
	}
}

// holdsUnknown reports whether v is or holds a value that is not known yet.
func holdsUnknown(v any) bool {
	switch x := v.(type) {
	case app.UnknownValue:
		return true
	case []any:
		return slices.ContainsFunc(x, holdsUnknown)
	case map[string]any:
		for _, item := range x {
			if holdsUnknown(item) {
				return true
			}
		}
	}
	return false
}
