package fc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

// session is one call with the props that it is about: those of the file with
// what the command line gives in their place.
type session struct {
	cfg    Config
	limits *limits
	call   *component.Call
	props  *app.Value
	cred   *credential.Credential // set by credential
}

func (c *Component) open(call *component.Call) *session {
	args := call.Args
	v := props.Override(call.Props, props.Selectors{
		Region:   args.String("region"),
		Service:  args.String("service-name"),
		Function: args.String("function-name"),
		Triggers: args.Strings("trigger-name"),
		Domains:  args.Strings("domain-name"),
	})
	if call.Command == "remove" { // needs names alone, of the file or of the command line
		v = withNamed(v, "triggers", "name", args.Strings("trigger-name"), "")
		v = withNamed(v, "customDomains", "domainName", args.Strings("domain-name"), call.AutoDomain)
	}
	return &session{cfg: c.cfg, limits: c.limits, call: call, props: v}
}

// names returns the names in the props, of which the service must be there.
func (s *session) names() (*props.Config, error) {
	names, err := props.ParseNames(s.props)
	if err != nil {
		return nil, err
	}
	if names.Service == nil {
		return nil, missing("service")
	}
	return names, nil
}

// place is where the file names the service or the function of the call; it is
// zero when the command line does.
func (s *session) place(kind resource.Kind) diag.Pos {
	key, ok := map[resource.Kind]string{props.ServiceKind: "service", props.FunctionKind: "function"}[kind]
	if !ok || s.call.Args.String(key+"-name") != "" {
		return diag.Pos{}
	}
	if name := s.props.Get(key, "name"); name != nil {
		return name.Pos
	}
	return diag.Pos{}
}

// explain adds to an error of the client where the file names what is not there.
func (s *session) explain(id resource.ID, err error) error {
	out := explain(id, err)
	if p, ok := errors.AsType[*diag.Problem](out); ok && client.IsNotFound(err) {
		kind := id.Kind
		if e, ok := errors.AsType[*client.Error](err); ok && e.Code == "ServiceNotFound" {
			kind = props.ServiceKind
		}
		p.Pos = s.place(kind)
		p.Hint = notThere
	}
	return out
}

// notThere is the hint when a service or a function does not exist.
const notThere = "check region and name, and that it was deployed with this account"

func missing(what string) error {
	return diag.Errorf("no %s is given", what).WithCode(diag.ExitComponent).
		WithHint("set props.%s.name, or give --%s-name", what, what)
}

// credential returns the credential, which must say whose account it is: the id is
// part of addresses and of the names of resources.
func (s *session) credential() (*credential.Credential, error) {
	if s.cred != nil {
		return s.cred, nil
	}
	cred, err := s.call.Credential()
	if err != nil {
		return nil, err
	}
	if cred.AccountID == "" {
		return nil, diag.Errorf("the credential (%s) has no AccountID", cred.Source).WithCode(diag.ExitComponent).
			WithHint("add AccountID, the id of the Alibaba Cloud account; the console shows it at the top right")
	}
	s.cred = cred
	return cred, nil
}

// client returns a client for the account and region of the call.
func (s *session) client() (*client.Client, error) {
	cred, err := s.credential()
	if err != nil {
		return nil, err
	}
	region := s.props.Get("region").Str()
	return client.New(client.Config{
		Endpoint:        cred.Endpoint,
		AccountID:       cred.AccountID,
		Region:          region,
		AccessKeyID:     cred.AccessKeyID,
		AccessKeySecret: cred.AccessKeySecret,
		SecurityToken:   cred.SecurityToken,
		UserAgent:       "devs",
		Retry:           s.cfg.Retry,
		Grace:           s.cfg.Grace,
		Limiter:         s.limits.get(target{cred.Endpoint, cred.AccountID, region}, s.call.Parallelism),
		Transport:       s.cfg.Transport,
		Trace:           s.call.Trace,
	})
}

// notify tells the user one line.
func (s *session) notify(line string) {
	if s.call.Notify != nil {
		s.call.Notify(line)
	}
}

// autoDomain returns the name that the cloud gives the function by itself, "" when
// it gives none.
func (s *session) autoDomain(names *props.Config) string {
	if s.call.AutoDomain == "" || names.Service == nil || names.Function == nil {
		return ""
	}
	name := names.Function.Name + "." + names.Service.Name + "." + s.call.AutoDomain
	return strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}

// optional returns h, which lets a missing permission to read pass when the props
// do not have what is under the path: it is looked for only to take back what an
// earlier deploy left.
func (s *session) optional(h resource.Handler, path ...string) resource.Handler {
	if !s.props.Get(path...).IsNull() {
		return h
	}
	return unlessForbidden{h, s.notify}
}

// unlessForbidden takes for absent what it may not read.
type unlessForbidden struct {
	resource.Handler
	notify func(line string)
}

// Read returns the resource, nil also when reading it is denied.
func (u unlessForbidden) Read(ctx context.Context, id resource.ID) (*resource.Found, error) {
	found, err := u.Handler.Read(ctx, id)
	if f, ok := errors.AsType[*resource.Forbidden](err); ok {
		u.notify(fmt.Sprintf("%s: the credential may not look whether there is one (%s); the file has none, and what is there stays", id, f.Action))
		return nil, nil
	}
	return found, err
}
