package graph

import (
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/expr"
)

// Nodes returns the services of an application with what they refer to, directly,
// through vars, or through another service's props. A reference to an output or
// info is a hard dependency, one to props a soft one; `this` is none. Names of
// services that do not exist are left to the evaluation, which reports them.
func Nodes(a *app.App) []Node {
	nodes := make([]Node, len(a.Services))
	for i, s := range a.Services {
		c := collector{app: a, origin: s.Name, seen: map[seen]bool{}, node: Node{Name: s.Name, Pos: s.Pos}}
		c.inProps = true
		for _, v := range []*app.Value{s.Component, s.Access, s.Props} {
			c.collect(v, s.Name)
		}
		c.inProps = false
		for _, action := range s.Actions {
			for _, step := range action.Steps {
				for _, v := range []*app.Value{step.Do, step.Path, step.Args} {
					c.collect(v, s.Name)
				}
			}
		}
		nodes[i] = c.node
	}
	return nodes
}

// seen: a value means something else when `this` is another service.
type seen struct {
	value *app.Value
	this  string
}

type collector struct {
	app     *app.App
	origin  string
	inProps bool // an own output cannot be used there
	seen    map[seen]bool
	node    Node
}

// collect adds what v, which belongs to the service this, refers to.
func (c *collector) collect(v *app.Value, this string) {
	if v == nil || c.seen[seen{v, this}] {
		return
	}
	c.seen[seen{v, this}] = true
	for _, ref := range expr.References(v, c.app.Edition) {
		if ref.Service == "this" {
			ref.Service = this
			if this == c.origin && (ref.Kind == expr.RefOutput || ref.Kind == expr.RefInfo) {
				continue
			}
		}
		c.follow(ref, this)
	}
}

func (c *collector) follow(ref expr.Ref, this string) {
	if ref.Kind == expr.RefRoot {
		c.collect(expr.Lookup(c.app.Root, ref.Path), this)
		return
	}
	s := c.app.Service(ref.Service)
	if s == nil {
		// A top-level key may be called like X in ${X.props.y}.
		path := append([]string{ref.Service, string(ref.Kind)}, ref.Path...)
		c.collect(expr.Lookup(c.app.Root, path), this)
		return
	}
	switch ref.Kind {
	case expr.RefOutput, expr.RefInfo:
		if ref.Service != c.origin || c.inProps {
			c.add(Dep{Name: ref.Service, Pos: ref.Pos})
		}
	case expr.RefProps:
		if ref.Service != c.origin {
			c.add(Dep{Name: ref.Service, Pos: ref.Pos, Soft: true})
		}
		c.collect(expr.Lookup(s.Props, ref.Path), ref.Service)
	case expr.RefVars:
		c.collect(expr.Lookup(expr.ViewOf(c.app, s).Vars, ref.Path), ref.Service)
	}
}

// add adds a dependency once; a hard one replaces a soft one.
func (c *collector) add(d Dep) {
	i := slices.IndexFunc(c.node.Deps, func(have Dep) bool { return have.Name == d.Name })
	switch {
	case i < 0:
		c.node.Deps = append(c.node.Deps, d)
	case c.node.Deps[i].Soft && !d.Soft:
		c.node.Deps[i] = d
	}
}
