package fc

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// serviceNotes are the tags of a service.
type serviceNotes struct {
	api     *client.Client
	service string
}

// holder returns the service of the props and its notes; custom domains, which live
// in no service, are recorded there too. Props without a service have neither.
func (s *session) holder(config *props.Config) (resource.ID, state.Notes, error) {
	if config.Service == nil {
		return resource.ID{}, nil, nil
	}
	api, err := s.client()
	if err != nil {
		return resource.ID{}, nil, err
	}
	name := config.Service.Name
	return resource.ID{Kind: props.ServiceKind, Name: name}, serviceNotes{api, name}, nil
}

func (n serviceNotes) id() resource.ID {
	return resource.ID{Kind: props.ServiceKind, Name: n.service}
}

// Read returns the tags; exists is false when there is no such service.
func (n serviceNotes) Read(ctx context.Context) (map[string]string, bool, error) {
	tags, err := n.api.GetResourceTags(ctx, n.service)
	if client.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, explain(n.id(), err)
	}
	return tags, true, nil
}

// Write sets tags and then removes others, so that a write which ends in the middle
// loses nothing. Only where there is no room for all at once are those removed
// first. A service that is gone has nothing to remove; to set notes of it is
// state.ErrNoHolder.
func (n serviceNotes) Write(ctx context.Context, set map[string]string, remove []string) error {
	remove = slices.DeleteFunc(slices.Clone(remove), func(key string) bool { _, stays := set[key]; return stays })
	if len(set) > 0 {
		err := n.api.TagResource(ctx, n.service, set)
		if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusBadRequest && len(remove) > 0 {
			if err := n.api.UntagResource(ctx, n.service, remove); err != nil {
				return explain(n.id(), err)
			}
			remove, err = nil, n.api.TagResource(ctx, n.service, set)
		}
		if client.IsNotFound(err) {
			return &diag.Problem{Summary: err.Error(), Code: diag.ExitComponent, Err: errors.Join(state.ErrNoHolder, err)}
		}
		if err != nil {
			return n.refused(ctx, set, err)
		}
	}
	return deleted(n.id(), n.api.UntagResource(ctx, n.service, remove))
}

// maxTags is how many tags a service has room for (TagResource).
const maxTags = 20

// refused returns why tags could not be set. The API has no code of its own for a service
// that has too many.
func (n serviceNotes) refused(ctx context.Context, set map[string]string, err error) error {
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusBadRequest {
		if tags, readErr := n.api.GetResourceTags(ctx, n.service); readErr == nil {
			maps.Copy(tags, set)
			if len(tags) > maxTags {
				return &diag.Problem{Summary: err.Error(), Code: diag.ExitComponent, Err: errors.Join(state.ErrNoRoom, err)}
			}
		}
	}
	return explain(n.id(), err)
}
