package fc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/archive"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

func want(kind resource.Kind, name string, attrs resource.Attributes) *resource.Resource {
	return &resource.Resource{ID: resource.ID{Kind: kind, Name: name}, Attrs: attrs}
}

func isConflict(err error) bool { _, ok := errors.AsType[*resource.Conflict](err); return ok }

// zipped is a code package in memory.
type zipped struct {
	content string
	size    int64
}

func (z zipped) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(z.content)), nil }
func (z zipped) Size() int64                  { return z.size }
func (z zipped) Checksum() string             { return "" }

// on makes the fault apply to the first n calls of a method whose path ends so.
func on(n int32, method, suffix string, fault func(http.ResponseWriter, *http.Request, http.Handler)) func(http.ResponseWriter, *http.Request, http.Handler) bool {
	var seen atomic.Int32
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if r.Method != method || !strings.HasSuffix(r.URL.Path, suffix) || seen.Add(1) > n {
			return false
		}
		fault(w, r, next)
		return true
	}
}

// lost lets the call have its effect and loses the answer.
func lost(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	broken(w, r, next)
}

func broken(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, `{"Code":"InternalServerError","Message":"try again"}`)
}

func TestCreateIsSettledByReading(t *testing.T) {
	ctx := context.Background()
	create := func(w *world, description string) error {
		_, err := w.handler(props.ServiceKind).Create(ctx, want(props.ServiceKind, "demo", resource.Attributes{"description": description}))
		return err
	}
	t.Run("it was created", func(t *testing.T) {
		w := newWorld(t)
		w.setFault(on(1, "POST", "/services", lost))
		if err := create(w, "mine"); err != nil {
			t.Error(err)
		}
	})
	t.Run("it was not", func(t *testing.T) {
		w := newWorld(t)
		w.setFault(on(1, "POST", "/services", broken))
		if err := create(w, "mine"); err != nil || w.read(props.ServiceKind, "demo") == nil {
			t.Error(err)
		}
	})
	t.Run("it cannot be", func(t *testing.T) {
		w := newWorld(t)
		w.setFault(on(99, "POST", "/services", broken))
		w.took()
		if err := create(w, "mine"); err == nil || len(w.took()) != 2*createTries {
			t.Errorf("got %v", err)
		}
	})
	t.Run("somebody else created another", func(t *testing.T) {
		w := newWorld(t)
		if err := create(w, "theirs"); err != nil {
			t.Fatal(err)
		}
		if err := create(w, "mine"); !isConflict(err) {
			t.Errorf("got %v", err)
		}
		w.setFault(on(1, "POST", "/services", broken))
		if err := create(w, "mine"); !isConflict(err) {
			t.Errorf("got %v", err)
		}
		if got := w.read(props.ServiceKind, "demo").Attrs["description"]; got != "theirs" {
			t.Errorf("overwritten: %v", got)
		}
	})
}

func TestUpdateConflicts(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.deploy(webProps)
	h := w.handler(props.ServiceKind)
	stale := w.read(props.ServiceKind, "demo")
	update := func(found *resource.Found, description string) error {
		_, err := h.Update(ctx, want(props.ServiceKind, "demo", resource.Attributes{"description": description}), found, []string{"description"})
		return err
	}
	w.setFault(on(1, "PUT", "/services/demo", lost))
	if err := update(stale, "mine"); err != nil {
		t.Errorf("our own change counts as somebody else's: %v", err)
	}
	if err := update(stale, "other"); !isConflict(err) {
		t.Errorf("got %v", err)
	}
	w.setFault(on(1, "PUT", "/services/demo", broken))
	if err := update(stale, "other"); !isConflict(err) {
		t.Errorf("got %v", err)
	}
	if got := w.read(props.ServiceKind, "demo").Attrs["description"]; got != "mine" {
		t.Errorf("overwritten: %v", got)
	}
	if err := h.Delete(ctx, resource.ID{Kind: props.ServiceKind, Name: "demo"}, stale); !isConflict(err) {
		t.Errorf("got %v", err)
	}
}

func TestDeleteOfWhatIsNotEmpty(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.deploy(webProps)
	for kind, name := range map[resource.Kind]string{props.ServiceKind: "demo", props.FunctionKind: "demo/hello"} {
		err := w.handler(kind).Delete(ctx, resource.ID{Kind: kind, Name: name}, w.read(kind, name))
		if !errors.Is(err, resource.ErrNotEmpty) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestAsyncConfigOfSomebodyElse(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.deploy(webProps)
	h := w.handler(props.AsyncConfigKind)
	theirs := want(props.AsyncConfigKind, "demo/hello", resource.Attributes{"maxAsyncRetryAttempts": int64(1)})
	if _, err := h.Create(ctx, theirs); err != nil {
		t.Fatal(err)
	}
	mine := want(props.AsyncConfigKind, "demo/hello", resource.Attributes{"maxAsyncRetryAttempts": int64(2), "statefulInvocation": true})
	if _, err := h.Create(ctx, mine); !isConflict(err) {
		t.Errorf("got %v", err)
	}
	found, err := h.Update(ctx, mine, w.read(props.AsyncConfigKind, "demo/hello"), []string{"statefulInvocation"})
	if err != nil || found.Attrs["maxAsyncRetryAttempts"] != int64(1) || found.Attrs["statefulInvocation"] != true {
		t.Errorf("%v, %v", found, err)
	}
}

func TestTriggersThatCannotChange(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.deploy(webProps)
	h := w.handler(props.TriggerKind)
	topic := want(props.TriggerKind, "demo/hello/topic", resource.Attributes{
		"triggerType": "mns_topic", "sourceArn": "acs:mns:cn-hangzhou:1:/topics/t", "description": "a", "triggerConfig": map[string]any{},
	})
	found, err := h.Create(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"description", "sourceArn"} {
		_, err = h.Update(ctx, topic, found, []string{field})
		if p := w.problem(err); !strings.Contains(p.Summary, "cannot be changed once it is there") || p.Hint == "" {
			t.Errorf("%s: %+v", field, p)
		}
	}
	w.took()
	err = h.Delete(ctx, resource.ID{Kind: props.TriggerKind, Name: "demo/hello/eb|rule"}, nil)
	if p := w.problem(err); !strings.Contains(p.Summary, "EventBridge") || len(w.took()) != 0 {
		t.Errorf("%+v", p)
	}
}

func TestWhatCannotBeTakenBack(t *testing.T) {
	w := newWorld(t)
	w.deploy(webProps)
	_, err := w.handler(props.FunctionKind).Update(context.Background(),
		want(props.FunctionKind, "demo/hello", resource.Attributes{}), w.read(props.FunctionKind, "demo/hello"), []string{"cpu"})
	if p := w.problem(err); !strings.Contains(p.Summary, "cannot be taken back") {
		t.Errorf("%+v", p)
	}
}

func TestCode(t *testing.T) {
	w := newWorld(t)
	h := w.handler(props.FunctionKind)
	attrs := func(code any) resource.Attributes {
		return resource.Attributes{"runtime": "python3.9", "handler": "index.handler", "code": code}
	}
	create := func(code any, payload resource.Payload) error {
		r := want(props.FunctionKind, "demo/fn", attrs(code))
		r.Code = payload
		_, err := h.Create(context.Background(), r)
		return err
	}
	w.deploy(webProps)
	w.took()
	err := create(nil, zipped{"", archive.MaxInline + 1})
	if p := w.problem(err); !strings.Contains(p.Summary, "50 MiB") || !strings.Contains(p.Hint, "ossBucket") {
		t.Errorf("%+v", p)
	}
	for _, size := range []int64{2, 9} {
		if err := create(nil, zipped{"abc", size}); err == nil {
			t.Errorf("a package of 3 bytes was sent as one of %d", size)
		}
	}
	if len(w.took()) != 0 {
		t.Error("the cloud was asked")
	}
	err = create(map[string]any{"ossBucketName": "b", "ossObjectName": secret.New("o")}, nil)
	if err == nil {
		t.Error("the embedded cloud has no buckets")
	}
	wantCode := map[string]any{"ossBucketName": "b", "ossObjectName": "o"}
	if diff := cmp.Diff(wantCode, w.body("POST /services/demo/functions")["code"]); diff != "" {
		t.Error(diff)
	}
}

func TestFoundFunction(t *testing.T) {
	w := newWorld(t)
	w.deploy(webProps)
	found := w.read(props.FunctionKind, "demo/hello")
	env, _ := found.Attrs["environmentVariables"].(map[string]any)
	if s, ok := env["MODE"].(secret.String); !ok || s.Reveal() != "prod" {
		t.Errorf("environmentVariables: %#v", env)
	}
	if text := fmt.Sprintf("%v %+v", found, *found); strings.Contains(text, "prod") {
		t.Errorf("the value is in %s", text)
	}
	code, _ := found.Attrs["code"].(map[string]any)
	if code["checksum"] == "" || code["size"] == int64(0) || found.ETag == "" || found.Info["functionId"] == "" {
		t.Errorf("%+v", found)
	}
}

func TestNames(t *testing.T) {
	w := newWorld(t)
	for kind, name := range map[resource.Kind]string{
		props.FunctionKind: "demo", props.TriggerKind: "demo/hello", props.AsyncConfigKind: "demo/", AliasKind: "demo", ProvisionKind: "a/b",
	} {
		if _, err := w.handler(kind).Read(context.Background(), resource.ID{Kind: kind, Name: name}); err == nil {
			t.Errorf("%s %s: no error", kind, name)
		}
	}
}

func TestUnknownIsNotSent(t *testing.T) {
	w := newWorld(t)
	_, err := w.handler(props.ServiceKind).Create(context.Background(),
		want(props.ServiceKind, "demo", resource.Attributes{"role": app.UnknownValue{Expr: "x.y"}}))
	if err == nil || len(w.took()) != 0 {
		t.Errorf("got %v", err)
	}
}

func TestHandlersSideBySide(t *testing.T) {
	w := newWorld(t)
	h := w.handler(props.ServiceKind)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := want(props.ServiceKind, fmt.Sprintf("demo%d", i), resource.Attributes{"description": "d"})
			found, err := h.Create(context.Background(), r)
			if err == nil {
				err = h.Delete(context.Background(), r.ID, found)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
