package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

// Status is how a resource ended.
type Status string

// The statuses.
const (
	Done      Status = "done"
	Unchanged Status = "unchanged"
	Left      Status = "left" // differs, and stays as it is by policy
	Failed    Status = "failed"
	NotTried  Status = "nottried" // something it needs failed, or the run was interrupted
	Kept      Status = "kept"     // not deleted, as other resources live in it
)

// ServiceOutcome is what became of the resources of one service.
type ServiceOutcome struct {
	Service   string
	Resources []Outcome
}

// Outcome is what became of one resource.
type Outcome struct {
	Resource resource.ID
	Status   Status
	Action   plan.Action
	Err      error // of Failed
}

// endings are the statuses in the order of a summary; those without names are only
// counted.
var endings = []struct {
	status Status
	title  string
	named  bool
}{
	{Done, "done", true},
	{Unchanged, "unchanged", false},
	{Left, "skipped by policy", true},
	{Kept, "kept because others live in it", true},
	{Failed, "failed", true},
	{NotTried, "not tried", true},
}

// Summary returns what became of the resources of a run: the counts in one line, then
// the names of all that are not as they were. It is empty when there is no resource.
// What went wrong is not repeated: it is told where it happens.
func Summary(services []ServiceOutcome) string {
	counts := countsOf(services)
	if counts == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString("resources: " + counts + "\n")
	for _, e := range endings {
		var names []string
		for _, s := range services {
			for _, r := range s.Resources {
				if r.Status == e.status {
					names = append(names, r.text())
				}
			}
		}
		if e.named && len(names) > 0 {
			fmt.Fprintf(&b, "  %s: %s\n", e.title, strings.Join(names, ", "))
		}
	}
	return b.String()
}

// text returns the name of the resource, and what was done to it.
func (o Outcome) text() string {
	name := clean(o.Resource.String())
	if done := past[o.Action]; o.Status == Done && done != "" {
		name = done + " " + name
	}
	return name
}

// SummaryMarkdown is Summary for a comment or a page of a CI: what failed first, what
// was done folded.
func SummaryMarkdown(services []ServiceOutcome) string {
	counts := countsOf(services)
	if counts == "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "**Resources:** %s\n", counts)
	for _, e := range slices.Backward(endings) {
		names := namesOf(services, e.status)
		if !e.named || len(names) == 0 {
			continue
		}
		block := fenced(strings.Join(names, "\n")+"\n", "text")
		if e.status == Done {
			fmt.Fprintf(&b, "\n<details>\n<summary>%s (%d)</summary>\n\n%s\n</details>\n", e.title, len(names), block)
			continue
		}
		fmt.Fprintf(&b, "\n%s (%d):\n\n%s", e.title, len(names), block)
	}
	return b.String()
}

func countsOf(services []ServiceOutcome) string {
	var parts []string
	for _, e := range endings {
		if n := len(namesOf(services, e.status)); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, e.title))
		}
	}
	return strings.Join(parts, ", ")
}

// namesOf returns the resources of a status: with their service when there are several,
// with what was done, and with the first line of what went wrong.
func namesOf(services []ServiceOutcome, status Status) []string {
	var names []string
	for _, s := range services {
		for _, r := range s.Resources {
			if r.Status != status {
				continue
			}
			name := r.text()
			if len(services) > 1 {
				name = orDash(s.Service) + ": " + name
			}
			if r.Err != nil {
				line, _, _ := strings.Cut(r.Err.Error(), "\n")
				name += ": " + line
			}
			names = append(names, clean(name))
		}
	}
	return names
}

var past = map[plan.Action]string{plan.Create: "created", plan.Update: "updated", plan.Replace: "replaced", plan.Delete: "deleted"}
