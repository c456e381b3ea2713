package fc

import (
	"context"
	"maps"

	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/resource"
)

// serviceHandler handles services.
type serviceHandler struct{ base }

// serviceEmpty takes back what a service no longer has.
func serviceEmpty() map[string]any {
	return map[string]any{
		"description":    "",
		"role":           "",
		"internetAccess": true,
		"logConfig": map[string]any{
			"project": "", "logstore": "", "logBeginRule": "None",
			"enableRequestMetrics": false, "enableInstanceMetrics": false,
		},
		"vpcConfig":      map[string]any{"vpcId": "", "vSwitchIds": []any{}, "securityGroupId": ""},
		"nasConfig":      map[string]any{"userId": -1, "groupId": -1, "mountPoints": []any{}},
		"ossMountConfig": map[string]any{"mountPoints": []any{}},
		"tracingConfig":  map[string]any{},
	}
}

func foundService(o *client.Object) (*resource.Found, error) {
	attrs := pick(o.Attrs, "description", "role", "internetAccess", "logConfig", "vpcConfig",
		"nasConfig", "ossMountConfig", "tracingConfig")
	if vpc, ok := attrs["vpcConfig"].(map[string]any); ok && vpc["role"] != nil {
		vpc = maps.Clone(vpc) // the role is the cloud's own
		delete(vpc, "role")
		attrs["vpcConfig"] = vpc
	}
	return &resource.Found{
		Attrs: attrs, ETag: o.ETag,
		Info: pick(o.Attrs, "serviceName", "serviceId", "createdTime", "lastModifiedTime"),
	}, nil
}

// Read returns the service.
func (h serviceHandler) Read(ctx context.Context, id resource.ID) (*resource.Found, error) {
	o, err := h.api.GetService(ctx, id.Name)
	return read(id, o, err, foundService)
}

// Create creates the service.
func (h serviceHandler) Create(ctx context.Context, want *resource.Resource) (*resource.Found, error) {
	return h.create(ctx, want, maker{
		create: func() (*client.Object, error) {
			return h.api.CreateService(ctx, body(want.Attrs, "serviceName", want.Name))
		},
		found: foundService, read: h.Read,
	})
}

// Update changes the fields named.
func (h serviceHandler) Update(ctx context.Context, want *resource.Resource, found *resource.Found, fields []string) (*resource.Found, error) {
	changes, err := h.changes(want, found, fields, serviceEmpty())
	if err != nil {
		return nil, err
	}
	o, err := h.api.UpdateService(ctx, want.Name, etagOf(found), changes)
	if err != nil {
		return h.settle(ctx, want, fields, err, h.Read)
	}
	return foundService(o)
}

// Delete deletes the service when nothing lives in it.
func (h serviceHandler) Delete(ctx context.Context, id resource.ID, found *resource.Found) error {
	return deleted(id, h.api.DeleteService(ctx, id.Name, etagOf(found)))
}
