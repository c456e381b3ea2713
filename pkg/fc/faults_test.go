package fc

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// faults are what can happen to one call.
func faults() map[string]func(http.ResponseWriter, *http.Request, http.Handler) {
	status := func(code int, text string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"ErrorCode":"`+text+`","ErrorMessage":"try again"}`)
		}
	}
	return map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"500 before it is done": broken,
		"500 after it was done": lost,
		"503":                   status(503, "ServiceUnavailable"),
		"429":                   status(429, "ResourceThrottled"),
		"reset before it is done": func(http.ResponseWriter, *http.Request, http.Handler) {
			panic(http.ErrAbortHandler)
		},
		"reset after it was done": func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		},
		"half an answer": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
			panic(http.ErrAbortHandler)
		},
	}
}

// state is all that a deploy of fullProps can leave, by ID.
func (w *world) state() map[string]resource.Attributes {
	all := map[string]resource.Attributes{}
	for kind, names := range map[resource.Kind][]string{
		props.ServiceKind: {"demo"}, props.VPCBindingKind: {"demo"}, props.FunctionKind: {"demo/hello"}, props.AsyncConfigKind: {"demo/hello"},
		props.TriggerKind: {"demo/hello/web", "demo/hello/tick", "demo/hello/bus"}, props.CustomDomainKind: {"www.example.com"},
	} {
		for _, name := range names {
			if found := w.read(kind, name); found != nil {
				all[string(kind)+" "+name] = found.Attrs
			}
		}
	}
	return all
}

func sameSecrets() cmp.Option { return cmp.Comparer(secret.String.Equal) }

// One fault at any one call that changes something, of any kind, is settled within the
// same run: nothing is made twice, nothing counts as somebody else's.
func TestOneFaultAtAnyCall(t *testing.T) {
	var cases atomic.Int32
	t.Cleanup(func() { t.Logf("%d faults", cases.Load()) })
	for _, s := range []struct{ name, from, command, to string }{
		{"creating all", "", "deploy", fullProps},
		{"taking all back", fullProps, "deploy", bareProps},
		{"setting all", bareProps, "deploy", fullProps},
		{"removing all", fullProps, "remove", fullProps},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			run := func(t *testing.T, at int32, fault func(http.ResponseWriter, *http.Request, http.Handler)) (w *world, changes int32, err error) {
				w = newWorld(t)
				if s.from != "" {
					w.deploy(s.from)
				}
				var seen atomic.Int32
				w.setFault(func(rw http.ResponseWriter, r *http.Request, next http.Handler) bool {
					if r.Method == http.MethodGet || seen.Add(1) != at {
						return false
					}
					fault(rw, r, next)
					return true
				})
				_, _, err = w.bring(w.call(s.command, s.to))
				w.setFault(nil)
				return w, seen.Load(), err
			}
			w, calls, err := run(t, -1, nil)
			if err != nil || calls < 8 {
				t.Fatalf("%d calls, %v", calls, err)
			}
			want := w.state()
			for name, fault := range faults() {
				if s.from != "" && name != "reset after it was done" && name != "503" {
					continue // what is not made anew fails the same way for all
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					for at := int32(1); at <= calls; at++ {
						cases.Add(1)
						w, _, err := run(t, at, fault)
						if err != nil {
							t.Errorf("call %d: %v", at, diag.Render(err))
							continue
						}
						if d := cmp.Diff(want, w.state(), sameSecrets()); d != "" {
							t.Errorf("call %d: %s", at, d)
						}
					}
				})
			}
		})
	}
}

// What somebody else changed since it was read is never overwritten and never deleted,
// whatever the kind.
func TestConflictsOfEveryKind(t *testing.T) {
	theirs := map[resource.Kind]resource.Attributes{
		props.ServiceKind:      {"description": "theirs"},
		props.FunctionKind:     {"description": "theirs"},
		props.AsyncConfigKind:  {"maxAsyncRetryAttempts": int64(7)},
		props.TriggerKind:      {"description": "theirs"},
		props.VPCBindingKind:   {"vpcIds": []any{"vpc-theirs"}},
		props.CustomDomainKind: {"wafConfig": map[string]any{"enableWAF": true}},
	}
	names := map[resource.Kind]string{
		props.ServiceKind: "demo", props.FunctionKind: "demo/hello", props.AsyncConfigKind: "demo/hello",
		props.TriggerKind: "demo/hello/web", props.VPCBindingKind: "demo", props.CustomDomainKind: "www.example.com",
	}
	mine := map[resource.Kind]resource.Attributes{
		props.ServiceKind:      {"description": "mine"},
		props.FunctionKind:     {"description": "mine"},
		props.AsyncConfigKind:  {"maxAsyncRetryAttempts": int64(2)},
		props.TriggerKind:      {"description": "mine"},
		props.VPCBindingKind:   {"vpcIds": []any{"vpc-mine"}},
		props.CustomDomainKind: {"wafConfig": map[string]any{"enableWAF": false}},
	}
	ctx := context.Background()
	w := newWorld(t)
	w.deploy(fullProps)
	for kind, attrs := range theirs {
		h, id := w.handler(kind), resource.ID{Kind: kind, Name: names[kind]}
		stale := w.read(kind, id.Name)
		field := props.Schemas()[kind].Compare(nil, attrs, nil)[0].Field
		if _, err := h.Update(ctx, want(kind, id.Name, attrs), stale, []string{field}); err != nil {
			t.Fatal(diag.Render(err))
		}
		now := w.read(kind, id.Name)
		if _, err := h.Update(ctx, want(kind, id.Name, mine[kind]), stale, []string{field}); !isConflict(err) {
			t.Errorf("%s: an update gives %v", id, err)
		}
		whole := maps.Clone(now.Attrs) // what somebody else made meanwhile is not taken for ours
		maps.Copy(whole, mine[kind])
		again := want(kind, id.Name, whole)
		if kind == props.FunctionKind {
			again.Code = zipped{emptyZip, int64(len(emptyZip))}
		}
		if _, err := h.Create(ctx, again); !isConflict(err) {
			t.Errorf("%s: a creation gives %v", id, err)
		}
		if err := h.Delete(ctx, id, stale); !isConflict(err) {
			t.Errorf("%s: a deletion gives %v", id, err)
		}
		if d := cmp.Diff(now, w.read(kind, id.Name), sameSecrets()); d != "" {
			t.Errorf("%s: %s", id, d)
		}
	}
}

// A call that the API refuses is made once.
func TestRefusalsAreNotRepeated(t *testing.T) {
	w := newWorld(t)
	w.deploy(fullProps)
	for _, status := range []int{400, 401, 403, 404, 409, 412, 413, 415} {
		w.setFault(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Method == http.MethodGet {
				return false
			}
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, `{"ErrorCode":"Refused","ErrorMessage":"no"}`)
			return true
		})
		w.took()
		if _, _, err := w.bring(w.call("deploy", strings.Replace(fullProps, `"full"`, `"other"`, 1))); err == nil {
			t.Errorf("%d is no error", status)
		}
		changing := 0
		for _, call := range w.took() {
			if !strings.HasPrefix(call, "GET ") {
				changing++
			}
		}
		if changing != 1 {
			t.Errorf("%d: %d calls", status, changing)
		}
	}
}
