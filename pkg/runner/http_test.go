package runner

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serve starts a real HTTP server in front of the function.
func serve(t *testing.T, h *harness, fn Function, base string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r, fn, h.nextID(), base)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func do(t *testing.T, method, url string, body io.Reader, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	tr := &http.Transport{DisableCompression: true}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func TestWSGIEnviron(t *testing.T) {
	h := newHarness(t, nil)
	url := serve(t, h, pythonFunction(t, wsgi), "/2016-08-15/proxy/svc/fn")
	resp, body := do(t, "PATCH", url+"/a%20b/%C3%A9?x=1&y=%2F;z&%zz", strings.NewReader("data"), "Content-Type", "text/x",
		"X-Two", "1", "X-Two", "2", "Cookie", "a=1", "X-Forwarded-For", "9.8.7.6, 1.1.1.1", "X-Forwarded-Proto", "https",
		"X-Fc-Function-Name", "forged", "X-Fc-Security-Token", "forged")
	var env map[string]any
	if err := json.Unmarshal([]byte(body), &env); err != nil {
		t.Fatalf("%s: %q", err, body)
	}
	if resp.ContentLength != int64(len(body)) {
		t.Errorf("Content-Length %d for %d bytes", resp.ContentLength, len(body))
	}
	for k, want := range map[string]any{
		"REQUEST_METHOD": "PATCH", "PATH_INFO": "/a b/\u00c3\u00a9", "SCRIPT_NAME": "/2016-08-15/proxy/svc/fn",
		"QUERY_STRING": "x=1&y=%2F;z&%zz", "CONTENT_TYPE": "text/x", "CONTENT_LENGTH": "4", "HTTP_X_TWO": "1,2",
		"HTTP_COOKIE": "a=1", "REMOTE_ADDR": "9.8.7.6", "wsgi.url_scheme": "https", "SERVER_PROTOCOL": "HTTP/1.1",
		"fc.request_uri": "/2016-08-15/proxy/svc/fn/a%20b/%C3%A9?x=1&y=%2F;z&%zz", "context": "fn",
		"HTTP_HOST": strings.TrimPrefix(url, "http://"), "SERVER_NAME": "127.0.0.1",
	} {
		if env[k] != want {
			t.Errorf("environ[%q] is %q, want %q", k, env[k], want)
		}
	}
	if strings.Contains(strings.ToLower(body), "x_fc_") || strings.Contains(body, "forged") {
		t.Errorf("platform headers reached the application: %s", body)
	}
}

func TestNodeRequest(t *testing.T) {
	h := newHarness(t, nil)
	url := serve(t, h, nodeFunction(t, nodeHTTP), "/2016-08-15/proxy/svc/fn")
	_, body := do(t, "DELETE", url+"/a%20b?x=1&x=2&y=%2F", nil, "X-One", "1", "X-Fc-Function-Name", "forged")
	var got struct {
		Path, URL, Method, ClientIP, Context string
		Queries                              map[string]any
		Headers                              map[string]string
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%s: %q", err, body)
	}
	if got.Path != "/a%20b" || got.URL != "/2016-08-15/proxy/svc/fn/a%20b?x=1&x=2&y=%2F" || got.Method != "DELETE" ||
		got.ClientIP != "127.0.0.1" || got.Context != "fn" || got.Headers["x-one"] != "1" ||
		fmt.Sprint(got.Queries) != "map[x:[1 2] y:/]" {
		t.Errorf("request: %s", body)
	}
	if strings.Contains(body, "x-fc-") || strings.Contains(body, "forged") {
		t.Errorf("platform headers reached the handler: %s", body)
	}
}

func TestHTTPEcho(t *testing.T) {
	binary := strings.Repeat("\x00\xff\r\n0\r\n\r\n", 50_000)
	for name, fn := range httpFunctions(t) {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, func(c *Config) { c.MaxInstances = 1 })
			url := serve(t, h, fn, "")
			_, pid := do(t, "GET", url+"/pid", nil)
			for _, body := range []io.Reader{strings.NewReader(binary), struct{ io.Reader }{strings.NewReader(binary)}} {
				resp, got := do(t, "POST", url+"/echo", body, "Content-Type", "x/y", "Expect", "100-continue")
				if got != binary || resp.StatusCode != 200 {
					t.Fatalf("%d, %d bytes, want %d", resp.StatusCode, len(got), len(binary))
				}
				if c := resp.Header.Values("Set-Cookie"); len(c) != 2 || c[0] != "a=1" || c[1] != "b=2" {
					t.Errorf("cookies %v", c)
				}
				if resp.Header.Get("Content-Type") != "x/y" || resp.Header.Get("X-Own") != "yes" {
					t.Errorf("headers %v", resp.Header)
				}
				for _, gone := range []string{"Connection", "Keep-Alive", "X-Fc-Status", "X-Fc-Error-Type"} {
					if resp.Header.Get(gone) != "" {
						t.Errorf("header %s: %s", gone, resp.Header.Get(gone))
					}
				}
			}
			if _, again := do(t, "GET", url+"/pid", nil); again != pid {
				t.Errorf("the instance was not kept: %s, then %s", pid, again)
			}
		})
	}
}

func TestHTTPStreamsAndMethods(t *testing.T) {
	for name, fn := range httpFunctions(t) {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, func(c *Config) { c.MaxInstances = 1 }) // a client may be faster than the release
			url := serve(t, h, fn, "")
			_, pid := do(t, "GET", url+"/pid", nil)
			_, body := do(t, "GET", url+"/stream", nil)
			if len(body) != 64*65536 || body[65536*7] != 7 || body[65536*63] != 63 {
				t.Errorf("stream of %d bytes", len(body))
			}
			if resp, body := do(t, "HEAD", url+"/echo", nil); resp.StatusCode != 200 || body != "" || resp.Header.Get("X-Own") != "yes" {
				t.Errorf("HEAD: %d %q %v", resp.StatusCode, body, resp.Header)
			}
			if resp, body := do(t, "GET", url+"/empty", nil); resp.StatusCode != 204 || body != "" {
				t.Errorf("204: %d %q", resp.StatusCode, body)
			}
			if resp, body := do(t, "GET", url+"/late-error", nil); resp.StatusCode != 200 || body != "fine" {
				t.Errorf("late error: %d %q", resp.StatusCode, body)
			}
			if _, again := do(t, "GET", url+"/pid", nil); again != pid {
				t.Errorf("the instance was not kept: %s, then %s", pid, again)
			}
		})
	}
}

func TestHTTPSpecials(t *testing.T) {
	h := newHarness(t, nil)
	fns := httpFunctions(t)
	fns["python"], fns["node"] = withKey(fns["python"], "py"), withKey(fns["node"], "js")
	url := serve(t, h, fns["python"], "")
	if resp, body := do(t, "GET", url+"/write", nil); resp.StatusCode != 201 || body != "abc" {
		t.Errorf("write(): %d %q", resp.StatusCode, body)
	}
	if resp, body := do(t, "GET", url+"/nostart", nil); resp.StatusCode != 502 || !strings.Contains(body, "did not call start_response") {
		t.Errorf("no start_response: %d %q", resp.StatusCode, body)
	}
	if resp, body := do(t, "GET", url+"/split", nil); resp.StatusCode != 502 || resp.Header.Get("X-B") != "" {
		t.Errorf("header with line end: %d %q", resp.StatusCode, body)
	}
	url = serve(t, h, fns["node"], "")
	for range 20 { // the instance that closed its channel takes no other request
		if resp, body := do(t, "GET", url+"/close", nil); resp.StatusCode != 200 || body != "bye" {
			t.Errorf("close: %d %q", resp.StatusCode, body)
		}
	}
	if resp, body := do(t, "GET", url+"/text", nil); resp.StatusCode != 201 || body != "héllo" || resp.Header.Get("X-Gone") != "" || resp.ContentLength != 6 {
		t.Errorf("text: %d %q %v", resp.StatusCode, body, resp.Header)
	}
	if resp, body := do(t, "GET", url+"/reject", nil); resp.StatusCode != 502 || !strings.Contains(body, "oops") {
		t.Errorf("reject: %d %q", resp.StatusCode, body)
	}
}

func withKey(fn Function, key string) Function {
	fn.Key = key
	return fn
}

func TestHTTPFailures(t *testing.T) {
	for name, fn := range httpFunctions(t) {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, nil)
			url := serve(t, h, fn, "")
			fn.Timeout = time.Second
			hasty := serve(t, h, fn, "")
			for _, tt := range []struct {
				path, errorType, message string
				status                   int
			}{
				{"/raise", Handled, "oops", 502},
				{"/exit", Unhandled, "exit status 3)", 502},
				{"/sleep", Unhandled, "Function timed out after 1 seconds", 504},
			} {
				at := url
				if tt.status == 504 {
					at = hasty
				}
				resp, body := do(t, "GET", at+tt.path, nil)
				if resp.StatusCode != tt.status || resp.Header.Get("X-Fc-Error-Type") != tt.errorType || !strings.Contains(body, tt.message) {
					t.Errorf("%s: %d %q %v", tt.path, resp.StatusCode, body, resp.Header)
				}
				if resp, _ := do(t, "GET", url+"/pid", nil); resp.StatusCode != 200 {
					t.Errorf("after %s: %d", tt.path, resp.StatusCode)
				}
			}
		})
	}
}

// An answer that breaks off must not look complete to the client.
func TestHTTPBrokenAnswers(t *testing.T) {
	for name, fn := range httpFunctions(t) {
		for _, path := range []string{"/half", "/sleep-late", "/huge"} {
			t.Run(name+path, func(t *testing.T) {
				h := newHarness(t, nil)
				url := serve(t, h, fn, "")
				hasty := fn
				if path == "/sleep-late" {
					hasty.Timeout = time.Second
				}
				resp, err := http.Get(serve(t, h, hasty, "") + path)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if n, err := io.Copy(io.Discard, resp.Body); err == nil || n > maxHTTP+1<<20 {
					t.Errorf("%d bytes came, error %v", n, err)
				}
				if resp, _ := do(t, "GET", url+"/pid", nil); resp.StatusCode != 200 {
					t.Errorf("afterwards: %d", resp.StatusCode)
				}
			})
		}
	}
}

func TestHTTPRequestLimit(t *testing.T) {
	h := newHarness(t, nil)
	url := serve(t, h, pythonFunction(t, wsgi), "")
	big := bytes.Repeat([]byte("x"), maxHTTP+1)
	for name, body := range map[string]io.Reader{"known": bytes.NewReader(big), "chunked": struct{ io.Reader }{bytes.NewReader(big)}} {
		req, _ := http.NewRequest("POST", url+"/echo", body)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // the server closed before all was written
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
}

// The client sees the first part of an answer before the last is made.
func TestHTTPStreaming(t *testing.T) {
	h := newHarness(t, nil)
	fn := pythonFunction(t, `
import os, time
def handler(environ, start_response):
    start_response("200 OK", [])
    flag = environ["QUERY_STRING"]
    def parts():
        yield b"one\n"
        while not os.path.exists(flag): time.sleep(0.01)
        yield b"two\n"
    return parts()
`)
	url := serve(t, h, fn, "")
	flag := t.TempDir() + "/flag"
	resp, err := http.Get(url + "/?" + flag)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	if line, err := r.ReadString('\n'); line != "one\n" {
		t.Fatalf("%q %v", line, err)
	}
	writeFile(t, flag, "")
	if rest, err := io.ReadAll(r); string(rest) != "two\n" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
}

// A client that goes away frees the instance's place.
func TestHTTPClientGoes(t *testing.T) {
	for name, fn := range httpFunctions(t) {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, func(c *Config) { c.MaxInstances = 1 })
			url := serve(t, h, fn, "")
			ctx, cancel := context.WithCancel(context.Background())
			req, _ := http.NewRequestWithContext(ctx, "GET", url+"/sleep-late", nil)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			resp.Body.Close()
			if resp, _ := do(t, "GET", url+"/pid", nil); resp.StatusCode != 200 {
				t.Errorf("afterwards: %d", resp.StatusCode)
			}
		})
	}
}

// Web framework objects are WSGI callables; handler names need not be "handler".
func TestWSGIObject(t *testing.T) {
	h := newHarness(t, nil)
	fn := pythonFunction(t, `
class App(object):
    def __call__(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Closing()
class Closing(object):
    def __iter__(self): return iter([b"from ", b"the app"])
    def close(self): print("closed")
app = App()
`)
	fn.Handler = "index.app"
	if _, body := do(t, "GET", serve(t, h, fn, "")+"/", nil); body != "from the app" {
		t.Errorf("%q", body)
	}
}

func TestHTTPProblems(t *testing.T) {
	h := newHarness(t, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil), function(t, "java8", t.TempDir()), "r", "")
	if w.Code != 502 || !strings.Contains(w.Body.String(), "runtime java8 cannot run here") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	fn := pythonFunction(t, "import absent_module")
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil), fn, "r", "")
	if w.Code != 502 || w.Header().Get("X-Fc-Error-Type") != Handled || !strings.Contains(w.Body.String(), "absent_module") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil), fn, "bad\r\nid", "")
	if w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
