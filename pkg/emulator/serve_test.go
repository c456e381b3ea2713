package emulator

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestStartAndLocate(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, Runner: &fakeRunner{}}
	if _, ok := Locate(dir); ok {
		t.Error("nothing runs, but something is found")
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, cfg, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if url, ok := Locate(dir); !ok || url != s.URL {
		t.Errorf("found %q, %v", url, ok)
	}
	if _, err := Start(ctx, cfg, "127.0.0.1:0"); !errors.Is(err, ErrInUse) {
		t.Errorf("a second start: %v", err)
	}
	// another cloud at the address of this folder is not taken for it
	other, err := Start(ctx, Config{Dir: t.TempDir(), Runner: &fakeRunner{}}, "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, addressFile), []byte(other.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	if url, ok := Locate(dir); ok {
		t.Errorf("found %q, which is another folder's", url)
	}
	cancel()
	if err := errors.Join(s.Close(), other.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, addressFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the address is left: %v", err)
	}
	s, err = Start(t.Context(), cfg, "[::1]:0")
	if err != nil {
		s, err = Start(t.Context(), cfg, "127.0.0.1:0") // a machine without IPv6
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, addr := range []string{"0.0.0.0:0", ":0", "example.com:80", "127.0.0.1"} {
		if _, err := Start(t.Context(), cfg, addr); err == nil {
			t.Errorf("listens on %s", addr)
		}
	}
}

func TestEvents(t *testing.T) {
	var mu sync.Mutex
	var events []Event
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	cloud, err := Open(Config{Dir: t.TempDir(), Runner: &fakeRunner{}, Now: func() time.Time { return now }, Log: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer cloud.Close()
	l := serveCloud(t, cloud)
	l.date = now.Format("Mon, 02 Jan 2006 15:04:05 GMT")
	a := l.do("POST", "/services", object{"serviceName": "s"})
	if a.want(t, 200, ""); a.body["createdTime"] != "2030-01-02T03:04:05Z" {
		t.Errorf("created %s", a.raw)
	}
	b := l.do("GET", "/services/none", nil)
	if len(events) != 2 || events[0].Operation != "CreateService" || events[0].Status != 200 || events[0].RequestID != a.header.Get("X-Fc-Request-Id") ||
		events[1].ErrorCode != "ServiceNotFound" || events[1].Status != 404 || events[1].RequestID != b.header.Get("X-Acs-Request-Id") {
		t.Errorf("events %+v", events)
	}
}
