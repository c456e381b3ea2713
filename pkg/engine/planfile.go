package engine

import (
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/state"
)

// asPlanned returns an error when p is not what the plan that shall be applied says.
func (e *Engine) asPlanned(p *plan.Plan, req Request) error {
	if req.File == nil {
		return nil
	}
	if req.File.Command != p.Command {
		return diag.Errorf("the plan is that of a %s, not of a %s", req.File.Command, p.Command).WithHint("make one with devs plan -o plan.json")
	}
	if req.File.App != e.App.Name {
		return diag.Errorf("the plan is that of the application %q, not of %q", req.File.App, e.App.Name).
			WithHint("name the application file that it was made with, with -t")
	}
	return e.holdAgainst(req.File, p)
}

// stillPlanned returns an error when a service whose hooks have run is not what the plan
// says of it. What this run has changed already is left out.
func (e *Engine) stillPlanned(s *session, req Request) error {
	if req.File == nil {
		return nil
	}
	now := *s.changes
	now.Changes = slices.DeleteFunc(slices.Clone(now.Changes), func(c *plan.Change) bool { return e.isOwn(s.key(c.Resource)) })
	file := *req.File
	file.Services = nil
	for _, svc := range req.File.Services {
		if svc.Name == s.name() {
			svc.Changes = slices.DeleteFunc(withShared(req.File, svc, &now), func(c plan.FileChange) bool { return e.isOwn(s.key(c.ID())) })
			file.Services = append(file.Services, svc)
		}
	}
	return e.holdAgainst(&file, &plan.Plan{App: file.App, Command: file.Command, Services: []*plan.Service{&now}})
}

// withShared returns the planned changes of one service, with those of resources that it
// shares with other services and that stand with one of them.
func withShared(file *plan.File, svc plan.FileService, now *plan.Service) []plan.FileChange {
	list := slices.Clone(svc.Changes)
	for _, c := range now.Changes {
		same := func(planned plan.FileChange) bool { return planned.ID() == c.Resource }
		for _, other := range file.Services {
			i := slices.IndexFunc(other.Changes, same)
			if i >= 0 && other.Region == svc.Region && other.Account == svc.Account && !slices.ContainsFunc(list, same) {
				list = append(list, other.Changes[i])
			}
		}
	}
	return list
}

func (e *Engine) holdAgainst(file *plan.File, p *plan.Plan) error {
	key, err := state.OpenKey(file.Key, e.Records.Extra)
	if err != nil {
		return diag.Errorf("reading the plan: %v", err).WithHint("make it again with devs plan -o plan.json")
	}
	moved := file.Moved(p, key)
	if len(moved) == 0 {
		return nil
	}
	done := "nothing was changed"
	if e.changedAny() {
		done = "what this run changed before is done"
	}
	return diag.Errorf("this is not what was planned any more").WithDetail(strings.Join(moved, "\n")+"\n").WithCode(diag.ExitComponent).
		WithHint("%s; make a new plan with devs plan -o plan.json", done)
}

// changedAny reports whether this run has changed anything.
func (e *Engine) changedAny() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.own) > 0
}
