package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/report"
	"github.com/devs/deploy/pkg/state"
)

// readPlanFile reads the plan that `deploy plan.json` shall apply.
func (t *tool) readPlanFile(name string) (*plan.File, error) {
	info, err := os.Stat(t.path(name))
	if err == nil && (!info.Mode().IsRegular() || info.Size() > plan.MaxFile) {
		err = fmt.Errorf("it is no file, or too large for a plan")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(t.path(name))
	}
	if err != nil {
		return nil, diag.Errorf("reading the plan %s: %v", name, err).WithHint("make it with devs plan -o %s", name)
	}
	file, err := plan.DecodeFile(data)
	if err != nil {
		return nil, diag.Errorf("reading the plan %s: %v", name, err).WithHint("make it again with devs plan -o %s", name)
	}
	return file, nil
}

// writePlanFile keeps a plan, of some services or of all (nil), so that it can be deployed.
func (t *tool) writePlanFile(p *plan.Plan, services []string, args []string, extra string) error {
	if p.Command == "rollback" {
		return diag.Errorf("the plan of a rollback is not kept in a file").WithHint("look at it with devs plan --plan-type rollback, then run devs rollback")
	}
	args, err := deployArgs(args)
	if err != nil {
		return err
	}
	data, err := plan.NewFile(p, state.NewKey(rand.Reader, extra), args).Encode()
	if err == nil {
		err = renameio.WriteFile(t.path(t.PlanFile), data, 0o600)
	}
	if err != nil {
		return diag.Errorf("writing the plan: %v", err).WithHint("check -o %s", t.PlanFile)
	}
	if slices.ContainsFunc(p.Services, func(s *plan.Service) bool { return len(s.Refused()) > 0 }) {
		t.note("the plan is in %s; what it refuses is for you to decide: plan with --use-local or --use-remote before it can be deployed", t.PlanFile)
		return nil
	}
	if p.Command != "deploy" {
		t.note("the plan is in %s; it is there to be read: only a deploy can be told to apply one", t.PlanFile)
		return nil
	}
	command := strings.TrimSpace(strings.Join(services, " ") + " deploy")
	t.note("the plan is in %s; devs %s %s applies it as it is", t.PlanFile, command, t.PlanFile)
	return nil
}

// planned splits the arguments of a deploy into the plan that it applies, if one is
// named, and the rest.
func (t *tool) planned(command string, req *engine.Request) error {
	if command != "deploy" {
		return nil
	}
	at := t.planFileAt(req.Args)
	if at < 0 {
		return nil
	}
	file, err := t.readPlanFile(req.Args[at])
	if err != nil {
		return err
	}
	req.File, req.Args = file, slices.Concat(file.Args, req.Args[:at], req.Args[at+1:])
	return nil
}

// planFileAt returns which of the arguments of a deploy names a plan, and is no flag or
// the value of one; -1 for none.
func (t *tool) planFileAt(args []string) int {
	known := component.FlagSet("deploy", t.allFlags())
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		switch flag := lookup(known, args[i]); {
		case flag != nil && flag.NoOptDefVal == "" && !hasValue(args[i]):
			i++
		case flag == nil && isPlanFile(args[i]) && !strings.HasPrefix(args[i], "-"):
			return i
		}
	}
	return -1
}

// deployArgs returns the arguments of the deploy that a plan with args is for.
func deployArgs(args []string) ([]string, error) {
	set := component.FlagSet("plan", []component.Flag{{Name: "sub-command", Type: component.StringFlag}, {Name: "plan-type", Type: component.StringFlag}})
	rest, err := take(set, component.FlagSet("none", nil), args)
	if sub := set.Lookup("sub-command").Value.String(); sub != "" {
		rest = append([]string{sub}, rest...)
	}
	return rest, err
}

// ask asks what to do about what somebody else changed.
func (t *tool) ask(ctx context.Context, p *plan.Plan) (plan.Policy, error) {
	fmt.Fprint(t.IO.Err, report.PlanText(p))
	fmt.Fprint(t.IO.Err, "What is online was changed since the last deploy. Use [l]ocal (make it as the file says), [r]emote (leave it as it is), or [n]othing at all? [n] ")
	answer, err := t.answer(ctx)
	if err != nil {
		return plan.Fail, err
	}
	switch answer {
	case "l", "local":
		return plan.Local, nil
	case "r", "remote":
		return plan.Remote, nil
	}
	return plan.Fail, nil
}
