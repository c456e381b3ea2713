package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/hook"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// session is one service during a run.
type session struct {
	svc      *app.Service
	comp     component.Component
	cmd      *component.Command // nil: the component lacks the command
	selected bool               // the command was asked for on it; else it is only looked at
	deps     []string           // services whose outputs or props it uses

	access    string
	args      component.Args
	props     *app.Value // as evaluated last
	override  *app.Value // what a plugin made of the props, nil for none
	final     bool       // desired does not depend on anything still to come
	call      *component.Call
	desired   *component.Desired
	types     map[resource.Kind]resource.Type
	notes     map[resource.ID]string // what is to be said of resources that are rolled back, or not
	swept     []*resource.Resource   // what lives in the desired resources and shall go too
	output    *app.Value             // what other services can use; nil until it is known
	result    *app.Value             // what the command yields
	changes   *plan.Service
	dropped   []resource.ID // recorded, in the file no longer, and not to be deleted
	forgotten int           // the same, under names that nobody knows

	status    Status
	tolerated bool // it failed, and its allow_failure lets that pass
}

func (s *session) name() string { return s.svc.Name }

func (s *session) key(id resource.ID) foundKey {
	return foundKey{account: s.desired.Account, region: s.desired.Region, id: id}
}

// resources returns what the session deals with: what is desired, then what is swept.
func (s *session) resources() []*resource.Resource {
	if s.desired == nil {
		return nil
	}
	return slices.Concat(s.desired.Resources, s.swept)
}

// release gives back code packages.
func (s *session) release() {
	if s.desired != nil && s.desired.Close != nil {
		_ = s.desired.Close()
	}
	s.desired, s.swept = nil, nil
}

// applies reports whether anything of s is to be changed.
func (s *session) applies() bool {
	return s.changes != nil && slices.ContainsFunc(s.changes.Changes, func(c *plan.Change) bool { return c.Decision == plan.Apply })
}

// hooked reports whether hooks run before the command on this service, which may
// change the code or the props.
func (s *session) hooked(req Request, command string) bool {
	actions, err := hook.Match(s.svc.Actions, app.Pre, command)
	return !req.SkipActions && (err != nil || len(actions) > 0)
}

func (e *Engine) selected() []*session {
	var list []*session
	for _, s := range e.order {
		if s.selected && s.cmd != nil {
			list = append(list, s)
		}
	}
	return list
}

// credential returns the credential of an alias, looked up once in a run.
func (e *Engine) credential(alias string) (*credential.Credential, error) {
	e.mu.Lock()
	get := e.creds[alias]
	if get == nil {
		get = sync.OnceValues(func() (*credential.Credential, error) { return e.Credential(alias) })
		e.creds[alias] = get
	}
	e.mu.Unlock()
	return get()
}

// evaluate evaluates the props of s with what is known now.
func (e *Engine) evaluate(s *session, req Request) error {
	props, err := e.value(s, s.svc.Props, req)
	if err != nil {
		return err
	}
	if props.IsNull() {
		props = &app.Value{Kind: app.Map, Pos: s.svc.Pos}
	}
	s.props = props
	e.protect(props)
	return nil
}

// protect hides the secret texts of v in everything that is printed from now on.
func (e *Engine) protect(v *app.Value) {
	switch {
	case v == nil:
	case v.Kind == app.List:
		for _, item := range v.Items {
			e.protect(item)
		}
	case v.Kind == app.Map:
		for _, entry := range v.Entries {
			e.protect(entry.Value)
		}
	case v.Secret && v.Kind == app.String:
		e.Redactor.Add(v.Str())
	}
}

// allowNames keeps the names in the props of s readable.
func (e *Engine) allowNames(s *session) {
	if namer, ok := s.comp.(component.Namer); ok {
		for _, name := range namer.Names(s.call) {
			e.Redactor.Allow(name)
		}
	}
}

// learnedLength is the length in bytes from which a secret attribute that the file
// has in plain, such as the value of an environment variable, is hidden in foreign
// output too. Shorter ones are mostly words such as "production".
const learnedLength = 12

// learn tells the redactor which texts of the attributes are secret, and which are
// shown anyway.
func (e *Engine) learn(v any) {
	switch x := v.(type) {
	case map[string]any:
		for _, item := range x {
			e.learn(item)
		}
	case []any:
		for _, item := range x {
			e.learn(item)
		}
	case string:
		e.Redactor.Allow(x)
	case secret.String:
		if len(x.Reveal()) >= learnedLength {
			e.Redactor.Add(x.Reveal())
		}
	}
}

// newCall makes the call of the component for the props evaluated last.
func (e *Engine) newCall(s *session, command string, args component.Args) *component.Call {
	return &component.Call{
		AppName:     e.App.Name,
		Service:     s.name(),
		Component:   s.svc.Component.Str(),
		Command:     command,
		Args:        args,
		Props:       s.props,
		Dir:         e.App.Dir,
		Credential:  func() (*credential.Credential, error) { return e.credential(s.access) },
		In:          e.In,
		AutoDomain:  e.AutoDomain,
		Images:      e.Images,
		Public:      e.Redactor.Allow,
		Trace:       e.Trace,
		Parallelism: cap(e.slots),
		Notify:      func(line string) { e.emit(Notice{Service: s.name(), Text: line}) },
	}
}

// desire asks the component what the props want. Warnings are passed on.
func (e *Engine) desire(ctx context.Context, s *session, preview bool) error {
	s.call.Preview = preview
	provider := s.comp.(component.Provider)
	desired, err := provider.Desired(ctx, s.call)
	if err != nil {
		return err
	}
	types, err := provider.Types(ctx, s.call)
	e.declare(s, desired, types)
	e.allowNames(s)
	e.Redactor.Allow(desired.Account)
	for _, r := range desired.Resources {
		e.learn(map[string]any(r.Attrs))
	}
	if !preview {
		for _, w := range desired.Warnings {
			pos := w.Pos
			if pos.IsZero() {
				pos = s.svc.Pos
			}
			e.warnOnce(Warning{Pos: pos, Text: w.Summary})
		}
	}
	return err
}

// alias returns the credential alias of a service.
func (e *Engine) alias(svc *app.Service, req Request) (string, error) {
	if e.Access != "" {
		return e.Access, nil
	}
	access := svc.Access
	if access.IsNull() {
		access = e.App.Root.Get("access")
	}
	if access.IsNull() || strings.TrimSpace(access.Str()) == credential.AliyunCLI { // a name, not an expression
		return access.Str(), nil
	}
	v, err := e.value(e.sessions[svc.Name], access, req)
	if err != nil {
		return "", err
	}
	return v.Str(), nil
}

// prepare finds the services that the request is about, their components and
// their commands, and puts them in order.
func (e *Engine) prepare(req Request) error {
	for _, name := range req.Services {
		if e.App.Service(name) == nil {
			return diag.Errorf("there is no service %q in %s", name, e.App.File).
				WithHint("%s", diag.DidYouMean(name, e.App.ServiceNames()))
		}
	}
	if err := e.arrange(req); err != nil {
		return err
	}
	var problems []error
	for _, s := range e.order {
		if err := e.open(s, req); err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return errors.Join(e.limit(), e.checkCommands(req))
}

// open finds the component and the command of a service.
func (e *Engine) open(s *session, req Request) error {
	name, err := e.value(s, s.svc.Component, req)
	if err != nil {
		return err
	}
	if s.comp, err = e.Components(name.Str(), s.svc.Component.Pos); err != nil {
		return err
	}
	if s.access, err = e.alias(s.svc, req); err != nil {
		return err
	}
	if s.cmd = component.Find(s.comp, req.Command); s.cmd == nil {
		return nil
	}
	if !s.selected {
		return nil // the arguments are for the service that was asked for
	}
	if raw, ok := s.comp.(interface{ RawArgs() bool }); ok && raw.RawArgs() {
		s.args = component.Args{Rest: req.Args}
		return nil
	}
	if s.args, err = component.ParseArgs(s.cmd, Flags(req.Command), req.Args); err != nil {
		return err
	}
	return errors.Join(checkPolicy(s.args), checkRollback(s.args))
}

// checkCommands refuses a command that no service has; at application level the
// services that lack it are skipped with a warning.
func (e *Engine) checkCommands(req Request) error {
	var known []string
	have := false
	for _, s := range e.order {
		if !s.selected {
			continue
		}
		for _, c := range s.comp.Commands() {
			if !slices.Contains(known, c.Name) {
				known = append(known, c.Name)
			}
		}
		have = have || s.cmd != nil
	}
	if !have {
		who := "no component of this application has"
		if len(req.Services) > 0 {
			who = "the component of " + strings.Join(req.Services, ", ") + " does not have"
		}
		return diag.Errorf("%s the command %q", who, req.Command).WithHint("%s", diag.DidYouMean(req.Command, known))
	}
	for _, s := range e.order {
		if s.selected && s.cmd == nil {
			s.status = Missing
			e.emit(Warning{Pos: s.svc.Pos, Text: "the component of " + s.name() + " has no command " + req.Command + "; skipped"})
		}
	}
	return nil
}
