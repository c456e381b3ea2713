package report

import (
	"fmt"
	"strings"

	"github.com/devs/deploy/pkg/plan"
)

// RunNote is what a job says about its run in a comment or a summary.
type RunNote struct {
	Plan     *plan.Plan // nil when there is none
	Stranger bool       // planned without credentials, for the pull request of a fork
	Deployed bool       // the plan was carried out
	Outcomes []ServiceOutcome
	Failure  string // the text of what went wrong, "" for nothing
	Quoted   string // what a stranger's job says of its plan; shown as it is, and believed by nobody
	Digest   string // of the plan
	Commit   string
	RunID    string
	RunURL   string
}

// Section returns the Markdown of the note in about limit bytes: the headline and the
// failure first, then the plan with as many of its resources as there is room for.
func (n RunNote) Section(limit int) string {
	var b strings.Builder
	b.WriteString(n.headline() + "\n")
	if n.Failure != "" {
		fmt.Fprintf(&b, "\n%s", fenced(clipped(n.Failure, min(limit/3, 10000)), "text"))
	}
	if n.Quoted != "" {
		fmt.Fprintf(&b, "\n%s", fenced(clipped(n.Quoted, limit/2), "text"))
	}
	end := n.end()
	if n.Plan == nil || len(n.Plan.Services) == 0 {
		return b.String() + end
	}
	if n.Deployed {
		summary := SummaryMarkdown(n.Outcomes)
		if len(summary) < limit/3 {
			b.WriteString("\n" + summary)
		}
	}
	return b.String() + "\n" + PlanMarkdownWithin(n.Plan, limit-b.Len()-len(end)-1) + end
}

// headline says in one line how it stands.
func (n RunNote) headline() string {
	switch {
	case n.Quoted != "":
		return "**What the job of the fork says.** It holds no credential: what is online was not looked at."
	case n.Failure != "" && n.Deployed:
		return "**The deploy failed** " + n.run()
	case n.Failure != "":
		return "**The plan failed** " + n.run()
	case n.Deployed:
		return "**Deployed** " + n.run()
	case n.Stranger:
		return "**The application file is valid; here is what it wants.** This job holds no credential, as the code comes from a fork: what is online was not looked at."
	case n.Plan == nil || n.Plan.Counts().Pending() == 0:
		return "**Nothing to do** " + n.run()
	}
	return "**To be deployed** " + n.run()
}

// run names the run, with a link where there is one.
func (n RunNote) run() string {
	switch {
	case n.RunID == "":
		return ""
	case strings.HasPrefix(n.RunURL, "https://") || strings.HasPrefix(n.RunURL, "http://"):
		return fmt.Sprintf("by [run %s](%s)", clean(n.RunID), strings.NewReplacer("(", "%28", ")", "%29", " ", "%20", "<", "%3C", ">", "%3E").Replace(n.RunURL))
	}
	return "by run " + clean(n.RunID)
}

// end names the digest and the commit.
func (n RunNote) end() string {
	var parts []string
	if n.Digest != "" {
		parts = append(parts, "Plan digest: "+span(n.Digest))
	}
	if n.Commit != "" {
		parts = append(parts, "Commit: "+span(n.Commit))
	}
	if len(parts) == 0 {
		return ""
	}
	return "\n" + strings.Join(parts, " · ") + "\n"
}

// clipped returns the beginning of a text without control characters, which ends its last
// line.
func clipped(text string, n int) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		lines = append(lines, clean(line))
	}
	out := strings.Join(lines, "\n")
	if len(out) > n {
		out = cut(out, n) + "…"
	}
	return out + "\n"
}
