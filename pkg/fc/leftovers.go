package fc

import (
	"context"
	"maps"
	"slices"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/resource"
)

// leftover handles a kind that is in no props: it is found below a service, and
// can be deleted, when all of it is removed.
type leftover struct {
	parts  int // of a name
	lookup func(ctx context.Context, name []string) (*client.Object, error)
	remove func(ctx context.Context, name []string, etag string) error
}

// leftovers returns the handlers of these kinds.
func leftovers(api *client.Client) map[resource.Kind]resource.Handler {
	return map[resource.Kind]resource.Handler{
		AliasKind: leftover{2,
			func(ctx context.Context, n []string) (*client.Object, error) { return api.GetAlias(ctx, n[0], n[1]) },
			func(ctx context.Context, n []string, etag string) error {
				return api.DeleteAlias(ctx, n[0], n[1], etag)
			},
		},
		VersionKind: leftover{2,
			func(ctx context.Context, n []string) (*client.Object, error) {
				return findVersion(ctx, api, n[0], n[1])
			},
			func(ctx context.Context, n []string, _ string) error { return api.DeleteVersion(ctx, n[0], n[1]) },
		},
		ProvisionKind: leftover{3,
			func(ctx context.Context, n []string) (*client.Object, error) {
				o, err := api.GetProvisionConfig(ctx, n[0], n[1], n[2])
				if err == nil && !isProvisioned(o.Attrs) {
					return nil, nil
				}
				return o, err
			},
			func(ctx context.Context, n []string, _ string) error {
				if err := api.ReleaseProvision(ctx, n[0], n[1], n[2]); err != nil {
					return err
				}
				return api.AwaitRelease(ctx, n[0], n[1], n[2])
			},
		},
		OnDemandKind: leftover{3,
			func(ctx context.Context, n []string) (*client.Object, error) {
				return api.GetOnDemandConfig(ctx, n[0], n[1], n[2])
			},
			func(ctx context.Context, n []string, etag string) error {
				return api.DeleteOnDemandConfig(ctx, n[0], n[1], n[2], etag)
			},
		},
	}
}

// findVersion looks a version up in the list: the API cannot read one.
func findVersion(ctx context.Context, api *client.Client, service, version string) (*client.Object, error) {
	all, err := api.ListVersions(ctx, service)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(v map[string]any) bool { return text(v, "versionId") == version })
	if i < 0 {
		return nil, nil
	}
	return &client.Object{Attrs: all[i]}, nil
}

// isProvisioned reports whether instances are kept, or rules that would start some.
func isProvisioned(config map[string]any) bool {
	for _, key := range []string{"target", "current"} {
		if n, _ := config[key].(int64); n > 0 {
			return true
		}
	}
	for _, key := range []string{"scheduledActions", "targetTrackingPolicies"} {
		if rules, _ := config[key].([]any); len(rules) > 0 {
			return true
		}
	}
	return false
}

// Read returns what is online; nothing of it is compared.
func (h leftover) Read(ctx context.Context, id resource.ID) (*resource.Found, error) {
	n, err := names(id, h.parts)
	if err != nil {
		return nil, err
	}
	o, err := h.lookup(ctx, n)
	if o == nil && err == nil {
		return nil, nil
	}
	return read(id, o, err, func(o *client.Object) (*resource.Found, error) {
		return &resource.Found{ETag: o.ETag, Info: maps.Clone(o.Attrs)}, nil
	})
}

// Create refuses: no file declares this kind.
func (h leftover) Create(_ context.Context, want *resource.Resource) (*resource.Found, error) {
	return nil, notDeclared(want.ID)
}

// Update refuses: no file declares this kind.
func (h leftover) Update(_ context.Context, want *resource.Resource, _ *resource.Found, _ []string) (*resource.Found, error) {
	return nil, notDeclared(want.ID)
}

func notDeclared(id resource.ID) error {
	return diag.Errorf("%s cannot be deployed: no file declares resources of this kind", id).WithCode(diag.ExitComponent)
}

// Delete deletes it; provisioned instances are released.
func (h leftover) Delete(ctx context.Context, id resource.ID, found *resource.Found) error {
	n, err := names(id, h.parts)
	if err != nil {
		return err
	}
	return deleted(id, h.remove(ctx, n, etagOf(found)))
}
