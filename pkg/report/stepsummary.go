package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// StepSummary is what the summary of a step tells.
type StepSummary struct {
	Note    RunNote
	Outputs []ServiceOutput
	Order   []Edge // which service needs which
	Took    []ServiceTime
	Whole   time.Duration
}

// ServiceOutput is what one service yielded.
type ServiceOutput struct{ Service, URL, Image, Version string }

// Edge says that From is deployed before To.
type Edge struct{ From, To string }

// ServiceTime is how long a service took.
type ServiceTime struct {
	Service string
	Took    time.Duration
}

// Markdown returns the summary in at most limit bytes.
func (s StepSummary) Markdown(limit int) string {
	var b strings.Builder
	s.writeOutputs(&b)
	s.writeOrder(&b)
	s.writeTimes(&b)
	tail := b.String()
	if len(tail) > limit/2 { // hundreds of services
		tail = ""
	}
	return s.Note.Section(limit-len(tail)) + tail
}

func (s StepSummary) writeOutputs(b *strings.Builder) {
	if len(s.Outputs) == 0 {
		return
	}
	b.WriteString("\n#### Outputs\n\n| service | address | image | version |\n|---|---|---|---|\n")
	for _, o := range s.Outputs {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", cell(o.Service), cell(o.URL), cell(o.Image), cell(o.Version))
	}
}

// cell returns a text as a cell of a table, whatever is in it.
func cell(text string) string {
	if text == "" {
		return ""
	}
	return strings.ReplaceAll(span(text), "|", `\|`)
}

func (s StepSummary) writeOrder(b *strings.Builder) {
	if len(s.Order) == 0 {
		return
	}
	var names []string
	id := func(name string) string {
		i := slices.Index(names, name)
		if i < 0 {
			i, names = len(names), append(names, name)
		}
		return fmt.Sprintf("s%d[\"%s\"]", i, mermaidText(name))
	}
	b.WriteString("\n#### Order\n\n```mermaid\nflowchart LR\n")
	for _, e := range s.Order {
		fmt.Fprintf(b, "  %s --> %s\n", id(e.From), id(e.To))
	}
	b.WriteString("```\n")
}

// mermaidText returns a text that can stand between quotes: all but letters, digits and a
// few more are written as entities.
func mermaidText(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._- /", r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}

func (s StepSummary) writeTimes(b *strings.Builder) {
	if len(s.Took) == 0 {
		return
	}
	b.WriteString("\n<details>\n<summary>Timings</summary>\n\n| service | took |\n|---|---|\n")
	for _, t := range s.Took {
		fmt.Fprintf(b, "| %s | %s |\n", cell(orDash(t.Service)), t.Took.Round(time.Millisecond))
	}
	fmt.Fprintf(b, "| all | %s |\n\n</details>\n", s.Whole.Round(time.Millisecond))
}
