package fc

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/resource"
)

func (c *Component) aliasCommand() component.Command {
	return component.Command{
		Name: "alias", Short: "List, read and move aliases of versions", Subs: []string{"list", "get", "publish"},
		Flags: selectors(
			component.Flag{Name: "alias-name", Type: component.StringFlag, Usage: "the alias"},
			component.Flag{Name: "version-id", Type: component.StringFlag, Usage: "the version that it shall point to"},
			component.Flag{Name: "version-latest", Type: component.BoolFlag, Usage: "the version that was published last"},
			component.Flag{Name: "gversion", Type: component.StringFlag, Usage: "another version that gets a part of the requests"},
			component.Flag{Name: "weight", Type: component.IntFlag, Usage: "how many percent it gets, 0 to 100"},
			descriptionFlag(), tableFlag(),
		),
		Run:      reported(c.alias),
		Once:     c.sharedService,
		Examples: []string{"devs alias publish --alias-name prod --version-latest", "devs alias publish --alias-name prod --version-id 3 --gversion 4 --weight 10"},
	}
}

func (c *Component) alias(ctx context.Context, call *component.Call) (*app.Value, error) {
	v, err := c.versionsOf(call)
	if err != nil {
		return nil, err
	}
	name := call.Args.String("alias-name")
	switch {
	case call.Args.Sub == "list":
		all, err := v.api.ListAliases(ctx, v.service)
		if err != nil {
			return nil, v.explain(v.id(), err)
		}
		var list []any
		for _, one := range all {
			list = append(list, one)
		}
		return app.From(list, diag.Pos{}), nil
	case name == "":
		return nil, diag.Errorf("alias %s needs --alias-name", call.Args.Sub).WithCode(diag.ExitComponent)
	case call.Args.Sub == "get":
		a, err := v.alias(ctx, name)
		if err != nil {
			return nil, err
		}
		if a == nil {
			return nil, v.absent(v.aliasID(name))
		}
		return app.From(a.Attrs, diag.Pos{}), nil
	}
	return v.pointTo(ctx, name, call.Args)
}

// pointTo does alias publish.
func (v *versions) pointTo(ctx context.Context, name string, args component.Args) (*app.Value, error) {
	id := args.String("version-id")
	if id == "" {
		all, err := v.list(ctx)
		if err != nil {
			return nil, err
		}
		if len(all) == 0 || len(all) > 1 && !args.Bool("version-latest") {
			return nil, diag.Errorf("service %s has %d versions: which one shall the alias %s point to?", v.service, len(all), name).
				WithCode(diag.ExitComponent).WithHint("give --version-id, or --version-latest")
		}
		id = newest(all)
	}
	weights := map[string]any{}
	percent, weighed := args.Int("weight")
	other := args.String("gversion")
	switch {
	case (other != "") != weighed, percent < 0, percent > 100:
		return nil, diag.Errorf("--gversion and --weight belong together, and a weight is 0 to 100 percent").WithCode(diag.ExitComponent)
	case weighed:
		weights[other] = float64(percent) / 100
	}
	a, err := v.alias(ctx, name)
	if err != nil {
		return nil, err
	}
	body := aliasBody(id, weights)
	if text := args.String("description"); text != "" {
		body["description"] = text
	}
	if _, err := v.write(ctx, name, a, body); err != nil {
		return nil, err
	}
	return mapping("aliasName", name, "versionId", id, "additionalVersionWeight", weights), nil
}

func aliasBody(version string, weights map[string]any) map[string]any {
	return map[string]any{"versionId": version, "additionalVersionWeight": weights}
}

func (v *versions) aliasID(name string) resource.ID {
	return resource.ID{Kind: AliasKind, Name: v.service + "/" + name}
}

// alias reads an alias, nil when there is none.
func (v *versions) alias(ctx context.Context, name string) (*client.Object, error) {
	a, err := v.api.GetAlias(ctx, v.service, name)
	switch {
	case client.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, v.explain(v.aliasID(name), err)
	}
	return a, nil
}

// write makes the alias, or changes what was read of it. Where an answer was lost, and
// what is online is what was sent, it was this call that did it.
func (v *versions) write(ctx context.Context, name string, was *client.Object, body map[string]any) (*client.Object, error) {
	var o *client.Object
	var err error
	if was == nil {
		body = maps.Clone(body)
		body["aliasName"] = name
		o, err = v.api.CreateAlias(ctx, v.service, body)
	} else {
		o, err = v.api.UpdateAlias(ctx, v.service, name, was.ETag, body)
	}
	if e, ok := errors.AsType[*client.Error](err); ok && (e.Unsure || e.Earlier && (client.IsMoved(err) || client.IsExists(err))) {
		if now, readErr := v.alias(ctx, name); readErr == nil && now != nil && is(now, body) {
			return now, nil
		}
	}
	if err != nil {
		return nil, v.explain(v.aliasID(name), err)
	}
	return o, nil
}

// pointsTo reports whether an alias leads to a version and no other.
func pointsTo(a *client.Object, version string) bool {
	return is(a, aliasBody(version, nil))
}

// is reports whether an alias leads where a body says.
func is(a *client.Object, body map[string]any) bool {
	have, _ := a.Attrs["additionalVersionWeight"].(map[string]any)
	want, _ := body["additionalVersionWeight"].(map[string]any)
	return text(a.Attrs, "versionId") == text(body, "versionId") &&
		maps.EqualFunc(have, want, func(x, y any) bool { return fmt.Sprint(x) == fmt.Sprint(y) })
}
