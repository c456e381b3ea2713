package fc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/resource"
)

// base is what every handler is made of.
type base struct {
	api    *client.Client
	schema resource.Schema
}

// names splits the name of an ID into its parts.
func names(id resource.ID, n int) ([]string, error) {
	parts := strings.SplitN(id.Name, "/", n)
	if len(parts) != n || slices.Contains(parts, "") {
		return nil, fmt.Errorf("%s: a name of this kind has %d parts", id, n)
	}
	return parts, nil
}

// elsewhere is the hint when something else than Function Compute answers.
const elsewhere = "check the endpoint and the proxies on the way: what answered is not Function Compute"

// explain turns an error of the client into what the engine tells apart.
func explain(id resource.ID, err error) error {
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case err == nil || !ok:
		return err
	case client.IsMoved(err):
		return &resource.Conflict{ID: id, Err: err}
	case client.IsForbidden(err):
		return &resource.Forbidden{ID: id, Action: "fc:" + e.Action, Err: err}
	}
	p := &diag.Problem{Summary: err.Error(), Code: diag.ExitComponent, Err: err}
	switch {
	case client.IsElsewhere(err) && e.Status >= http.StatusInternalServerError:
		p.Hint = "try again later; when it stays so, check the endpoint and the proxies on the way"
	case client.IsElsewhere(err):
		p.Hint = elsewhere
	case client.IsBadKey(err):
		p.Hint = "the access key is wrong, or has expired; check the credential that this run was given"
	case client.IsNotEmpty(err):
		p.Err = errors.Join(resource.ErrNotEmpty, err)
	}
	return p
}

// reported makes every error of a command a problem of the component, with what
// to do when a permission is missing. The engine does so for handlers.
func reported(run func(context.Context, *component.Call) (*app.Value, error)) func(context.Context, *component.Call) (*app.Value, error) {
	return func(ctx context.Context, call *component.Call) (*app.Value, error) {
		out, err := run(ctx, call)
		if err == nil || ctx.Err() != nil {
			return out, err
		}
		for _, e := range diag.List(err) {
			if _, ok := errors.AsType[*diag.Problem](e); ok {
				return nil, err
			}
		}
		p := diag.Errorf("%v", err).WithCode(diag.ExitComponent).WithCause(err)
		if f, ok := errors.AsType[*resource.Forbidden](err); ok {
			p.Hint = fmt.Sprintf("allow the credential the action %s (RAM policy), or use another credential with -a", f.Action)
		}
		return nil, p
	}
}

// read maps the answer of a reading call; absent is nil and no error.
func read(id resource.ID, o *client.Object, err error, found func(*client.Object) (*resource.Found, error)) (*resource.Found, error) {
	if client.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(id, err)
	}
	return found(o)
}

// deleted maps the answer of a deleting call; what is gone already is no error.
func deleted(id resource.ID, err error) error {
	if err == nil || client.IsNotFound(err) {
		return nil
	}
	return explain(id, err)
}

// maker creates one resource.
type maker struct {
	create func() (*client.Object, error)
	found  func(*client.Object) (*resource.Found, error)
	read   func(context.Context, resource.ID) (*resource.Found, error)
}

// createTries is how often something is created of which the cloud does not say
// whether it was.
const createTries = 4

// create creates want. When it is unsure whether it was created, it is looked up,
// and created once more when it is not there. When somebody else created it
// meanwhile, that is a conflict.
func (b base) create(ctx context.Context, want *resource.Resource, m maker) (*resource.Found, error) {
	unsure := false
	for try := 1; ; try++ {
		o, err := m.create()
		if err == nil {
			return m.found(o)
		}
		e, ok := errors.AsType[*client.Error](err)
		if !ok || !e.Unsure && !client.IsExists(err) {
			return nil, explain(want.ID, err)
		}
		unsure = unsure || e.Unsure || e.Earlier
		if !unsure {
			return nil, &resource.Conflict{ID: want.ID, Err: err}
		}
		found, readErr := m.read(ctx, want.ID)
		switch {
		case readErr != nil:
			return nil, errors.Join(explain(want.ID, err), readErr)
		case found != nil && b.created(found, want):
			return found, nil
		case found != nil:
			return nil, &resource.Conflict{ID: want.ID, Err: err}
		case try == createTries:
			return nil, explain(want.ID, err)
		}
		if pauseErr := b.api.Pause(ctx, try); pauseErr != nil {
			return nil, errors.Join(explain(want.ID, err), pauseErr)
		}
	}
}

// created reports whether what is online now is what was to be created. Code that came
// from a bucket cannot be compared.
func (b base) created(found *resource.Found, want *resource.Resource) bool {
	diffs := b.schema.Compare(found.Attrs, want.Attrs, want.Managed)
	return !slices.ContainsFunc(diffs, func(d resource.Difference) bool { return d.Field != "code" || want.Code != nil })
}

// settle decides about a failed update: when an attempt may have gone through
// before the cloud said that the resource had moved, the move may be our own.
func (b base) settle(ctx context.Context, want *resource.Resource, fields []string, err error,
	read func(context.Context, resource.ID) (*resource.Found, error),
) (*resource.Found, error) {
	e, ok := errors.AsType[*client.Error](err)
	if ok && (e.Unsure || e.Earlier && client.IsMoved(err)) {
		found, readErr := read(ctx, want.ID)
		if readErr == nil && found != nil && b.equals(found, want, fields) {
			return found, nil
		}
	}
	return nil, explain(want.ID, err)
}

// unmoved reads a resource again of which the API gives no ETag, so that it would not
// notice itself that somebody else changed it meanwhile. It returns nil when the
// resource is gone.
func (b base) unmoved(ctx context.Context, id resource.ID, found *resource.Found,
	read func(context.Context, resource.ID) (*resource.Found, error),
) (*resource.Found, error) {
	if found == nil || found.ETag != "" {
		return found, nil
	}
	now, err := read(ctx, id)
	if err != nil || now == nil {
		return nil, err
	}
	if len(b.schema.Compare(now.Attrs, found.Attrs, nil)) > 0 || len(b.schema.Compare(found.Attrs, now.Attrs, nil)) > 0 {
		return nil, &resource.Conflict{ID: id}
	}
	return now, nil
}

func (b base) equals(found *resource.Found, want *resource.Resource, fields []string) bool {
	return len(b.schema.Compare(found.Attrs, want.Attrs, fields)) == 0
}

// changes returns the body of an update: of each field the value wanted, or what
// takes it back when none is.
func (b base) changes(want *resource.Resource, found *resource.Found, fields []string, empty map[string]any) (map[string]any, error) {
	body := map[string]any{}
	for _, field := range fields {
		if v := want.Attrs[field]; v != nil {
			body[field] = b.keep(field, v, attrsOf(found)[field])
		} else if v := b.schema[field].Default; v != nil {
			body[field] = v
		} else if v, ok := empty[field]; ok {
			body[field] = v
		} else {
			return nil, diag.At(want.Pos, "%s: %s cannot be taken back once it is set", want.ID, field).
				WithCode(diag.ExitComponent).
				WithHint("set it to the value that is wanted, or remove the %s and deploy again", want.Kind)
		}
	}
	return body, nil
}

// keep returns the value wanted with what the file does not set, and what therefore
// stays, as it was found: the API replaces an object as a whole.
func (b base) keep(path string, wanted, found any) any {
	w, ok1 := wanted.(map[string]any)
	f, ok2 := found.(map[string]any)
	if !ok1 || !ok2 {
		return wanted
	}
	out := maps.Clone(w)
	for key, v := range f {
		at := path + "." + key
		switch {
		case w[key] != nil:
			out[key] = b.keep(at, w[key], v)
		case v != nil && b.schema[at].KeepUnset:
			out[key] = v
		}
	}
	return out
}

// body returns a copy of the attributes with one more field.
func body(attrs resource.Attributes, key string, value any) map[string]any {
	out := maps.Clone(map[string]any(attrs))
	if out == nil {
		out = map[string]any{}
	}
	out[key] = value
	return out
}

// pick returns the fields of an answer that are compared.
func pick(from map[string]any, fields ...string) resource.Attributes {
	attrs := resource.Attributes{}
	for _, f := range fields {
		if v, ok := from[f]; ok && v != nil {
			attrs[f] = v
		}
	}
	return attrs
}

// etagOf returns the state that a change was planned against.
func etagOf(found *resource.Found) string {
	if found == nil {
		return ""
	}
	return found.ETag
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}
