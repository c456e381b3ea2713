// Package component is the contract between the engine and the components, and
// the explicit catalogue of them. A component turns props into wanted resources
// and knows how to handle each kind; order, policy, retries and rendering are the
// engine's. A component knows no CI and no command line.
package component

import (
	"context"
	"io"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// Component is one kind of deployable thing, such as Function Compute 2.0.
type Component interface {
	// Commands lists what the component can do, in the order of its help.
	Commands() []Command
}

// Provider is a component whose resources the engine plans, deploys and removes.
type Provider interface {
	Component
	// Types returns the kinds of the component, bound to the account and region of
	// the call.
	Types(ctx context.Context, call *Call) (map[resource.Kind]resource.Type, error)
	// Desired turns the props of the call into resources. All that is wrong with
	// the props is found here, before the first request to the cloud, as joined
	// diag.Problems.
	Desired(ctx context.Context, call *Call) (*Desired, error)
}

// Namer tells which names the props of a call give to things. They are shown as they
// are, also where they come from a secret place.
type Namer interface {
	Names(call *Call) []string
}

// Sweeper finds resources that live in what the file declares but are not in it.
type Sweeper interface {
	// Under lists them in the order in which they can be deleted.
	Under(ctx context.Context, call *Call) ([]resource.ID, error)
}

// Finder lists what a deploy of the call can have left, so that a record which has only
// hashes of names can be read.
type Finder interface {
	// Candidates lists all that is there, whoever made it, and what may be there below it.
	Candidates(ctx context.Context, call *Call) ([]resource.ID, error)
}

// Desired is what the props ask for.
type Desired struct {
	Region    string
	Account   string
	Resources []*resource.Resource
	Warnings  []*diag.Problem // Summary and Pos, none of it fatal
	// Outputs returns what a deploy of these resources yields, for other services
	// and for the user, from what is online afterwards; resources that were left
	// out are missing in found. Before the deploy it is nil.
	Outputs func(found map[resource.ID]*resource.Found) *app.Value
	// Expected is what Outputs will return as far as the props tell: the rest is
	// Unknown. It may be nil.
	Expected *app.Value
	// Holder is the resource in which all others live, whose notes keep the record of
	// what was deployed; the zero ID when there is none.
	Holder resource.ID
	Notes  state.Notes // of the holder; nil when it has none
	// Close releases code packages. It may be nil.
	Close func() error
}

// Command is one command of a component. The engine runs plan, deploy and remove of
// a Provider itself: for these Run is nil.
type Command struct {
	Name    string
	Short   string   // one line
	Subs    []string // the sub-commands, "" among them when none is allowed
	Flags   []Flag
	Mutates bool // changes something online
	Run     func(ctx context.Context, call *Call) (*app.Value, error)
	// Once names what the command is about, such as a service of the cloud: for entries of
	// the file that share it, the command is run once. It is "" when that is not known; nil
	// means that entries share nothing.
	Once     func(call *Call) string
	Examples []string
}

// FlagType is the type of a flag's value.
type FlagType int

// The types of flags.
const (
	BoolFlag FlagType = iota
	StringFlag
	StringsFlag // may be repeated
	IntFlag
)

// Flag is one flag of a command.
type Flag struct {
	Name    string // without dashes
	Short   string // one letter or ""
	Type    FlagType
	Usage   string
	Choices []string // the values allowed, nil for any
}

// Args are the parsed arguments of a command. Flags that were not given are
// missing: bool, string, []string, int by the type of the flag.
type Args struct {
	Sub   string
	Rest  []string
	Flags map[string]any
}

// String returns the value of a string flag, "" when it was not given.
func (a Args) String(name string) string { s, _ := a.Flags[name].(string); return s }

// Bool returns the value of a boolean flag.
func (a Args) Bool(name string) bool { b, _ := a.Flags[name].(bool); return b }

// Strings returns the values of a repeated flag.
func (a Args) Strings(name string) []string { s, _ := a.Flags[name].([]string); return s }

// Int returns the value of a number flag and whether it was given.
func (a Args) Int(name string) (int, bool) { i, ok := a.Flags[name].(int); return i, ok }

// Call is one use of a component.
type Call struct {
	AppName   string
	Service   string // the entry of the application file; "" for `devs cli`
	Component string // as written, with the version
	Command   string
	Args      Args
	Props     *app.Value // evaluated; never nil, an empty Map for `devs cli`
	Dir       string     // absolute; relative paths of props are relative to it

	// Credential yields the credential of the service when it is first needed.
	Credential func() (*credential.Credential, error)

	// AutoDomain is the domain under which the cloud gives every function a name by
	// itself (domainName: auto); "" when the cloud has none.
	AutoDomain string

	In io.Reader // standard input, for commands that ask for it

	// Preview is set while planning before the hooks ran: a code folder that is
	// not there yet makes the code unknown instead of an error.
	Preview bool

	// CodeLater is set when hooks will still build the code of this deploy: it is
	// not looked at yet.
	CodeLater bool

	// Parallelism is how many requests may be under way at once over the whole run; 0
	// leaves it to the component.
	Parallelism int

	// Trace is told of every request to the cloud; nil when nobody wants to know.
	Trace func(line string)

	// Images builds and pushes images.
	Images Images

	// Public says that a name may be shown although it comes from a secret place, as
	// Namer does; nil when nobody hides anything.
	Public func(name string)

	// Notify tells the user something on the way: one line, no secret.
	Notify func(line string)
}

// Constructor makes a component.
type Constructor func() Component
