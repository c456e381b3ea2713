package props

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
)

// corpusDir holds real application files, one beside the other. They are not part
// of the project: DEVS_CORPUS names the folder.
func corpusDir() string {
	return cmp.Or(os.Getenv("DEVS_CORPUS"), filepath.Join("..", "..", "..", "..", "shared", "corpus", "s-yaml"))
}

var placeholder = regexp.MustCompile(`"\{\{[^}]*\}\}"|'\{\{[^}]*\}\}'|\{\{[^}]*\}\}`)

// fillPlaceholders puts values in the place of template variables, as the tool that
// starts a project from a template does.
func fillPlaceholders(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		name := strings.ToLower(p)
		switch {
		case strings.Contains(name, "region"):
			return "cn-hangzhou"
		case strings.Contains(name, "runtime"):
			return "nodejs14"
		case strings.Contains(name, "image"), strings.Contains(name, "acr"):
			return "localhost/x/x:1"
		case strings.Contains(name, "domain"):
			return "auto"
		case strings.Contains(name, "arn"):
			return "acs:ram::1:role/x"
		}
		return "sample"
	})
}

// wontDeploy are the reasons for which a file of the corpus may be refused: what
// devs does not do yet, what the API refuses, what was never meant to be deployed.
var wontDeploy = []string{
	`(nasConfig|logConfig|vpcConfig): auto.* is not supported yet`,
	`service\.role: making a role .* is not supported yet`,
	`certId: .* is not supported yet`,
	`"xxx" `, // samples of the documentation
	`unknown key "(Handler|Command|Args)" in function`,
	`unknown key "samplevpcConfig"`,                  // half of a template
	`image must be a text, not a mapping`,            // a placeholder in braces
	`"(POSTx|sme)" is not known`,                     // fixtures of the upstream tool
	`the code is not configured`,                     // fixtures of midway
	`props\.service is missing|need an http trigger`, // likewise
	`function\.codeUri and function\.ossKey exclude`, // a sample that shows both
	`the text "sample"`,
}

// TestCorpus reads the props of real files and reports which are refused and why.
func TestCorpus(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(corpusDir(), "*.y*ml"))
	if len(files) == 0 {
		t.Skip("no corpus: set DEVS_CORPUS to a folder of application files")
	}
	allowed := regexp.MustCompile(strings.Join(wontDeploy, "|"))
	accepted, refused := 0, 0
	reasons := map[string][]string{}
	for _, file := range files {
		for _, v := range fcProps(file) {
			err := deployable(v)
			if err == nil {
				accepted++
				continue
			}
			refused++
			for _, e := range diag.List(err) {
				summary := e.Error()
				if p, ok := e.(*diag.Problem); ok {
					summary = p.Summary
				}
				reasons[summary] = append(reasons[summary], filepath.Base(file))
			}
		}
	}
	t.Logf("accepted %d, refused %d", accepted, refused)
	for _, reason := range slices.SortedFunc(maps.Keys(reasons), func(a, b string) int { return len(reasons[b]) - len(reasons[a]) }) {
		t.Logf("%4d %s (%s)", len(reasons[reason]), reason, reasons[reason][0])
		if !allowed.MatchString(reason) {
			t.Errorf("refused: %s", reason)
		}
	}
}

func deployable(v *app.Value) error {
	c, err := Parse(v)
	if err != nil {
		return err
	}
	_, _, err = c.Resources(Options{
		Account: "1", AutoDomain: "test", Dir: "/app",
		Pack:     func(Code) (resource.Payload, error) { return payload{}, nil },
		ReadFile: func(string) ([]byte, error) { return []byte("-----BEGIN"), nil },
	})
	return err
}

// fcProps returns the props of each service of component fc; what only a deploy
// can tell has a plausible value in the places that must be known.
func fcProps(file string) []*app.Value {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var doc yaml.Node
	if yaml.Unmarshal([]byte(fillPlaceholders(string(data))), &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	root := doc.Content[0]
	services := child(root, "services")
	if services == nil {
		return nil
	}
	var all []*app.Value
	for i := 1; i < len(services.Content); i += 2 {
		component := child(services.Content[i], "component")
		props := child(services.Content[i], "props")
		if component == nil || props == nil {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(component.Value, "devsapp/"), "@")
		if name == "fc" {
			all = append(all, plausible(fromYAML(props, root, filepath.Base(file)), ""))
		}
	}
	return all
}

// plausible replaces unknown values where a name must be known.
func plausible(v *app.Value, key string) *app.Value {
	c := *v
	fill := map[string]string{"region": "cn-hangzhou", "name": "sample", "runtime": "nodejs14", "codeUri": "./code",
		"image": "localhost/x/x:1", "domainName": "auto", "protocol": "HTTP", "handler": "x"}
	switch v.Kind {
	case app.Unknown:
		if text, ok := fill[key]; ok {
			return &app.Value{Kind: app.String, Scalar: text, Pos: v.Pos}
		}
		if key == "service" {
			return &app.Value{Kind: app.Map, Pos: v.Pos, Entries: []app.Entry{{Key: "name", Value: app.Text("sample")}}}
		}
	case app.String:
		if v.Secret && fill[key] != "" {
			c.Scalar = fill[key]
		}
	case app.List:
		c.Items = nil
		for _, item := range v.Items {
			c.Items = append(c.Items, plausible(item, key))
		}
	case app.Map:
		c.Entries = slices.Clone(v.Entries)
		for i, e := range c.Entries {
			c.Entries[i].Value = plausible(e.Value, e.Key)
		}
	}
	return &c
}

// payload is a code package for tests.
type payload struct{ resource.Payload }

func (payload) Checksum() string { return "123" }
func (payload) Size() int64      { return 7 }
