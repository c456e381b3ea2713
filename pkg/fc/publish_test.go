package fc

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
)

// release runs publish with pauses that cost no time; at each of them pause is called.
func (w *world) release(ctx context.Context, pause func() error, args ...any) (*app.Value, error) {
	c := w.component()
	c.cfg.Sleep = func(context.Context, time.Duration) error {
		if pause == nil {
			return nil
		}
		return pause()
	}
	return component.Find(c, "publish").Run(ctx, w.call("publish", eventProps, args...))
}

// A version whose answer is lost is found again, and not published twice.
func TestPublishLosesNoAnswer(t *testing.T) {
	for name, arrives := range map[string]bool{"lost answer": true, "lost request": false} {
		w := newWorld(t)
		w.deploy(eventProps)
		var hit atomic.Bool
		w.setFault(func(rw http.ResponseWriter, r *http.Request, next http.Handler) bool {
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/versions") || hit.Swap(true) {
				return false
			}
			if arrives {
				next.ServeHTTP(httptest.NewRecorder(), r)
			}
			panic(http.ErrAbortHandler)
		})
		out, err := w.release(t.Context(), nil, "description", "v1")
		if arrives && (err != nil || out.Get("version", "id").Str() != "1") || !arrives && err == nil {
			t.Errorf("%s: %v, %v", name, out, err)
		}
		w.setFault(nil)
		out, err = w.release(t.Context(), nil, "description", "v1")
		if err != nil || out.Get("version", "id").Str() != "1" {
			t.Errorf("%s, again: %v, %v", name, out, err)
		}
	}
}

// Whatever ends a rollout, the alias is what it was.
func TestAliasGoesBack(t *testing.T) {
	for name, end := range map[string]func(w *world, cancel func()) error{
		"interrupt": func(_ *world, cancel func()) error { cancel(); return context.Canceled },
		"the cloud": func(w *world, _ func()) error {
			var hit atomic.Bool
			w.setFault(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				if r.Method != http.MethodPut || hit.Swap(true) {
					return false
				}
				rw.WriteHeader(http.StatusForbidden)
				_, _ = rw.Write([]byte(`{"ErrorCode":"AccessDenied","ErrorMessage":"no"}`))
				return true
			})
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deploy(eventProps)
			if _, err := w.release(t.Context(), nil, "alias", "prod"); err != nil {
				t.Fatal(err)
			}
			w.deploy(strings.Replace(eventProps, `"timeout": 10`, `"timeout": 9`, 1))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := w.release(ctx, func() error { return end(w, cancel) }, "alias", "prod", "canary", "10,50")
			p, ok := errors.AsType[*diag.Problem](err)
			if !ok && name != "interrupt" || err == nil {
				t.Fatalf("%v", err)
			}
			if ok && !strings.Contains(p.Hint, "points to version 1 as before") {
				t.Errorf("%s", diag.Render(err))
			}
			out, err := component.Find(w.component(), "alias").Run(t.Context(), w.call("alias", eventProps, "sub", "get", "alias-name", "prod"))
			if err != nil || out.Get("versionId").Str() != "1" || len(out.Get("additionalVersionWeight").Keys()) != 0 {
				t.Errorf("%v, %v", out.Plain(), err)
			}
		})
	}
}

// An alias that is where it shall be is left alone.
func TestNothingToMove(t *testing.T) {
	w := newWorld(t)
	w.deploy(eventProps)
	if _, err := w.release(t.Context(), nil, "alias", "prod"); err != nil {
		t.Fatal(err)
	}
	w.took()
	if _, err := w.release(t.Context(), nil, "alias", "prod"); err != nil {
		t.Fatal(err)
	}
	for _, call := range w.took() {
		if strings.HasPrefix(call, "PUT") {
			t.Errorf("%s", call)
		}
	}
}

// rollOut publishes a second version and moves prod to it, with the answer of the n-th
// change of the alias lost: it arrives, or not.
func rollOut(t *testing.T, n int, arrives bool, between func(w *world), args ...any) (w *world, err error) {
	t.Helper()
	w = newWorld(t)
	w.deploy(eventProps)
	if _, err := w.release(t.Context(), nil, "alias", "prod"); err != nil {
		t.Fatal(err)
	}
	w.deploy(strings.Replace(eventProps, `"timeout": 10`, `"timeout": 9`, 1))
	var puts atomic.Int32
	w.setFault(func(rw http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/aliases/") {
			return false
		}
		if puts.Add(1) != int32(n) {
			return false
		}
		if arrives {
			next.ServeHTTP(httptest.NewRecorder(), r)
		} else if between != nil {
			w.setFault(nil)
			between(w)
		}
		panic(http.ErrAbortHandler)
	})
	_, err = w.release(t.Context(), nil, append([]any{"alias", "prod"}, args...)...)
	return w, err
}

// alias tells where prod points to: the version, and others with their weights.
func (w *world) prod() string {
	out, err := component.Find(w.component(), "alias").Run(w.t.Context(), w.call("alias", eventProps, "sub", "get", "alias-name", "prod"))
	if err != nil {
		w.t.Fatal(err)
	}
	text := out.Get("versionId").Str()
	for _, key := range out.Get("additionalVersionWeight").Keys() {
		text += " and " + key
	}
	return text
}

// An answer that is lost on the way is no failure of the rollout.
func TestRolloutLosesNoAnswer(t *testing.T) {
	for n := 1; n <= 3; n++ {
		for _, arrives := range []bool{true, false} {
			w, err := rollOut(t, n, arrives, nil, "canary", "10,50")
			if got := w.prod(); err != nil || got != "2" {
				t.Errorf("answer %d is lost, and arrived %v: prod is %s, %v", n, arrives, got, err)
			}
		}
	}
}

// The health check is asked behind a step whose answer was lost, too.
func TestRolloutChecksWhatIsLost(t *testing.T) {
	var asked atomic.Int32
	ill := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		rw.WriteHeader(http.StatusInternalServerError)
	}))
	defer ill.Close()
	w, err := rollOut(t, 1, true, nil, "canary-check", ill.URL)
	if got := w.prod(); err == nil || got != "1" || asked.Load() == 0 {
		t.Errorf("prod is %s, asked %d times, %v", got, asked.Load(), err)
	}
}

// What somebody else did in between is not undone.
func TestRolloutUndoesNobodyElse(t *testing.T) {
	w, err := rollOut(t, 1, false, func(w *world) {
		call := w.call("alias", eventProps, "sub", "publish", "alias-name", "prod", "version-id", "1", "gversion", "2", "weight", 33)
		if _, err := component.Find(w.component(), "alias").Run(w.t.Context(), call); err != nil {
			w.t.Error(err)
		}
	}, "canary", "10,50")
	if got := w.prod(); err == nil || got != "1 and 2" || !strings.Contains(diag.Render(err), "somebody else changed it") {
		t.Errorf("prod is %s, %v", got, err)
	}
}
