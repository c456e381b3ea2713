package component

import (
	"maps"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

// Catalogue is the components there are, by name.
type Catalogue map[string]Constructor

// Lookup finds the component that an application file names: "fc", "devsapp/fc",
// "fc@1.2.3" and "devsapp/fc@dev" all mean fc. The version is not looked at: the
// component is part of this binary.
func (c Catalogue) Lookup(name string, pos diag.Pos) (Component, error) {
	base := strings.TrimPrefix(strings.TrimSpace(name), "devsapp/")
	base, _, _ = strings.Cut(base, "@")
	if newComponent, ok := c[base]; ok {
		return newComponent(), nil
	}
	if base == "fc3" {
		return nil, diag.At(pos, "component %q (Function Compute 3.0) is not part of devs yet", name).
			WithHint("component: fc is Function Compute 2.0, another API with other props")
	}
	return nil, diag.At(pos, "component %q is not part of devs", name).
		WithHint("%s", diag.DidYouMean(base, c.Names()))
}

// Names returns the names of the components, sorted.
func (c Catalogue) Names() []string { return slices.Sorted(maps.Keys(c)) }

// Find returns the command of that name, or nil.
func Find(c Component, name string) *Command {
	for _, cmd := range c.Commands() {
		if cmd.Name == name {
			return &cmd
		}
	}
	return nil
}
