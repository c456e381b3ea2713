package plan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

// values is one side of a resource of the model; nil when it is absent.
type values map[string]string

// only returns the attributes that are managed: "" all, else the code or all but it.
func (v values) only(managed string) values {
	out := maps.Clone(v)
	maps.DeleteFunc(out, func(name, _ string) bool { return managed != "" && (name == "code") != (managed == "code") })
	return out
}

// model says what is online after a deploy, and whether it is refused.
func model(recorded, found, wanted values, managed string, p plan.Policy) (after values, refused bool) {
	same := recorded != nil && found != nil && maps.Equal(recorded.only(managed), found.only(managed))
	switch {
	case found == nil && wanted == nil:
		return nil, false
	case found == nil:
		return wanted, false // what is absent is made, whoever deleted it
	case wanted != nil && maps.Equal(found.only(managed), wanted.only(managed)):
		return found, false // nothing differs
	case p == plan.Remote:
		return found, false
	case p != plan.Local && !same:
		return found, true // somebody else changed it, or nobody knows
	case wanted == nil:
		return nil, false
	}
	after = maps.Clone(found)
	maps.DeleteFunc(after, func(name, _ string) bool { return managed == "" || (name == "code") == (managed == "code") })
	maps.Copy(after, wanted.only(managed))
	return after, false
}

// outcome is what is online after c was decided on.
func outcome(c *plan.Change, p plan.Policy) (after resource.Attributes, refused bool) {
	after = resource.Attributes{}
	if c.Found != nil {
		maps.Copy(after, c.Found.Attrs)
	}
	switch d := plan.Decide(c, p); {
	case d == plan.Refuse:
		return after, true
	case d != plan.Apply && c.Found == nil, d == plan.Apply && c.Action == plan.Delete:
		return nil, false
	case d != plan.Apply:
		return after, false
	case c.Action == plan.Create:
		return c.Want.Attrs, false
	}
	for _, name := range c.UpdateFields() {
		if v, ok := c.Want.Attrs[name]; ok {
			after[name] = v
		} else {
			delete(after, name)
		}
	}
	return after, false
}

func (v values) attrs() resource.Attributes {
	if v == nil {
		return nil
	}
	a := resource.Attributes{}
	for name, text := range v {
		a[name] = text
	}
	return a
}

// random returns a side that is like other but for some edits.
func (v values) random(r *rand.Rand) values {
	if r.IntN(8) == 0 {
		return nil
	}
	out := values{}
	maps.Copy(out, v)
	for range r.IntN(3) {
		name := []string{"a", "b", "c", "code"}[r.IntN(4)]
		if r.IntN(5) == 0 {
			delete(out, name)
		} else {
			out[name] = []string{"x", "y", "z"}[r.IntN(3)]
		}
	}
	return out
}

// TestModel deploys random applications after random edits of the file and of what is
// online, with random policies and records, and holds the outcome against the model.
func TestModel(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 1))
		id := resource.ID{Kind: "thing", Name: fmt.Sprint("t", r.IntN(3))}
		recorded := values{"a": "x", "code": "1"}.random(r)
		online, wanted := recorded.random(r), recorded.random(r)
		if r.IntN(6) == 0 {
			wanted = maps.Clone(online)
		}
		whole := r.IntN(2) == 0
		managed := ""
		want := &resource.Resource{ID: id, Attrs: wanted.attrs(), Absent: wanted == nil}
		if wanted != nil && online != nil {
			managed = []string{"", "", "code", "config"}[r.IntN(4)]
			want.Managed = map[string][]string{"code": {"code"}, "config": {"a", "b", "c"}}[managed]
		}
		var found *resource.Found
		if online != nil {
			found = &resource.Found{Attrs: online.attrs()}
		}
		p := []plan.Policy{plan.Fail, plan.Prompt, plan.Local, plan.Remote}[r.IntN(4)]
		c := plan.New(nil, record(t, nil, id, recorded.attrs(), found, whole), found, want)
		got, refused := outcome(c, p)
		after, wantRefused := model(recorded, online, wanted, managed, p)
		if refused != wantRefused || !cmp.Equal(after.attrs(), got) {
			t.Fatalf("seed %d: recorded %v, online %v, wanted %v, managed %q, %s: got %v, refused %v; want %v, refused %v",
				seed, recorded, online, wanted, managed, p, got, refused, after, wantRefused)
		}
		checkOrigins(t, seed, c, recorded, whole)
		seen[fmt.Sprint(c.Action, plan.Decide(c, p), c.Drift)]++
	}
	if len(seen) < 20 {
		t.Errorf("too few cases: %v", seen)
	}
}

// checkOrigins holds the origins against their definition.
func checkOrigins(t *testing.T, seed uint64, c *plan.Change, recorded values, whole bool) {
	t.Helper()
	for _, f := range c.Fields {
		var want plan.Origin
		f0, w0 := text(c.Found, f.Path), ""
		if !c.Want.Absent {
			w0, _ = c.Want.Attrs[f.Path].(string)
		}
		sideMoved := c.ConfigMoved
		if f.Field == "code" {
			sideMoved = c.CodeMoved
		}
		switch {
		case c.Action == plan.Create:
		case recorded == nil:
			want = plan.Unknown
		case !whole && sideMoved:
			want = plan.Unknown
		case !whole || f0 == recorded[f.Path]:
			want = plan.Ours
		case w0 == recorded[f.Path] && !c.Want.Absent:
			want = plan.Drifted
		default:
			want = plan.Both
		}
		if f.Origin != want {
			t.Fatalf("seed %d: %s: origin %q, want %q", seed, f.Path, f.Origin, want)
		}
	}
}

func text(found *resource.Found, name string) string {
	if found == nil {
		return ""
	}
	s, _ := found.Attrs[name].(string)
	return s
}
