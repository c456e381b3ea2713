package fc

import (
	"context"
	"maps"

	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/resource"
)

// asyncHandler handles the configuration of asynchronous invocations of LATEST.
type asyncHandler struct{ base }

func foundAsync(o *client.Object) (*resource.Found, error) {
	return &resource.Found{
		Attrs: pick(o.Attrs, "destinationConfig", "maxAsyncEventAgeInSeconds", "maxAsyncRetryAttempts", "statefulInvocation"),
		ETag:  o.ETag,
		Info:  pick(o.Attrs, "createdTime", "lastModifiedTime"),
	}, nil
}

// Read returns the configuration.
func (h asyncHandler) Read(ctx context.Context, id resource.ID) (*resource.Found, error) {
	n, err := names(id, 2)
	if err != nil {
		return nil, err
	}
	o, err := h.api.GetAsyncConfig(ctx, n[0], n[1])
	return read(id, o, err, foundAsync)
}

// Create sets the configuration. The API has one call for both, so that one which
// somebody else made meanwhile would be overwritten: it is looked for first.
func (h asyncHandler) Create(ctx context.Context, want *resource.Resource) (*resource.Found, error) {
	found, err := h.Read(ctx, want.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case found != nil && h.created(found, want):
		return found, nil
	case found != nil:
		return nil, &resource.Conflict{ID: want.ID}
	}
	n, err := names(want.ID, 2)
	if err != nil {
		return nil, err
	}
	whole := maps.Clone(want.Attrs)
	if whole == nil {
		whole = resource.Attributes{}
	}
	return h.create(ctx, want, maker{
		create: func() (*client.Object, error) { return h.api.PutAsyncConfig(ctx, n[0], n[1], "", whole) },
		found:  foundAsync, read: h.Read,
	})
}

// Update sets the configuration, which the API replaces as a whole: the fields
// named as they are wanted, all others as they were found.
func (h asyncHandler) Update(ctx context.Context, want *resource.Resource, found *resource.Found, fields []string) (*resource.Found, error) {
	now, err := h.unmoved(ctx, want.ID, found, h.Read)
	switch {
	case err != nil:
		return nil, err
	case now == nil:
		return nil, &resource.Conflict{ID: want.ID}
	}
	whole := maps.Clone(found.Attrs)
	for _, f := range fields {
		delete(whole, f)
		if v := want.Attrs[f]; v != nil {
			whole[f] = h.keep(f, v, attrsOf(found)[f])
		}
	}
	n, err := names(want.ID, 2)
	if err != nil {
		return nil, err
	}
	o, err := h.api.PutAsyncConfig(ctx, n[0], n[1], etagOf(found), whole)
	if err != nil {
		return h.settle(ctx, want, fields, err, h.Read)
	}
	return foundAsync(o)
}

// Delete deletes the configuration.
func (h asyncHandler) Delete(ctx context.Context, id resource.ID, found *resource.Found) error {
	n, err := names(id, 2)
	if err != nil {
		return err
	}
	if now, err := h.unmoved(ctx, id, found, h.Read); err != nil || now == nil && found != nil {
		return err
	}
	return deleted(id, h.api.DeleteAsyncConfig(ctx, n[0], n[1], "", etagOf(found)))
}
