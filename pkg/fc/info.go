package fc

import (
	"context"
	"maps"
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

func (c *Component) infoCommand() component.Command {
	return component.Command{
		Name:  "info",
		Short: "Show the service, its function, triggers and custom domains as they are online",
		Flags: selectors(triggerFlag(), domainFlag(), qualifierFlag()),
		Run:   reported(c.info),
		Examples: []string{
			"devs info",
			"devs cli fc info --region cn-hangzhou --service-name demo --function-name hello",
		},
	}
}

// informer collects what is online.
type informer struct {
	*session
	names *props.Config
	api   *client.Client
	out   *app.Value
}

func (c *Component) info(ctx context.Context, call *component.Call) (*app.Value, error) {
	s := c.open(call)
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	if names.Function == nil && len(call.Args.Strings("trigger-name")) > 0 {
		return nil, missing("function")
	}
	api, err := s.client()
	if err != nil {
		return nil, err
	}
	in := &informer{session: s, names: names, api: api, out: mapping("region", names.Region)}
	for _, part := range []func(context.Context) error{in.service, in.function, in.triggers, in.domains} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return in.out, nil
}

// absent is the error for what was asked for and is not online.
func (s *session) absent(id resource.ID) error {
	return diag.At(s.place(id.Kind), "%s does not exist", id).WithCode(diag.ExitComponent).
		WithHint(notThere)
}

func (in *informer) service(ctx context.Context) error {
	id := resource.ID{Kind: props.ServiceKind, Name: in.names.Service.Name}
	found, err := serviceHandler{base{api: in.api}}.Read(ctx, id)
	if err != nil {
		return err
	}
	if found == nil {
		return in.absent(id)
	}
	service := describe(id, found, nil)
	h := in.optional(bindingHandler{base{api: in.api}}, "service", "vpcBinding")
	bound, err := h.Read(ctx, resource.ID{Kind: props.VPCBindingKind, Name: id.Name})
	if err != nil {
		return err
	}
	if bound != nil {
		add(service, "vpcBinding", app.From(bound.Attrs[vpcIDs], diag.Pos{}))
	}
	add(in.out, "service", masked(service, in.props.Get("service")))
	return nil
}

func (in *informer) function(ctx context.Context) error {
	if in.names.Function == nil {
		return nil
	}
	id := resource.ID{Kind: props.FunctionKind, Name: in.names.Service.Name + "/" + in.names.Function.Name}
	o, err := in.api.GetFunction(ctx, in.names.Service.Name, in.names.Function.Name, in.call.Args.String("qualifier"))
	found, err := read(id, o, err, foundFunction)
	switch {
	case err != nil:
		return err
	case found == nil && in.call.Args.String("function-name") != "":
		return in.absent(id)
	case found == nil:
		in.notify(id.String() + " is not deployed")
		return nil
	}
	function := describe(id, found, nil)
	if err := in.async(ctx, id.Name, function); err != nil {
		return err
	}
	add(in.out, "function", masked(function, in.props.Get("function")))
	return nil
}

// async adds the configuration of asynchronous invocations, which LATEST has.
func (in *informer) async(ctx context.Context, name string, function *app.Value) error {
	if q := in.call.Args.String("qualifier"); q != "" && q != "LATEST" {
		return nil
	}
	h := in.optional(asyncHandler{base{api: in.api}}, "function", "asyncConfiguration")
	found, err := h.Read(ctx, resource.ID{Kind: props.AsyncConfigKind, Name: name})
	if err != nil || found == nil {
		return err
	}
	shown := map[string]any{}
	for key, v := range found.Attrs {
		shown[key] = v
	}
	if config, ok := found.Attrs["destinationConfig"].(map[string]any); ok {
		delete(shown, "destinationConfig")
		to := map[string]any{}
		for when, d := range config {
			if destination, ok := d.(map[string]any); ok {
				to[when] = destination["destination"]
			}
		}
		shown["destination"] = to
	}
	if v := tidy(shown); v != nil {
		add(function, "asyncConfiguration", app.From(v, diag.Pos{}))
	}
	return nil
}

// triggers shows those named on the command line or in the props, and else all.
func (in *informer) triggers(ctx context.Context) error {
	if in.names.Function == nil {
		return nil
	}
	chosen := in.call.Args.Strings("trigger-name")
	asked := chosen != nil
	if !asked {
		for _, t := range in.names.Triggers {
			chosen = append(chosen, t.Name)
		}
	}
	service, function := in.names.Service.Name, in.names.Function.Name
	if chosen == nil && in.call.Service == "" { // without a file, all there are
		all, err := in.api.ListTriggers(ctx, service, function)
		if err != nil && !client.IsNotFound(err) {
			return explain(resource.ID{Kind: props.FunctionKind, Name: service + "/" + function}, err)
		}
		for _, t := range all {
			chosen = append(chosen, text(t, "triggerName"))
		}
	}
	return in.list(ctx, "triggers", chosen, asked, triggerHandler{base{api: in.api}}.Read, func(name string) resource.ID {
		return resource.ID{Kind: props.TriggerKind, Name: service + "/" + function + "/" + name}
	})
}

func (in *informer) domains(ctx context.Context) error {
	chosen := in.call.Args.Strings("domain-name")
	asked := chosen != nil
	if !asked {
		for _, d := range in.names.Domains {
			name := d.Name
			if name == "auto" {
				name = in.autoDomain(in.names)
			}
			if name != "" {
				chosen = append(chosen, name)
			}
		}
	}
	return in.list(ctx, "customDomains", chosen, asked, domainHandler{base{api: in.api}}.Read, func(name string) resource.ID {
		return resource.ID{Kind: props.CustomDomainKind, Name: name}
	})
}

// list adds the resources of one kind; one that is absent is an error when it was
// asked for by name.
func (in *informer) list(ctx context.Context, key string, chosen []string, asked bool,
	read func(context.Context, resource.ID) (*resource.Found, error), id func(name string) resource.ID,
) error {
	list := &app.Value{Kind: app.List}
	for _, name := range chosen {
		found, err := read(ctx, id(name))
		switch {
		case err != nil:
			return err
		case found == nil && asked:
			return in.absent(id(name))
		case found == nil:
			in.notify(id(name).String() + " is not deployed")
			continue
		}
		shown := describe(id(name), found, map[string]string{
			"triggerType": "type", "triggerConfig": "config", "invocationRole": "role",
		})
		list.Items = append(list.Items, masked(shown, in.declared(key, name)))
	}
	if len(list.Items) > 0 {
		add(in.out, key, list)
	}
	return nil
}

// describe shows a resource: its name, its attributes, and what the cloud made.
// renamed are attributes that the file calls otherwise.
func describe(id resource.ID, found *resource.Found, renamed map[string]string) *app.Value {
	name := "name"
	if id.Kind == props.CustomDomainKind {
		name = "domainName"
	}
	out := mapping(name, lastName(id))
	skip := []string{"serviceName", "functionName", "triggerName", "domainName", "codeChecksum", "codeSize"}
	for _, from := range []map[string]any{found.Attrs, found.Info} {
		for _, key := range slices.Sorted(maps.Keys(from)) {
			if slices.Contains(skip, key) {
				continue
			}
			shown := key
			if as, ok := renamed[key]; ok {
				shown = as
			}
			if v := tidy(from[key]); v != nil {
				add(out, shown, app.From(v, diag.Pos{}))
			}
		}
	}
	return out
}

// tidy returns v without what is empty; nil when nothing is left.
func tidy(v any) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return nil
		}
	case map[string]any:
		out := map[string]any{}
		for key, item := range v {
			if item = tidy(item); item != nil {
				out[key] = item
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		if len(v) == 0 {
			return nil
		}
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = tidy(item)
		}
		return out
	}
	return v
}
