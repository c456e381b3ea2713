// Package report renders plans and results: text, Markdown, JSON and YAML. Its
// functions are pure; it knows no terminal and no CI.
package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/plan"
)

var marks = map[plan.Action]string{plan.Create: "+", plan.Update: "~", plan.Replace: "!", plan.Delete: "-", plan.None: "="}

// PlanText returns p as people read it, with a line of counts at the end. Behind each
// difference stands where it comes from: the file (ours), somebody else (drifted
// online), both, or not known.
func PlanText(p *plan.Plan) string {
	var b strings.Builder
	for _, s := range p.Services {
		b.WriteString(ServiceText(s))
	}
	for _, line := range droppedLines(p) {
		b.WriteString(line + "\n")
	}
	b.WriteString(countsLine(p) + "\n")
	return b.String()
}

// ServiceText returns the plan of one service.
func ServiceText(s *plan.Service) string {
	var b strings.Builder
	b.WriteString(serviceLine(s) + "\n")
	for _, c := range s.Changes {
		if isShown(c) {
			b.WriteString(indent(ChangeText(c), "  "))
		}
	}
	return b.String()
}

// ChangeText returns the plan of one resource, without indentation.
func ChangeText(c *plan.Change) string {
	var b strings.Builder
	b.WriteString(marks[c.Action] + " " + clean(c.Resource.String()) + note(c) + "\n")
	for _, line := range changeLines(c) {
		b.WriteString("    " + line + "\n")
	}
	return b.String()
}

// isShown is false for what is absent, and wanted so.
func isShown(c *plan.Change) bool { return c.Action != plan.None || c.Found != nil }

func serviceLine(s *plan.Service) string { return clean(orDash(s.Name) + " (" + s.Region + ")") }

// note says what is special about a change.
func note(c *plan.Change) string {
	var parts []string
	add := func(when bool, text string) {
		if when {
			parts = append(parts, text)
		}
	}
	add(c.Action == plan.None, "no change")
	add(c.Action == plan.Create && c.Drift == plan.Gone, "deleted online since it was deployed")
	add(c.Note != "", clean(c.Note))
	add(c.Pruned, "no longer in the file")
	add(c.Drift == plan.Moved, "drifted online")
	add(c.Drift == plan.Unrecorded && c.Found != nil, "record unknown")
	add(c.Action == plan.Replace && c.Decision != plan.Leave, "replaced: a field that cannot be changed differs")
	add(c.Decision == plan.Leave, "differs; left as it is online")
	add(c.Decision == plan.Refuse, "differs; deploy asks for --use-local or --use-remote")
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// changeLines returns a line for each difference, for what changed online without
// being one, and for the code.
func changeLines(c *plan.Change) []string {
	var lines []string
	code := c.Code != nil
	for _, f := range c.Fields {
		switch {
		case c.Action == plan.Delete && (f.Origin == plan.Ours || c.Drift != plan.Moved):
		case c.Code != nil && (f.Path == "code.checksum" || f.Path == "code.size"):
			if code {
				lines = append(lines, codeLine(c, f.Origin))
				lines = append(lines, fileLines(c.Files)...)
			}
			code = false
		default:
			lines = append(lines, fieldLine(c.Action, f))
		}
	}
	for _, path := range c.Converged {
		lines = append(lines, clean(path)+": changed online; the file agrees [converged]")
	}
	return lines
}

func fieldLine(a plan.Action, f plan.Field) string {
	text := f.Text()
	switch a {
	case plan.Create:
		text = plan.Show(f.New)
	case plan.Delete:
		text = plan.Show(f.Old)
	}
	return clean(f.Path+": "+text) + f.Origin.Mark()
}

func codeLine(c *plan.Change, o plan.Origin) string {
	line := "code: " + packageText(c.Code.NewSize, c.Code.NewSum)
	if c.Action != plan.Create {
		line = "code: " + packageText(c.Code.OldSize, c.Code.OldSum) + " => " + packageText(c.Code.NewSize, c.Code.NewSum)
	}
	return line + o.Mark()
}

func packageText(size int64, sum string) string {
	switch {
	case sum == "":
		return "(not known)"
	case size == 0:
		return "checksum " + clean(sum)
	}
	return sizeText(size) + ", checksum " + clean(sum)
}

// sizeText returns a size in bytes for people.
func sizeText(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// maxFiles is how many files of a code package are named.
const maxFiles = 10

func fileLines(f *plan.FileChanges) []string {
	if f == nil {
		return nil
	}
	var lines []string
	for _, kind := range []struct {
		mark  string
		paths []string
	}{{"+", f.Added}, {"-", f.Removed}, {"~", f.Changed}} {
		for _, path := range kind.paths {
			lines = append(lines, "  "+kind.mark+" "+clean(path))
		}
	}
	if more := len(lines) - maxFiles; more > 0 {
		lines = append(lines[:maxFiles], fmt.Sprintf("  and %d more", more))
	}
	return lines
}

// droppedLines names what was deployed and is no longer in the file.
func droppedLines(p *plan.Plan) []string {
	if len(p.Dropped) == 0 && p.Forgotten == 0 {
		return nil
	}
	lines := []string{"No longer in the file, and left online (deploy with --prune to delete):"}
	for _, d := range p.Dropped {
		lines = append(lines, "  "+clean(d.ID.String()+" ("+orDash(d.Service)+")"))
	}
	if p.Forgotten > 0 {
		lines = append(lines, fmt.Sprintf("  %d recorded under names that are not known here", p.Forgotten))
	}
	return lines
}

func countsLine(p *plan.Plan) string {
	n := p.Counts()
	left := ""
	if n.Left > 0 {
		left = fmt.Sprintf(" %d left as online.", n.Left)
	}
	if n.Pending() == 0 {
		return "Nothing to do." + left
	}
	verb := "Plan"
	switch p.Command {
	case "remove":
		verb = "Removal"
	case "rollback":
		verb = "Rollback"
	}
	line := fmt.Sprintf("%s: %d to create, %d to update, %d to delete", verb, n.Create, n.Update, n.Delete)
	if n.Replace > 0 {
		line += fmt.Sprintf(", %d to replace", n.Replace)
	}
	return line + "." + left
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func indent(text, by string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = by + line
		}
	}
	return strings.Join(lines, "")
}

// clean makes the characters visible that a terminal or a browser would act on:
// controls, and those that turn the direction of the text around.
func clean(text string) string {
	if !strings.ContainsFunc(text, isControl) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if isControl(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isControl(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || slices.Contains([]rune("\u061c\u200e\u200f\u2028\u2029"), r) ||
		r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
