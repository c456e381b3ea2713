package resource

import (
	"fmt"
	"testing"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/secret"
)

func block(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func TestCompare(t *testing.T) {
	schema := Schema{
		"memorySize":           {Default: int64(128), Number: true},
		"access":               {KeepUnset: true, Default: true},
		"log.metrics":          {Default: false},
		"log.rule":             {Default: "None"},
		"env.*":                {Text: true, Secret: true},
		"role":                 {Fold: true},
		"ids":                  {Set: true},
		"routes[].methods":     {KeepUnset: true, Set: true},
		"routes[].qualifier":   {Default: "LATEST"},
		"health.successes":     {KeepUnset: true},
		"kind":                 {Immutable: true},
		"time":                 {Ignore: true},
		"methods":              {Set: true, Default: []any{"POST", "GET"}},
		"source.parameters.id": {KeepUnset: true},
	}
	tests := []struct {
		name        string
		found, want Attributes
		diff        string // of the paths, with old and new
	}{
		{"empty values equal absent ones", block("a", "", "b", []any{}, "c", block(), "d", nil), block(), ""},
		{"a default equals absent", block("memorySize", 128), block(), ""},
		{"absent equals a default", block(), block("memorySize", "128"), ""},
		{"a default stands in for what is absent", block("memorySize", 512), block(), "memorySize 512 128"},
		{"a block of defaults equals an absent block", block("log", block("project", "", "rule", "None", "metrics", false)), block(), ""},
		{"an absent block differs where it is no default", block("log", block("project", "p", "rule", "None")), block(), "log.project p <nil>"},
		{"a list can be a default", block("methods", []any{"GET", "POST"}), block(), ""},
		{"unset keeps what is online", block("access", false), block(), ""},
		{"an explicit false is set", block("access", true), block("access", false), "access true false"},
		{"an explicit default is set", block("access", false), block("access", true), "access false true"},
		{"unset keeps what is online in a block", block("health", block("url", "/", "successes", 2)), block("health", block("url", "/")), ""},
		{"unset keeps what is online deep in blocks", block("source", block("parameters", block("id", "x", "n", 1))), block("source", block("parameters", block("n", 1))), ""},
		{"a removed block is removed with what would be kept", block("health", block("url", "/", "successes", 2)), block(), "health.successes 2 <nil>,health.url / <nil>"},
		{"unset keeps what is online in lists", block("routes", []any{block("path", "/a", "methods", []any{"GET"})}), block("routes", []any{block("path", "/a")}), ""},
		{"set in lists is compared", block("routes", []any{block("path", "/a", "methods", []any{"GET", "PUT"})}),
			block("routes", []any{block("path", "/a", "methods", []any{"PUT", "GET"})}), ""},
		{"defaults in lists", block("routes", []any{block("path", "/a", "qualifier", "LATEST")}), block("routes", []any{block("path", "/a")}), ""},
		{"sets have no order and nothing twice", block("ids", []any{"b", "a"}), block("ids", []any{"a", "b", "b"}), ""},
		{"secrets in sets", block("ids", []any{"b", secret.New("a")}), block("ids", []any{secret.New("b"), "a"}), ""},
		{"case of texts", block("role", "ROLE/X"), block("role", "role/x"), ""},
		{"numbers as texts", block("env", block("N", "1", "B", "true")), block("env", block("N", 1, "B", true)), ""},
		{"below a wildcard all is secret", block("env", block("A.B", "old")), block("env", block("A.B", "new")), "env.A.B *** ***"},
		{"ignored", block("time", "1"), block("time", "2"), ""},
		{"unknown equals nothing", block("a", "x"), block("a", app.UnknownValue{Expr: "b.output"}), "a x (known after deploy: b.output)"},
		{"against nothing all is different", nil, block("memorySize", 128, "access", true), "access <nil> true,memorySize <nil> 128"},
		{"immutable", block("kind", "a"), block("kind", "b"), "kind a b!"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			for _, d := range schema.Compare(tc.found, tc.want, nil) {
				if got != "" {
					got += ","
				}
				got += fmt.Sprintf("%s %v %v", d.Path, d.Old, d.New)
				if d.Immutable {
					got += "!"
				}
			}
			if got != tc.diff {
				t.Errorf("differences: %q, want %q", got, tc.diff)
			}
		})
	}
}

func TestCompareManaged(t *testing.T) {
	diffs := Schema{}.Compare(block("a", 1, "b", 1), block("a", 2, "b", 2), []string{"b"})
	if len(diffs) != 1 || diffs[0].Field != "b" {
		t.Errorf("differences: %v, want b alone", diffs)
	}
}
