package spec_test

import (
	"errors"
	"testing"

	"github.com/devs/deploy/pkg/diag"
)

// Every file loads, or is refused with what to do.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		minimal,
		"edition: 3.0.0\nname: n\ntemplate: {b: {x: 1}}\nresources:\n  a: {component: fc3, extend: {name: b, ignore: [x]}, actions: {pre-deploy: [{run: x}]}}\nflow: {deploy: [[a]]}\n",
		"edition: 1.0.0\nname: n\nservices:\n  a: ${vars.x}\nvars: {x: {component: fc, props: \"${vars.y}\"}}\n",
		"extend: s.yaml\n", "edition: 1.0.0\nname: {{ x }}\n", "edition: 3.0.0\nname: n\nresources: {a: {component: a, props: {x: \"${a.output.x}\"}}}\nflow: {\"${regex('.')}\": [a]}\n",
		"edition: 1.0.0\nname: n\nservices: &s\n  a: {component: fc, props: *s}\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := loadText(text)
		if (a == nil) == (err == nil) {
			t.Fatalf("got %v and %v", a, err)
		}
		for _, e := range diag.List(err) {
			if p, ok := errors.AsType[*diag.Problem](e); !ok || p.Hint == "" || p.Pos.File == "" {
				t.Errorf("%v has no place or no hint", e)
			}
		}
		if a == nil {
			return
		}
		for _, s := range a.Services {
			if s.Name != "" && (s.Component == nil || s.Pos.Line == 0) {
				t.Errorf("the service %s is incomplete", s.Name)
			}
		}
	})
}
