package emulator

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// legacy signs requests as the 2016-08-15 client does: an HMAC-SHA256 over method,
// Content-MD5 (the Base64 of the hex digest), Content-Type, date, the x-fc-*
// headers in order, and the path.
type legacy struct {
	t      *testing.T
	base   string
	id     string
	secret string
	header map[string]string
	date   string // now when empty
	host   string // that of base when empty
}

func (w *world) legacy() *legacy {
	return &legacy{t: w.t, base: w.server.URL, id: DefaultAccessKeyID, secret: DefaultAccessKeySecret}
}

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (l *legacy) do(method, path string, body any) answer {
	l.t.Helper()
	var data []byte
	header := map[string]string{"x-fc-account-id": DefaultAccountID, "date": time.Now().UTC().Format(http.TimeFormat)}
	if l.date != "" {
		header["date"] = l.date
	}
	switch b := body.(type) {
	case nil:
	case string:
		data, header["content-type"] = []byte(b), "application/octet-stream"
	default:
		data, _ = json.Marshal(b)
		header["content-type"] = "application/json"
	}
	if data != nil {
		digest := md5.Sum(data)
		header["content-md5"] = base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(digest[:])))
	}
	maps.Copy(header, l.header)
	req, err := http.NewRequest(method, l.base+"/2016-08-15"+path, bytes.NewReader(data))
	if err != nil {
		l.t.Fatal(err)
	}
	toSign := strings.Join([]string{method, header["content-md5"], header["content-type"], header["date"], ""}, "\n")
	for _, k := range slices.Sorted(maps.Keys(header)) {
		req.Header.Set(k, header[k])
		if strings.HasPrefix(k, "x-fc-") {
			toSign += k + ":" + header[k] + "\n"
		}
	}
	plain, _, _ := strings.Cut("/2016-08-15"+path, "?")
	m := hmac.New(sha256.New, []byte(l.secret))
	m.Write([]byte(toSign + plain))
	req.Host = l.host
	if l.id != "" {
		req.Header.Set("Authorization", "FC "+l.id+":"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
	}
	return send(l.t, req)
}

func send(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &a.body)
	return a
}

func (a answer) want(t *testing.T, status int, code string) {
	t.Helper()
	got, _ := a.body["ErrorCode"].(string)
	if a.status != status || got != code {
		t.Fatalf("answer is %d %s, want %d %s", a.status, a.raw, status, code)
	}
	if code != "" && (a.body["Code"] != code || a.body["Message"] != a.body["ErrorMessage"] || a.header.Get("X-Fc-Request-Id") == "") {
		t.Errorf("error %s", a.raw)
	}
}

func TestEdition2016(t *testing.T) {
	w := newWorld(t)
	l := w.legacy()
	l.do("POST", "/services", map[string]any{"serviceName": "s", "description": "d"}).want(t, 200, "")
	l.do("POST", "/services", map[string]any{"serviceName": "s"}).want(t, 409, "ServiceAlreadyExists")
	zipFile := base64.StdEncoding.EncodeToString(zipOf(t, "do", "one"))
	l.do("POST", "/services/s/functions", map[string]any{
		"functionName": "f", "runtime": "nodejs16", "handler": "index.handler", "code": map[string]any{"zipFile": zipFile},
		"customDNS": nil, "instanceSoftConcurrency": nil, "layers": []string{}, "initializer": "",
	}).want(t, 200, "")
	l.do("POST", "/services/s/versions", map[string]any{}).want(t, 200, "")
	l.do("POST", "/services/s/aliases", map[string]any{"aliasName": "prod", "versionId": "1"}).want(t, 200, "")
	l.do("PUT", "/services/s/functions/f", map[string]any{"code": map[string]any{"zipFile": base64.StdEncoding.EncodeToString(zipOf(t, "do", "two"))}}).want(t, 200, "")

	// the qualifier stands after a dot
	for path, want := range map[string]string{"s": "two", "s.1": "one", "s.prod": "one", "s.LATEST": "two"} {
		if a := l.do("POST", "/services/"+path+"/functions/f/invocations", "event"); a.raw != want {
			t.Errorf("%s answers %d %s", path, a.status, a.raw)
		}
	}
	l.do("GET", "/services/s.9/functions/f", nil).want(t, 404, "VersionNotFound")
	l.do("PUT", "/services/s.prod/functions/f", map[string]any{}).want(t, 400, "InvalidArgument")

	// triggerConfig is an object
	a := l.do("POST", "/services/s/functions/f/triggers", map[string]any{
		"triggerName": "t", "triggerType": "timer", "triggerConfig": map[string]any{"cronExpression": "@every 5m", "enable": true}})
	a.want(t, 200, "")
	config, ok := a.body["triggerConfig"].(map[string]any)
	if !ok || config["cronExpression"] != "@every 5m" {
		t.Errorf("trigger %s", a.raw)
	}
	l.do("POST", "/services/s/functions/f/triggers", map[string]any{
		"triggerName": "u", "triggerType": "timer", "triggerConfig": `{"cronExpression":"@every 5m"}`}).want(t, 400, "InvalidArgument")

	// this client's Host header has no port; links have it all the same
	l.host = "127.0.0.1"
	if a := l.do("GET", "/services/s/functions/f/code", nil); !strings.HasPrefix(a.body["url"].(string), w.server.URL+"/code/") {
		t.Errorf("link %s", a.raw)
	}

	// both editions show one store
	got, err := w.GetTrigger(str("s"), str("f"), str("t"))
	w.ok(err)
	if *got.Body.TriggerConfig != `{"cronExpression":"@every 5m","enable":true,"payload":""}` {
		t.Errorf("2021-04-06 shows %s", *got.Body.TriggerConfig)
	}

	l.do("PUT", "/services/s.prod/functions/f/async-invoke-config", map[string]any{"maxAsyncRetryAttempts": 2}).want(t, 200, "")
	if a := l.do("GET", "/services/s.prod/functions/f/async-invoke-config", nil); a.body["maxAsyncRetryAttempts"] != 2.0 || a.body["qualifier"] != "prod" {
		t.Errorf("async config %s", a.raw)
	}
	l.do("POST", "/tag", map[string]any{"resourceArn": "services/s", "tags": map[string]string{"k": "v"}}).want(t, 200, "")
	l.do("DELETE", "/tag", map[string]any{"resourceArn": "services/s", "tagKeys": []string{"k"}}).want(t, 200, "")
	l.do("POST", "/layers/lib/versions", map[string]any{"code": map[string]any{"zipFile": zipFile}}).want(t, 200, "")
	arn := url.PathEscape("acs:fc:cn-hangzhou:" + DefaultAccountID + ":layers/lib/versions/1")
	arn = strings.ReplaceAll(arn, ":", "%3A")
	if a := l.do("GET", "/layerarn/"+arn, nil); a.body["layerName"] != "lib" {
		t.Errorf("layer by ARN: %s", a.raw)
	}
	l.do("PUT", "/layers/lib/acl?public=true", nil).want(t, 200, "")
	if a := l.do("GET", "/reservedCapacities", nil); a.status != 200 || a.body["reservedCapacities"] == nil {
		t.Errorf("reserved capacities %s", a.raw)
	}
	l.do("GET", "/services/s/tempCodeBucketToken", nil).want(t, 400, "NotSupported")
	l.do("GET", "/services/s/functions/f/instances/i/exec?command=ls", nil).want(t, 400, "NotSupported")
	l.do("GET", "/nothing", nil).want(t, 404, "PathNotSupported")
	l.do("PATCH", "/services", nil).want(t, 404, "PathNotSupported")
}

func TestSignatures(t *testing.T) {
	w := newWorld(t)
	now := time.Now().UTC()
	for _, c := range []struct {
		name   string
		change func(*legacy)
		status int
		code   string
	}{
		{"good", func(*legacy) {}, 200, ""},
		{"unknown key", func(l *legacy) { l.id = "nobody" }, 403, "InvalidAccessKeyID"},
		{"wrong secret", func(l *legacy) { l.secret = "x" }, 403, "SignatureNotMatch"},
		{"no authorization", func(l *legacy) { l.id = "" }, 400, "MissingRequiredHeader"},
		{"14 minutes off", func(l *legacy) { l.date = now.Add(14 * time.Minute).Format(http.TimeFormat) }, 200, ""},
		{"16 minutes behind", func(l *legacy) { l.date = now.Add(-16 * time.Minute).Format(http.TimeFormat) }, 403, "RequestTimeTooSkewed"},
		{"16 minutes ahead", func(l *legacy) { l.date = now.Add(16 * time.Minute).Format(http.TimeFormat) }, 403, "RequestTimeTooSkewed"},
		{"a date that is none", func(l *legacy) { l.date = "yesterday" }, 400, "InvalidArgument"},
		{"signed x-fc headers", func(l *legacy) { l.header = map[string]string{"x-fc-a": "1"} }, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := w.legacy()
			l.t = t
			c.change(l)
			l.do("GET", "/services", nil).want(t, c.status, c.code)
		})
	}
	t.Run("a body other than the one signed", func(t *testing.T) {
		l := w.legacy()
		l.t = t
		l.header = map[string]string{"content-md5": "AAAA"}
		l.do("POST", "/services", map[string]any{"serviceName": "x"}).want(t, 400, "InvalidArgument")
	})
	t.Run("no date", func(t *testing.T) {
		req, _ := http.NewRequest("GET", w.server.URL+"/2016-08-15/services", nil)
		m := hmac.New(sha256.New, []byte(DefaultAccessKeySecret))
		m.Write([]byte("GET\n\n\n\n/2016-08-15/services"))
		req.Header.Set("Authorization", "FC "+DefaultAccessKeyID+":"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
		send(t, req).want(t, 400, "MissingRequiredHeader")
	})
	t.Run("the older ROA signature", func(t *testing.T) {
		req, _ := http.NewRequest("GET", w.server.URL+"/2021-04-06/services?limit=5&prefix=a", nil)
		date := now.Format(http.TimeFormat)
		req.Header.Set("Date", date)
		req.Header.Set("Accept", "application/json")
		req.Header.Set("X-Acs-Version", "2021-04-06")
		req.Header.Set("X-Acs-Action", "ListServices")
		m := hmac.New(sha1.New, []byte(DefaultAccessKeySecret))
		m.Write([]byte("GET\napplication/json\n\n\n" + date + "\nx-acs-action:ListServices\nx-acs-version:2021-04-06\n/2021-04-06/services?limit=5&prefix=a"))
		req.Header.Set("Authorization", "acs "+DefaultAccessKeyID+":"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
		send(t, req).want(t, 200, "")
		req.Header.Set("X-Acs-Action", "Other")
		send(t, req).want(t, 403, "SignatureNotMatch")
	})
	t.Run("a body that was not signed", func(t *testing.T) {
		req, _ := http.NewRequest("POST", w.server.URL+"/2021-04-06/services", strings.NewReader(`{"serviceName":"x"}`))
		sum := sha256.Sum256(nil)
		req.Header.Set("X-Acs-Content-Sha256", hex.EncodeToString(sum[:]))
		req.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+DefaultAccessKeyID+",SignedHeaders=host;x-acs-content-sha256;x-acs-date,Signature=00")
		send(t, req).want(t, 403, "SignatureNotMatch")
		req, _ = http.NewRequest("GET", w.server.URL+"/2021-04-06/services", nil)
		req.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+DefaultAccessKeyID+",SignedHeaders=host,Signature=00")
		send(t, req).want(t, 403, "AccessDenied")
		req.Header.Set("Authorization", "Bearer x")
		send(t, req).want(t, 403, "AccessDenied")
	})
}
