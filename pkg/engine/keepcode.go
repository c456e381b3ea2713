package engine

import (
	"context"
	"fmt"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/state"
)

// keepCode keeps code packages beside the record, when that is asked for: those of a
// deploy, be they sent now or online already, and those that a rollback replaces.
func (e *Engine) keepCode(ctx context.Context, s *session, req Request) error {
	if !s.args.Bool(flagKeepCode) && !e.Records.KeepCode {
		return nil
	}
	codes, ok := e.Records.Store.(state.Codes)
	if !ok {
		return diag.Errorf("--%s: there is no folder and no repository to keep code in", flagKeepCode).
			WithHint("name one with state: in the application file")
	}
	for _, c := range s.changes.Changes {
		if c.Want.Code == nil || c.Decision != plan.Apply && c.Action != plan.None {
			continue
		}
		keep := func() error { return codes.KeepCode(ctx, c.Want.Code) }
		if req.Command == rollback {
			keep = func() error { return e.keepReplaced(ctx, s, c, codes) }
		}
		if err := keep(); err != nil {
			return e.explain(err, c.Want)
		}
	}
	return nil
}

// keepReplaced keeps the code of a resource as it is online.
func (e *Engine) keepReplaced(ctx context.Context, s *session, c *plan.Change, codes state.Codes) error {
	cloud, ok := s.comp.(component.Archivist)
	if !ok || c.Found == nil || sumOf(c.Found.Attrs) == "" {
		return nil
	}
	p, err := cloud.Code(ctx, s.call, "", c.Resource)
	if err != nil {
		return fmt.Errorf("keeping the code of %s: %w", c.Resource, err)
	}
	defer p.Close()
	return codes.KeepCode(ctx, p)
}
