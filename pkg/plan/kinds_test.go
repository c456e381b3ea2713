package plan_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// edit is a change of one attribute: its path, and its new value.
type edit struct {
	path  string
	value any
}

// kinds are the kinds of resources of Function Compute: what is deployed, what the file
// changes and what somebody changes online.
var kinds = []struct {
	kind         resource.Kind
	base         string
	ours, theirs edit
}{
	{props.ServiceKind, `{"description":"d","role":"acs:ram::1:role/R","internetAccess":true,"logConfig":{"project":"p","logstore":"l"},"lastModifiedTime":"t"}`,
		edit{"description", "e"}, edit{"logConfig.logstore", "m"}},
	{props.FunctionKind, `{"runtime":"python3","handler":"index.handler","memorySize":128,"timeout":3,"environmentVariables":{"A":"1"},"code":{"checksum":"7","size":9},"functionId":"x"}`,
		edit{"memorySize", 256}, edit{"environmentVariables.A", "2"}},
	{props.TriggerKind, `{"triggerType":"timer","qualifier":"LATEST","triggerConfig":{"cronExpression":"@every 5m","enable":true,"payload":""}}`,
		edit{"triggerConfig.cronExpression", "@every 1m"}, edit{"triggerConfig.enable", false}},
	{props.AsyncConfigKind, `{"maxAsyncRetryAttempts":3,"maxAsyncEventAgeInSeconds":60,"destinationConfig":{"onFailure":{"destination":"acs:fc:a"}}}`,
		edit{"maxAsyncEventAgeInSeconds", 90}, edit{"destinationConfig.onFailure.destination", "acs:fc:b"}},
	{props.VPCBindingKind, `{"vpcIds":["vpc-a","vpc-b"]}`,
		edit{"vpcIds", []any{"vpc-a", "vpc-c"}}, edit{"vpcIds", []any{"vpc-a"}}},
	{props.CustomDomainKind, `{"protocol":"HTTP","routeConfig":{"routes":[{"path":"/","serviceName":"s","functionName":"f","methods":["GET"]}]}}`,
		edit{"protocol", "HTTP,HTTPS"}, edit{"routeConfig.routes", []any{map[string]any{"path": "/*", "serviceName": "s", "functionName": "f"}}}},
}

// attrs returns the state with the edits made; nil for "".
func attrs(t *testing.T, text string, edits ...edit) resource.Attributes {
	t.Helper()
	if text == "" {
		return nil
	}
	var a resource.Attributes
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		keys := strings.Split(e.path, ".")
		at := map[string]any(a)
		for _, key := range keys[:len(keys)-1] {
			at = at[key].(map[string]any)
		}
		at[keys[len(keys)-1]] = e.value
	}
	return a
}

// record returns what a record says when recorded was deployed (nil: nothing was), and
// found is online. With whole false, the record is only in notes.
func record(t *testing.T, schema resource.Schema, id resource.ID, recorded resource.Attributes, found *resource.Found, whole bool) state.Recorded {
	t.Helper()
	book := state.NewBook("app", state.NewKey(zeros{}, ""))
	if recorded != nil {
		book.Put(id, state.Entry{Prints: book.Key.Prints(schema, recorded), Attrs: book.Key.Seal(schema, recorded)})
	}
	if !whole {
		set, _, _ := state.EncodeNotes(book, nil, 20)
		var err error
		if book, err = state.DecodeNotes("app", "", set); err != nil {
			t.Fatal(err)
		}
		if book == nil {
			return state.Recorded{}
		}
	}
	return book.Recorded(schema, id, found)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// row is one line of the table of the contract: what is recorded, online and wanted,
// and what each policy makes of it.
type row struct {
	name                  string
	recorded, found, want []edit // nil: not there; else the edits of what is deployed
	action                plan.Action
	drift                 plan.Drift
	plain, local, remote  plan.Decision
	origin                plan.Origin // of the field of the file; with the whole record
	onlineOrigin          plan.Origin // of the field changed online
	inNotes               plan.Origin // of all fields, with notes only
	converged             bool
}

func rows(ours, theirs edit) []row {
	base, file, online := []edit{}, []edit{ours}, []edit{theirs}
	const none, apply, leave, refuse = plan.Nothing, plan.Apply, plan.Leave, plan.Refuse
	return []row{
		{"1: as recorded, the file changed", base, base, file, plan.Update, plan.Same, apply, apply, leave, plan.Ours, "", plan.Ours, false},
		{"1: as recorded, nothing changed", base, base, base, plan.None, plan.Same, none, none, none, "", "", "", false},
		{"2 and 3: absent and never deployed", nil, nil, base, plan.Create, plan.Unrecorded, apply, apply, apply, "", "", "", false},
		{"4: drifted to what the file has now", base, online, online, plan.None, plan.Moved, none, none, none, "", "", "", true},
		{"5: drifted, the file is as it was", base, online, base, plan.Update, plan.Moved, refuse, apply, leave, "", plan.Drifted, plan.Unknown, false},
		{"5: drifted, and the file changed", base, online, file, plan.Update, plan.Moved, refuse, apply, leave, plan.Ours, plan.Drifted, plan.Unknown, false},
		{"record unknown, equal", nil, base, base, plan.None, plan.Unrecorded, none, none, none, "", "", "", false},
		{"record unknown, differs", nil, base, file, plan.Update, plan.Unrecorded, refuse, apply, leave, plan.Unknown, "", plan.Unknown, false},
		{"deleted online", base, nil, base, plan.Create, plan.Gone, apply, apply, apply, "", "", "", false},
		{"deleted online, and the file changed", base, nil, file, plan.Create, plan.Gone, apply, apply, apply, "", "", "", false},
		{"dropped from the file", base, base, nil, plan.Delete, plan.Same, apply, apply, leave, plan.Ours, plan.Ours, plan.Ours, false},
		{"dropped from the file, and drifted", base, online, nil, plan.Delete, plan.Moved, refuse, apply, leave, plan.Ours, plan.Both, plan.Unknown, false},
		{"not in the file, record unknown", nil, base, nil, plan.Delete, plan.Unrecorded, refuse, apply, leave, plan.Unknown, plan.Unknown, plan.Unknown, false},
		{"dropped from the file, and deleted online", base, nil, nil, plan.None, plan.Gone, none, none, none, "", "", "", false},
	}
}

// TestTable is the table of the contract, once for each kind and with each form of the
// record.
func TestTable(t *testing.T) {
	for _, k := range kinds {
		schema, id := props.Schemas()[k.kind], resource.ID{Kind: k.kind, Name: "s/x"}
		for _, r := range rows(k.ours, k.theirs) {
			for _, whole := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %s whole=%v", k.kind, r.name, whole), func(t *testing.T) {
					side := func(edits []edit) resource.Attributes {
						if edits == nil {
							return nil
						}
						return attrs(t, k.base, edits...)
					}
					var found *resource.Found
					if r.found != nil {
						found = &resource.Found{Attrs: side(r.found)}
					}
					want := &resource.Resource{ID: id, Attrs: side(r.want), Absent: r.want == nil}
					c := plan.New(schema, record(t, schema, id, side(r.recorded), found, whole), found, want)
					if r.drift == plan.Gone && !whole && c.Drift == plan.Unrecorded {
						t.Fatal("the notes do not know the resource")
					}
					r.check(t, c, k.ours.path, k.theirs.path, whole)
				})
			}
		}
	}
}

func (r row) check(t *testing.T, c *plan.Change, ours, theirs string, whole bool) {
	t.Helper()
	if c.Action != r.action || c.Drift != r.drift {
		t.Errorf("got %s, %s; want %s, %s", c.Action, c.Drift, r.action, r.drift)
	}
	for policy, want := range map[plan.Policy]plan.Decision{plan.Fail: r.plain, plan.Prompt: r.plain, plan.Local: r.local, plan.Remote: r.remote} {
		if got := plan.Decide(c, policy); got != want {
			t.Errorf("%s: got %s, want %s", policy, got, want)
		}
	}
	for _, f := range c.Fields {
		want := r.inNotes
		switch {
		case whole && ours == theirs && r.origin == plan.Ours && r.onlineOrigin == plan.Drifted:
			want = plan.Both // both changed the same attribute
		case whole && f.Path == theirs && r.onlineOrigin != "":
			want = r.onlineOrigin
		case whole:
			want = r.origin
		}
		if f.Origin != want {
			t.Errorf("%s: origin %q, want %q", f.Path, f.Origin, want)
		}
	}
	var converged []string
	if r.converged && whole {
		converged = []string{theirs}
	}
	if d := cmp.Diff(converged, c.Converged); d != "" {
		t.Errorf("converged: %s", d)
	}
}

// TestPairs is the table as it stands: a service and its function, three columns.
func TestPairs(t *testing.T) {
	schemas := props.Schemas()
	for _, tc := range []struct {
		name                 string
		svc, fn              [3][]edit // recorded, online, wanted; nil: absent
		plain, local, remote string
	}{
		{"1", [3][]edit{{}, {}, {kinds[0].ours}}, [3][]edit{{}, {}, {kinds[1].ours}}, "apply apply", "apply apply", "leave leave"},
		{"2", [3][]edit{{}, {}, {kinds[0].ours}}, [3][]edit{nil, nil, {}}, "apply apply", "apply apply", "leave apply"},
		{"3", [3][]edit{nil, nil, {}}, [3][]edit{nil, nil, {}}, "apply apply", "apply apply", "apply apply"},
		{"4", [3][]edit{{}, {kinds[0].theirs}, {kinds[0].theirs}}, [3][]edit{{}, {kinds[1].theirs}, {kinds[1].theirs}}, "nothing nothing", "nothing nothing", "nothing nothing"},
		{"5", [3][]edit{{}, {kinds[0].theirs}, {kinds[0].ours}}, [3][]edit{{}, {kinds[1].theirs}, {kinds[1].ours}}, "refuse refuse", "apply apply", "leave leave"},
	} {
		for policy, want := range map[plan.Policy]string{plan.Fail: tc.plain, plan.Local: tc.local, plan.Remote: tc.remote} {
			var got []string
			for i, edits := range [][3][]edit{tc.svc, tc.fn} {
				k := kinds[i]
				var sides [3]resource.Attributes
				for j, e := range edits {
					if e != nil {
						sides[j] = attrs(t, k.base, e...)
					}
				}
				var found *resource.Found
				if sides[1] != nil {
					found = &resource.Found{Attrs: sides[1]}
				}
				id := resource.ID{Kind: k.kind, Name: "s"}
				c := plan.New(schemas[k.kind], record(t, schemas[k.kind], id, sides[0], found, true), found, &resource.Resource{ID: id, Attrs: sides[2]})
				got = append(got, string(plan.Decide(c, policy)))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("row %s, %s: got %v, want %s", tc.name, policy, got, want)
			}
		}
	}
}

// TestSides checks what moves when only the code or only the configuration drifted, and
// that a deploy of one side asks about that side only.
func TestSides(t *testing.T) {
	k := kinds[1]
	schema, id := props.Schemas()[k.kind], resource.ID{Kind: k.kind, Name: "s/f"}
	codeOnline, codeOurs := edit{"code", map[string]any{"checksum": "8", "size": 10}}, edit{"code", map[string]any{"checksum": "9", "size": 11}}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(attrs(t, k.base))), func(name string) bool { return name == "code" })
	for _, tc := range []struct {
		name         string
		found, want  []edit
		managed      []string
		config, code bool
		drift        plan.Drift
		plain        plan.Decision
		origins      map[string]plan.Origin
	}{
		{"only the code drifted", []edit{codeOnline}, []edit{}, nil, false, true, plan.Moved, plan.Refuse,
			map[string]plan.Origin{"code.checksum": plan.Drifted}},
		{"only the code drifted, both changed", []edit{codeOnline}, []edit{codeOurs, k.ours}, nil, false, true, plan.Moved, plan.Refuse,
			map[string]plan.Origin{"code.checksum": plan.Both, "memorySize": plan.Ours}},
		{"only the configuration drifted", []edit{k.theirs}, []edit{codeOurs}, nil, true, false, plan.Moved, plan.Refuse,
			map[string]plan.Origin{"code.checksum": plan.Ours, "environmentVariables.A": plan.Drifted}},
		{"the code drifted, the configuration is deployed", []edit{codeOnline}, []edit{k.ours}, rest, false, true, plan.Same, plan.Apply,
			map[string]plan.Origin{"memorySize": plan.Ours}},
		{"the configuration drifted, the code is deployed", []edit{k.theirs}, []edit{codeOurs}, []string{"code"}, true, false, plan.Same, plan.Apply,
			map[string]plan.Origin{"code.checksum": plan.Ours}},
		{"the code drifted and is deployed", []edit{codeOnline}, []edit{codeOurs}, []string{"code"}, false, true, plan.Moved, plan.Refuse,
			map[string]plan.Origin{"code.checksum": plan.Both}},
	} {
		found := &resource.Found{Attrs: attrs(t, k.base, tc.found...)}
		want := &resource.Resource{ID: id, Attrs: attrs(t, k.base, tc.want...), Managed: tc.managed}
		for _, whole := range []bool{true, false} {
			c := plan.New(schema, record(t, schema, id, attrs(t, k.base), found, whole), found, want)
			if c.ConfigMoved != tc.config || c.CodeMoved != tc.code || c.Drift != tc.drift || plan.Decide(c, plan.Fail) != tc.plain {
				t.Errorf("%s: got %v, %v, %s, %s", tc.name, c.ConfigMoved, c.CodeMoved, c.Drift, plan.Decide(c, plan.Fail))
			}
			origins := map[string]plan.Origin{}
			for _, f := range c.Fields {
				origins[f.Path] = f.Origin
			}
			want := maps.Clone(tc.origins)
			for path := range want {
				if side := strings.HasPrefix(path, "code"); !whole && (side && tc.code || !side && tc.config) {
					want[path] = plan.Unknown
				}
			}
			if d := cmp.Diff(want, origins); d != "" {
				t.Errorf("%s, whole=%v: %s", tc.name, whole, d)
			}
		}
	}
}
