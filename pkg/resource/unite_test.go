package resource_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
)

func TestUnite(t *testing.T) {
	set := func(keys ...string) map[string]diag.Pos {
		m := map[string]diag.Pos{}
		for _, k := range keys {
			m[k] = diag.Pos{Line: 1}
		}
		return m
	}
	full := &resource.Resource{Attrs: resource.Attributes{"role": "r", "description": "d", "internetAccess": false}, Field: set("role", "internetAccess")}
	bare := &resource.Resource{Attrs: resource.Attributes{"role": "", "description": "d"}, Field: set()}
	other := &resource.Resource{Attrs: resource.Attributes{"role": "x"}, Field: set("role")}
	implied := &resource.Resource{Attrs: resource.Attributes{"role": "implied"}, Field: set()}
	for _, c := range []struct {
		name      string
		a, b      *resource.Resource
		want      resource.Attributes
		conflicts []string
	}{
		{"the second repeats the name", full, bare, full.Attrs, nil},
		{"the first repeats the name", bare, full, full.Attrs, nil},
		{"both set it differently", full, other, resource.Attributes{"role": "x", "description": "d", "internetAccess": false}, []string{"role"}},
		{"implied against nothing", implied, bare, resource.Attributes{"role": "implied", "description": "d"}, nil},
		{"implied against written", implied, full, full.Attrs, nil},
		{"absent against wanted", &resource.Resource{Absent: true}, full, full.Attrs, nil},
		{"wanted against absent", full, &resource.Resource{Absent: true}, full.Attrs, nil},
	} {
		got, conflicts := resource.Unite(resource.Schema{"internetAccess": {KeepUnset: true}}, c.a, c.b)
		if d := cmp.Diff(c.want, got.Attrs); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if d := cmp.Diff(c.conflicts, conflicts); d != "" {
			t.Errorf("%s: conflicts: %s", c.name, d)
		}
	}
}
