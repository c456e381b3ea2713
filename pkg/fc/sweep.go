package fc

import (
	"context"
	"strings"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

// Under lists what lives in the service of the call, in the order in which it can
// be deleted: instance limits, provisioned instances, aliases, versions, triggers,
// functions. Custom domains live in no service: only declared ones are removed.
// Triggers that EventBridge made (with a | in the name) are left out.
func (c *Component) Under(ctx context.Context, call *component.Call) ([]resource.ID, error) {
	under, err := c.sweep(call)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		under.onDemand, under.provisions, under.aliases, under.versions, under.functions,
	} {
		err := step(ctx)
		if client.IsNotFound(err) {
			return nil, nil // the service is gone
		}
		if err != nil {
			return nil, explain(resource.ID{Kind: props.ServiceKind, Name: under.service}, err)
		}
	}
	return under.ids, nil
}

// sweep begins to collect what lives in the service of the call.
func (c *Component) sweep(call *component.Call) (*sweep, error) {
	s := c.open(call)
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	api, err := s.client()
	if err != nil {
		return nil, err
	}
	return &sweep{api: api, service: names.Service.Name}, nil
}

// sweep collects what lives in a service.
type sweep struct {
	api     *client.Client
	service string
	ids     []resource.ID
}

func (s *sweep) add(kind resource.Kind, parts ...string) {
	for _, p := range parts {
		if p == "" {
			return
		}
	}
	s.ids = append(s.ids, resource.ID{Kind: kind, Name: strings.Join(append([]string{s.service}, parts...), "/")})
}

// onDemand finds the limits, which are listed for the whole account as
// services/<service>.<qualifier>/functions/<function>.
func (s *sweep) onDemand(ctx context.Context) error {
	all, err := s.api.ListOnDemandConfigs(ctx, "services/"+s.service)
	for _, config := range all {
		rest, ok := strings.CutPrefix(text(config, "resource"), "services/"+s.service+".")
		qualifier, function, ok2 := strings.Cut(rest, "/functions/")
		if ok && ok2 {
			s.add(OnDemandKind, function, qualifier)
		}
	}
	return err
}

// provisions finds instances, whose resource is <account>#<service>#<qualifier>#<function>.
func (s *sweep) provisions(ctx context.Context) error {
	all, err := s.api.ListProvisionConfigs(ctx, s.service)
	for _, config := range all {
		parts := strings.Split(text(config, "resource"), "#")
		if len(parts) == 4 && parts[1] == s.service && isProvisioned(config) {
			s.add(ProvisionKind, parts[3], parts[2])
		}
	}
	return err
}

func (s *sweep) aliases(ctx context.Context) error {
	all, err := s.api.ListAliases(ctx, s.service)
	for _, alias := range all {
		s.add(AliasKind, text(alias, "aliasName"))
	}
	return err
}

func (s *sweep) versions(ctx context.Context) error {
	all, err := s.api.ListVersions(ctx, s.service)
	for _, version := range all {
		s.add(VersionKind, text(version, "versionId"))
	}
	return err
}

// functions finds the functions, each after its triggers.
func (s *sweep) functions(ctx context.Context) error {
	all, err := s.api.ListFunctions(ctx, s.service)
	if err != nil {
		return err
	}
	for _, f := range all {
		function := text(f, "functionName")
		triggers, err := s.api.ListTriggers(ctx, s.service, function)
		if err != nil && !client.IsNotFound(err) {
			return err
		}
		for _, t := range triggers {
			if name := text(t, "triggerName"); !strings.Contains(name, "|") {
				s.add(props.TriggerKind, function, name)
			}
		}
		s.add(props.FunctionKind, function)
	}
	return nil
}
