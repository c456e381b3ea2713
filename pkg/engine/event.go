package engine

import (
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

// Event is something that happened on the way, for whoever shows progress. It is
// one of the types below.
type Event interface{ event() }

// Warning is something that the user should know of.
type Warning struct {
	Pos  diag.Pos // may be zero
	Text string
}

// Notice is a line that a component or a hook wants to be shown.
type Notice struct {
	Service string
	Text    string
}

// HookStarted says that a step of a hook begins. Text is the step as the file has
// it, without the values of its expressions.
type HookStarted struct {
	Service string // "" for hooks of the application
	Action  string // such as pre-deploy
	Text    string
}

// ServiceStarted says that the service's turn has come. Services run side by side.
type ServiceStarted struct {
	Service   string
	Component string
	Of        int // how many services the command runs on
}

// ServiceEnded says how a service ended. Err is set when it failed.
type ServiceEnded struct {
	Service string
	Status  Status
	Took    time.Duration
	Err     error
}

// Planned is sent before the changes of a service are applied.
type Planned struct{ Plan *plan.Service }

// ResourceStarted is sent before a resource is changed.
type ResourceStarted struct {
	Service  string
	Resource resource.ID
	Action   plan.Action
}

// ResourceEnded is sent after a resource was changed, or not. Kept is set when it
// was not deleted because other resources live in it.
type ResourceEnded struct {
	Service  string
	Resource resource.ID
	Action   plan.Action
	Took     time.Duration
	Kept     bool
	Err      error
}

func (Warning) event()         {}
func (HookStarted) event()     {}
func (Notice) event()          {}
func (ServiceStarted) event()  {}
func (ServiceEnded) event()    {}
func (Planned) event()         {}
func (ResourceStarted) event() {}
func (ResourceEnded) event()   {}

// emit sends an event to Notify, one at a time.
func (e *Engine) emit(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.Notify(ev)
}
