package plan_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/pkg/state"
)

// demo is a plan of a function that exists, and of a trigger that does not. The
// functions given change what is online and what is wanted.
func demo(edits ...func(found, want resource.Attributes)) *plan.Plan {
	found := resource.Attributes{"runtime": "python3", "memorySize": 128, "timeout": 3.0, "code": map[string]any{"checksum": "1"},
		"environmentVariables": map[string]any{"TOKEN": "canary-old"}}
	want := resource.Attributes{"runtime": "python3", "memorySize": int64(256), "code": map[string]any{"checksum": "2"}, "role": "",
		"environmentVariables": map[string]any{"TOKEN": secret.New("canary-new")}, "initializer": app.UnknownValue{Expr: "${x.output.y}"}}
	for _, e := range edits {
		e(found, want)
	}
	return demoOf(&resource.Found{Attrs: found, ETag: "e"}, &resource.Resource{Attrs: want})
}

func demoOf(found *resource.Found, want *resource.Resource) *plan.Plan {
	want.ID, want.Pos = resource.ID{Kind: props.FunctionKind, Name: "demo/a"}, diag.Pos{File: "dir/s.yaml", Line: 3}
	trigger := &resource.Resource{ID: resource.ID{Kind: props.TriggerKind, Name: "demo/a/t"}, Attrs: resource.Attributes{"triggerType": "timer", "qualifier": "LATEST"}}
	p := &plan.Plan{App: "shop", Command: "deploy", Policy: plan.Fail, Services: []*plan.Service{{Name: "api", Region: "cn-hangzhou", Account: "1", Changes: []*plan.Change{
		plan.New(props.Schemas()[props.FunctionKind], state.Recorded{Known: true}, found, want),
		plan.New(props.Schemas()[props.TriggerKind], state.Recorded{}, nil, trigger),
	}}}}
	for _, c := range p.Services[0].Changes {
		c.Decision = plan.Decide(c, p.Policy)
	}
	return p
}

func TestFileRoundTrip(t *testing.T) {
	key := state.NewKey(zeros{}, "")
	f := plan.NewFile(demo(), key, []string{"--use-local", "x y"})
	data, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("canary")) {
		t.Errorf("a secret is in the file:\n%s", data)
	}
	got, err := plan.DecodeFile(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(f, got); d != "" {
		t.Error(d)
	}
	if f.Digest() != got.Digest() || len(f.Digest()) != 64 || f.Digest() == plan.NewFile(demo(), key, nil).Digest() {
		t.Errorf("digests %s, %s", f.Digest(), got.Digest())
	}
	again, err := state.OpenKey(got.Key, "")
	if err != nil {
		t.Fatal(err)
	}
	if moved := got.Moved(demo(), again); len(moved) > 0 {
		t.Errorf("nothing moved: %q", moved)
	}
	c, ok := got.Find("api", resource.ID{Kind: props.FunctionKind, Name: "demo/a"})
	if !ok || c.Action != plan.Update || c.Decision != plan.Apply || c.Want["initializer"] != plan.NotYet || c.Want["role"] != "" {
		t.Errorf("got %+v", c)
	}
	if _, ok := got.Find("api", resource.ID{Kind: props.FunctionKind, Name: "demo/b"}); ok {
		t.Error("found what is not there")
	}
}

func TestMoved(t *testing.T) {
	type attrs = resource.Attributes
	key := state.NewKey(zeros{}, "")
	f := plan.NewFile(demo(), key, nil)
	edited := func(e func(found, want attrs)) *plan.Plan { return demo(e) }
	replanned := func(e func(p *plan.Plan)) *plan.Plan {
		p := demo()
		e(p)
		return p
	}
	for name, tc := range map[string]struct {
		now  *plan.Plan
		want []string
	}{
		"the file":            {edited(func(_, w attrs) { w["runtime"] = "nodejs12" }), []string{"function demo/a: runtime was changed in s.yaml since the plan"}},
		"what is online":      {edited(func(f, _ attrs) { f["timeout"] = 60 }), []string{"function demo/a: timeout was changed online since the plan"}},
		"the code":            {edited(func(_, w attrs) { w["code"] = map[string]any{"checksum": "3"} }), []string{"function demo/a: the code was changed since the plan"}},
		"the code online":     {edited(func(f, _ attrs) { f["code"] = map[string]any{"checksum": "3"} }), []string{"function demo/a: code was changed online since the plan"}},
		"a secret":            {edited(func(_, w attrs) { w["environmentVariables"] = map[string]any{"TOKEN": secret.New("canary-3")} }), []string{"function demo/a: environmentVariables was changed in s.yaml since the plan"}},
		"a new attribute":     {edited(func(_, w attrs) { w["role"] = "r" }), []string{"function demo/a: role was changed in s.yaml since the plan"}},
		"both sides":          {edited(func(f, w attrs) { delete(f, "runtime"); delete(w, "runtime") }), []string{"function demo/a: runtime was changed in s.yaml since the plan", "function demo/a: runtime was changed online since the plan"}},
		"only known now":      {edited(func(_, w attrs) { w["initializer"] = "index.init" }), nil},
		"not known any more":  {edited(func(_, w attrs) { w["code"] = app.UnknownValue{Expr: "x"} }), nil},
		"the same by schema":  {edited(func(f, w attrs) { f["memorySize"], w["timeout"] = "128", 3 }), nil},
		"deleted online":      {demoOf(nil, demo().Services[0].Changes[0].Want), []string{"function demo/a: was deleted online since the plan"}},
		"no longer wanted":    {demoOf(demo().Services[0].Changes[0].Found, &resource.Resource{Absent: true}), []string{"function demo/a: is no longer in s.yaml since the plan"}},
		"dropped":             {replanned(func(p *plan.Plan) { p.Services[0].Changes = p.Services[0].Changes[:1] }), []string{"trigger demo/a/t: is no longer in the application file since the plan"}},
		"another region":      {replanned(func(p *plan.Plan) { p.Services[0].Region = "x" }), []string{"service api: the region or the account is another since the plan"}},
		"another application": {replanned(func(p *plan.Plan) { p.App = "x" }), []string{`the plan is one to deploy "shop", this is deploy of "x"`}},
		"another service": {replanned(func(p *plan.Plan) { p.Services[0].Name = "x" }),
			[]string{"service api: is no longer there since the plan", "service x: is new since the plan"}},
		"made online": {replanned(func(p *plan.Plan) {
			c := p.Services[0].Changes[1]
			p.Services[0].Changes[1] = plan.New(c.Schema, state.Recorded{}, &resource.Found{Attrs: c.Want.Attrs}, c.Want)
		}), []string{"trigger demo/a/t: was made online since the plan"}},
		"one more": {replanned(func(p *plan.Plan) {
			c := *p.Services[0].Changes[1]
			c.Resource.Name += "2"
			p.Services[0].Changes = append(p.Services[0].Changes, &c)
		}), []string{"trigger demo/a/t2: is new in the application file since the plan"}},
	} {
		if d := cmp.Diff(tc.want, f.Moved(tc.now, key)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestMovedDecision checks that flags do not make another plan of the same changes.
func TestMovedDecision(t *testing.T) {
	key := state.NewKey(zeros{}, "")
	decided := func(d plan.Decision) *plan.Plan {
		p := demo()
		p.Services[0].Changes[0].Decision = d
		return p
	}
	for _, tc := range []struct {
		planned, now plan.Decision
		want         []string
	}{
		{plan.Apply, plan.Apply, nil},
		{plan.Refuse, plan.Refuse, nil},
		{plan.Nothing, plan.Apply, nil}, // of what hooks build
		{plan.Refuse, plan.Apply, []string{"function demo/a: would be changed now, and is not by the plan"}},
		{plan.Leave, plan.Apply, []string{"function demo/a: would be changed now, and is not by the plan"}},
		{plan.Apply, plan.Leave, []string{"function demo/a: would be left as it is now, and is changed by the plan"}},
	} {
		if d := cmp.Diff(tc.want, plan.NewFile(decided(tc.planned), key, nil).Moved(decided(tc.now), key)); d != "" {
			t.Errorf("%s, then %s: %s", tc.planned, tc.now, d)
		}
	}
}

// TestMovedPruned checks that a resource to prune that is gone is told as what it is.
func TestMovedPruned(t *testing.T) {
	key := state.NewKey(zeros{}, "")
	p := demo()
	id := resource.ID{Kind: props.FunctionKind, Name: "demo/old"}
	c := plan.New(nil, state.Recorded{Known: true}, &resource.Found{Attrs: resource.Attributes{"a": "1"}}, &resource.Resource{ID: id, Absent: true})
	c.Pruned, c.Decision = true, plan.Apply
	p.Services[0].Changes = append(p.Services[0].Changes, c)
	f := plan.NewFile(p, key, []string{"--prune"})
	if d := cmp.Diff([]string{"function demo/old: is no longer one to prune since the plan"}, f.Moved(demo(), key)); d != "" {
		t.Error(d)
	}
	if moved := f.Moved(p, key); len(moved) > 0 {
		t.Error(moved)
	}
}

// TestMovedManaged checks that a plan of the code alone is not held against the rest.
func TestMovedManaged(t *testing.T) {
	key := state.NewKey(zeros{}, "")
	onlyCode := func(timeout any) *plan.Plan {
		p := demo(func(f, _ resource.Attributes) { f["timeout"] = timeout })
		p.Services[0].Changes[0].Want.Managed = []string{"code"}
		return p
	}
	if moved := plan.NewFile(onlyCode(3), key, nil).Moved(onlyCode(60), key); len(moved) > 0 {
		t.Error(moved)
	}
}

func TestDamagedFiles(t *testing.T) {
	f := plan.NewFile(demo(), state.NewKey(zeros{}, ""), nil)
	data, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"cut":                {"}\n", ""},
		"more":               {"\n}\n", "\n} {}"},
		"another version":    {`"version": 1`, `"version": 2`},
		"no version":         {`"version": 1`, `"x": 1`},
		"an unknown name":    {`"app"`, `"application"`},
		"a command":          {`"deploy"`, `"rm"`},
		"a policy":           {`"fail"`, `"force"`},
		"an action":          {`"update"`, `"upend"`},
		"a decision":         {`"apply"`, `"force"`},
		"nothing to do":      {`"apply"`, `"nothing"`},
		"create what exists": {`"update"`, `"create"`},
		"delete the wanted":  {`"update"`, `"delete"`},
		"a drift":            {`"unrecorded"`, `"x"`},
		"an origin":          {`"ours"`, `"x"`},
		"a print":            {plan.NotYet + `"`, `unknow"`},
		"no name":            {`"demo/a"`, `""`},
		"no key":             {f.Key, ""},
		"twice":              {`"trigger",` + "\n" + `          "name": "demo/a/t"`, `"function",` + "\n" + `          "name": "demo/a"`},
	} {
		text := strings.Replace(string(data), edit[0], edit[1], 1)
		if name == "cut" {
			text = strings.TrimSuffix(string(data), "}\n")
		}
		if text == string(data) {
			t.Fatalf("%s: the edit does nothing:\n%s", name, data)
		}
		got, err := plan.DecodeFile([]byte(text))
		if err == nil {
			t.Errorf("%s: got %+v", name, got)
			continue
		}
		if diag.ExitCode(err) != diag.ExitTool || !strings.Contains(diag.Render(err), "make the plan again") {
			t.Errorf("%s: %s", name, diag.Render(err))
		}
	}
	f.Services = append(f.Services, f.Services[0])
	if twice, err := f.Encode(); err != nil {
		t.Fatal(err)
	} else if _, err := plan.DecodeFile(twice); err == nil {
		t.Error("a service that is there twice is read")
	}
	if _, err := plan.NewFile(demo(), state.NewKey(zeros{}, ""), []string{"\xff"}).Encode(); err == nil {
		t.Error("an argument that JSON cannot hold is written")
	}
}

func FuzzDecodeFile(f *testing.F) {
	data, err := plan.NewFile(demo(), state.NewKey(zeros{}, ""), []string{"a"}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"command":"deploy","key":"x","services":[{"changes":[]}]}`))
	f.Add([]byte(`{"version":1`))
	key := state.NewKey(zeros{}, "")
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := plan.DecodeFile(data)
		if err != nil {
			return
		}
		file.Moved(demo(), key)
		again, err := file.Encode()
		if err != nil {
			t.Fatal(err)
		}
		other, err := plan.DecodeFile(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(file, other); d != "" {
			t.Error(d)
		}
	})
}
