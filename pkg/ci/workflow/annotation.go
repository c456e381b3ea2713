package workflow

import (
	"fmt"
	"strconv"

	"github.com/sethvargo/go-githubactions"
)

// Level is how bad an annotation is.
type Level string

// The levels.
const (
	Error   Level = "error"
	Warning Level = "warning"
	Notice  Level = "notice"
)

// Annotation is a message at a line of a file.
type Annotation struct {
	Level  Level
	Title  string
	Text   string
	File   string // relative to the workspace; "" for none
	Line   int    // from 1
	Column int
}

// Annotate shows the annotations, the most important first: of each level as many as the
// runner shows, the last of which tells how many more there are.
func (l *Log) Annotate(list []Annotation) {
	if !l.cfg.Runner {
		return // the text of the same problems is in the log
	}
	for _, level := range []Level{Error, Warning, Notice} {
		var of []Annotation
		for _, a := range list {
			if a.Level == level {
				of = append(of, a)
			}
		}
		if more := len(of) - MaxAnnotations; more > 0 {
			of = append(of[:MaxAnnotations-1:MaxAnnotations-1], Annotation{Level: level, Text: fmt.Sprintf("and %d more; see the log and the summary", more+1)})
		}
		for _, a := range of {
			_ = guard(func() { l.action.IssueCommand(a.command()) })
		}
	}
}

func (a Annotation) command() *githubactions.Command {
	p := githubactions.CommandProperties{}
	if a.Title != "" {
		p["title"] = Cut(oneLine(a.Title), 200)
	}
	if a.File != "" {
		p["file"] = a.File
		if a.Line > 0 {
			p["line"] = strconv.Itoa(a.Line)
		}
		if a.Column > 0 {
			p["col"] = strconv.Itoa(a.Column)
		}
	}
	return &githubactions.Command{Name: string(a.Level), Message: Cut(a.Text, MaxMessage), Properties: p}
}
