package fc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

func (c *Component) invokeCommand() component.Command {
	return component.Command{
		Name:  "invoke",
		Short: "Call the function with an event, or with an HTTP request when it has an http trigger",
		Flags: selectors(
			component.Flag{Name: "event", Short: "e", Type: component.StringFlag, Usage: "the event"},
			component.Flag{Name: "event-file", Short: "f", Type: component.StringFlag, Usage: "file that holds the event"},
			component.Flag{Name: "event-stdin", Short: "s", Type: component.BoolFlag, Usage: "read the event from standard input"},
			component.Flag{Name: "invocation-type", Type: component.StringFlag, Usage: "sync or async (default sync)"},
			component.Flag{Name: "stateful-async-invocation-id", Type: component.StringFlag, Usage: "id of a stateful asynchronous invocation"},
			component.Flag{Name: "timeout", Type: component.IntFlag, Usage: "how long to wait for the answer, in seconds"},
			component.Flag{Name: "domain-name", Type: component.StringFlag, Usage: "custom domain to call the function by"},
			qualifierFlag(),
		),
		Run: reported(c.invoke),
		Examples: []string{
			`devs invoke -e '{"key": "value"}'`,
			`devs invoke -e '{"method": "GET", "path": "/users", "queries": {"page": 1}}'`,
		},
	}
}

// maxEvent bounds what is read as an event, in bytes; the service takes 6 MiB.
const maxEvent = 16 << 20

// invocation is one use of the command.
type invocation struct {
	*session
	names     *props.Config
	api       *client.Client
	event     []byte
	async     bool
	qualifier string // LATEST when none was given
	timeout   time.Duration
}

// invoke calls the function. The result is the answer's body, byte for byte, as
// one text; all else goes to Notify.
func (c *Component) invoke(ctx context.Context, call *component.Call) (*app.Value, error) {
	in := &invocation{session: c.openInvoke(call)}
	if err := in.prepare(); err != nil {
		return nil, err
	}
	domain := call.Args.String("domain-name")
	trigger, err := in.httpTrigger(ctx)
	if err != nil {
		return nil, err
	}
	if trigger != nil || domain != "" {
		if in.async {
			return nil, diag.Errorf("a function with an http trigger cannot be called with --invocation-type async here").
				WithCode(diag.ExitComponent).WithHint("leave the flag out, or send the header x-fc-invocation-type: Async in headers of the event")
		}
		return in.overHTTP(ctx, trigger, domain)
	}
	return in.withEvent(ctx)
}

// openInvoke keeps --domain-name, which chooses an address here, out of the props.
func (c *Component) openInvoke(call *component.Call) *session {
	s := c.open(call)
	s.props = props.Override(call.Props, props.Selectors{
		Region: call.Args.String("region"), Service: call.Args.String("service-name"), Function: call.Args.String("function-name"),
	})
	return s
}

func (in *invocation) prepare() error {
	var err error
	if in.names, err = in.session.names(); err != nil {
		return err
	}
	if in.names.Function == nil {
		return missing("function")
	}
	args := in.call.Args
	in.qualifier = args.String("qualifier")
	if in.qualifier == "" {
		in.qualifier = "LATEST"
	}
	switch kind := args.String("invocation-type"); strings.ToLower(kind) {
	case "", "sync":
	case "async":
		in.async = true
	default:
		return diag.Errorf("--invocation-type %s: no such choice", kind).WithCode(diag.ExitComponent).
			WithHint("%s", diag.DidYouMean(kind, []string{"sync", "async"}))
	}
	if in.timeout, err = in.clientTimeout(); err != nil {
		return err
	}
	if in.event, err = in.readEvent(); err != nil {
		return err
	}
	in.api, err = in.client()
	return err
}

// clientTimeout is how long an answer is waited for: longer than the function may
// run, with time for a cold start; images start slowest.
func (in *invocation) clientTimeout() (time.Duration, error) {
	if seconds, given := in.call.Args.Int("timeout"); given {
		if seconds <= 0 {
			return 0, diag.Errorf("--timeout %d: it must be at least 1 second", seconds).WithCode(diag.ExitComponent)
		}
		return time.Duration(seconds) * time.Second, nil
	}
	function := in.props.Get("function")
	seconds, err := strconv.Atoi(function.Get("timeout").Str())
	if err != nil || seconds <= 0 {
		return 600 * time.Second, nil
	}
	start := 120
	if runtime := function.Get("runtime").Str(); runtime == "" || runtime == "custom-container" {
		start = 420
	}
	return time.Duration(seconds+start) * time.Second, nil
}

// readEvent reads the event from where the flags say; none is an empty one.
func (in *invocation) readEvent() ([]byte, error) {
	args := in.call.Args
	given := []string{}
	for _, flag := range []string{"event", "event-file", "event-stdin"} {
		if _, ok := args.Flags[flag]; ok && args.Flags[flag] != false {
			given = append(given, "--"+flag)
		}
	}
	if len(given) > 1 {
		return nil, diag.Errorf("%s cannot be used together", strings.Join(given, " and ")).WithCode(diag.ExitComponent).
			WithHint("an invocation has one event: give one of them")
	}
	switch {
	case args.Bool("event-stdin"):
		if in.call.In == nil {
			return nil, diag.Errorf("there is no standard input to read the event from").WithCode(diag.ExitComponent)
		}
		return limited(in.call.In)
	case args.String("event-file") != "":
		path := args.String("event-file")
		if !filepath.IsAbs(path) {
			path = filepath.Join(in.call.Dir, path)
		}
		event, err := in.cfg.ReadFile(path)
		if err != nil {
			return nil, diag.Errorf("reading the event: %v", err).WithCode(diag.ExitComponent).WithCause(err)
		}
		return event, nil
	}
	return []byte(args.String("event")), nil
}

func limited(r io.Reader) ([]byte, error) {
	event, err := io.ReadAll(io.LimitReader(r, maxEvent+1))
	if err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	if len(event) > maxEvent {
		return nil, diag.Errorf("the event is larger than %s", mib(maxEvent)).WithCode(diag.ExitComponent)
	}
	return event, nil
}

func (in *invocation) function() string { return in.names.Service.Name + "/" + in.names.Function.Name }

// httpTrigger returns the http trigger of the qualifier, nil when there is none.
// What the props declare is believed; without declared triggers the cloud is asked.
func (in *invocation) httpTrigger(ctx context.Context) (*resource.Found, error) {
	service, function := in.names.Service.Name, in.names.Function.Name
	if in.call.Service != "" && in.call.Args.String("function-name") == "" && in.call.Args.String("service-name") == "" {
		declared := in.declaredHTTP()
		name := declared.Get("name").Str()
		if name == "" {
			return nil, nil
		}
		id := resource.ID{Kind: props.TriggerKind, Name: in.function() + "/" + name}
		found, err := triggerHandler{base{api: in.api}}.Read(ctx, id)
		if err == nil && found == nil {
			return nil, diag.At(declared.Get("name").Pos, "%s is not deployed", id).WithCode(diag.ExitComponent).WithHint("deploy first")
		}
		return found, err
	}
	all, err := in.api.ListTriggers(ctx, service, function)
	if err != nil {
		return nil, in.explain(resource.ID{Kind: props.FunctionKind, Name: in.function()}, err)
	}
	for _, t := range all {
		if text(t, "triggerType") == "http" && in.leadsHere(text(t, "qualifier")) {
			return foundTrigger(&client.Object{Attrs: t})
		}
	}
	return nil, nil
}

// declaredHTTP returns the declared http trigger of the qualifier, nil for none.
func (in *invocation) declaredHTTP() *app.Value {
	triggers := in.props.Get("triggers")
	if triggers == nil {
		return nil
	}
	i := slices.IndexFunc(triggers.Items, func(t *app.Value) bool {
		return t.Get("type").Str() == "http" && in.leadsHere(t.Get("qualifier").Str())
	})
	if i < 0 {
		return nil
	}
	return triggers.Items[i]
}

func (in *invocation) leadsHere(qualifier string) bool {
	return qualifier == in.qualifier || qualifier == "" && in.qualifier == "LATEST"
}

// withEvent calls an event function.
func (in *invocation) withEvent(ctx context.Context) (*app.Value, error) {
	res, err := in.api.Invoke(ctx, client.Invocation{
		Service: in.names.Service.Name, Function: in.names.Function.Name, Qualifier: in.qualifier,
		Event: in.event, Async: in.async, Timeout: in.timeout,
		StatefulID: in.call.Args.String("stateful-async-invocation-id"),
	})
	if err != nil {
		return nil, in.explain(resource.ID{Kind: props.FunctionKind, Name: in.function()}, err)
	}
	if in.async {
		in.notify("FC invoke, asynchronous, request id:")
		return app.Text(res.RequestID), nil
	}
	in.showLog(string(res.Log))
	if res.InstanceID != "" {
		in.notify("FC Invoke instanceId: " + res.InstanceID)
	}
	if res.ErrorType != "" {
		return nil, in.failed(res.ErrorType, res.Body)
	}
	in.notify(fmt.Sprintf("FC Invoke Result[Code: %d]:", res.Status))
	return app.Text(string(res.Body)), nil
}

// showLog shows what the function printed.
func (in *invocation) showLog(log string) {
	if log == "" {
		return
	}
	in.notify("========= FC invoke Logs begin =========")
	for line := range strings.Lines(strings.TrimRight(log, "\n") + "\n") {
		in.notify(strings.TrimRight(line, "\r\n"))
	}
	in.notify("========= FC invoke Logs end =========")
}

// failed is the error for a function that failed. What it answered is the detail;
// its log was shown before.
func (in *invocation) failed(kind string, body []byte) error {
	p := diag.Errorf("the function %s failed: %s", in.function(), kind).WithCode(diag.ExitComponent)
	var answer struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.Message != "" {
		p.Summary = fmt.Sprintf("the function %s failed: %s", in.function(), firstLine(answer.Message))
		if answer.Type != "" {
			p.Summary += " (" + answer.Type + ")"
		}
	}
	const most = 4 << 10
	detail := string(body)
	if len(detail) > most {
		detail = detail[:most] + "..."
	}
	return p.WithDetail(detail).WithHint("the log of the invocation stands above")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
