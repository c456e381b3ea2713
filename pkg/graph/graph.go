// Package graph orders the services of an application: what a service refers to
// comes before it. It knows app and expr, and does no I/O.
package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

// Node is something to put in order.
type Node struct {
	Name string
	Pos  diag.Pos
	Deps []Dep
}

// Dep is a node that must come first.
type Dep struct {
	Name string
	Pos  diag.Pos // of the reference

	// Soft is a wish: it is dropped where it would close a cycle. A reference to
	// another service's props is one, because props can be read before that
	// service was deployed.
	Soft bool
}

// Levels returns the names in groups: a node stands in the first group in which
// everything it needs stands in an earlier one. Within a group the order is that
// of nodes. The errors are diag.Problems: a cycle, whose path is named, or a
// dependency on a node that does not exist.
func Levels(nodes []Node) ([][]string, error) {
	if err := checkNames(nodes); err != nil {
		return nil, err
	}
	waiting := slices.Clone(nodes)
	done := map[string]bool{}
	var levels [][]string
	for len(waiting) > 0 {
		level, rest := ready(waiting, done)
		if len(level) == 0 {
			relaxed, ok := relax(waiting, done)
			if !ok {
				return nil, cycle(waiting, done)
			}
			waiting = relaxed
			continue
		}
		for _, name := range level {
			done[name] = true
		}
		levels = append(levels, level)
		waiting = rest
	}
	return levels, nil
}

// Order returns the names in one list: dependencies first, otherwise in the order
// of nodes. Its errors are those of Levels.
func Order(nodes []Node) ([]string, error) {
	if _, err := Levels(nodes); err != nil {
		return nil, err
	}
	waiting := slices.Clone(nodes)
	done := map[string]bool{}
	order := make([]string, 0, len(nodes))
	for len(waiting) > 0 {
		i := slices.IndexFunc(waiting, func(n Node) bool { return n.ready(done) })
		if i < 0 {
			waiting, _ = relax(waiting, done)
			continue
		}
		order = append(order, waiting[i].Name)
		done[waiting[i].Name] = true
		waiting = slices.Delete(waiting, i, i+1)
	}
	return order, nil
}

func checkNames(nodes []Node) error {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		if slices.Contains(names[:i], n.Name) {
			return diag.At(n.Pos, "%s is there twice", n.Name).WithHint("rename one of the two")
		}
		names[i] = n.Name
	}
	for _, n := range nodes {
		for _, d := range n.Deps {
			if !slices.Contains(names, d.Name) {
				return diag.At(d.Pos, "%s refers to %s, which does not exist", n.Name, d.Name).WithHint("%s", diag.DidYouMean(d.Name, names))
			}
		}
	}
	return nil
}

func (n Node) ready(done map[string]bool) bool {
	return !slices.ContainsFunc(n.Deps, func(d Dep) bool { return !done[d.Name] })
}

func ready(waiting []Node, done map[string]bool) (level []string, rest []Node) {
	for _, n := range waiting {
		if n.ready(done) {
			level = append(level, n.Name)
		} else {
			rest = append(rest, n)
		}
	}
	return level, rest
}

// relax drops the soft dependencies that lie on a cycle; ok is false when there are
// none.
func relax(waiting []Node, done map[string]bool) (relaxed []Node, ok bool) {
	relaxed = slices.Clone(waiting)
	for i, n := range waiting {
		var kept []Dep
		for _, d := range n.Deps {
			if d.Soft && !done[d.Name] && reaches(waiting, d.Name, n.Name) {
				ok = true
				continue
			}
			kept = append(kept, d)
		}
		relaxed[i].Deps = kept
	}
	return relaxed, ok
}

func reaches(nodes []Node, from, to string) bool {
	seen := map[string]bool{from: true}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == to {
			return true
		}
		i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == queue[0] })
		if i < 0 {
			continue
		}
		for _, d := range nodes[i].Deps {
			if !seen[d.Name] {
				seen[d.Name] = true
				queue = append(queue, d.Name)
			}
		}
	}
	return false
}

// cycle names a cycle among nodes that wait for each other. Each of them waits for
// another one, so following the first such dependency comes back to where it was.
func cycle(waiting []Node, done map[string]bool) *diag.Problem {
	var names []string
	var deps []Dep
	for name := waiting[0].Name; ; {
		if i := slices.Index(names, name); i >= 0 {
			return cycleProblem(append(names[i:], name), deps[i:])
		}
		n := waiting[slices.IndexFunc(waiting, func(n Node) bool { return n.Name == name })]
		d := n.Deps[slices.IndexFunc(n.Deps, func(d Dep) bool { return !done[d.Name] })]
		names, deps, name = append(names, name), append(deps, d), d.Name
	}
}

func cycleProblem(names []string, deps []Dep) *diag.Problem {
	var detail strings.Builder
	for i, d := range deps {
		fmt.Fprintf(&detail, "%s needs %s: %s\n", names[i], d.Name, d.Pos)
	}
	return diag.At(deps[0].Pos, "the services need each other: %s", strings.Join(names, " -> ")).
		WithDetail(detail.String()).
		WithHint("remove one of these references")
}
