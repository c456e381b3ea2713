package emulator

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// sign puts the signature of the 2016-08-15 edition on a request of any edition.
func sign(req *http.Request) {
	req.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	toSign := fcStrings(&call{Request: req}, false)[0]
	req.Header.Set("Authorization", "FC "+DefaultAccessKeyID+":"+
		base64.StdEncoding.EncodeToString(mac(sha256.New, []byte(DefaultAccessKeySecret), toSign)))
}

// fuzzCloud has a service, a function, a trigger and a domain.
func fuzzCloud(f *testing.F) http.Handler {
	f.Helper()
	cloud, err := Open(Config{Dir: f.TempDir(), Runner: &fakeRunner{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = cloud.Close() })
	for _, step := range [][2]string{
		{"/services", `{"serviceName":"s"}`},
		{"/services/s/functions", `{"functionName":"f","runtime":"custom","code":{"zipFile":"` + *code(f, "echo").ZipFile + `"}}`},
		{"/services/s/versions", `{}`},
		{"/services/s/aliases", `{"aliasName":"a","versionId":"1"}`},
		{"/services/s/functions/f/triggers", `{"triggerName":"t","triggerType":"http","triggerConfig":{"authType":"anonymous","methods":["GET","POST"]}}`},
		{"/custom-domains", `{"domainName":"d.example.com","protocol":"HTTP","routeConfig":{"routes":[{"path":"/*","serviceName":"s","functionName":"f"}]}}`},
	} {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest("POST", "/2016-08-15"+step[0], strings.NewReader(step[1]))
		sign(req)
		cloud.ServeHTTP(rec, req)
		if rec.Code != 200 {
			f.Fatal(rec.Body.String())
		}
	}
	return cloud
}

// FuzzRequests sends any method, host, path, header and body: no panic, no answer
// of 500 or more, and errors that a client can read.
func FuzzRequests(f *testing.F) {
	handler := fuzzCloud(f)
	for _, op := range operations() {
		path := strings.NewReplacer("{s}", "s", "{f}", "f", "{t}", "t", "{v}", "1", "{a}", "a", "{d}", "d.example.com",
			"{l}", "lib", "{i}", "i", "{vpc}", "vpc-1", "{arn}", "x").Replace(op.path)
		f.Add(op.method, "127.0.0.1", "/2021-04-06"+path, "qualifier=a&limit=2", "", `{"serviceName":"x","versionId":"1"}`)
		f.Add(op.method, "127.0.0.1:80", "/2016-08-15"+path, "", "Async", `{"triggerConfig":{}}`)
	}
	f.Add("GET", "d.example.com", "/%2e%2e/a", "x=%zz;", "", "")
	f.Add("GET", "h", "/2016-08-15/proxy/s.a/f/%ff?", "a=b", "", "")
	f.Add("GET", "h", "/2016-08-15/proxy/s/f/a%2Fb", "a=b", "", "")
	f.Add("GET", "h", "/code/x.zip", "Expires=1&Signature=00", "", "")
	f.Add("GET", "h", "/healthz", "challenge=x", "", "")
	f.Add("PUT", "h", "/2021-04-06/services/s/functions/f", "", "", `{"memorySize":1e400,"environmentVariables":{"a":null}}`)
	f.Fuzz(func(t *testing.T, method, host, path, query, header, body string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		u.RawQuery = query
		req, err := http.NewRequest(method, "http://h", strings.NewReader(body))
		if err != nil {
			return
		}
		req.URL, req.Host = u, host
		for _, name := range []string{"X-Fc-Invocation-Type", "X-Fc-Log-Type", "If-Match", "X-Fc-Code-Checksum"} {
			if header != "" {
				req.Header.Set(name, header)
			}
		}
		sign(req)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		if strings.Contains(rec.Body.String(), "SignatureNotMatch") && !strings.HasPrefix(path, codePrefix) {
			t.Fatalf("%s %s: the signature was not taken: %s", method, path, rec.Body)
		}
		if rec.Code >= 500 {
			t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
		}
		if rec.Code >= 400 && rec.Code != http.StatusTeapot {
			var e errorBody
			if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || e.ErrorCode == "" || e.Code != e.ErrorCode || e.Message == "" {
				t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
			}
		}
	})
}

// FuzzAuthorization sends any signature header: it never passes, never panics.
func FuzzAuthorization(f *testing.F) {
	handler := fuzzCloud(f)
	for _, auth := range []string{
		"", "FC", "FC embedded:", "FC embedded:AAAA", "acs embedded:AAAA", "ACS3-HMAC-SHA256 Credential=embedded,SignedHeaders=host;x-acs-date;x-acs-content-sha256,Signature=00",
		"ACS3-HMAC-SHA256 ,,,=", "Basic eDp5",
	} {
		f.Add(auth, "Mon, 02 Jan 2006 15:04:05 GMT")
	}
	f.Fuzz(func(t *testing.T, auth, date string) {
		req := httptest.NewRequest("GET", "/2021-04-06/services", nil)
		req.Header["Authorization"] = []string{auth}
		req.Header["Date"], req.Header["X-Acs-Date"] = []string{date}, []string{date}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		if rec.Code != 400 && rec.Code != 403 {
			t.Fatalf("%q: %d %s", auth, rec.Code, rec.Body)
		}
	})
}

func FuzzRewrite(f *testing.F) {
	f.Add("/a/*", "/b/*", "^/(.*)$", "/$1", "/a/x")
	f.Fuzz(func(t *testing.T, match, replacement, expr, with, path string) {
		if !strings.HasPrefix(path, "/") {
			return
		}
		c := &rewriteConfig{
			WildcardRules: []rewriteRule{{match, replacement}}, RegexRules: []rewriteRule{{expr, with}},
		}
		if got := c.apply(path); !strings.HasPrefix(got, "/") {
			t.Errorf("%q became %q", path, got)
		}
	})
}
