// Package plan is what a deploy or a removal would do, as a value: it is made by
// pure functions from what is wanted and what is found, and is rendered, compared
// and applied exactly as it is. It does no I/O and knows no component.
package plan

import (
	"slices"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
)

// Action is what has to happen to a resource.
type Action string

// The actions.
const (
	None    Action = "none"    // online equals the file
	Create  Action = "create"  // absent online
	Update  Action = "update"  // differs in fields that can be changed
	Replace Action = "replace" // differs in a field that cannot: delete and create
	Delete  Action = "delete"
)

// Decision is what the policy makes of an action.
type Decision string

// The decisions.
const (
	Nothing Decision = "nothing" // there is nothing to do
	Apply   Decision = "apply"
	Leave   Decision = "leave"  // what is online stays, as asked for
	Refuse  Decision = "refuse" // a difference that nobody has decided on
)

// Policy decides what happens to a resource that exists and differs from the file.
type Policy string

// The policies.
const (
	Fail   Policy = "fail"   // refuse, with the difference
	Local  Policy = "local"  // the file wins: --use-local
	Remote Policy = "remote" // what is online stays: --use-remote
)

// Change is the plan for one resource.
type Change struct {
	Resource resource.ID
	Action   Action
	Decision Decision
	Fields   []resource.Difference // what differs; for Create and Delete, all attributes
	Pos      diag.Pos

	Want  *resource.Resource `json:"-"` // nil for Delete
	Found *resource.Found    `json:"-"` // nil for Create
}

// UpdateFields returns the names of the top-level attributes that differ.
func (c *Change) UpdateFields() []string {
	var names []string
	for _, f := range c.Fields {
		if !slices.Contains(names, f.Field) {
			names = append(names, f.Field)
		}
	}
	return names
}

// Service is the plan for one service of the application, in the order in which
// its resources are handled.
type Service struct {
	Name    string
	Region  string
	Account string
	Changes []*Change
}

// Plan is the plan of an application.
type Plan struct {
	App      string
	Command  string // deploy or remove
	Services []*Service
}

// Counts is how many resources have which action.
type Counts struct {
	Create, Update, Replace, Delete, None int
	Left                                  int // differ, and stay as they are by policy
}

// Pending is the number of resources with something to do.
func (c Counts) Pending() int { return c.Create + c.Update + c.Replace + c.Delete }

// Counts counts the actions of p.
func (p *Plan) Counts() Counts {
	var n Counts
	for _, s := range p.Services {
		for _, c := range s.Changes {
			if c.Decision == Leave {
				n.Left++
				continue
			}
			switch c.Action {
			case Create:
				n.Create++
			case Update:
				n.Update++
			case Replace:
				n.Replace++
			case Delete:
				n.Delete++
			case None:
				if c.Found != nil { // else it is absent, and wanted so
					n.None++
				}
			}
		}
	}
	return n
}

// Refused returns the changes that the policy refuses.
func (s *Service) Refused() []*Change {
	var refused []*Change
	for _, c := range s.Changes {
		if c.Decision == Refuse {
			refused = append(refused, c)
		}
	}
	return refused
}

// New returns the change that leads from found (nil: absent) to want.
func New(schema resource.Schema, found *resource.Found, want *resource.Resource) *Change {
	c := &Change{Resource: want.ID, Action: None, Pos: want.Pos, Want: want, Found: found}
	switch {
	case found == nil && want.Absent:
	case found == nil:
		c.Action = Create
		c.Fields = schema.Compare(nil, want.Attrs, nil)
	case want.Absent:
		c.Action = Delete
		c.Fields = schema.Compare(found.Attrs, nil, nil)
	default:
		c.Fields = schema.Compare(found.Attrs, want.Attrs, want.Managed)
		if len(c.Fields) > 0 {
			c.Action = Update
		}
		if slices.ContainsFunc(c.Fields, func(d resource.Difference) bool { return d.Immutable }) {
			c.Action = Replace
		}
	}
	return c
}

// Decide returns what policy makes of the action: what is absent is always
// created; what exists and differs is the policy's to decide. A resource that the
// file no longer has under one that it has (an async configuration, say) is a
// difference like any other.
func Decide(a Action, p Policy) Decision {
	switch a {
	case None:
		return Nothing
	case Create:
		return Apply
	}
	switch p {
	case Local:
		return Apply
	case Remote:
		return Leave
	}
	return Refuse
}
