package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// archive is the component boxes with a record in "home", and with versions.
type archive struct {
	boxes
	versions []map[string]string // name → size, the newest first
	fails    error
	schema   resource.Schema
}

func (a archive) Types(ctx context.Context, call *component.Call) (map[resource.Kind]resource.Type, error) {
	return map[resource.Kind]resource.Type{"box": {Schema: a.schema, Handler: a.cloud}}, nil
}

func (archive) Commands() []component.Command {
	return []component.Command{{Name: "plan", Flags: []component.Flag{{Name: "plan-type", Type: component.StringFlag}}}, {Name: "deploy"}, {Name: "rollback"}, {Name: "remove"}}
}

func (a archive) Desired(ctx context.Context, call *component.Call) (*component.Desired, error) {
	d, err := a.boxes.Desired(ctx, call)
	d.Holder = resource.ID{Kind: "box", Name: "home"}
	if call.Command == "rollback" {
		for _, r := range d.Resources {
			r.Attrs = nil
		}
	}
	return d, err
}

func (a archive) Versions(context.Context, *component.Call) ([]string, error) {
	var list []string
	for i := range a.versions {
		list = append(list, fmt.Sprint(len(a.versions)-i))
	}
	return list, a.fails
}

func (a archive) At(_ context.Context, _ *component.Call, version string, id resource.ID) (*resource.Found, error) {
	var n int
	if _, err := fmt.Sscan(version, &n); err != nil {
		return nil, err
	}
	size, ok := a.versions[len(a.versions)-n][id.Name]
	if !ok {
		return nil, nil
	}
	return &resource.Found{Attrs: resource.Attributes{"size": size}}, nil
}

func (archive) Code(context.Context, *component.Call, string, resource.ID) (component.Package, error) {
	return nil, errors.New("boxes have no code")
}

func (archive) Sum(io.Reader) (string, error) { return "", errors.New("boxes have no code") }

// story is an application over several runs.
type story struct {
	t     *testing.T
	cloud *cloud
	store state.Store
	now   time.Time
	kind  archive
}

func newStory(t *testing.T) *story {
	c := &cloud{boxes: map[string]resource.Attributes{}, fail: map[string]error{}}
	return &story{t: t, cloud: c, store: state.Folder{Dir: t.TempDir()}, now: time.Unix(1000, 0), kind: archive{boxes: boxes{c}}}
}

// run runs a command such as "deploy --prune" on services.
func (s *story) run(line string, services ...*app.Service) (*engine.Result, error) {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	words := strings.Fields(line)
	req := engine.Request{Command: words[0], Args: words[1:]}
	if service, rest, ok := strings.Cut(line, ": "); ok {
		words = strings.Fields(rest)
		req = engine.Request{Services: []string{service}, Command: words[0], Args: words[1:]}
	}
	a := &app.App{Edition: app.Edition1, Name: "test", File: "s.yaml", Dir: s.t.TempDir(), Services: services, Root: &app.Value{Kind: app.Map}}
	cfg := config(a, s.cloud, func(engine.Event) {})
	cfg.Components = func(string, diag.Pos) (component.Component, error) { return s.kind, nil }
	cfg.Now = func() time.Time { return s.now }
	cfg.Records = engine.Records{Store: s.store}
	return engine.New(cfg).Run(context.Background(), req)
}

// must runs what has to work and compares what is online then: "a=1 b=2".
func (s *story) must(line, want string, services ...*app.Service) {
	s.t.Helper()
	if _, err := s.run(line, services...); err != nil {
		s.t.Fatalf("%s: %s", line, diag.Render(err))
	}
	s.online(want)
}

// refused runs what has to be refused, changing nothing.
func (s *story) refused(line, want string, services ...*app.Service) {
	s.t.Helper()
	before := len(s.cloud.changes())
	_, err := s.run(line, services...)
	if err == nil || !strings.Contains(diag.Render(err), want) || diag.ExitCode(err) == 0 {
		s.t.Fatalf("%s: got %v, want %q", line, err, want)
	}
	if after := s.cloud.changes(); len(after) != before {
		s.t.Errorf("%s changed %v", line, after[before:])
	}
}

func (s *story) online(want string) {
	s.t.Helper()
	var got []string
	for name, attrs := range s.cloud.boxes {
		got = append(got, fmt.Sprintf("%s=%v", name, attrs["size"]))
	}
	slices.Sort(got)
	if d := cmp.Diff(want, strings.Join(got, " ")); d != "" {
		s.t.Fatal(d)
	}
}

func TestRollbackUndoesTheLastDeployAndIsUndoneByTheNext(t *testing.T) {
	s := newStory(t)
	s.refused("rollback", "is not known", service("s", "a=1"))
	s.must("deploy", "a=1 b=1 c=1", service("s", "a=1", "b=1", "c=1<b"))
	s.refused("rollback", "nothing from before", service("s", "a=1"))
	s.must("deploy", "a=2 b=1 c=1", service("s", "a=2", "b=1", "c=1<b"))
	s.must("deploy", "a=2 b=3 c=3 d=3", service("s", "a=2", "b=3", "c=3<b", "d=3"))
	file := service("s", "a=9", "b=9", "c=9<b", "d=9") // what it says besides names is not looked at
	for range 2 {
		s.must("rollback", "a=2 b=1 c=1 d=3", file)
		s.must("rollback", "a=2 b=3 c=3 d=3", file)
	}
	s.must("rollback --all", "a=1 b=1 c=1 d=3", file)
}

func TestRollbackPrunesAndRevives(t *testing.T) {
	s := newStory(t)
	old, new := service("s", "a=1", "b=1"), service("s", "a=2", "d=2")
	s.must("deploy", "a=1 b=1", old)
	s.must("deploy --prune", "a=2 d=2", new)
	s.must("rollback --prune", "a=1 b=1", new)
	s.must("rollback --prune", "a=2 d=2", new)
	s.must("rollback", "a=1 b=1 d=2", new)
	s.must("remove", "b=1", new)
	s.refused("rollback", "nothing from before", service("s", "b=1")) // a removal is for good
}

// A rollback that was cut off is gone on with, not taken back.
func TestRollbackGoesOn(t *testing.T) {
	for _, failing := range []string{"a", "b", "c"} {
		s := newStory(t)
		file := service("s", "a=2", "b=2", "c=2")
		s.must("deploy", "a=1 b=1 c=1", service("s", "a=1", "b=1", "c=1"))
		s.must("deploy", "a=2 b=2 c=2", file)
		s.cloud.fail["update "+failing] = errors.New("down")
		for range 2 {
			if _, err := s.run("rollback", file); err == nil {
				t.Fatal("a failed rollback is no error")
			}
		}
		s.cloud.fail = map[string]error{}
		s.must("rollback", "a=1 b=1 c=1", file)
		s.must("rollback", "a=2 b=2 c=2", file)
		s.must("rollback", "a=1 b=1 c=1", file)
	}
}

func TestRollbackRefusesDrift(t *testing.T) {
	s := newStory(t)
	file := service("s", "a=2", "b=2")
	s.must("deploy", "a=1 b=1", service("s", "a=1", "b=1"))
	s.must("deploy", "a=2 b=2", file)
	s.cloud.boxes["a"] = resource.Attributes{"size": "7"}
	s.refused("rollback", "what is online is not what was deployed last: box a", file)
	s.refused("rollback", `size: "7" => "1"`, file)
	s.must("rollback --use-local", "a=1 b=1", file)
	delete(s.cloud.boxes, "a")
	s.must("rollback", "a=2 b=2", file)
}

// What services share goes back once; of one service, nothing of the others does.
func TestRollbackOfSeveralServices(t *testing.T) {
	s := newStory(t)
	one, two := service("one", "home=2", "a=2<home"), service("two", "home=2", "b=2<home")
	s.must("deploy", "a=1 b=1 home=1", service("one", "home=1", "a=1<home"), service("two", "home=1", "b=1<home"))
	s.must("deploy", "a=2 b=2 home=2", one, two)
	before := len(s.cloud.changes())
	s.must("rollback", "a=1 b=1 home=1", one, two)
	if changes := s.cloud.changes()[before:]; len(changes) != 3 {
		t.Errorf("%v", changes)
	}
	s.must("one: rollback", "a=2 b=1 home=2", one, two)
}

func TestRollbackWithHooks(t *testing.T) {
	s := newStory(t)
	one := service("one", "home=2", "a=2<home")
	one.Actions = []app.Action{{Stage: app.Pre, Command: "rollback"}}
	two := service("two", "home=2", "b=2<home")
	s.must("deploy", "a=1 b=1 home=1", service("one", "home=1", "a=1<home"), service("two", "home=1", "b=1<home"))
	s.must("deploy", "a=2 b=2 home=2", one, two)
	s.must("rollback", "a=1 b=1 home=1", one, two)
	s.must("rollback", "a=2 b=2 home=2", one, two)
}

func TestRollbackToAVersion(t *testing.T) {
	s := newStory(t)
	file := service("s", "a=3", "b=3")
	s.must("deploy", "a=2 b=1", service("s", "a=2", "b=1"))
	s.must("deploy", "a=3 b=3", file)
	s.kind.versions = []map[string]string{{"a": "3", "b": "3"}, {"a": "2", "b": "1"}, {"a": "1"}}
	s.refused("rollback --version-id 7", "there is no version 7", file)
	s.must("rollback --version-id 1", "a=1 b=3", file)
	s.must("rollback", "a=3 b=3", file)
	s.store = state.Folder{Dir: t.TempDir()} // nothing is known any more
	s.refused("rollback", "box a", file)     // whose it is neither
	s.must("rollback --use-local", "a=2 b=1", file)
	s.kind.fails = errors.New("down")
	s.refused("rollback --version-id 1", "listing versions", file)
}

func TestRollbackPlan(t *testing.T) {
	s := newStory(t)
	file := service("s", "a=2", "b=2")
	s.must("deploy", "a=1", service("s", "a=1"))
	s.must("deploy", "a=2 b=2", file)
	before := len(s.cloud.changes())
	result, err := s.run("plan --plan-type rollback", file)
	if err != nil || len(s.cloud.changes()) != before {
		t.Fatal(err, s.cloud.changes())
	}
	n := result.Plan.Counts()
	if result.Plan.Command != "rollback" || n.Update != 1 || n.None != 1 || n.Pending() != 1 {
		t.Errorf("%+v", n)
	}
	if note := result.Plan.Services[0].Changes[1].Note; note != "stays: made by the last deploy; --prune deletes it" {
		t.Errorf("note %q", note)
	}
	s.refused("plan --plan-type rollback --use-remote", "does not go with", file)
	s.refused("plan --plan-type remove --version-id 3", "is for rollbacks", file)
}

// What the cloud does not show cannot be sent again; what cannot be taken back is told.
func TestRollbackRefusesWhatIsHidden(t *testing.T) {
	s := newStory(t)
	file := service("s", "a=2")
	s.must("deploy", "a=1", service("s", "a=1"))
	s.must("deploy", "a=2", file)
	s.kind.schema = resource.Schema{"size.key": {Secret: true, Ignore: true}}
	s.refused("rollback", "size holds a secret that the cloud does not show", file)
	s.kind.schema = resource.Schema{"size": {Secret: true}}
	s.must("rollback", "a=1", file) // it was no secret when it was recorded
}

func TestRollbackTellsWhatStays(t *testing.T) {
	s := newStory(t)
	file := service("s", "a=2")
	s.kind.schema = resource.Schema{"size": {KeepUnset: true}}
	s.must("deploy", "a=", service("s", "a="))
	s.cloud.boxes["a"] = resource.Attributes{"size": ""}
	s.must("deploy", "a=2", file)
	result, err := s.run("plan --plan-type rollback", file)
	if err != nil {
		t.Fatal(err)
	}
	if c := result.Plan.Services[0].Changes[0]; c.Action != plan.None || c.Note != "size cannot be taken back and stays" {
		t.Errorf("%s %q", c.Action, c.Note)
	}
}

// The clock of one runner is behind that of another.
func TestRollbackWithClocksThatDiffer(t *testing.T) {
	s := newStory(t)
	file := service("s", "a=2", "b=3")
	s.must("deploy", "a=1 b=1", service("s", "a=1", "b=1"))
	s.must("deploy", "a=2 b=1", service("s", "a=2", "b=1"))
	s.now = s.now.Add(-time.Hour)
	s.must("deploy", "a=2 b=3", file)
	s.must("rollback", "a=2 b=1", file)
	s.must("rollback", "a=2 b=3", file)
}
