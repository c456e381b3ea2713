package cli

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/report"
)

// printSummary tells on standard error how each service ended, when there is more
// to say than that one command worked.
func (t *tool) printSummary(result *engine.Result) {
	if t.Silent || len(result.Plan.Services) == 0 {
		return // the result speaks for itself
	}
	for _, s := range result.Services {
		line := map[engine.Status]string{
			engine.Done:      "done",
			engine.Unchanged: "nothing to do",
			engine.Left:      "left as it is online (--use-remote)",
			engine.Failed:    "failed",
			engine.Skipped:   "not tried",
			engine.Missing:   "skipped: no such command",
		}[s.Status]
		fmt.Fprintf(t.IO.Err, "%s: %s\n", orApp(s.Name), line)
	}
}

// confirm asks before a removal.
func (t *tool) confirm(p *plan.Plan) (bool, error) {
	fmt.Fprint(t.IO.Err, report.PlanText(p))
	if t.inCI() || !t.IO.Interactive() {
		return false, notAlone("remove deletes the resources above and was not confirmed", "-y")
	}
	fmt.Fprint(t.IO.Err, "Delete them? [y/N] ")
	answer, _ := bufio.NewReader(t.IO.In).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	fmt.Fprintln(t.IO.Err, "aborted: nothing was deleted")
	return false, nil
}
