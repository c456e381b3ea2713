package fc

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

func (c *Component) versionCommand() component.Command {
	return component.Command{
		Name: "version", Short: "List and publish versions of the service", Subs: []string{"list", "publish"},
		Flags: selectors(
			descriptionFlag(),
			component.Flag{Name: "ignore-no-chang-error", Type: component.BoolFlag, Usage: "use the last version where nothing changed since"},
			tableFlag(),
		),
		Run:      reported(c.version),
		Once:     c.sharedService,
		Examples: []string{"devs version publish --description v1.2.0", "devs version list"},
	}
}

func descriptionFlag() component.Flag {
	return component.Flag{Name: "description", Type: component.StringFlag, Usage: "description, 256 characters at most"}
}

func tableFlag() component.Flag {
	return component.Flag{Name: "table", Type: component.BoolFlag, Usage: "accepted for old pipelines; the format is that of --output"}
}

func (c *Component) version(ctx context.Context, call *component.Call) (*app.Value, error) {
	v, err := c.versionsOf(call)
	if err != nil {
		return nil, err
	}
	if call.Args.Sub == "list" {
		all, err := v.list(ctx)
		if err != nil {
			return nil, err
		}
		var list []any
		for _, one := range all {
			list = append(list, one)
		}
		return app.From(list, diag.Pos{}), nil
	}
	p, err := v.publish(ctx, call.Args.String("description"))
	if err == nil && !p.fresh && !call.Args.Bool("ignore-no-chang-error") {
		return nil, diag.Errorf("nothing changed in service %s since version %s was published", v.service, p.id).WithCode(diag.ExitComponent).
			WithHint("use that version; --ignore-no-chang-error makes this no error")
	}
	if err != nil {
		return nil, err
	}
	return mapping("versionId", p.id, "description", p.description), nil
}

// versions are the versions and aliases of one service.
type versions struct {
	*session
	api     *client.Client
	service string
}

func (c *Component) versionsOf(call *component.Call) (*versions, error) {
	s := c.open(call)
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	api, err := s.client()
	if err != nil {
		return nil, err
	}
	return &versions{session: s, api: api, service: names.Service.Name}, nil
}

// sharedService tells entries of the file apart by their service: it has the versions and
// aliases, and not its functions.
func (c *Component) sharedService(call *component.Call) string {
	names, err := c.open(call).names()
	if err != nil {
		return ""
	}
	return names.Region + "/" + names.Service.Name
}

func (v *versions) id() resource.ID {
	return resource.ID{Kind: props.ServiceKind, Name: v.service}
}

// list returns the versions, the newest first.
func (v *versions) list(ctx context.Context) ([]map[string]any, error) {
	all, err := v.api.ListVersions(ctx, v.service)
	if err != nil {
		return nil, v.explain(v.id(), err)
	}
	slices.SortStableFunc(all, func(a, b map[string]any) int {
		return cmp.Compare(number(text(b, "versionId")), number(text(a, "versionId")))
	})
	return all, nil
}

// published is a version.
type published struct {
	id, description string
	fresh           bool   // published by this call
	before          string // the newest version before, "" for none
}

// publish publishes what is online. Where nothing changed since the last version, that one
// is it. An answer that is lost is found again in the list.
func (v *versions) publish(ctx context.Context, description string) (*published, error) {
	before, err := v.list(ctx)
	if err != nil {
		return nil, err
	}
	o, err := v.api.PublishVersion(ctx, v.service, description)
	switch e, _ := errors.AsType[*client.Error](err); {
	case err == nil:
		return &published{id: text(o.Attrs, "versionId"), description: description, fresh: true, before: newest(before)}, nil
	case client.IsUnchanged(err) && len(before) > 0 || e != nil && e.Unsure:
		after, listErr := v.list(ctx)
		if listErr != nil || len(after) == 0 || e.Unsure && newest(after) == newest(before) {
			return nil, explain(v.id(), err)
		}
		p := &published{id: newest(after), description: text(after[0], "description"), fresh: newest(after) != newest(before)}
		if len(after) > 1 {
			p.before = text(after[1], "versionId")
		}
		return p, nil
	}
	return nil, v.explain(v.id(), err)
}

func newest(list []map[string]any) string {
	if len(list) == 0 {
		return ""
	}
	return text(list[0], "versionId")
}
