package fc

import (
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/fc/props"
)

// Names returns the names that the props give to things, which have to be shown
// even where they come from a secret place.
func (c *Component) Names(call *component.Call) []string {
	config, err := props.ParseNames(c.open(call).props)
	if err != nil {
		return nil // the command itself will tell
	}
	names := []string{config.Region}
	if config.Service != nil {
		names = append(names, config.Service.Name)
	}
	if config.Function != nil {
		names = append(names, config.Function.Name)
	}
	for _, t := range config.Triggers {
		names = append(names, t.Name)
	}
	for _, d := range config.Domains {
		names = append(names, d.Name)
	}
	return names
}
