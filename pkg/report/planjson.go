package report

import (
	"encoding/json"

	"github.com/devs/deploy/pkg/plan"
)

// The JSON form of a plan. Field names are part of the product's interface.
type planJSON struct {
	App      string        `json:"app"`
	Command  string        `json:"command"`
	Counts   countsJSON    `json:"counts"`
	Services []serviceJSON `json:"services"`

	Policy    string        `json:"policy,omitempty"`
	Dropped   []droppedJSON `json:"dropped,omitempty"`
	Forgotten int           `json:"forgotten,omitempty"`
}

type droppedJSON struct {
	Service string `json:"service"`
	Kind    string `json:"kind"`
	Name    string `json:"name"`
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

	Drift     string     `json:"drift,omitempty"`
	Converged []string   `json:"converged,omitempty"`
	Code      *codeJSON  `json:"code,omitempty"`
	Files     *filesJSON `json:"files,omitempty"`
	Pruned    bool       `json:"pruned,omitempty"`
	Note      string     `json:"note,omitempty"`
}

type codeJSON struct {
	OldSize     int64  `json:"oldSize,omitempty"` // bytes
	OldChecksum string `json:"oldChecksum,omitempty"`
	NewSize     int64  `json:"newSize,omitempty"`
	NewChecksum string `json:"newChecksum,omitempty"`
}

type filesJSON struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	Changed []string `json:"changed"`
}

type fieldJSON struct {
	Path   string `json:"path"`
	Old    any    `json:"old"`
	New    any    `json:"new"`
	Origin string `json:"origin,omitempty"`
}

// CountsJSON returns the counts of p as one line of JSON.
func CountsJSON(p *plan.Plan) string {
	line, _ := json.Marshal(countsOfPlan(p)) // six numbers
	return string(line)
}

func countsOfPlan(p *plan.Plan) countsJSON {
	n := p.Counts()
	return countsJSON{n.Create, n.Update, n.Replace, n.Delete, n.Left, n.None}
}

// PlanJSON returns p as indented JSON. Secrets are ***.
func PlanJSON(p *plan.Plan) ([]byte, error) {
	out := planJSON{
		App: p.App, Command: p.Command, Policy: string(p.Policy), Forgotten: p.Forgotten, Services: []serviceJSON{},
		Counts: countsOfPlan(p),
	}
	for _, s := range p.Services {
		svc := serviceJSON{Name: s.Name, Region: s.Region, Changes: []changeJSON{}}
		for _, c := range s.Changes {
			if isShown(c) {
				svc.Changes = append(svc.Changes, changeOf(c))
			}
		}
		out.Services = append(out.Services, svc)
	}
	for _, d := range p.Dropped {
		out.Dropped = append(out.Dropped, droppedJSON{d.Service, string(d.ID.Kind), d.ID.Name})
	}
	return json.MarshalIndent(out, "", "  ")
}

func changeOf(c *plan.Change) changeJSON {
	out := changeJSON{
		Kind: string(c.Resource.Kind), Name: c.Resource.Name, Action: string(c.Action), Decision: string(c.Decision), Place: c.Pos.String(),
		Drift: string(c.Drift), Converged: c.Converged, Pruned: c.Pruned, Note: c.Note,
	}
	for _, f := range c.Fields {
		out.Fields = append(out.Fields, fieldJSON{f.Path, f.Old, f.New, string(f.Origin)})
	}
	if c.Code != nil {
		out.Code = &codeJSON{c.Code.OldSize, c.Code.OldSum, c.Code.NewSize, c.Code.NewSum}
	}
	if c.Files != nil {
		out.Files = &filesJSON{orEmpty(c.Files.Added), orEmpty(c.Files.Removed), orEmpty(c.Files.Changed)}
	}
	return out
}

// orEmpty makes an empty list of JSON out of nil.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
