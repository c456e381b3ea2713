package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

const (
	canary      = "canary-4b1d-secret"
	tokenCanary = "canary-77aa-token"
)

// serve returns a client of a server that answers with h, and the count of calls.
func serve(t *testing.T, h http.HandlerFunc) (*Client, *atomic.Int32) {
	t.Helper()
	calls := &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		h(w, r)
	}))
	t.Cleanup(server.Close)
	return newClient(t, server.URL), calls
}

func newClient(t testing.TB, endpoint string) *Client {
	t.Helper()
	c, err := New(Config{
		Endpoint: endpoint, AccountID: "123", Region: "cn-hangzhou",
		AccessKeyID: secret.New("id"), AccessKeySecret: secret.New(canary), SecurityToken: secret.New(tokenCanary),
		Retry: Retry{
			Sleep:  func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
			Jitter: func() float64 { return 0 },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestEndpoint(t *testing.T) {
	for _, tt := range []struct{ endpoint, account, region, want, problem string }{
		{"", "123", "cn-hangzhou", "https://123.cn-hangzhou.fc.aliyuncs.com", ""},
		{"example.com", "", "", "https://example.com", ""},
		{"http://127.0.0.1:9000/", "", "", "http://127.0.0.1:9000", ""},
		{"https://123.cn-beijing-internal.fc.aliyuncs.com", "", "", "https://123.cn-beijing-internal.fc.aliyuncs.com", ""},
		{"", "", "cn-hangzhou", "", "no AccountID"},
		{"", "123", "", "", "no region"},
		{"ftp://example.com", "", "", "", "not an address"},
		{"http://user:canary-pw@example.com", "", "", "", "a user name or a password"},
		{"user:canary-pw@example.com", "", "", "", "a user name or a password"},
		{"http://user:canary-pw%zz@example.com", "", "", "", "a user name or a password"},
		{"http://example.com/path", "", "", "", "not an address"},
		{"http://:80", "", "", "", "not an address"},
		{"http://a b", "", "", "", "not an address"},
	} {
		got, err := parseEndpoint(Config{Endpoint: tt.endpoint, AccountID: tt.account, Region: tt.region})
		if tt.problem != "" {
			if err == nil || !strings.Contains(err.Error(), tt.problem) || diag.ExitCode(err) != diag.ExitComponent {
				t.Errorf("%q: got %v, want a problem with %q", tt.endpoint, err, tt.problem)
			}
			if strings.Contains(diag.Render(err), "canary-pw") {
				t.Errorf("%q: the password is in the error", tt.endpoint)
			}
			continue
		}
		if err != nil || got.String() != tt.want {
			t.Errorf("%q: got %v, %v, want %s", tt.endpoint, got, err, tt.want)
		}
	}
}

func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"", "http://127.0.0.1:1", "https://x", "//", "http://[::1]:9", "x:y:z", "%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseEndpoint(Config{Endpoint: s, AccountID: "1", Region: "r"})
		if err == nil && (u.Host == "" || u.Path != "" || u.User != nil) {
			t.Fatalf("%q became %q", s, u)
		}
	})
}

func TestNewNeedsKey(t *testing.T) {
	_, err := New(Config{AccountID: "1", Region: "cn-hangzhou"})
	if diag.ExitCode(err) != diag.ExitComponent {
		t.Fatalf("got %v", err)
	}
}

func TestRequestAsSent(t *testing.T) {
	var got *http.Request
	var body string
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		got, body = r, string(data)
		w.Header().Set("ETag", "e2")
		w.Header().Set("X-Fc-Request-Id", "r1")
		answer(w, 200, `{"memorySize": 9007199254740993, "cpu": 0.35, "big": 1e3, "list": [1, {"a": null}]}`)
	})
	o, err := c.UpdateFunction(context.Background(), "my svc", "fn", "e1", "77", map[string]any{
		"instanceConcurrency":  int64(5),
		"environmentVariables": map[string]any{"A": secret.New("<s&t>")},
		"customDNS":            map[string]any{"nameServers": []any{}, "searches": []any{}, "dnsOptions": []any{}},
		"description":          "",
		"layers":               []any{},
		"code":                 map[string]any{"zipFile": "UEs="},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != "PUT" || got.URL.EscapedPath() != "/2021-04-06/services/my%20svc/functions/fn" {
		t.Errorf("%s %s", got.Method, got.URL.EscapedPath())
	}
	if got.Header.Get("If-Match") != "e1" || got.Header.Get("X-Fc-Code-Checksum") != "77" ||
		got.Header.Get("X-Acs-Security-Token") != tokenCanary || !strings.HasPrefix(got.Header.Get("Authorization"), "ACS3-HMAC-SHA256 ") {
		t.Errorf("headers: %v", got.Header)
	}
	var sent, want any
	for text, v := range map[string]any{body: &sent, `{"InstanceConcurrency":5,"instanceConcurrency":5,"environmentVariables":{"A":"<s&t>"},
		"customDNS":{"nameServers":[],"searches":[],"dnsOptions":[]},"description":"","layers":[],"code":{"zipFile":"UEs="}}`: &want} {
		if err := json.Unmarshal([]byte(text), v); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
	wantObject := &Object{ETag: "e2", RequestID: "r1", Attrs: map[string]any{
		"memorySize": int64(9007199254740993), "cpu": 0.35, "big": int64(1000), "list": []any{int64(1), map[string]any{"a": nil}},
	}}
	if diff := cmp.Diff(wantObject, o); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsDroppedSilently(t *testing.T) {
	c, calls := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "{}") })
	for name, body := range map[string]map[string]any{
		"unknown field":  {"serviceName": "s", "memorySise": 1},
		"unknown nested": {"serviceName": "s", "logConfig": map[string]any{"projekt": "p"}},
		"wrong type":     {"serviceName": "s", "internetAccess": "yes"},
		"unknown value":  {"serviceName": "s", "role": app.UnknownValue{Expr: "a.b"}},
	} {
		if _, err := c.CreateService(context.Background(), body); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, name := range []string{"", ".", ".."} {
		if _, err := c.GetService(context.Background(), name); err == nil {
			t.Errorf("the name %q was sent", name)
		}
	}
	if calls.Load() != 0 {
		t.Errorf("%d calls were made", calls.Load())
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		status                   int
		body                     string
		code, message, requestID string
		is                       func(error) bool
	}{
		{404, `{"Code":"ServiceNotFound","Message":"no","RequestId":"r"}`, "ServiceNotFound", "no", "r", IsNotFound},
		{404, `{"ErrorCode":"FunctionNotFound","ErrorMessage":"no fn"}`, "FunctionNotFound", "no fn", "", IsNotFound},
		{404, `{"Code":"AsyncConfigNotExists","Message":"no"}`, "AsyncConfigNotExists", "no", "", IsNotFound},
		{403, `{"Code":"AccessDenied","Message":"not you"}`, "AccessDenied", "not you", "", IsForbidden},
		{403, `{"Code":"SignatureNotMatch","Message":"m"}`, "SignatureNotMatch", "m", "", IsBadKey},
		{403, `{"Code":"InvalidAccessKeyID","Message":"m"}`, "InvalidAccessKeyID", "m", "", IsBadKey},
		{412, `{"Code":"PreconditionFailed","Message":"m"}`, "PreconditionFailed", "m", "", IsMoved},
		{409, `{"Code":"ServiceAlreadyExists","Message":"m"}`, "ServiceAlreadyExists", "m", "", IsExists},
		{409, `{"Code":"ServiceNotEmpty","Message":"m"}`, "ServiceNotEmpty", "m", "", IsNotEmpty},
		{400, `{"Code":7,"Message":["x"]}`, "", "Bad Request", "", nil},
		{400, `{}`, "", "Bad Request", "", nil},
	} {
		c, calls := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, tt.status, tt.body) })
		_, err := c.GetService(context.Background(), "s")
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%s: got %v", tt.body, err)
			continue
		}
		got := []any{e.Status, e.Code, e.Message, e.RequestID, e.Action}
		if diff := cmp.Diff([]any{tt.status, tt.code, tt.message, tt.requestID, "GetService"}, got); diff != "" {
			t.Errorf("%s: %s", tt.body, diff)
		}
		if tt.is != nil && !tt.is(err) {
			t.Errorf("%s: not told apart", tt.body)
		}
		if calls.Load() != 1 {
			t.Errorf("%s: %d calls", tt.body, calls.Load())
		}
	}
}

// An address that is not the service answers 404 too; that is not "absent".
func TestNotFoundOfAnotherServerIsAnError(t *testing.T) {
	for _, body := range []string{`{"Code":"PathNotSupported","Message":"m"}`, `{"message":"no route"}`, `<html>`, ``, `[]`, `null`} {
		c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 404, body) })
		_, err := c.GetService(context.Background(), "s")
		if err == nil || IsNotFound(err) {
			t.Errorf("%q: got %v", body, err)
		}
	}
}

func TestHostileAnswers(t *testing.T) {
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	for _, body := range []string{"", "null", "[]", `"x"`, "{", "<html>", deep, `{"a":` + deep + `}`, "{}{}"} {
		for _, status := range []int{200, 400, 500} {
			c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, status, body) })
			if _, err := c.GetService(context.Background(), "s"); err == nil && status != 200 {
				t.Errorf("%d %.20q: no error", status, body)
			}
		}
	}
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml;charset=utf-8")
		w.WriteHeader(400)
		_, _ = io.WriteString(w, "<Error><Code>X")
	})
	if _, err := c.GetService(context.Background(), "s"); err == nil {
		t.Error("xml: no error")
	}
}

func TestNoSecretInErrors(t *testing.T) {
	echo := fmt.Sprintf(`{"Code":"SignatureNotMatch %[1]s","Message":"signed with %[1]s and %[2]s"}`, canary, tokenCanary)
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 403, echo) })
	_, err := c.GetService(context.Background(), "s")
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, err), fmt.Sprintf("%+v", *c)} {
		for _, s := range []string{canary, tokenCanary, base64.StdEncoding.EncodeToString([]byte(canary))} {
			if strings.Contains(text, s) {
				t.Errorf("%s is in %s", s, text)
			}
		}
	}
	down := newClient(t, "http://127.0.0.1:1")
	if _, err := down.GetService(context.Background(), canary); strings.Contains(err.Error(), canary) {
		t.Errorf("the secret is in %v", err)
	}
}

func TestRepeats(t *testing.T) {
	ctx := context.Background()
	get := func(c *Client) error { _, err := c.GetService(ctx, "s"); return err }
	create := func(c *Client) error {
		_, err := c.CreateService(ctx, map[string]any{"serviceName": "s"})
		return err
	}
	update := func(etag string) func(*Client) error {
		return func(c *Client) error {
			_, err := c.UpdateService(ctx, "s", etag, map[string]any{"description": "x"})
			return err
		}
	}
	remove := func(c *Client) error { return c.DeleteService(ctx, "s", "") }
	invoke := func(c *Client) error {
		_, err := c.Invoke(ctx, Invocation{Service: "s", Function: "f", Timeout: time.Minute})
		return err
	}
	fail := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { answer(w, status, `{"Code":"`+code+`","Message":"m"}`) }
	}
	reset := func(w http.ResponseWriter, _ *http.Request) { closeAbruptly(w) }
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(502)
		_, _ = io.WriteString(w, "<html>bad gateway</html>")
	}
	for _, tt := range []struct {
		name  string
		call  func(*Client) error
		fault http.HandlerFunc
		want  int32 // calls until it works (3), or until it is given up (1)
	}{
		{"get 503", get, fail(503, "ServiceUnavailable"), 3},
		{"get 429", get, fail(429, "ResourceThrottled"), 3},
		{"get throttled as 400", get, fail(400, "ResourceThrottled"), 3},
		{"get 400", get, fail(400, "InvalidArgument"), 1},
		{"get 403", get, fail(403, "AccessDenied"), 1},
		{"get 404", get, fail(404, "ServiceNotFound"), 1},
		{"get reset", get, reset, 3},
		{"get html", get, html, 3},
		{"update with etag 500", update("e"), fail(500, "InternalServerError"), 3},
		{"update with etag 412", update("e"), fail(412, "PreconditionFailed"), 1},
		{"update without etag 500", update(""), fail(500, "InternalServerError"), 1},
		{"update without etag 429", update(""), fail(429, "ResourceThrottled"), 3},
		{"create 500", create, fail(500, "InternalServerError"), 1},
		{"create reset", create, reset, 1},
		{"create 429", create, fail(429, "ResourceThrottled"), 3},
		{"create 409", create, fail(409, "ServiceAlreadyExists"), 1},
		{"delete 500", remove, fail(500, "InternalServerError"), 3},
		{"delete reset", remove, reset, 3},
		{"invoke 500", invoke, fail(500, "InternalServerError"), 1},
		{"invoke 429", invoke, fail(429, "ResourceThrottled"), 1},
		{"invoke reset", invoke, reset, 1},
	} {
		var seen atomic.Int32
		c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if seen.Add(1) <= 2 {
				tt.fault(w, r)
				return
			}
			answer(w, 200, "{}")
		})
		err := tt.call(c)
		if calls.Load() != tt.want || (err == nil) != (tt.want == 3) {
			t.Errorf("%s: %d calls, %v", tt.name, calls.Load(), err)
		}
	}
}

func closeAbruptly(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func TestGivesUp(t *testing.T) {
	for status, want := range map[int]int32{429: 30, 500: 4, 503: 8} {
		c, calls := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, status, `{"Code":"X","Message":"m"}`) })
		_, err := c.GetService(context.Background(), "s")
		e, ok := errors.AsType[*Error](err)
		if unsure := status >= 500; !ok || e.Unsure != unsure || e.Earlier != unsure || calls.Load() != want {
			t.Errorf("%d: %d calls, %+v", status, calls.Load(), err)
		}
	}
}

func TestUnsentIsRepeated(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	c := newClient(t, "http://"+address)
	slept := 0
	c.retry.Sleep = func(context.Context, time.Duration) error { slept++; return nil }
	_, err = c.CreateService(context.Background(), map[string]any{"serviceName": "s"})
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Unsure || slept != 3 {
		t.Errorf("slept %d times, %+v", slept, err)
	}
}

func TestPauses(t *testing.T) {
	r := Retry{Jitter: func() float64 { return 0.5 }}.withDefaults()
	for attempt, want := range map[int]time.Duration{1: 375, 2: 750, 3: 1500, 5: 6000, 40: 6000, 1000: 6000} {
		if got := r.pause(attempt); got != want*time.Millisecond {
			t.Errorf("%d: %v", attempt, got)
		}
	}
}

func TestCancelledReadEnds(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		answer(w, 200, "{}")
	})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	if _, err := c.GetService(ctx, "s"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What may have changed something is waited for: its outcome must be known.
func TestCancelledChangeIsWaitedFor(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		answer(w, 200, `{"serviceName":"s"}`)
	})
	o, err := c.CreateService(ctx, map[string]any{"serviceName": "s"})
	if err != nil || o.Attrs["serviceName"] != "s" {
		t.Errorf("got %v, %v", o, err)
	}
	if _, err := c.CreateService(ctx, map[string]any{"serviceName": "s"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a call was begun after the end: %v", err)
	}
}

func TestLists(t *testing.T) {
	c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("limit") != "100" {
			t.Errorf("query %s", r.URL.RawQuery)
		}
		switch r.URL.Query().Get("nextToken") {
		case "":
			answer(w, 200, `{"functions":[{"functionName":"a"},7],"nextToken":"b&"}`)
		case "b&":
			answer(w, 200, `{"functions":[{"functionName":"b"}]}`)
		}
	})
	got, err := c.ListFunctions(context.Background(), "s")
	if err != nil || len(got) != 2 || got[1]["functionName"] != "b" || calls.Load() != 2 {
		t.Errorf("%v, %v", got, err)
	}
	endless, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, `{"nextToken":"x"}`) })
	if _, err := endless.ListFunctions(context.Background(), "s"); err == nil {
		t.Error("an endless list was taken")
	}
}

func TestInvoke(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	var event []byte
	var header http.Header
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		event, _ = io.ReadAll(r.Body)
		header = r.Header.Clone()
		w.Header().Set("X-Fc-Log-Result", base64.StdEncoding.EncodeToString([]byte("line\n")))
		w.Header().Set("X-Fc-Error-Type", "HandledInvocationError")
		w.Header().Set("X-Fc-Instance-Id", "i-1")
		w.Header().Set("X-Fc-Request-Id", "r-1")
		_, _ = w.Write(every)
	})
	got, err := c.Invoke(context.Background(), Invocation{Service: "s", Function: "f", Event: every, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	want := &InvocationResult{Body: every, Log: []byte("line\n"), ErrorType: "HandledInvocationError", InstanceID: "i-1", RequestID: "r-1", Status: 200}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if string(event) != string(every) || header.Get("X-Fc-Log-Type") != "Tail" || header.Get("X-Fc-Invocation-Type") != "Sync" {
		t.Errorf("event %x, headers %v", event, header)
	}
}

func TestConcurrentUse(t *testing.T) {
	c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 200, `{"path":"`+r.URL.Path+`"}`) })
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			name := fmt.Sprintf("s%d", i)
			o, err := c.UpdateService(context.Background(), name, name, map[string]any{"description": name})
			if err != nil || o.Attrs["path"] != "/2021-04-06/services/"+name {
				t.Errorf("%v, %v", o, err)
			}
		})
	}
	wg.Wait()
	if calls.Load() != 20 {
		t.Errorf("%d calls", calls.Load())
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(404, `{"Code":"ServiceNotFound"}`)
	f.Add(200, `{"a":[1,{"b":1e400}]}`)
	f.Add(500, `{"ErrorCode":{"x":1},"RequestId":7,"AccessDeniedDetail":[]}`)
	var body atomic.Value
	var status atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, int(status.Load()), body.Load().(string))
	}))
	f.Cleanup(server.Close)
	c := newClient(f, server.URL) // one for all, which keeps its connection
	f.Fuzz(func(t *testing.T, code int, text string) {
		if code < 200 || code > 599 || code == 204 || code == 304 {
			return
		}
		status.Store(int32(code))
		body.Store(text)
		o, err := c.GetService(context.Background(), "s")
		if err == nil && (o == nil || code >= 400) {
			t.Fatalf("%d %q: %v, %v", code, text, o, err)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add(`{"a":1}`)
	f.Add(`[1e999]`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := DecodeJSON(text)
		if m, ok := v.(map[string]any); ok && err == nil {
			if _, err := EncodeJSON(m); err != nil {
				t.Fatalf("%q was read but cannot be written: %v", text, err)
			}
		}
	})
}

func TestInvokeHTTP(t *testing.T) {
	c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/large":
			_, _ = w.Write(make([]byte, maxHTTPBody+1))
		case "/slow", "/2021-04-06/services/slow/functions/f/invocations":
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, r.Method+" "+r.Host+" "+r.Header.Get("Authorization")+" "+r.Header.Get("x-fc-security-token"))
		}
	})
	ctx := context.Background()
	got, err := c.InvokeHTTP(ctx, HTTPRequest{Method: "GET", URL: c.Endpoint() + "/", Header: http.Header{"host": {"a.example.com"}}})
	if err != nil || string(got.Body) != "GET a.example.com  " {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = c.InvokeHTTP(ctx, HTTPRequest{Method: "POST", URL: c.Endpoint() + "/", Body: []byte("x"), Sign: true})
	if err != nil || !strings.Contains(string(got.Body), " FC id:") || !strings.HasSuffix(string(got.Body), tokenCanary) {
		t.Errorf("%+v, %v", got, err)
	}
	calls.Store(0)
	if got, err = c.InvokeHTTP(ctx, HTTPRequest{Method: "GET", URL: c.Endpoint() + "/moved", Sign: true}); err != nil || got.Status != http.StatusFound || calls.Load() != 1 {
		t.Errorf("a redirect was followed: %+v, %v", got, err)
	}
	_, err = c.Invoke(ctx, Invocation{Service: "slow", Function: "f", Timeout: 50 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "no whole answer within 50ms") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a slow answer: %v", err)
	}
	for _, path := range []string{"/large", "/slow"} {
		if _, err := c.InvokeHTTP(ctx, HTTPRequest{Method: "GET", URL: c.Endpoint() + path, Timeout: 500 * time.Millisecond}); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	if _, err := c.InvokeHTTP(ctx, HTTPRequest{Method: "GET", URL: "http://a b"}); err == nil {
		t.Error("no error")
	}
}

// What answers elsewhere gets neither the key nor the token.
func TestRedirectIsRefused(t *testing.T) {
	ctx := context.Background()
	var reached atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		answer(w, 200, "{}")
	}))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308, 304, 300} {
		c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL+r.URL.Path)
			w.WriteHeader(status)
		})
		for name, call := range map[string]func() error{
			"get": func() error { _, err := c.GetService(ctx, "s"); return err },
			"create": func() error {
				_, err := c.CreateService(ctx, map[string]any{"serviceName": "s"})
				return err
			},
			"delete": func() error { return c.DeleteService(ctx, "s", "") },
			"invoke": func() error {
				_, err := c.Invoke(ctx, Invocation{Service: "s", Function: "f", Timeout: time.Minute})
				return err
			},
		} {
			calls.Store(0)
			err := call()
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Status != status || !strings.Contains(e.Error(), c.base.Host+" answered with a redirect") || !IsElsewhere(err) || e.Unsure {
				t.Errorf("%d %s: %+v", status, name, err)
			}
			if calls.Load() != 1 {
				t.Errorf("%d %s: %d calls", status, name, calls.Load())
			}
		}
	}
	if reached.Load() != 0 {
		t.Errorf("the other host was called %d times", reached.Load())
	}
}

func TestAnswersOfOthers(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		status int
		body   string
		want   string
		calls  int32
	}{
		{503, "", "Service Unavailable: the answer of HOST (empty, server proxy) is not a JSON object (HTTP 503)", 4},
		{502, "<html>", "Bad Gateway: the answer of HOST (text/html, server proxy) is not a JSON object (HTTP 502)", 4},
		{404, "[]", "Not Found: the answer of HOST (text/html, server proxy) is not a JSON object (HTTP 404)", 1},
		{200, "<html>", "the answer of HOST (text/html, server proxy) is not a JSON object (HTTP 200)", 4},
	} {
		c, calls := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Server", "proxy")
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		})
		_, err := c.GetService(ctx, "s")
		want := "GetService: " + strings.ReplaceAll(tt.want, "HOST", c.base.Host)
		if err == nil || err.Error() != want || !IsElsewhere(err) || calls.Load() != tt.calls {
			t.Errorf("%d calls, got %v\nwant %s", calls.Load(), err, want)
		}
		_, err = c.Invoke(ctx, Invocation{Service: "s", Function: "f", Timeout: time.Minute})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("HTTP %d", tt.status)) || !IsElsewhere(err) {
			t.Errorf("invoke: %v", err)
		}
	}
}
