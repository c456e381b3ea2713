package fc

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/emulator"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

// bucket is the way to a cloud that admits some calls a second.
type bucket struct {
	cloud     http.Handler
	perSecond float64

	mu      sync.Mutex
	tokens  float64
	last    time.Time
	refused int
	busy    int
	most    int
}

func (b *bucket) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	b.mu.Lock()
	now := time.Now()
	b.tokens = min(b.perSecond, b.tokens+b.perSecond*now.Sub(b.last).Seconds())
	b.last = now
	admitted := b.tokens >= 1
	if admitted {
		b.tokens--
	} else {
		b.refused++
	}
	b.busy++
	b.most = max(b.most, b.busy)
	b.mu.Unlock()
	time.Sleep(50 * time.Millisecond)
	rec := httptest.NewRecorder()
	if admitted {
		b.cloud.ServeHTTP(rec, r)
	} else {
		rec.WriteHeader(http.StatusTooManyRequests)
		_, _ = rec.WriteString(`{"ErrorCode":"ResourceThrottled","ErrorMessage":"too many"}`)
	}
	b.mu.Lock()
	b.busy--
	b.mu.Unlock()
	return rec.Result(), nil
}

// A deploy of forty functions ends although the cloud admits five calls a second, and
// all clients of the run keep to one limit.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, err := emulator.Open(emulator.Config{Dir: t.TempDir(), Runner: &fakeRunner{}, Keys: map[string]string{"canary-id": canary}})
		if err != nil {
			t.Fatal(err)
		}
		defer cloud.Close()
		way := &bucket{cloud: cloud, perSecond: 5, last: time.Now()}
		w := &world{t: t, url: "http://fc.example.com"}
		shared := NewWith(Config{TempDir: t.TempDir(), Transport: way}).(*Component)
		of := func(kind resource.Kind) resource.Handler {
			call := w.call("deploy", onlyService)
			call.Parallelism = 12
			types, err := shared.Types(context.Background(), call)
			if err != nil {
				t.Fatal(err)
			}
			return types[kind].Handler
		}
		ctx := context.Background()
		if _, err := of(props.ServiceKind).Create(ctx, want(props.ServiceKind, "demo", nil)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 40 {
			r := want(props.FunctionKind, fmt.Sprint("demo/f", i), resource.Attributes{"runtime": "python3.9", "handler": "index.handler"})
			r.Code = zipped{emptyZip, int64(len(emptyZip))}
			h := of(props.FunctionKind) // each service of a run has a client of its own
			wg.Go(func() {
				found, err := h.Read(ctx, r.ID)
				if err != nil || found != nil {
					t.Errorf("%s: %v, %v", r.ID, found, err)
				}
				if _, err := h.Create(ctx, r); err != nil {
					t.Errorf("%s: %v", r.ID, err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > time.Minute || way.most > 12 || way.refused == 0 {
			t.Errorf("took %v, %d calls at once, %d turned away", took, way.most, way.refused)
		}
	})
}

// emptyZip is a zip file without members.
const emptyZip = "PK\x05\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func TestLimitsOfAComponent(t *testing.T) {
	c := New().(*Component)
	a := c.limits.get(target{"e", "1", "r"}, 3)
	if c.limits.get(target{"e", "1", "r"}, 3) != a || c.limits.get(target{"e", "1", "other"}, 3) == a || c.limits.get(target{"e", "2", "r"}, 3) == a {
		t.Error("limits belong to an endpoint, an account and a region")
	}
}

// hang is the way to a cloud that does the first changing call of each path, and never
// answers it.
type hang struct {
	cloud http.Handler
	mu    sync.Mutex
	hung  map[string]bool
}

func (h *hang) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	h.mu.Lock()
	first := r.Method != http.MethodGet && !h.hung[r.Method+r.URL.Path]
	if first {
		h.hung[r.Method+r.URL.Path] = true
	}
	h.mu.Unlock()
	rec := httptest.NewRecorder()
	h.cloud.ServeHTTP(rec, r)
	if first {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return rec.Result(), nil
}

// A creation of any kind that times out is settled by reading, within minutes.
func TestTimeoutOfACreation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, err := emulator.Open(emulator.Config{Dir: t.TempDir(), Runner: &fakeRunner{}, Keys: map[string]string{"canary-id": canary}})
		if err != nil {
			t.Fatal(err)
		}
		defer cloud.Close()
		w := &world{t: t, dir: t.TempDir(), url: "http://fc.example.com"}
		w.write("code/index.py", "")
		way := &hang{cloud: cloud, hung: map[string]bool{}}
		c := NewWith(Config{TempDir: t.TempDir(), Transport: way})
		ctx, call := context.Background(), w.call("deploy", fullProps)
		desired, err := c.(component.Provider).Desired(ctx, call)
		if err != nil {
			t.Fatal(err)
		}
		defer desired.Close()
		types, err := c.(component.Provider).Types(ctx, call)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[resource.Kind]bool{}
		for _, r := range desired.Resources {
			start := time.Now()
			found, err := types[r.Kind].Handler.Create(ctx, r)
			if err != nil || found == nil {
				t.Errorf("%s: %v", r.ID, err)
			}
			if took := time.Since(start); !kinds[r.Kind] && took < time.Minute || took > 5*time.Minute {
				t.Errorf("%s: settled after %v", r.ID, took)
			}
			kinds[r.Kind] = true
		}
		if len(kinds) != 6 || len(way.hung) != 6 {
			t.Errorf("created %v with %d calls that hung", kinds, len(way.hung))
		}
	})
}
