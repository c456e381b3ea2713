package dockerfile

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// maxText is how many characters of an instruction Describe prints.
const maxText = 100

// Describe returns the stages that the target needs, with their instructions as they
// stand in the file, for people. The steps that change files are numbered.
func (f *File) Describe() string {
	var b strings.Builder
	for _, m := range f.MetaArgs {
		switch {
		case m.Given:
			fmt.Fprintf(&b, "ARG %s, given\n", m.Name) // the value may be nobody's business
		case m.Set:
			fmt.Fprintf(&b, "ARG %s=%s\n", m.Name, m.Value)
		default:
			fmt.Fprintf(&b, "ARG %s\n", m.Name)
		}
	}
	for i, stage := range f.Stages {
		fmt.Fprintf(&b, "stage %d", stage.Index)
		if stage.Name != "" {
			fmt.Fprintf(&b, " (%s)", stage.Name)
		}
		if i == len(f.Stages)-1 {
			b.WriteString(", the target")
		}
		fmt.Fprintf(&b, ": FROM %s for %s\n", stage.Base, short(stage.Platform))
		n := 0
		for _, c := range stage.commands {
			number := "  "
			if changesFiles(c.node) {
				n++
				number = fmt.Sprintf("%2d", n)
			}
			fmt.Fprintf(&b, "  %s  %s\n", number, commandText(c))
		}
	}
	if skipped := len(f.all) - len(f.Stages); skipped > 0 {
		fmt.Fprintf(&b, "stages that the target does not need: %d\n", skipped)
	}
	return b.String()
}

// commandText returns an instruction on one line.
func commandText(c command) string {
	text := strings.Join(strings.Fields(c.node.Original), " ")
	if len(c.node.Heredocs) > 0 {
		text += " (" + firstLine(c.node) + ")"
	}
	if c.trigger {
		text = "ONBUILD " + text
	}
	return cut(text, maxText)
}

func firstLine(node *parser.Node) string { return summary(node.Heredocs[0].Content) }
