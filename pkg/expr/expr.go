// Package expr evaluates the ${...} expressions of an application file on parsed
// nodes, never on text: a value that comes out of the environment, a credential or
// a file is data, and is never searched for expressions again.
//
// It may know app, diag and the YAML reader. It does no I/O of its own: the
// environment and the files come in through Scope.
package expr

import (
	"errors"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// Mode says what becomes of a ${...} that is no known form.
type Mode int

const (
	// ByEdition: an error in 3.0.0; in 1.0.0 it stays as written, with a warning,
	// because such files hold shell text. A known form (a function, vars., this.,
	// a service's props or output) that cannot be resolved is an error in both.
	ByEdition Mode = iota

	// Shell is for the text of hooks: known forms are replaced, everything else
	// (${HOME}, ${A:-b}, $(...), $$) is the shell's, without a warning.
	Shell
)

// Scope is what expressions can see.
type Scope struct {
	Edition  app.Edition
	Mode     Mode
	Env      func(name string) (string, bool)
	Dir      string                            // absolute; base of file() and path()
	ReadFile func(path string) ([]byte, error) // path is absolute
	Exists   func(path string) bool            // path is absolute

	// Root is the whole document, for vars and every other top-level key. Its
	// expressions are evaluated when they are used.
	Root *app.Value

	// Config returns a field of the resolved credential, nil when it has none of
	// that name; a Value of Kind Unknown when credentials come later. A nil func
	// means that there is no credential.
	Config func(field string) (*app.Value, error)

	// Secret returns a value of the local secret store; nil func: there is none.
	Secret func(key string) (*app.Value, error)

	This         *View                   // the service that the value belongs to; nil outside of one
	Service      func(name string) *View // nil when there is no such service
	ServiceNames []string                // for suggestions

	// AllowUnresolved leaves what cannot be resolved as it was written, with a
	// warning.
	AllowUnresolved bool
}

// View is what expressions can see of a service. Its values may be as written: they
// are evaluated when used, each path on its own, so two services may
// use parts of each other.
type View struct {
	Name      string
	Access    *app.Value
	Component *app.Value
	Props     *app.Value
	Vars      *app.Value // of the resource (3.0.0)
	Actions   *app.Value
	Output    *app.Value // result of the command; nil when not known yet
	Info      *app.Value // result of its info command; nil when not known yet
}

// Warning is something that the author of the file should know, not an error.
type Warning struct {
	Pos  diag.Pos
	Text string
}

// String returns file:line:column: text.
func (w Warning) String() string {
	if w.Pos.IsZero() {
		return w.Text
	}
	return w.Pos.String() + ": " + w.Text
}

// Text returns s as if it were written at pos in an application file: its
// expressions will be evaluated.
func Text(s string, pos diag.Pos) *app.Value {
	v := &app.Value{Kind: app.String, Scalar: s, Pos: pos}
	for range strings.Count(s, "${") {
		v.Exprs = append(v.Exprs, pos)
	}
	return v
}

// Has reports whether v holds a "${" that Evaluate would look at.
func Has(v *app.Value) bool {
	if v == nil {
		return false
	}
	if len(v.Exprs) > 0 {
		return true
	}
	for _, item := range v.Items {
		if Has(item) {
			return true
		}
	}
	for _, e := range v.Entries {
		if Has(e.Value) {
			return true
		}
	}
	return false
}

// Evaluate returns v with every expression replaced by its value. A text that is
// one placeholder becomes the value with its type; in a longer text the value's
// spelling is put in. What depends on an unknown output is Unknown. A text that
// holds something secret is secret as a whole.
//
// The error joins a diag.Problem (exit code 100) for each expression that cannot
// be resolved, at its place; all of them are found in one call.
//
// The result holds no expressions: evaluating it again changes nothing. Edition
// 3.0.0's "a resolved text is parsed one more time" holds here for texts written in
// the application file (a var may use another var, to any depth), and for them
// only: an environment variable that holds "${x}" arrives byte for byte.
func Evaluate(v *app.Value, s *Scope) (*app.Value, []Warning, error) {
	if v == nil {
		return nil, nil, nil
	}
	e := &evaluator{scope: s, memo: map[memoKey]*outcome{}, said: map[string]bool{}}
	got, ok := e.value(v, context{view: s.This, mode: s.Mode, label: "this value"})
	if !ok {
		return nil, e.warnings, errors.Join(e.problems...)
	}
	return got, e.warnings, nil
}
