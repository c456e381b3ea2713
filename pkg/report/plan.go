// Package report renders plans and results: text, JSON and YAML. Its functions are
// pure; it knows no terminal and no CI.
package report

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

var marks = map[plan.Action]string{plan.Create: "+", plan.Update: "~", plan.Replace: "!", plan.Delete: "-", plan.None: "="}

// PlanText returns p as people read it, with a line of counts at the end.
func PlanText(p *plan.Plan) string {
	var b strings.Builder
	for _, s := range p.Services {
		b.WriteString(ServiceText(s))
	}
	b.WriteString(countsLine(p) + "\n")
	return b.String()
}

// ServiceText returns the plan of one service.
func ServiceText(s *plan.Service) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n", orDash(s.Name), s.Region)
	for _, c := range s.Changes {
		if c.Action == plan.None && c.Found == nil {
			continue // absent, and wanted so
		}
		fmt.Fprintf(&b, "  %s %s%s\n", marks[c.Action], c.Resource, note(c))
		if c.Action == plan.Delete || c.Action == plan.None {
			continue
		}
		for _, d := range c.Fields {
			fmt.Fprintf(&b, "      %s\n", fieldLine(c.Action, d))
		}
	}
	return b.String()
}

func note(c *plan.Change) string {
	switch {
	case c.Action == plan.None:
		return " (no change)"
	case c.Decision == plan.Leave:
		return " (differs; left as it is online)"
	case c.Decision == plan.Refuse:
		return " (differs; deploy asks for --use-local or --use-remote)"
	case c.Action == plan.Replace:
		return " (replaced: a field that cannot be changed differs)"
	}
	return ""
}

func fieldLine(a plan.Action, d resource.Difference) string {
	_, oldSecret := d.Old.(secret.String)
	_, newSecret := d.New.(secret.String)
	switch {
	case a == plan.Create:
		return d.Path + ": " + plan.Show(d.New)
	case oldSecret && newSecret:
		return d.Path + ": (secret, changed)"
	}
	return d.Path + ": " + plan.Show(d.Old) + " => " + plan.Show(d.New)
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
	if p.Command == "remove" {
		verb = "Removal"
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

// The JSON form of a plan. Field names are part of the product's interface.
type planJSON struct {
	App      string        `json:"app"`
	Command  string        `json:"command"`
	Counts   countsJSON    `json:"counts"`
	Services []serviceJSON `json:"services"`
}

type countsJSON struct {
	Create    int `json:"create"`
	Update    int `json:"update"`
	Replace   int `json:"replace"`
	Delete    int `json:"delete"`
	Left      int `json:"left"`
	Unchanged int `json:"unchanged"`
}

type serviceJSON struct {
	Name    string       `json:"name"`
	Region  string       `json:"region"`
	Changes []changeJSON `json:"changes"`
}

type changeJSON struct {
	Kind     string      `json:"kind"`
	Name     string      `json:"name"`
	Action   string      `json:"action"`
	Decision string      `json:"decision"`
	Place    string      `json:"place,omitempty"`
	Fields   []fieldJSON `json:"fields,omitempty"`
}

type fieldJSON struct {
	Path string `json:"path"`
	Old  any    `json:"old"`
	New  any    `json:"new"`
}

// PlanJSON returns p as indented JSON. Secrets are ***.
func PlanJSON(p *plan.Plan) ([]byte, error) {
	n := p.Counts()
	out := planJSON{App: p.App, Command: p.Command, Counts: countsJSON{n.Create, n.Update, n.Replace, n.Delete, n.Left, n.None}, Services: []serviceJSON{}}
	for _, s := range p.Services {
		svc := serviceJSON{Name: s.Name, Region: s.Region, Changes: []changeJSON{}}
		for _, c := range s.Changes {
			if c.Action == plan.None && c.Found == nil {
				continue
			}
			change := changeJSON{Kind: string(c.Resource.Kind), Name: c.Resource.Name, Action: string(c.Action), Decision: string(c.Decision), Place: c.Pos.String()}
			for _, d := range c.Fields {
				change.Fields = append(change.Fields, fieldJSON{d.Path, d.Old, d.New})
			}
			svc.Changes = append(svc.Changes, change)
		}
		out.Services = append(out.Services, svc)
	}
	return json.MarshalIndent(out, "", "  ")
}
