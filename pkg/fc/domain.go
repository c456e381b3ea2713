package fc

import (
	"context"
	"maps"
	"slices"

	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// domainHandler handles custom domains.
type domainHandler struct{ base }

// domainEmpty takes back what a domain no longer has. A tlsConfig cannot be.
func domainEmpty() map[string]any {
	return map[string]any{
		"routeConfig": map[string]any{"routes": []any{}},
		"certConfig":  map[string]any{"certName": "", "certificate": "", "privateKey": ""},
		"wafConfig":   map[string]any{"enableWAF": false},
	}
}

func foundDomain(o *client.Object) (*resource.Found, error) {
	attrs := pick(o.Attrs, "protocol", "routeConfig", "certConfig", "tlsConfig", "wafConfig")
	if cert, ok := attrs["certConfig"].(map[string]any); ok {
		cert = maps.Clone(cert)
		if key, ok := cert["privateKey"].(string); ok {
			cert["privateKey"] = secret.New(key)
		}
		attrs["certConfig"] = cert
	}
	return &resource.Found{
		Attrs: attrs, ETag: o.ETag,
		Info: pick(o.Attrs, "domainName", "accountId", "createdTime", "lastModifiedTime"),
	}, nil
}

// Read returns the domain.
func (h domainHandler) Read(ctx context.Context, id resource.ID) (*resource.Found, error) {
	o, err := h.api.GetCustomDomain(ctx, id.Name)
	return read(id, o, err, foundDomain)
}

// Create creates the domain.
func (h domainHandler) Create(ctx context.Context, want *resource.Resource) (*resource.Found, error) {
	return h.create(ctx, want, maker{
		create: func() (*client.Object, error) {
			return h.api.CreateCustomDomain(ctx, body(want.Attrs, "domainName", want.Name))
		},
		found: foundDomain, read: h.Read,
	})
}

// Update changes the fields named. A protocol with https goes together with its
// certificate.
func (h domainHandler) Update(ctx context.Context, want *resource.Resource, found *resource.Found, fields []string) (*resource.Found, error) {
	send := slices.Clone(fields)
	if slices.Contains(send, "protocol") && !slices.Contains(send, "certConfig") && want.Attrs["certConfig"] != nil {
		send = append(send, "certConfig")
	}
	changes, err := h.changes(want, found, send, domainEmpty())
	if err != nil {
		return nil, err
	}
	o, err := h.api.UpdateCustomDomain(ctx, want.Name, etagOf(found), changes)
	if err != nil {
		return h.settle(ctx, want, fields, err, h.Read)
	}
	return foundDomain(o)
}

// Delete deletes the domain.
func (h domainHandler) Delete(ctx context.Context, id resource.ID, found *resource.Found) error {
	return deleted(id, h.api.DeleteCustomDomain(ctx, id.Name, etagOf(found)))
}

// plainText returns the text of a leaf, revealed; "" for anything else.
func plainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case secret.String:
		return v.Reveal()
	}
	return ""
}
