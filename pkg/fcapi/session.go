package fcapi

import (
	"context"
	"errors"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
)

// session is one call of a method.
type session struct {
	cfg    Config
	call   *component.Call
	fields fields
	api    *client.Client
}

// run calls the method with what the call gives it.
func (c *Component) run(ctx context.Context, call *component.Call, m method) (*app.Value, error) {
	given, err := m.gather(call)
	if err != nil {
		return nil, err
	}
	s := &session{cfg: c.cfg, call: call, fields: given}
	if s.api, err = s.client(); err != nil {
		return nil, err
	}
	out, err := m.run(ctx, s)
	if err != nil {
		return nil, explain(ctx, err)
	}
	return out, nil
}

func (s *session) client() (*client.Client, error) {
	cred, err := s.call.Credential()
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{
		Endpoint:        cred.Endpoint,
		AccountID:       cred.AccountID,
		Region:          s.fields.text(fieldRegion),
		AccessKeyID:     cred.AccessKeyID,
		AccessKeySecret: cred.AccessKeySecret,
		SecurityToken:   cred.SecurityToken,
		UserAgent:       "devs",
		Retry:           s.cfg.Retry,
		Transport:       s.cfg.Transport,
		Trace:           s.call.Trace,
	})
}

func (s *session) service() string  { return s.fields.text(fieldService) }
func (s *session) function() string { return s.fields.text(fieldFunction) }

// notify tells the user one line.
func (s *session) notify(line string) {
	if s.call.Notify != nil {
		s.call.Notify(line)
	}
}

// explain makes every error a problem of the component, with what to do about it.
func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	if _, ok := errors.AsType[*diag.Problem](err); ok {
		return err
	}
	p := diag.Errorf("%v", err).WithCode(diag.ExitComponent).WithCause(err)
	e, answered := errors.AsType[*client.Error](err)
	switch {
	case !answered:
	case client.IsNotFound(err):
		p.Hint = "check the region and the names, and that it was deployed with this account"
	case client.IsMoved(err):
		p.Hint = "it was changed between reading and writing, by somebody else or by this call itself; run it again"
	case client.IsForbidden(err):
		p = p.WithHint("allow the credential the action fc:%s (RAM policy), or use another credential with -a", e.Action)
	case client.IsBadKey(err):
		p.Hint = "the access key is wrong, or has expired; check the credential that this run was given"
	case client.IsElsewhere(err):
		p.Hint = "check the endpoint and the proxies on the way: what answered is not Function Compute"
	case e.Code == "VersionPublishError":
		p.Hint = "a version is only published when the service or a function of it changed since the last one"
	}
	return p
}
