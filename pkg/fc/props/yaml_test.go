package props

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// fromYAML reads YAML as props, with places and expressions: ${vars…} and ${this…}
// are looked up in root, ${env(X)} is the secret "x", all others are unknown.
func fromYAML(n, root *yaml.Node, file string) *app.Value {
	pos := diag.Pos{File: file, Line: n.Line, Column: n.Column}
	v := &app.Value{Pos: pos}
	switch n.Kind {
	case yaml.AliasNode:
		return fromYAML(n.Alias, root, file)
	case yaml.SequenceNode:
		v.Kind = app.List
		for _, item := range n.Content {
			v.Items = append(v.Items, fromYAML(item, root, file))
		}
	case yaml.MappingNode:
		v.Kind = app.Map
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			v.Entries = append(v.Entries, app.Entry{
				Key: k.Value, KeyPos: diag.Pos{File: file, Line: k.Line, Column: k.Column},
				Value: fromYAML(n.Content[i+1], root, file),
			})
		}
	case yaml.ScalarNode:
		return fromScalar(n, root, file, pos)
	}
	return v
}

var expression = regexp.MustCompile(`\$\{([^}]*)\}`)

func fromScalar(n, root *yaml.Node, file string, pos diag.Pos) *app.Value {
	if m := expression.FindStringSubmatch(n.Value); m != nil && m[0] == strings.TrimSpace(n.Value) {
		if target := lookup(root, m[1]); target != nil && target != n {
			return fromYAML(target, root, file)
		}
		if strings.HasPrefix(m[1], "env(") {
			return &app.Value{Kind: app.String, Scalar: "x", Secret: true, Pos: pos}
		}
		return &app.Value{Kind: app.Unknown, Scalar: m[1], Pos: pos}
	}
	text := expression.ReplaceAllStringFunc(n.Value, func(e string) string {
		if target := lookup(root, e[2:len(e)-1]); target != nil && target.Kind == yaml.ScalarNode {
			return target.Value
		}
		return "x"
	})
	var data any
	if err := n.Decode(&data); err != nil || text != n.Value {
		data = text
	}
	if data != nil && n.Tag == "!!timestamp" {
		data = n.Value
	}
	return app.From(data, pos)
}

func lookup(root *yaml.Node, path string) *yaml.Node {
	keys := strings.Split(strings.TrimSpace(path), ".")
	if keys[0] != "vars" {
		return nil
	}
	n := root
	for _, key := range keys {
		n = child(n, key)
	}
	return n
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// parseYAML reads props for a test.
func parseYAML(t *testing.T, text string) *app.Value {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Content) == 0 {
		return &app.Value{Kind: app.Null}
	}
	return fromYAML(doc.Content[0], doc.Content[0], "s.yaml")
}

// problems renders an error for comparison: a line for each problem, hint behind |.
func problems(err error) string {
	var lines []string
	for _, e := range diag.List(err) {
		line := e.Error()
		if p, ok := e.(*diag.Problem); ok && p.Hint != "" {
			line += " | " + p.Hint
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func ids(c *Config, o Options) string {
	resources, _, err := c.Resources(o)
	if err != nil {
		return problems(err)
	}
	var all []string
	for _, r := range resources {
		line := r.ID.String()
		if r.Absent {
			line += " absent"
		}
		if len(r.Deps) > 0 {
			line += fmt.Sprintf(" after %v", r.Deps)
		}
		if r.Managed != nil {
			line += fmt.Sprintf(" managed %d", len(r.Managed))
		}
		all = append(all, line)
	}
	return strings.Join(all, "\n")
}
