package props

import (
	"os"
	"path/filepath"
	"testing"

	"gopkg.in/yaml.v3"
)

// FuzzParse feeds YAML as props: whatever it is, it is refused or becomes resources,
// and states of them equal themselves.
func FuzzParse(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "full.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(small))
	f.Add([]byte("region: [cn-hangzhou]\nservice: {name: {a: b}}\nfunction: [x]\ntriggers: {a: b}\ncustomDomains: [[]]"))
	f.Add([]byte("region: ${a.b}\nservice: ${c}\nfunction: ${d}\ntriggers: ${e}\ncustomDomains: [${f}]"))
	f.Add([]byte("region: cn-hangzhou\nservice: {name: s, role: [], tracingConfig: {}, vpcBinding: x}\nfunction: {name: f, layers: {}, environmentVariables: {'': }}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var doc yaml.Node
		if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 || cyclic(&doc, 0) {
			return
		}
		v := fromYAML(doc.Content[0], doc.Content[0], "s.yaml")
		_, _ = ParseNames(Override(v, Selectors{Region: "cn-hangzhou", Service: "s", Function: "f", Triggers: []string{"t"}}))
		c, err := Parse(v)
		if err != nil {
			return
		}
		resources, _, err := c.Resources(fullOptions())
		if err != nil {
			return
		}
		schemas := Schemas()
		for _, r := range resources {
			diffs := schemas[r.Kind].Compare(r.Attrs, r.Attrs, nil)
			if len(diffs) > 0 && !v.HasUnknown() {
				t.Errorf("%s differs from itself: %v", r.ID, diffs)
			}
		}
	})
}

// cyclic reports whether an alias leads back to itself, or vars to vars, which the
// reader of files refuses.
func cyclic(n *yaml.Node, depth int) bool {
	if depth > 20 || n.Kind == yaml.AliasNode || n.Kind == yaml.ScalarNode && expression.MatchString(n.Value) && depth > 6 {
		return true
	}
	if n.Kind == yaml.ScalarNode && len(n.Value) > 2 && n.Value[:2] == "${" && len(n.Value) > 6 && n.Value[2:6] == "vars" {
		return true
	}
	for _, c := range n.Content {
		if cyclic(c, depth+1) {
			return true
		}
	}
	return false
}
