package fc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/resource"
)

// triggerHandler handles triggers.
type triggerHandler struct{ base }

// triggerEmpty takes back what a trigger no longer has.
func triggerEmpty() map[string]any {
	return map[string]any{
		"description": "", "invocationRole": "", "qualifier": "LATEST", "triggerConfig": map[string]any{},
	}
}

// triggerChangeable are the fields that the API lets one change.
func triggerChangeable() []string {
	return []string{"description", "invocationRole", "qualifier", "triggerConfig"}
}

func foundTrigger(o *client.Object) (*resource.Found, error) {
	attrs := pick(o.Attrs, "triggerType", "description", "sourceArn", "invocationRole", "qualifier", "triggerConfig")
	if config, ok := attrs["triggerConfig"].(string); ok {
		decoded, err := decodeConfig(config)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration of trigger %s: %w", text(o.Attrs, "triggerName"), err)
		}
		attrs["triggerConfig"] = decoded
	}
	return &resource.Found{
		Attrs: attrs, ETag: o.ETag,
		Info: pick(o.Attrs, "triggerName", "triggerId", "urlInternet", "urlIntranet", "domainName", "createdTime", "lastModifiedTime"),
	}, nil
}

// decodeConfig reads the JSON object that the API keeps in a text.
func decodeConfig(config string) (map[string]any, error) {
	if strings.TrimSpace(config) == "" {
		return map[string]any{}, nil
	}
	v, err := client.DecodeJSON(config)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		return nil, fmt.Errorf("it is a %T, not an object", v)
	}
	return m, nil
}

// encodeConfig turns the configuration in body into the text that the API takes.
func encodeConfig(body map[string]any) error {
	config, ok := body["triggerConfig"].(map[string]any)
	if !ok {
		return nil
	}
	encoded, err := client.EncodeJSON(config)
	if err != nil {
		return fmt.Errorf("triggerConfig: %w", err)
	}
	body["triggerConfig"] = encoded
	return nil
}

// Read returns the trigger.
func (h triggerHandler) Read(ctx context.Context, id resource.ID) (*resource.Found, error) {
	n, err := names(id, 3)
	if err != nil {
		return nil, err
	}
	o, err := h.api.GetTrigger(ctx, n[0], n[1], n[2])
	return read(id, o, err, foundTrigger)
}

// Create creates the trigger.
func (h triggerHandler) Create(ctx context.Context, want *resource.Resource) (*resource.Found, error) {
	n, err := names(want.ID, 3)
	if err != nil {
		return nil, err
	}
	full := body(want.Attrs, "triggerName", n[2])
	if full["triggerConfig"] == nil {
		full["triggerConfig"] = map[string]any{}
	}
	if err := encodeConfig(full); err != nil {
		return nil, fmt.Errorf("%s: %w", want.ID, err)
	}
	return h.create(ctx, want, maker{
		create: func() (*client.Object, error) { return h.api.CreateTrigger(ctx, n[0], n[1], full) },
		found:  foundTrigger, read: h.Read,
	})
}

// Update changes the fields named.
func (h triggerHandler) Update(ctx context.Context, want *resource.Resource, found *resource.Found, fields []string) (*resource.Found, error) {
	n, err := names(want.ID, 3)
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		if !slices.Contains(triggerChangeable(), f) {
			return nil, notInPlace(want, f+" of a trigger cannot be changed")
		}
	}
	changes, err := h.changes(want, found, fields, triggerEmpty())
	if err != nil {
		return nil, err
	}
	if err := encodeConfig(changes); err != nil {
		return nil, fmt.Errorf("%s: %w", want.ID, err)
	}
	o, err := h.api.UpdateTrigger(ctx, n[0], n[1], n[2], etagOf(found), changes)
	switch {
	case err == nil:
		return foundTrigger(o)
	case strings.Contains(err.Error(), "Updating trigger is not supported yet"):
		return nil, notInPlace(want, fmt.Sprintf("a trigger of type %v cannot be changed", want.Attrs["triggerType"])).WithCause(err)
	}
	return h.settle(ctx, want, fields, err, h.Read)
}

func notInPlace(want *resource.Resource, what string) *diag.Problem {
	return diag.At(want.Pos, "%s: %s once it is there", want.ID, what).WithCode(diag.ExitComponent).
		WithHint("remove the trigger and deploy again")
}

// Delete deletes the trigger. Those that EventBridge made, with a | in the name,
// are not ours to delete.
func (h triggerHandler) Delete(ctx context.Context, id resource.ID, found *resource.Found) error {
	n, err := names(id, 3)
	if err != nil {
		return err
	}
	if strings.Contains(n[2], "|") {
		return diag.Errorf("%s belongs to EventBridge and is not deleted here", id).WithCode(diag.ExitComponent).
			WithHint("delete the rule in EventBridge")
	}
	return deleted(id, h.api.DeleteTrigger(ctx, n[0], n[1], n[2], etagOf(found)))
}
