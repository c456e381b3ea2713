// Package fc is the component for Function Compute 2.0: services with functions,
// triggers and custom domains. It turns props into wanted resources (package
// props), reads and changes each kind through the client (package client), and
// has the commands that are not the engine's: info and invoke. It knows no CI, no
// command line and no SDK.
package fc

import (
	"context"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/internal/wait"
	"github.com/devs/deploy/pkg/resource"
)

// Kinds that no props declare, found below a service when all of it is removed.
const (
	AliasKind     resource.Kind = "alias"     // service/alias
	VersionKind   resource.Kind = "version"   // service/version
	ProvisionKind resource.Kind = "provision" // service/function/qualifier
	OnDemandKind  resource.Kind = "onDemand"  // service/function/qualifier
)

// Component is the component fc. It holds no state but connections, and how many
// calls may be under way on them: all that it does is bound to the call.
type Component struct {
	cfg    Config
	limits *limits
}

// Config is what a Component can be told of the world.
type Config struct {
	// TempDir keeps large code packages while they are sent; "" means the
	// system's folder for temporary files.
	TempDir string
	// ReadFile reads certificates; nil means os.ReadFile.
	ReadFile func(name string) ([]byte, error)
	// Retry says how often and how fast calls of the API are repeated.
	Retry client.Retry
	// Grace is how long a changing call is waited for after the run was interrupted;
	// 0 means 7 s.
	Grace time.Duration
	// Sleep waits between the steps of a release; nil means by the clock.
	Sleep func(ctx context.Context, d time.Duration) error
	// Transport carries the calls of the API; nil makes one for the component.
	Transport http.RoundTripper
}

// New returns the component.
func New() component.Component { return NewWith(Config{}) }

// NewWith returns the component with another view of the world.
func NewWith(cfg Config) component.Component {
	if cfg.TempDir == "" {
		cfg.TempDir = os.TempDir()
	}
	if cfg.ReadFile == nil {
		cfg.ReadFile = os.ReadFile
	}
	if cfg.Transport == nil {
		cfg.Transport = client.NewTransport()
	}
	if cfg.Sleep == nil {
		cfg.Sleep = wait.For
	}
	return &Component{cfg: cfg, limits: &limits{retry: cfg.Retry, of: map[target]*client.Limiter{}}}
}

// target is what the cloud throttles as one.
type target struct{ endpoint, account, region string }

// limits are the limiters of the component, made when they are first needed.
type limits struct {
	retry client.Retry
	mu    sync.Mutex
	of    map[target]*client.Limiter
}

func (l *limits) get(t target, parallelism int) *client.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[t] == nil {
		l.of[t] = client.NewLimiter(parallelism, l.retry)
	}
	return l.of[t]
}

// Types returns the kinds with their handlers.
func (c *Component) Types(_ context.Context, call *component.Call) (map[resource.Kind]resource.Type, error) {
	s := c.open(call)
	api, err := s.client()
	if err != nil {
		return nil, err
	}
	schemas := props.Schemas()
	of := func(k resource.Kind) base { return base{api: api, schema: schemas[k]} }
	types := map[resource.Kind]resource.Type{}
	for kind, h := range map[resource.Kind]resource.Handler{
		props.ServiceKind:      serviceHandler{of(props.ServiceKind)},
		props.FunctionKind:     functionHandler{of(props.FunctionKind)},
		props.TriggerKind:      triggerHandler{of(props.TriggerKind)},
		props.AsyncConfigKind:  s.optional(asyncHandler{of(props.AsyncConfigKind)}, "function", "asyncConfiguration"),
		props.VPCBindingKind:   s.optional(bindingHandler{of(props.VPCBindingKind)}, "service", "vpcBinding"),
		props.CustomDomainKind: domainHandler{of(props.CustomDomainKind)},
	} {
		types[kind] = resource.Type{Schema: schemas[kind], Handler: h}
	}
	for kind, h := range leftovers(api) {
		types[kind] = resource.Type{Handler: h}
	}
	return types, nil
}
