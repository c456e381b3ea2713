package report

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/devs/deploy/pkg/plan"
)

// The sections of a plan in Markdown: what needs eyes first, the rest folded.
var sections = []struct {
	title string
	is    func(*plan.Change) bool
}{
	{"Replaced: deleted and made again", func(c *plan.Change) bool { return c.Action == plan.Replace }},
	{"Deleted", func(c *plan.Change) bool { return c.Action == plan.Delete }},
	{"Changed online since the last deploy", func(c *plan.Change) bool { return c.Drift == plan.Moved || c.Drift == plan.Gone }},
	{"Changed, and nobody knows by whom: there is no record", func(c *plan.Change) bool {
		return c.Drift == plan.Unrecorded && c.Action == plan.Update
	}},
}

// PlanMarkdown returns p for a comment on a pull request: replacements, deletions and
// drift first, the rest folded. It holds no secret, no terminal codes, and no markup
// that comes from a value.
func PlanMarkdown(p *plan.Plan) string {
	return planTitle(p) + planBody(p, nil)
}

// PlanMarkdownWithin is PlanMarkdown in at most limit bytes: where they do not suffice,
// whole resources are left out, those that need eyes least first, and counted.
func PlanMarkdownWithin(p *plan.Plan, limit int) string {
	title := planTitle(p)
	list := byRisk(p)
	body := func(left int) string {
		out := map[*plan.Change]bool{}
		for _, c := range list[len(list)-left:] {
			out[c] = true
		}
		return title + planBody(p, out)
	}
	if whole := body(0); len(whole) <= limit {
		return whole
	}
	// The more is left out, the shorter it gets.
	left := sort.Search(len(list), func(n int) bool { return len(body(n)) <= limit })
	if text := body(left); len(text) <= limit {
		return text
	}
	return title
}

func planTitle(p *plan.Plan) string {
	return fmt.Sprintf("### Plan of %s (%s)\n\n%s\n", span(orDash(p.App)), p.Command, countsLine(p))
}

// byRisk returns the changes that are shown, those that need eyes most first.
func byRisk(p *plan.Plan) []*plan.Change {
	var list []*plan.Change
	for _, s := range p.Services {
		for _, c := range s.Changes {
			if isShown(c) {
				list = append(list, c)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b *plan.Change) int { return risk(a) - risk(b) })
	return list
}

// risk is the number of the first section that a change belongs to.
func risk(c *plan.Change) int {
	for i, section := range sections {
		if section.is(c) {
			return i
		}
	}
	if c.Action != plan.None {
		return len(sections)
	}
	return len(sections) + 1
}

// planBody renders the changes but those in left, which it counts.
func planBody(p *plan.Plan, left map[*plan.Change]bool) string {
	var b strings.Builder
	taken := maps.Clone(left)
	if taken == nil {
		taken = map[*plan.Change]bool{}
	}
	for _, section := range sections {
		text, n := pick(p, func(c *plan.Change) bool { return !taken[c] && section.is(c) }, taken)
		if n > 0 {
			fmt.Fprintf(&b, "\n#### %s (%d)\n%s", section.title, n, text)
		}
	}
	writeDropped(&b, p)
	text, n := pick(p, func(c *plan.Change) bool { return !taken[c] }, taken)
	if n > 0 {
		what := "The rest"
		if n == len(taken) {
			what = "All resources"
		}
		fmt.Fprintf(&b, "\n<details>\n<summary>%s (%d)</summary>\n%s\n</details>\n", what, n, text)
	}
	writeLeft(&b, left)
	return b.String()
}

// writeLeft counts what there was no room for.
func writeLeft(b *strings.Builder, left map[*plan.Change]bool) {
	if len(left) == 0 {
		return
	}
	counts := map[plan.Action]int{}
	for c := range left {
		counts[c.Action]++
	}
	var parts []string
	for _, a := range []plan.Action{plan.Replace, plan.Delete, plan.Update, plan.Create, plan.None} {
		if n := counts[a]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, map[plan.Action]string{
				plan.Replace: "replace", plan.Delete: "delete", plan.Update: "update", plan.Create: "create", plan.None: "leave as it is",
			}[a]))
		}
	}
	fmt.Fprintf(b, "\nThere is no room here for %d more: %s. The summary of the run has them.\n", len(left), strings.Join(parts, ", "))
}

// pick renders the changes that are asked for, service by service, and marks them.
func pick(p *plan.Plan, is func(*plan.Change) bool, taken map[*plan.Change]bool) (text string, n int) {
	var b strings.Builder
	for _, s := range p.Services {
		var lines strings.Builder
		for _, c := range s.Changes {
			if isShown(c) && is(c) {
				taken[c] = true
				n++
				lines.WriteString(ChangeText(c))
			}
		}
		if lines.Len() > 0 {
			fmt.Fprintf(&b, "\n%s in %s\n\n%s", span(orDash(s.Name)), span(orDash(s.Region)), fenced(lines.String(), "diff"))
		}
	}
	return b.String(), n
}

func writeDropped(b *strings.Builder, p *plan.Plan) {
	lines := droppedLines(p)
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n#### %s\n\n%s", strings.TrimSuffix(lines[0], ":"), fenced(strings.Join(lines[1:], "\n")+"\n", "text"))
}

// fenced returns text, which ends its last line, as a block of code, whatever is in it.
func fenced(text, language string) string {
	fence := strings.Repeat("`", max(3, longestTicks(text)+1))
	return fence + language + "\n" + text + fence + "\n"
}

// span returns text as code within a line, whatever is in it.
func span(text string) string {
	text = clean(text)
	ticks := strings.Repeat("`", longestTicks(text)+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return ticks + text + ticks
}

// longestTicks returns the length of the longest run of backticks.
func longestTicks(text string) int {
	longest, n := 0, 0
	for _, r := range text {
		if r != '`' {
			n = 0
			continue
		}
		n++
		longest = max(longest, n)
	}
	return longest
}
