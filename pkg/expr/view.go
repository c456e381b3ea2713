package expr

import "github.com/devs/deploy/pkg/app"

// ViewOf returns what expressions can see of a service: everything that is in the
// file, as written. Output and Info are set by whoever ran the service.
func ViewOf(a *app.App, s *app.Service) *View {
	section := "services"
	if a.Edition == app.Edition3 {
		section = "resources"
	}
	entry := a.Root.Get(section, s.Name)
	if path, ok := Alias(entry); ok {
		entry = Lookup(a.Root, path)
	}
	access := s.Access
	if access.IsNull() {
		access = a.Root.Get("access")
	}
	return &View{
		Name:      s.Name,
		Access:    access,
		Component: s.Component,
		Props:     s.Props,
		Vars:      entry.Get("vars"),
		Actions:   entry.Get("actions"),
	}
}
