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

// Create binds the service to all VPCs wanted.
func (h bindingHandler) Create(ctx context.Context, want *resource.Resource) (*resource.Found, error) {
	return h.bring(ctx, want.ID, nil, idsOf(want.Attrs))
}

// Update makes and removes the bindings that differ.
func (h bindingHandler) Update(ctx context.Context, want *resource.Resource, found *resource.Found, _ []string) (*resource.Found, error) {
	return h.bring(ctx, want.ID, idsOf(attrsOf(found)), idsOf(want.Attrs))
}

// Delete removes all bindings found.
func (h bindingHandler) Delete(ctx context.Context, id resource.ID, found *resource.Found) error {
	if found == nil {
		online, err := h.Read(ctx, id)
		if err != nil || online == nil {
			return err
		}
		found = online
	}
	_, err := h.bring(ctx, id, idsOf(found.Attrs), nil)
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
