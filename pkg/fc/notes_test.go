package fc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

const onlyService = `{"region":"cn-hangzhou","service":{"name":"demo"}}`

// notes returns the notes of the service in the props of the call.
func (w *world) notesOf(command, props string) state.Notes {
	w.t.Helper()
	desired, err := w.component().Desired(context.Background(), w.call(command, props))
	if err != nil {
		w.t.Fatal(err)
	}
	if want := (resource.ID{Kind: "service", Name: "demo"}); desired.Holder != want || desired.Notes == nil {
		w.t.Fatalf("%s: holder %v, notes %v", command, desired.Holder, desired.Notes)
	}
	return desired.Notes
}

func TestNotes(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	notes := w.notesOf("plan", onlyService)
	if got, exists, err := notes.Read(ctx); got != nil || exists || err != nil {
		t.Fatalf("an absent service has %v, %v, %v", got, exists, err)
	}
	if err := notes.Write(ctx, nil, []string{"a"}); err != nil {
		t.Errorf("removing from an absent service: %v", err)
	}
	if err := notes.Write(ctx, map[string]string{"a": "1"}, nil); !errors.Is(err, state.ErrNoHolder) {
		t.Errorf("writing to an absent service: %v", err)
	}
	w.deploy(onlyService)
	before := w.read(props.ServiceKind, "demo")
	if got, exists, err := notes.Read(ctx); len(got) != 0 || !exists || err != nil {
		t.Fatalf("a new service has %v, %v, %v", got, exists, err)
	}
	for _, step := range []struct {
		set    map[string]string
		remove []string
		want   map[string]string
	}{
		{map[string]string{"a": "1", "b": "2"}, nil, map[string]string{"a": "1", "b": "2"}},
		{map[string]string{"c": "3"}, []string{"a", "never"}, map[string]string{"b": "2", "c": "3"}},
		{map[string]string{"b": "new"}, []string{"b"}, map[string]string{"b": "new", "c": "3"}},
		{nil, []string{"c"}, map[string]string{"b": "new"}},
		{nil, nil, map[string]string{"b": "new"}},
	} {
		if err := notes.Write(ctx, step.set, step.remove); err != nil {
			t.Fatal(err)
		}
		got, _, err := w.notesOf("remove", onlyService).Read(ctx)
		if d := cmp.Diff(step.want, got); d != "" || err != nil {
			t.Errorf("set %v, remove %v: %s %v", step.set, step.remove, d, err)
		}
	}
	if d := cmp.Diff(before, w.read(props.ServiceKind, "demo")); d != "" {
		t.Errorf("notes changed the service, its ETag or its times: %s", d)
	}
}

// A full house is no obstacle where notes make room for others.
func TestNotesMakeRoom(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.deploy(onlyService)
	notes, full := w.notesOf("deploy", onlyService), map[string]string{}
	for i := range 20 {
		full[fmt.Sprint("k", i)] = "v"
	}
	if err := notes.Write(ctx, full, nil); err != nil {
		t.Fatal(err)
	}
	if err := notes.Write(ctx, map[string]string{"new": "v"}, []string{"k3"}); err != nil {
		t.Fatal(err)
	}
	got, _, err := notes.Read(ctx)
	if err != nil || len(got) != 20 || got["new"] != "v" || got["k3"] != "" {
		t.Errorf("got %v, %v", got, err)
	}
	w.problem(notes.Write(ctx, map[string]string{"more": "v"}, nil))
}

func TestNotesForbidden(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.deploy(onlyService)
	notes := w.notesOf("deploy", onlyService)
	w.setFault(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		rw.WriteHeader(http.StatusForbidden)
		_, _ = rw.Write([]byte(`{"ErrorCode":"AccessDenied","ErrorMessage":"no"}`))
		return true
	})
	_, _, readErr := notes.Read(ctx)
	for action, err := range map[string]error{
		"fc:GetResourceTags": readErr,
		"fc:TagResource":     notes.Write(ctx, map[string]string{"a": "1"}, nil),
		"fc:UntagResource":   notes.Write(ctx, nil, []string{"a"}),
	} {
		if f, ok := errors.AsType[*resource.Forbidden](err); !ok || f.Action != action {
			t.Errorf("%s: got %v", action, err)
		}
	}
}

func TestNotesSurviveLostAnswers(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.deploy(onlyService)
	notes := w.notesOf("deploy", onlyService)
	var lost atomic.Int32
	w.setFault(func(rw http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if lost.Add(1)%2 == 0 {
			return false
		}
		next.ServeHTTP(discard{http.Header{}}, r)
		panic(http.ErrAbortHandler)
	})
	if err := notes.Write(ctx, map[string]string{"a": "1"}, []string{"b"}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := notes.Read(ctx); err != nil || got["a"] != "1" {
		t.Errorf("got %v, %v", got, err)
	}
}

// discard takes an answer that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
