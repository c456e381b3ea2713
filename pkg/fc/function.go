package fc

import (
	"context"
	"slices"

	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// functionHandler handles functions.
type functionHandler struct{ base }

// functionFields are the attributes of a function, but for code and layers, which
// the API shows in another form than it takes them.
func functionFields() []string {
	return []string{
		"description", "runtime", "handler", "initializer", "initializationTimeout", "memorySize", "timeout",
		"cpu", "diskSize", "gpuMemorySize", "instanceType", "instanceConcurrency", "instanceSoftConcurrency",
		"caPort", "environmentVariables", "customContainerConfig", "customRuntimeConfig", "customDNS",
		"customHealthCheckConfig", "instanceLifecycleConfig",
	}
}

// functionEmpty takes back what a function no longer has. The rest goes back to
// the default in the schema, or cannot be taken back.
func functionEmpty() map[string]any {
	return map[string]any{
		"description":             "",
		"initializer":             "",
		"environmentVariables":    map[string]any{},
		"layers":                  []any{},
		"customDNS":               map[string]any{"nameServers": []any{}, "searches": []any{}, "dnsOptions": []any{}},
		"customRuntimeConfig":     map[string]any{"command": []any{}, "args": []any{}},
		"customHealthCheckConfig": map[string]any{},
		"instanceLifecycleConfig": map[string]any{
			"preFreeze": map[string]any{"handler": ""}, "preStop": map[string]any{"handler": ""},
		},
	}
}

func foundFunction(o *client.Object) (*resource.Found, error) {
	attrs := pick(o.Attrs, functionFields()...)
	attrs["layers"] = []any{}
	for _, form := range []string{"layers", "layersArnV2"} { // the second wins
		if layers, ok := o.Attrs[form].([]any); ok && len(layers) > 0 {
			attrs["layers"] = layers
		}
	}
	if env, ok := attrs["environmentVariables"].(map[string]any); ok {
		attrs["environmentVariables"] = asSecrets(env)
	}
	if sum := text(o.Attrs, "codeChecksum"); sum != "" {
		attrs["code"] = map[string]any{"checksum": sum, "size": o.Attrs["codeSize"]}
	}
	return &resource.Found{
		Attrs: attrs, ETag: o.ETag,
		Info: pick(o.Attrs, "functionName", "functionId", "codeChecksum", "codeSize", "createdTime", "lastModifiedTime"),
	}, nil
}

// asSecrets returns m with its texts secret.
func asSecrets(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if s, ok := v.(string); ok {
			v = secret.New(s)
		}
		out[k] = v
	}
	return out
}

// Read returns the function.
func (h functionHandler) Read(ctx context.Context, id resource.ID) (*resource.Found, error) {
	n, err := names(id, 2)
	if err != nil {
		return nil, err
	}
	o, err := h.api.GetFunction(ctx, n[0], n[1], "")
	return read(id, o, err, foundFunction)
}

// Create creates the function with its code.
func (h functionHandler) Create(ctx context.Context, want *resource.Resource) (*resource.Found, error) {
	n, err := names(want.ID, 2)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, want); err != nil {
		return nil, err
	}
	full := body(want.Attrs, "functionName", n[1])
	delete(full, "code")
	checksum, err := addCode(full, want)
	if err != nil {
		return nil, err
	}
	return h.create(ctx, want, maker{
		create: func() (*client.Object, error) { return h.api.CreateFunction(ctx, n[0], checksum, full) },
		found:  foundFunction, read: h.Read,
	})
}

// prepare does what the resource asks for first.
func prepare(ctx context.Context, want *resource.Resource) error {
	if want.Prepare == nil {
		return nil
	}
	return want.Prepare(ctx)
}

// Update changes the fields named; "code" sends the code package.
func (h functionHandler) Update(ctx context.Context, want *resource.Resource, found *resource.Found, fields []string) (*resource.Found, error) {
	n, err := names(want.ID, 2)
	if err != nil {
		return nil, err
	}
	if slices.Contains(fields, "customContainerConfig") {
		if err := prepare(ctx, want); err != nil {
			return nil, err
		}
	}
	config := slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return f == "code" })
	changes, err := h.changes(want, found, config, functionEmpty())
	if err != nil {
		return nil, err
	}
	lowerSoftLimit(changes, want, found)
	checksum := ""
	if len(config) < len(fields) {
		if checksum, err = addCode(changes, want); err != nil {
			return nil, err
		}
	}
	o, err := h.api.UpdateFunction(ctx, n[0], n[1], etagOf(found), checksum, changes)
	if err != nil {
		return h.settle(ctx, want, fields, err, h.Read)
	}
	return foundFunction(o)
}

// lowerSoftLimit takes the soft limit of concurrency along when the hard one goes
// below it and the file does not set it.
func lowerSoftLimit(changes map[string]any, want *resource.Resource, found *resource.Found) {
	hard, lowered := changes["instanceConcurrency"].(int64)
	soft, _ := attrsOf(found)["instanceSoftConcurrency"].(int64)
	if lowered && soft > hard && want.Attrs["instanceSoftConcurrency"] == nil {
		changes["instanceSoftConcurrency"] = hard
	}
}

// Delete deletes the function when it has no trigger.
func (h functionHandler) Delete(ctx context.Context, id resource.ID, found *resource.Found) error {
	n, err := names(id, 2)
	if err != nil {
		return err
	}
	return deleted(id, h.api.DeleteFunction(ctx, n[0], n[1], etagOf(found)))
}
