package yamlvalue

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// converted is a value with the number of nodes that a walk over it meets.
type converted struct {
	value *app.Value
	nodes int
}

type converter struct {
	opts     Options
	lines    [][]rune
	done     map[*yaml.Node]converted // anchors: an alias shares the value
	active   map[*yaml.Node]bool      // being converted: an alias to one of them is a cycle
	sizes    map[*app.Value]int
	merged   int  // entries that merge keys looked at
	full     bool // a limit was reported
	problems []error
}

func newConverter(text []byte, opts Options) *converter {
	return &converter{
		opts:   opts,
		lines:  lines(text),
		done:   map[*yaml.Node]converted{},
		active: map[*yaml.Node]bool{},
		sizes:  map[*app.Value]int{},
	}
}

func (c *converter) pos(n *yaml.Node) diag.Pos {
	return diag.Pos{File: c.opts.File, Line: n.Line, Column: n.Column}
}

func (c *converter) report(n *yaml.Node, hint, format string, args ...any) {
	c.problems = append(c.problems, diag.At(c.pos(n), format, args...).WithHint("%s", hint))
}

func (c *converter) null(n *yaml.Node) converted {
	return converted{&app.Value{Kind: app.Null, Pos: c.pos(n)}, 1}
}

func (c *converter) convert(n *yaml.Node, depth int) converted {
	if depth > maxDepth {
		c.limit(n, "the values are nested more than 100 deep")
		return c.null(n)
	}
	var got converted
	switch n.Kind {
	case yaml.AliasNode:
		return c.alias(n, depth)
	case yaml.ScalarNode:
		got = converted{c.scalar(n), 1}
	case yaml.SequenceNode:
		c.active[n] = true
		got = c.list(n, depth)
	case yaml.MappingNode:
		c.active[n] = true
		got = c.mapping(n, depth)
	default:
		got = c.null(n)
	}
	delete(c.active, n)
	if got.nodes > maxNodes {
		c.limit(n, "the file holds too many values")
		got = c.null(n)
	}
	c.sizes[got.value] = got.nodes
	if n.Anchor != "" {
		c.done[n] = got
	}
	return got
}

// limit reports that a limit was passed, once.
func (c *converter) limit(n *yaml.Node, summary string) {
	if !c.full {
		c.report(n, "make the file smaller, and look for aliases (*name) inside of aliases", "%s", summary)
	}
	c.full = true
}

// alias returns the value of the anchor. Positions stay those of the anchor, which
// is where the text stands.
func (c *converter) alias(n *yaml.Node, depth int) converted {
	if n.Alias == nil || c.active[n.Alias] {
		c.report(n, "remove the alias: a value cannot hold itself", "the alias *%s refers to a value that contains it", n.Value)
		return c.null(n)
	}
	if got, ok := c.done[n.Alias]; ok {
		return got
	}
	return c.convert(n.Alias, depth)
}

func (c *converter) list(n *yaml.Node, depth int) converted {
	v := &app.Value{Kind: app.List, Pos: c.pos(n), Items: make([]*app.Value, 0, len(n.Content))}
	size := 1
	for _, item := range n.Content {
		got := c.convert(item, depth+1)
		v.Items = append(v.Items, got.value)
		size += got.nodes
		if c.full || size > maxNodes {
			break // convert reports it
		}
	}
	return converted{v, size}
}

func (c *converter) mapping(n *yaml.Node, depth int) converted {
	v := &app.Value{Kind: app.Map, Pos: c.pos(n)}
	explicit := c.keys(n)
	merged := map[string]bool{}
	size := 1
	for i := 0; i+1 < len(n.Content) && !c.full && size <= maxNodes; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if isMerge(key) {
			for _, e := range c.merge(value, depth) {
				if explicit[e.Key] == nil && !merged[e.Key] {
					merged[e.Key] = true
					v.Entries = append(v.Entries, e)
					size += c.sizes[e.Value]
				}
			}
			continue
		}
		name, ok := c.key(key)
		if !ok || explicit[name] != key {
			continue
		}
		got := c.convert(value, depth+1)
		v.Entries = append(v.Entries, app.Entry{Key: name, KeyPos: c.pos(key), Value: got.value})
		size += got.nodes
	}
	return converted{v, size}
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && key.ShortTag() == "!!merge"
}

// keys returns the node of every key written in the mapping, and reports keys that
// are written twice or are no texts.
func (c *converter) keys(n *yaml.Node) map[string]*yaml.Node {
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if isMerge(key) {
			continue
		}
		name, ok := c.key(key)
		if !ok {
			c.report(key, "write a text as key; put {{ }} and ${...} that begin a value in quotes", "a key is %s", kindOf(key))
			continue
		}
		if first := seen[name]; first != nil {
			c.report(key, "keep one of the two", "the key %s is there already, at %s", name, c.pos(first))
			continue
		}
		seen[name] = key
	}
	return seen
}

// key returns the text of a scalar key. Numbers and booleans are keys as they are
// written.
func (c *converter) key(n *yaml.Node) (string, bool) {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode || n.Value == "" && n.Style == 0 {
		return "", false
	}
	return n.Value, true
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "empty"
}

// merge returns the entries that `<<` brings in: those of one mapping, or of a
// list of mappings of which the earlier ones win.
func (c *converter) merge(n *yaml.Node, depth int) []app.Entry {
	v := c.convert(n, depth+1).value
	switch v.Kind {
	case app.Map:
		return c.merging(n, v.Entries)
	case app.List:
		var all []app.Entry
		for _, item := range v.Items {
			if item.Kind != app.Map {
				c.report(n, "merge mappings only, for example <<: [*a, *b]", "the merge key << has %s in its list", item.Kind)
				return nil
			}
			all = append(all, c.merging(n, item.Entries)...)
		}
		return all
	}
	if !c.full && len(c.problems) == 0 {
		c.report(n, "write <<: *name, where &name marks a mapping", "the merge key << has %s, not a mapping", v.Kind)
	}
	return nil
}

// merging counts the entries that merge keys look at in the whole file: a few
// lines can ask for billions.
func (c *converter) merging(n *yaml.Node, entries []app.Entry) []app.Entry {
	c.merged += len(entries)
	if c.merged > maxNodes {
		c.limit(n, "the file holds too many values")
		return nil
	}
	return entries
}

func (c *converter) scalar(n *yaml.Node) *app.Value {
	v := &app.Value{Kind: app.String, Pos: c.pos(n), Scalar: n.Value}
	switch tag := n.ShortTag(); tag {
	case "!!null":
		v.Kind, v.Scalar = app.Null, nil
	case "!!bool":
		b, err := strconv.ParseBool(strings.ToLower(n.Value))
		if err != nil {
			c.report(n, "write true or false", "%q is not a boolean", n.Value)
			return v
		}
		v.Kind, v.Scalar = app.Bool, b
	case "!!int", "!!float":
		number(v, n.Value)
	case "!!str", "!!timestamp", "":
		// Dates stay the text that they are.
		c.mark(v, n)
	default:
		c.report(n, "remove the tag, or put a value that begins with ! in quotes", "the tag %s is not supported", n.Tag)
	}
	return v
}

// number makes v the number that text spells. One that neither int64 nor float64
// can hold (20 digits, .inf) stays a String, so that no digit is lost.
func number(v *app.Value, text string) {
	plain := strings.ReplaceAll(text, "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		v.Kind, v.Scalar, v.Raw = app.Int, i, text
		return
	}
	if strings.ContainsAny(strings.TrimLeft(plain, "+-"), ".eE") && !slices.Contains([]string{".inf", ".nan"}, strings.ToLower(strings.TrimLeft(plain, "+-"))) {
		if f, err := strconv.ParseFloat(plain, 64); err == nil {
			v.Kind, v.Scalar, v.Raw = app.Float, f, text
		}
	}
}

// mark notes the place of every "${" in a text. The n-th one of the value is the
// n-th one in the source from where the scalar begins, whatever its style is.
func (c *converter) mark(v *app.Value, n *yaml.Node) {
	count := strings.Count(n.Value, "${")
	if !c.opts.Expressions || count == 0 {
		return
	}
	v.Exprs = make([]diag.Pos, 0, count)
	column := n.Column - 1
	for line := n.Line - 1; line >= 0 && line < len(c.lines) && len(v.Exprs) < count; line++ {
		text := c.lines[line]
		for i := column; i+1 < len(text) && len(v.Exprs) < count; i++ {
			if text[i] == '$' && text[i+1] == '{' {
				v.Exprs = append(v.Exprs, diag.Pos{File: c.opts.File, Line: line + 1, Column: i + 1})
			}
		}
		column = 0
	}
	for len(v.Exprs) < count { // spelled with escapes
		v.Exprs = append(v.Exprs, c.pos(n))
	}
}
