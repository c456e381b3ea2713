package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/report"
)

// printSummary tells on standard error how each service and each resource ended, when
// there is more to say than that one command worked.
func (t *tool) printSummary(result *engine.Result) {
	if t.Silent || len(result.Plan.Services) == 0 {
		return // the result speaks for itself
	}
	fmt.Fprint(t.IO.Err, summary(result.Services))
}

// summary returns a line for each service, then what became of the resources.
func summary(services []engine.ServiceResult) string {
	var b strings.Builder
	for _, s := range services {
		fmt.Fprintf(&b, "%s: %s\n", orApp(s.Name), serviceEnd(s.Status))
	}
	return b.String() + report.Summary(outcomes(services))
}

// outcomes are the results of the resources as a report tells of them.
func outcomes(services []engine.ServiceResult) []report.ServiceOutcome {
	var list []report.ServiceOutcome
	for _, s := range services {
		o := report.ServiceOutcome{Service: s.Name}
		for _, r := range s.Resources {
			o.Resources = append(o.Resources, report.Outcome{Resource: r.ID, Status: report.Status(r.Status), Action: r.Action, Err: r.Err})
		}
		list = append(list, o)
	}
	return list
}

func serviceEnd(s engine.Status) string {
	switch s {
	case engine.Unchanged:
		return "nothing to do"
	case engine.Left:
		return "left as it is online (--use-remote)"
	case engine.Skipped:
		return "not tried"
	case engine.Missing:
		return "skipped: no such command"
	}
	return string(s)
}

// confirm asks before a removal.
func (t *tool) confirm(ctx context.Context, p *plan.Plan) (bool, error) {
	fmt.Fprint(t.IO.Err, report.PlanText(p))
	if t.inCI() || !t.IO.Interactive() {
		return false, notAlone("remove deletes the resources above and was not confirmed", "-y")
	}
	fmt.Fprint(t.IO.Err, "Delete them? [y/N] ")
	answer, err := t.answer(ctx)
	if err != nil {
		return false, err
	}
	switch answer {
	case "y", "yes":
		return true, nil
	}
	fmt.Fprintln(t.IO.Err, "aborted: nothing was deleted")
	return false, nil
}

// answer reads a line from who sits at the terminal, in small letters; "" at its end.
// It waits no longer than ctx lasts.
func (t *tool) answer(ctx context.Context) (string, error) {
	line := make(chan string, 1)
	go func() { // waits for input until the process ends, when nobody answers
		text, _ := bufio.NewReader(t.IO.In).ReadString('\n')
		line <- strings.ToLower(strings.TrimSpace(text))
	}()
	select {
	case text := <-line:
		return text, nil
	case <-ctx.Done():
		fmt.Fprintln(t.IO.Err)
		return "", context.Cause(ctx)
	}
}
