package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
)

// decide returns what happens with a change: a removal is decided on as a whole, and
// what this run made itself is nobody else's.
func (e *Engine) decide(s *session, c *plan.Change, req Request) plan.Decision {
	command, args := s.command(req)
	if c.Action != plan.None && (command == "remove" && c.Action == plan.Delete || e.isOwn(s.key(c.Resource))) {
		return plan.Apply
	}
	return plan.Decide(c, e.policyOf(args))
}

// decided returns an error for what nobody has decided on. Where somebody sits who may
// be asked, it is their answer that counts, for the rest of the run.
func (e *Engine) decided(ctx context.Context, p *plan.Plan, req Request, final bool) error {
	e.asking.Lock()
	defer e.asking.Unlock()
	err := e.refused(p, final)
	prompts := slices.ContainsFunc(e.selected(), func(s *session) bool { return e.policyOf(s.args) == plan.Prompt })
	if err == nil || !prompts || req.Ask == nil || req.File != nil { // a plan that is kept is not decided on anew
		return err
	}
	answer, askErr := req.Ask(ctx, p)
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	if askErr != nil || answer == plan.Fail {
		return errors.Join(askErr, err)
	}
	e.setAnswer(answer)
	for _, svc := range p.Services {
		for _, c := range svc.Changes {
			c.Decision = e.decide(e.sessions[svc.Name], c, req)
		}
	}
	return nil
}

// setAnswer remembers what was answered, "" for nothing.
func (e *Engine) setAnswer(answer plan.Policy) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *Engine) answered() plan.Policy {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.answer
}

// refused returns the error for changes that nobody has decided on. Before the
// hooks ran (final is false for a service), only what they cannot change counts.
func (e *Engine) refused(p *plan.Plan, final bool) error {
	var ids []string
	var detail strings.Builder
	for _, svc := range p.Services {
		settled := final || e.sessions[svc.Name].final
		for _, c := range svc.Refused() {
			lines := differences(c, settled)
			if len(lines) == 0 {
				continue
			}
			ids = append(ids, c.Resource.String())
			fmt.Fprintf(&detail, "%s%s\n", c.Resource, why(c.Drift))
			for _, line := range lines {
				detail.WriteString("  " + line + "\n")
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if e.goal != nil { // of a rollback
		return diag.Errorf("what is online is not what was deployed last: %s", strings.Join(ids, ", ")).
			WithDetail(detail.String()).WithCode(diag.ExitComponent).
			WithHint("nothing was changed there; rollback with --%s to change it all the same", flagUseLocal)
	}
	return diag.Errorf("what is online differs from %s: %s", e.App.File, strings.Join(ids, ", ")).
		WithDetail(detail.String()).WithCode(diag.ExitComponent).
		WithHint("nothing was changed there; deploy with --use-local to make it as the file says, or with --use-remote to leave it as it is")
}

// differences returns a line for each field that differs; fields that the hooks or
// other services will still set count only when all is settled.
func differences(c *plan.Change, settled bool) []string {
	if c.Action == plan.Delete {
		return []string{"would be deleted"}
	}
	var lines []string
	for _, d := range c.Fields {
		_, unknown := d.New.(app.UnknownValue)
		if !settled && (unknown || d.Field == "code") {
			continue
		}
		lines = append(lines, d.Path+": "+d.Text()+d.Origin.Mark())
	}
	return lines
}

// why tells why a difference is not deployed without a word.
func why(d plan.Drift) string {
	switch d {
	case plan.Moved:
		return " (changed online since it was deployed)"
	case plan.Unrecorded:
		return " (nobody knows who changed it: no deploy of it is recorded)"
	}
	return ""
}
