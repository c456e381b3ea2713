// Package plan is what a deploy or a removal would do, as a value: it is made by
// pure functions from what is recorded, found and wanted, and is rendered, compared
// and applied exactly as it is. It does no I/O and knows no component.
package plan

import (
	"slices"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
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
	Prompt Policy = "prompt" // as Fail here; whoever runs the plan asks, and plans again
)

// Policies lists the policies, for help texts and for checking.
func Policies() []string {
	return []string{string(Local), string(Remote), string(Fail), string(Prompt)}
}

// Drift is how what is online stands to what was deployed last.
type Drift string

// The kinds of drift.
const (
	Unrecorded Drift = "unrecorded" // nobody knows
	Same       Drift = "none"
	Moved      Drift = "drifted"
	Gone       Drift = "gone" // recorded, and absent online
)

// Origin is who made a field differ. It is "" in a resource that is to be created.
type Origin string

// The origins.
const (
	Ours    Origin = "ours"    // changed in the file since it was deployed
	Drifted Origin = "drifted" // changed online; the file is as it was
	Both    Origin = "both"    // changed online, and changed in the file
	Unknown Origin = "unknown" // changed online or in the file: not known
)

// Field is one difference and where it comes from.
type Field struct {
	resource.Difference
	Origin Origin
}

// CodeChange is what happens to a code package; what is not known is zero.
type CodeChange struct {
	OldSize, NewSize int64 // bytes
	OldSum, NewSum   string
}

// FileChanges are the paths in which two code packages differ, sorted.
type FileChanges struct{ Added, Removed, Changed []string }

// Change is the plan for one resource.
type Change struct {
	Resource resource.ID
	Action   Action
	Decision Decision
	Fields   []Field // what differs; for Create and Delete, all attributes
	Pos      diag.Pos

	Drift                  Drift
	ConfigMoved, CodeMoved bool         // what is online is not what was deployed
	Converged              []string     // paths that changed online to what the file has, or leaves open
	Code                   *CodeChange  // nil when the code stays as it is
	Files                  *FileChanges // of the code; nil when they are not known
	Pruned                 bool         // deleted as it is recorded and no longer in the file
	Note                   string       // what else is to be said, such as why it stays; "" for nothing

	Want  *resource.Resource `json:"-"` // Absent when it shall be deleted
	Found *resource.Found    `json:"-"` // nil for Create

	Schema resource.Schema `json:"-"` // by which the two compare
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
	Policy   Policy // what the arguments say about differences; "" where nothing asks
	Services []*Service

	Dropped   []Dropped // recorded and no longer in the file; they stay as they are
	Forgotten int       // recorded under names that are not known
}

// Dropped is a resource that was deployed and that the file no longer has.
type Dropped struct {
	Service string // of the file, in whose place it lives
	ID      resource.ID
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
func New(schema resource.Schema, recorded state.Recorded, found *resource.Found, want *resource.Resource) *Change {
	c := &Change{Resource: want.ID, Action: None, Pos: want.Pos, Want: want, Found: found, Schema: schema}
	var diffs []resource.Difference
	switch {
	case found == nil && want.Absent:
	case found == nil:
		c.Action = Create
		diffs = schema.Compare(nil, want.Attrs, nil)
	case want.Absent:
		c.Action = Delete
		diffs = schema.Compare(found.Attrs, nil, nil)
	default:
		diffs = schema.Compare(found.Attrs, want.Attrs, want.Managed)
		if len(diffs) > 0 {
			c.Action = Update
		}
		if slices.ContainsFunc(diffs, func(d resource.Difference) bool { return d.Immutable }) {
			c.Action = Replace
		}
	}
	for _, d := range diffs {
		c.Fields = append(c.Fields, Field{Difference: d})
	}
	c.addDrift(recorded)
	c.addOrigins(schema, recorded)
	c.addCode(recorded)
	return c
}

// Decide returns what p makes of the change: what is absent is always created; what
// exists and differs is changed when it is as it was deployed, and is the policy's to
// decide when it is not, or when nobody knows. A resource that the file no longer has
// under one that it has (an async configuration, say) is a difference like any other.
func Decide(c *Change, p Policy) Decision {
	switch {
	case c.Action == None:
		return Nothing
	case c.Action == Create || p == Local:
		return Apply
	case p == Remote:
		return Leave
	case c.Drift == Same:
		return Apply
	}
	return Refuse
}
