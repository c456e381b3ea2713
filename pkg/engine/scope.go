package engine

import (
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/expr"
)

// value evaluates v as a part of the service s (nil: of the application) with what
// is known now.
func (e *Engine) value(s *session, v *app.Value, req Request) (*app.Value, error) {
	return e.evaluateIn(e.scope(s, req), v)
}

func (e *Engine) evaluateIn(scope *expr.Scope, v *app.Value) (*app.Value, error) {
	got, warnings, err := expr.Evaluate(v, scope)
	for _, w := range warnings {
		e.warnOnce(Warning{Pos: w.Pos, Text: w.Text})
	}
	return got, err
}

// warnOnce emits a warning that evaluating twice would repeat.
func (e *Engine) warnOnce(w Warning) {
	e.mu.Lock()
	again := e.warned[w]
	e.warned[w] = true
	e.mu.Unlock()
	if !again {
		e.emit(w)
	}
}

func (e *Engine) scope(s *session, req Request) *expr.Scope {
	scope := &expr.Scope{
		Edition:         e.App.Edition,
		Env:             e.secretEnv,
		Dir:             e.App.Dir,
		ReadFile:        e.ReadFile,
		Exists:          e.Exists,
		Root:            e.App.Root,
		ServiceNames:    e.App.ServiceNames(),
		AllowUnresolved: req.AllowUnresolved || s.looksOnly(),
		Service: func(name string) *expr.View {
			if svc := e.App.Service(name); svc != nil {
				return e.view(svc, s)
			}
			return nil
		},
	}
	if e.Stranger {
		scope.Env = func(string) (string, bool) { return "", false }
	}
	if s != nil {
		scope.This = e.view(s.svc, s)
	}
	if s != nil && !e.Stranger {
		scope.Config = func(field string) (*app.Value, error) { return e.credentialField(s, field) }
	}
	return scope
}

// looksOnly reports whether the command changes nothing online: what it does not
// need may stay unresolved.
func (s *session) looksOnly() bool {
	return s != nil && s.cmd != nil && s.cmd.Run != nil && !s.cmd.Mutates
}

// secretEnv is env(): whatever comes out of it is hidden in foreign output from now
// on, also as a part of a longer text.
func (e *Engine) secretEnv(name string) (string, bool) {
	value, ok := e.Env(name)
	e.Redactor.Add(value)
	return value, ok
}

// credentialField is ${config(field)}.
func (e *Engine) credentialField(s *session, field string) (*app.Value, error) {
	cred, err := e.credential(s.access)
	if err != nil {
		return nil, err
	}
	text, hidden, ok := cred.Get(field)
	if !ok {
		return nil, nil
	}
	v := app.Text(text)
	v.Secret = hidden
	return v, nil
}

// view is what expressions of the service by (nil: of the application) can see of a
// service. Services that do not refer to each other run side by side: what becomes of
// one is not seen by the other.
func (e *Engine) view(svc *app.Service, by *session) *expr.View {
	v := expr.ViewOf(e.App, svc)
	s := e.sessions[svc.Name]
	if s == nil {
		return v
	}
	v.Access = app.Text(s.access)
	if by == nil || by == s || slices.Contains(e.refs[by.name()], svc.Name) {
		v.Output = s.output
		if v.Output == nil && s.desired != nil {
			v.Output = s.desired.Expected
		}
	}
	return v
}
