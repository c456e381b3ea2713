package fc

import (
	"context"
	"slices"

	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/resource"
)

// bindingHandler handles from which VPCs a service can be invoked. All bindings of
// a service are one resource.
type bindingHandler struct{ base }

const vpcIDs = "vpcIds"

func foundBinding(ids []string) *resource.Found {
	list := make([]any, len(ids))
	for i, id := range ids {
		list[i] = id
	}
	return &resource.Found{Attrs: resource.Attributes{vpcIDs: list}}
}

// Read returns the bindings; a service without any has no such resource.
func (h bindingHandler) Read(ctx context.Context, id resource.ID) (*resource.Found, error) {
	ids, err := h.api.ListVpcBindings(ctx, id.Name)
	if client.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(id, err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return foundBinding(ids), nil
}

// Create binds the service to all VPCs wanted. When it is bound to others meanwhile,
// that is a conflict.
func (h bindingHandler) Create(ctx context.Context, want *resource.Resource) (*resource.Found, error) {
	found, err := h.Read(ctx, want.ID)
	switch {
	case err != nil:
		return nil, err
	case found != nil && h.created(found, want):
		return found, nil
	case found != nil:
		return nil, &resource.Conflict{ID: want.ID}
	}
	return h.bring(ctx, want.ID, nil, idsOf(want.Attrs))
}

// Update makes and removes the bindings that differ.
func (h bindingHandler) Update(ctx context.Context, want *resource.Resource, found *resource.Found, _ []string) (*resource.Found, error) {
	now, err := h.unmoved(ctx, want.ID, found, h.Read)
	switch {
	case err != nil:
		return nil, err
	case now == nil:
		return nil, &resource.Conflict{ID: want.ID}
	}
	return h.bring(ctx, want.ID, idsOf(now.Attrs), idsOf(want.Attrs))
}

// Delete removes all bindings found.
func (h bindingHandler) Delete(ctx context.Context, id resource.ID, found *resource.Found) error {
	look := func() (*resource.Found, error) { return h.unmoved(ctx, id, found, h.Read) }
	if found == nil {
		look = func() (*resource.Found, error) { return h.Read(ctx, id) }
	}
	now, err := look()
	if err != nil || now == nil {
		return err
	}
	_, err = h.bring(ctx, id, idsOf(now.Attrs), nil)
	return err
}

// bring leads from the bindings before to those wanted. A binding that is there
// already, or gone already, is as it should be.
func (h bindingHandler) bring(ctx context.Context, id resource.ID, before, wanted []string) (*resource.Found, error) {
	for _, vpc := range wanted {
		if slices.Contains(before, vpc) {
			continue
		}
		err := h.api.CreateVpcBinding(ctx, id.Name, vpc)
		if err != nil && !client.IsExists(err) {
			return nil, explain(id, err)
		}
	}
	for _, vpc := range before {
		if slices.Contains(wanted, vpc) {
			continue
		}
		if err := deleted(id, h.api.DeleteVpcBinding(ctx, id.Name, vpc)); err != nil {
			return nil, err
		}
	}
	return foundBinding(wanted), nil
}

func attrsOf(found *resource.Found) resource.Attributes {
	if found == nil {
		return nil
	}
	return found.Attrs
}

func idsOf(attrs resource.Attributes) []string {
	var ids []string
	list, _ := attrs[vpcIDs].([]any)
	for _, v := range list {
		if s := plainText(v); s != "" && !slices.Contains(ids, s) {
			ids = append(ids, s)
		}
	}
	return ids
}
