package fc

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

const backProps = `{"region":"cn-hangzhou","service":{"name":"demo","description":"DESC"},
	"function":{"name":"hello","runtime":"python3","codeUri":"./code","memorySize":"MEM"}}`

var hello = resource.ID{Kind: props.FunctionKind, Name: "demo/hello"}

// versioned deploys two states and publishes each; a third is online.
func versioned(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for i, desc := range []string{"one", "two", "three"} {
		w.write("code/index.py", "# "+desc+"\ndef handler(event, context):\n    return event\n")
		w.deploy(strings.NewReplacer("DESC", desc, "MEM", []string{"128", "256", "512"}[i]).Replace(backProps))
		if i < 2 {
			w.publish("demo")
		}
	}
	w.took()
	return w
}

// publish publishes a version of a service, as the console would.
func (w *world) publish(service string) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.url+"/2021-04-06/services/"+service+"/versions", strings.NewReader("{}"))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	r.Header.Set("Content-Type", "application/json")
	mac := hmac.New(sha256.New, []byte(canary))
	fmt.Fprintf(mac, "POST\n\napplication/json\n%s\n%s", r.Header.Get("Date"), r.URL.Path)
	r.Header.Set("Authorization", "FC canary-id:"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("publishing: HTTP %d", resp.StatusCode)
	}
}

func TestVersions(t *testing.T) {
	w, ctx := versioned(t), context.Background()
	c, call := w.component(), w.call("rollback", backProps)
	list, err := c.Versions(ctx, call)
	if d := cmp.Diff([]string{"2", "1"}, list); d != "" || err != nil {
		t.Fatal(d, err)
	}
	for version, memory := range map[string]int64{"1": 128, "2": 256, "": 512} {
		found, err := c.At(ctx, call, version, hello)
		if err != nil || found.Attrs["memorySize"] != memory {
			t.Errorf("%q: %v %v", version, found, err)
		}
	}
	found, err := c.At(ctx, call, "1", resource.ID{Kind: props.ServiceKind, Name: "demo"})
	if err != nil || found.Attrs["description"] != "one" {
		t.Errorf("%v %v", found, err)
	}
	for _, id := range []resource.ID{{Kind: props.FunctionKind, Name: "demo/never"}, {Kind: props.TriggerKind, Name: "demo/hello/t"}} {
		if found, err := c.At(ctx, call, "1", id); found != nil || err != nil {
			t.Errorf("%s: %v %v", id, found, err)
		}
	}
	if list, err := c.Versions(ctx, w.call("rollback", strings.Replace(backProps, `"demo"`, `"never"`, 1))); len(list) != 0 || err != nil {
		t.Errorf("versions of nothing: %v %v", list, err)
	}
}

func TestCodeOfAVersion(t *testing.T) {
	w, ctx := versioned(t), context.Background()
	c, call := w.component(), w.call("rollback", backProps)
	at, err := c.At(ctx, call, "1", hello)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Code(ctx, call, "1", hello)
	if err != nil {
		t.Fatal(err)
	}
	if sum := at.Attrs["code"].(map[string]any)["checksum"]; p.Checksum() != sum {
		t.Errorf("checksum %s, not %v", p.Checksum(), sum)
	}
	r, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := c.Sum(r)
	size, _ := r.(io.Seeker).Seek(0, io.SeekCurrent)
	r.Close()
	if sum != p.Checksum() || size != p.Size() || err != nil {
		t.Errorf("%s, %d bytes, %v", sum, size, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(c.cfg.TempDir); len(files) != 0 || err != nil {
		t.Errorf("left behind: %v %v", files, err)
	}
}

// What does not arrive whole is fetched again, and never taken for the code; no error
// shows the link, which is as good as a key.
func TestCodeThatDoesNotArrive(t *testing.T) {
	half := func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		rw.Header().Set("Content-Length", "1000")
		_, _ = rw.Write([]byte("half"))
	}
	for name, c := range map[string]struct {
		fault func(http.ResponseWriter, *http.Request, http.Handler)
		works bool // when it happens once
	}{
		"half":  {half, true},
		"other": {func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = rw.Write([]byte("other code")) }, true},
		"redirect": {func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(rw, r, "http://127.0.0.1:1/", http.StatusFound)
		}, true},
		"gone": {func(rw http.ResponseWriter, r *http.Request, _ http.Handler) { http.NotFound(rw, r) }, true},
	} {
		for _, times := range []int{1, 99} {
			w, ctx := versioned(t), context.Background()
			left := times
			w.setFault(func(rw http.ResponseWriter, r *http.Request, next http.Handler) bool {
				if !strings.HasPrefix(r.URL.Path, "/code/") || left == 0 {
					return false
				}
				left--
				c.fault(rw, r, next)
				return true
			})
			comp := w.component()
			p, err := comp.Code(ctx, w.call("rollback", backProps), "1", hello)
			if works := times == 1 && c.works; (err == nil) != works {
				t.Errorf("%s %d times: %v", name, times, err)
			}
			if err == nil {
				_ = p.Close()
			} else if text := w.problem(err).Error(); strings.Contains(text, "Signature") || strings.Contains(text, "/code/") {
				t.Errorf("the link is in the error: %s", text)
			}
			if files, _ := os.ReadDir(comp.cfg.TempDir); len(files) != 0 {
				t.Errorf("%s: left behind: %v", name, files)
			}
		}
	}
}

// A rollback needs of the props what things are called, and nothing else.
func TestRollbackTakesNamesAlone(t *testing.T) {
	w := newWorld(t)
	desired, err := w.component().Desired(context.Background(), w.call("rollback", `{"region":"cn-hangzhou","service":{"name":"demo"},
		"function":{"name":"hello","codeUri":"./never","memorySize":"odd"},"triggers":[{"name":"t","type":"odd"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range desired.Resources {
		ids = append(ids, r.ID.String())
		if len(r.Attrs) > 0 || r.Code != nil || r.Absent {
			t.Errorf("%+v", r)
		}
	}
	if d := cmp.Diff([]string{"service demo", "vpcBinding demo", "function demo/hello", "asyncConfig demo/hello", "trigger demo/hello/t"}, ids); d != "" {
		t.Error(d)
	}
	if desired.Holder.Name != "demo" || len(w.took()) != 0 {
		t.Errorf("%v", desired.Holder)
	}
}

var _ component.Archivist = (*Component)(nil)
