package fc

import (
	"context"
	"strings"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

// Candidates lists the functions and triggers of the service of the call, what else a
// function and the service may have, and the custom domains of the region.
func (c *Component) Candidates(ctx context.Context, call *component.Call) ([]resource.ID, error) {
	under, err := c.sweep(call)
	if err != nil {
		return nil, err
	}
	service := resource.ID{Kind: props.ServiceKind, Name: under.service}
	if err := under.functions(ctx); err != nil {
		return nil, explain(service, err)
	}
	list := append(under.ids, resource.ID{Kind: props.VPCBindingKind, Name: service.Name})
	for _, id := range under.ids {
		if id.Kind == props.FunctionKind {
			list = append(list, resource.ID{Kind: props.AsyncConfigKind, Name: id.Name})
		}
	}
	domains, err := under.api.ListCustomDomains(ctx)
	if err != nil {
		return nil, explain(resource.ID{Kind: props.CustomDomainKind}, err)
	}
	for _, d := range domains {
		if name := text(d, "domainName"); name != "" {
			list = append(list, resource.ID{Kind: props.CustomDomainKind, Name: strings.ToLower(name)})
		}
	}
	return list, nil
}
