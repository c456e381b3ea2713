// Package fcapi is the component fc-api: single calls of the Function Compute API, as
// pipelines make them that change the code of a function and publish a version. It
// plans and records nothing; what it is told is sent. It knows the contract with
// components and the client, no resource and no SDK.
package fcapi

import (
	"context"
	"net/http"
	"os"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/fc/client"
)

// Config is what the component can be told of the world.
type Config struct {
	// TempDir keeps large code packages while they are sent; "" means the system's
	// folder for temporary files.
	TempDir string
	// Retry says how often and how fast calls of the API are repeated.
	Retry client.Retry
	// Transport carries the calls of the API; nil makes one for the component.
	Transport http.RoundTripper
}

// Component is the component fc-api.
type Component struct {
	cfg Config
}

// New returns the component.
func New() component.Component { return NewWith(Config{}) }

// NewWith returns the component with another view of the world.
func NewWith(cfg Config) component.Component {
	if cfg.TempDir == "" {
		cfg.TempDir = os.TempDir()
	}
	if cfg.Transport == nil {
		cfg.Transport = client.NewTransport()
	}
	return &Component{cfg: cfg}
}

// method is one operation of the API.
type method struct {
	name    string
	short   string
	needs   []string         // fields that must be given, beside the region
	takes   []component.Flag // fields that may be given
	open    bool             // takes further fields in props, which the API's type checks
	mutates bool
	run     func(ctx context.Context, s *session) (*app.Value, error)
	example string
}

// Commands lists the methods.
func (c *Component) Commands() []component.Command {
	list := make([]component.Command, 0, len(methods()))
	for _, m := range methods() {
		list = append(list, component.Command{
			Name: m.name, Short: m.short, Mutates: m.mutates, Flags: m.flags(), Examples: m.examples(),
			Run: func(ctx context.Context, call *component.Call) (*app.Value, error) { return c.run(ctx, call, m) },
		})
	}
	return list
}

func methods() []method {
	description := component.Flag{Name: "description", Type: component.StringFlag, Usage: "the description"}
	qualifier := component.Flag{Name: "qualifier", Type: component.StringFlag, Usage: "version or alias (default LATEST)"}
	prefix := component.Flag{Name: "prefix", Type: component.StringFlag, Usage: "only names that begin with this"}
	weight := component.Flag{Name: fieldWeight, Type: component.StringFlag, Usage: `the share of another version, {"2":0.1}`}
	return []method{
		{name: "listServices", short: "List the services of the region", takes: []component.Flag{prefix}, run: listServices},
		{name: "getService", short: "Show a service", needs: []string{fieldService}, takes: []component.Flag{qualifier}, run: getService},
		{name: "listFunctions", short: "List the functions of a service", needs: []string{fieldService}, run: listFunctions},
		{name: "getFunction", short: "Show a function", needs: []string{fieldService, fieldFunction}, takes: []component.Flag{qualifier}, run: getFunction},
		{
			name: "updateFunction", short: "Change the code or the settings of a function", mutates: true, open: true,
			needs: []string{fieldService, fieldFunction},
			takes: []component.Flag{
				{Name: fieldCode, Type: component.StringFlag, Usage: `the code, {"zipFile":"./"}: a folder, a .zip or a .jar; or ossBucketName and ossObjectName`},
				description,
				{Name: "handler", Type: component.StringFlag, Usage: "the handler"},
				{Name: "memorySize", Type: component.IntFlag, Usage: "the memory in MB"},
				{Name: "timeout", Type: component.IntFlag, Usage: "how long the function may run, in seconds"},
				{Name: fieldVariables, Type: component.StringFlag, Usage: "all environment variables, as a JSON object"},
			},
			run:     updateFunction,
			example: `--region cn-hangzhou --serviceName demo --functionName hello --code '{"zipFile":"./"}'`,
		},
		{
			name: "invokeFunction", short: "Call a function with an event", mutates: true,
			needs: []string{fieldService, fieldFunction},
			takes: []component.Flag{qualifier,
				{Name: "event", Type: component.StringFlag, Usage: "the event"},
				{Name: "invocationType", Type: component.StringFlag, Usage: "how (default Sync)", Choices: []string{"Sync", "Async"}},
			},
			run: invokeFunction,
		},
		{name: "listVersions", short: "List the versions of a service", needs: []string{fieldService}, run: listVersions},
		{
			name: "publishVersion", short: "Publish a service as a new version", mutates: true,
			needs: []string{fieldService}, takes: []component.Flag{description}, run: publishVersion,
			example: "--region cn-hangzhou --serviceName demo",
		},
		{name: "listAliases", short: "List the aliases of a service", needs: []string{fieldService}, run: listAliases},
		{name: "getAlias", short: "Show an alias", needs: []string{fieldService, fieldAlias}, run: getAlias},
		{
			name: "createAlias", short: "Make an alias of a version", mutates: true, open: true,
			needs: []string{fieldService, fieldAlias, fieldVersion}, takes: []component.Flag{description, weight}, run: createAlias,
			example: "--region cn-hangzhou --serviceName demo --aliasName live --versionId 1",
		},
		{
			name: "updateAlias", short: "Let an alias lead to another version", mutates: true, open: true,
			needs:   []string{fieldService, fieldAlias},
			takes:   []component.Flag{{Name: fieldVersion, Type: component.StringFlag, Usage: "the version it leads to"}, description, weight},
			run:     updateAlias,
			example: `--region cn-hangzhou --serviceName demo --aliasName live --versionId 1 --additionalVersionWeight '{"2":0.1}'`,
		},
	}
}
