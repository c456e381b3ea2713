package credential

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// maxFields bounds the fields of one credential; real ones have fewer than ten.
const maxFields = 100

// document is access.yaml: a mapping of aliases, kept as nodes, so that whatever
// we do not know survives a rewrite.
type document struct {
	file string
	doc  *yaml.Node // document node
	root *yaml.Node // its mapping
}

// parseDocument reads access.yaml. Its errors carry a line, never a word of the
// file.
func parseDocument(file string, data []byte) (*document, error) {
	d := &document{file: file, doc: &yaml.Node{}}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(d.doc); errors.Is(err, io.EOF) {
		d.doc = &yaml.Node{Kind: yaml.DocumentNode}
	} else if err != nil {
		return nil, d.problem(errorLine(err), "this file is not valid YAML")
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, d.problem(0, "this file holds more than one YAML document")
	}
	if len(d.doc.Content) == 0 || isNull(d.doc.Content[0]) {
		d.doc.Content = []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map"}}
	}
	d.root = d.doc.Content[0]
	if d.root.Kind != yaml.MappingNode {
		return nil, d.problem(d.root.Line, "this file must be a mapping of aliases")
	}
	seen := map[string]bool{}
	for i := 0; i < len(d.root.Content); i += 2 {
		key := d.root.Content[i]
		if key.Kind != yaml.ScalarNode || seen[key.Value] {
			return nil, d.problem(key.Line, "this alias is not a plain text, or stands twice")
		}
		seen[key.Value] = true
	}
	return d, nil
}

func (d *document) problem(line int, text string) error {
	return diag.At(diag.Pos{File: d.file, Line: line}, "%s", text).
		WithHint("repair the file, or remove it and run devs config add again")
}

// errorLine returns the line that a YAML error names, or 0. The rest of its text
// may quote the file and is not used.
func errorLine(err error) int {
	m := regexp.MustCompile(`^yaml: line (\d+):`).FindStringSubmatch(err.Error())
	if m == nil {
		return 0
	}
	line, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return line
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// aliases returns the names in the order of the file. A key whose value is no
// mapping is none: it is kept, but not ours.
func (d *document) aliases() []string {
	var names []string
	for i := 0; i < len(d.root.Content); i += 2 {
		if deref(d.root.Content[i+1]).Kind == yaml.MappingNode {
			names = append(names, d.root.Content[i].Value)
		}
	}
	return names
}

// index returns where the key of alias is in root.Content, or -1.
func (d *document) index(alias string) int {
	for i := 0; i < len(d.root.Content); i += 2 {
		if d.root.Content[i].Value == alias {
			return i
		}
	}
	return -1
}

// fields returns the decrypted fields of an alias, internal ones (__provider,
// __default) included, in the order of the file. ok is false when there is no
// such alias.
func (d *document) fields(alias string) (fields []Field, ok bool, err error) {
	i := d.index(alias)
	if i < 0 {
		return nil, false, nil
	}
	key, entry := d.root.Content[i], deref(d.root.Content[i+1])
	if entry.Kind != yaml.MappingNode {
		return nil, true, d.problem(key.Line, "the entry of this alias is not a mapping")
	}
	if len(entry.Content) > 2*maxFields {
		return nil, true, d.problem(key.Line, "the entry of this alias has too many fields")
	}
	for j := 0; j < len(entry.Content); j += 2 {
		name, value := entry.Content[j], deref(entry.Content[j+1])
		if name.Value == "<<" {
			return nil, true, d.problem(name.Line, "merge keys are not supported here")
		}
		if value.Kind != yaml.ScalarNode || isNull(value) {
			continue
		}
		plain, err := decrypt(value.Value)
		if err != nil {
			return nil, true, d.problem(value.Line, err.Error())
		}
		fields = append(fields, Field{Name: name.Value, Value: secret.New(plain)})
	}
	return fields, true, nil
}

func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// internalValue returns the value of an internal field, such as __provider.
func internalValue(fields []Field, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return strings.TrimSpace(f.Value.Reveal())
		}
	}
	return ""
}

// put sets one field of an alias, whose entry is made when it is missing. The
// value is written as it is: the caller has encrypted it.
func (d *document) put(alias, name, value string) {
	i := d.index(alias)
	if i < 0 {
		i = len(d.root.Content)
		d.root.Style = 0
		d.root.Content = append(d.root.Content, scalar(alias), &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
	}
	entry := d.root.Content[i+1]
	if entry.Kind != yaml.MappingNode {
		entry = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		d.root.Content[i+1] = entry
	}
	for j := 0; j < len(entry.Content); j += 2 {
		if entry.Content[j].Value == name {
			entry.Content[j+1] = scalar(value)
			return
		}
	}
	entry.Style = 0
	entry.Content = append(entry.Content, scalar(name), scalar(value))
}

// clear removes the fields of an alias, all but the internal ones that another
// command set (__default).
func (d *document) clear(alias string) {
	i := d.index(alias)
	if i < 0 || d.root.Content[i+1].Kind != yaml.MappingNode {
		return
	}
	entry := d.root.Content[i+1]
	var kept []*yaml.Node
	for j := 0; j < len(entry.Content); j += 2 {
		name := entry.Content[j].Value
		if strings.HasPrefix(name, "__") && name != keyProvider {
			kept = append(kept, entry.Content[j], entry.Content[j+1])
		}
	}
	entry.Content = kept
}

// remove deletes an alias and reports whether it was there.
func (d *document) remove(alias string) bool {
	i := d.index(alias)
	if i < 0 {
		return false
	}
	d.root.Content = slices.Delete(d.root.Content, i, i+2)
	return true
}

// bytes returns the document as YAML.
func (d *document) bytes() ([]byte, error) {
	if usesAnchors(d.root) {
		return nil, d.problem(0, "this file uses YAML anchors, which cannot be rewritten safely")
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(d.doc); err != nil {
		return nil, d.problem(0, "this file cannot be written as YAML again")
	}
	if err := encoder.Close(); err != nil {
		return nil, d.problem(0, "this file cannot be written as YAML again")
	}
	return b.Bytes(), nil
}

func usesAnchors(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || n.Anchor != "" || slices.ContainsFunc(n.Content, usesAnchors)
}

func scalar(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}
