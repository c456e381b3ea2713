package expr

import (
	"errors"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// isShellArray reports whether a placeholder is like ${vars[0]}, which is the
// shell's.
func isShellArray(p part) bool {
	i := strings.IndexAny(p.text, ".[(")
	return i >= 0 && p.text[i] == '['
}

// unresolved reports err for a placeholder, or warns when unresolved ones may stay.
func (e *evaluator) unresolved(text string, at diag.Pos, err error) bool {
	problem, ok := errors.AsType[*diag.Problem](err)
	if !ok {
		problem = diag.Errorf("%s cannot be resolved: %v", text, err).WithCause(err).WithHint(
			"correct the expression, or pass --allow-unresolved to keep the text")
	}
	if e.scope.AllowUnresolved {
		e.warn(at, "%s stays as written: %s", text, problem.Summary)
		return true
	}
	if problem.Pos.IsZero() {
		problem.Pos = at
	}
	e.report(problem)
	return false
}

// unknownForm deals with a well-formed placeholder that names nothing we know.
func (e *evaluator) unknownForm(p part, at diag.Pos, c context) bool {
	if c.mode == Shell || p.text == "${aliyun-cli}" {
		return true
	}
	if near := nearFunction(p.expr); near != "" {
		return e.unresolved(p.text, at, diag.Errorf("%s is no function", p.expr.name).WithHint("did you mean %s?", near))
	}
	if e.scope.Edition == app.Edition3 {
		return e.unresolved(p.text, at, diag.Errorf("%s is no known expression", p.text).
			WithHint("use vars.x, env('X'), this.props.x, resources.name.output.x, or pass --allow-unresolved to keep the text"))
	}
	e.warn(at, "%s is no known expression and stays as written", p.text)
	return true
}

// nearFunction returns the function that a call of an unknown one was meant to be.
func nearFunction(x *expression) string {
	if x.kind != kindCall {
		return ""
	}
	sorted := func(s string) string {
		r := []rune(strings.ToLower(s))
		slices.Sort(r)
		return string(r)
	}
	for _, f := range functions {
		if sorted(f) == sorted(x.name) { // evn: too short for a distance
			return f
		}
	}
	return diag.Suggest(x.name, functions[:])
}

// unreadable deals with a "${" that begins no well-formed placeholder.
func (e *evaluator) unreadable(p part, rest string, v *app.Value, c context) bool {
	known := beginsKnown(rest)
	if !known && c.mode == Shell {
		return true
	}
	at, text := place(v, p.nth), broken(rest)
	if known || e.scope.Edition == app.Edition3 {
		return e.unresolved(text, at, diag.Errorf("%s cannot be read: %v", text, p.err).
			WithHint("write it like ${env('X')} or ${vars.x}, or pass --allow-unresolved to keep the text"))
	}
	e.warn(at, "%s is no known expression and stays as written", text)
	return true
}

// beginsKnown reports whether text begins like a function call or a path with a
// root that every file has.
func beginsKnown(text string) bool {
	p := parser{text: text, at: len("${")}
	p.space()
	word := p.word()
	p.space()
	switch p.peek() {
	case '(':
		return isFunction(word)
	case '.':
		return isRoot(word) || word == "env"
	}
	return false
}
