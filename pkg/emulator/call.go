package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Editions of the API, as they stand in paths.
const (
	edition2016 = "2016-08-15"
	edition2021 = "2021-04-06"
)

// latest names the unpublished state of a service.
const latest = "LATEST"

// call is one request on its way through the cloud.
type call struct {
	*http.Request
	id        string // request id
	operation string
	errorCode string

	region    string // that the request names, "" for none
	hosted    bool   // the host names the region
	edition   string
	params    map[string]string // of the path
	query     url.Values
	body      []byte
	members   map[string]json.RawMessage // of the body, once parsed
	parsed    bool
	qualifier string // version, alias, or latest
}

// reply is what an operation answers.
type reply struct {
	status int         // 200 when 0
	body   any         // sent as JSON; nil for an empty body
	etag   string      // of the resource, "" for none
	header http.Header // more headers
	raw    []byte      // sent as it is instead of body when not nil
}

// done is the empty answer of deletions.
func done() *reply { return &reply{status: http.StatusNoContent} }

// is2016 reports whether the request came in the older edition.
func (q *call) is2016() bool { return q.edition == edition2016 }

// origin is the base URL at which the client reached the cloud. The 2016-08-15
// client leaves the port out of its Host header: then it is the server's own.
func (q *call) origin() string {
	scheme, usual := "http", 80
	if q.TLS != nil {
		scheme, usual = "https", 443
	}
	host := q.Host
	local, ok := q.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if _, _, err := net.SplitHostPort(host); err != nil && ok && local.Port != usual {
		host = net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(local.Port))
	}
	return scheme + "://" + host
}

// read takes in the body, at most limit bytes.
func (q *call) read(w http.ResponseWriter, limit int64) error {
	if q.Body == nil {
		return nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge("the request's body is larger than %d bytes", limit)
	}
	if err != nil {
		return newError(http.StatusBadRequest, "MalformedPOSTRequest", "the request's body ended early")
	}
	q.body = body
	return nil
}

// decode reads the JSON body into dst, an empty body being an empty object. The
// body is parsed once: it can hold a whole code package.
func (q *call) decode(dst any) error {
	if !q.parsed {
		members, err := parse(q.body)
		if err != nil {
			return err
		}
		q.members, q.parsed = members, true
	}
	return overlay(q.members, dst)
}

// send writes r.
func (q *call) send(w http.ResponseWriter, r *reply) {
	for k, v := range r.header {
		w.Header()[k] = v
	}
	if r.etag != "" {
		w.Header().Set("ETag", r.etag)
	}
	body := r.raw
	if body == nil && r.body != nil {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r.body); err != nil {
			q.fail(w, internalError(err))
			return
		}
		body = bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
		w.Header().Set("Content-Type", "application/json")
	}
	status := r.status
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		_, _ = w.Write(body)
	}
}

// ifMatch checks the precondition of the request against the resource's etag.
func (q *call) ifMatch(etag string) error {
	want := q.Header.Get("If-Match")
	if want == "" || want == "*" {
		return nil
	}
	for tag := range strings.SplitSeq(want, ",") {
		if strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`) == etag {
			return nil
		}
	}
	return newError(http.StatusPreconditionFailed, "PreconditionFailed",
		"the resource has changed: If-Match is %s, its ETag is %s", want, etag)
}

// statusRecorder remembers the status for the log and passes everything on.
type statusRecorder struct {
	http.ResponseWriter
	code int
}

func (s *statusRecorder) WriteHeader(code int) {
	if s.code == 0 && code >= 200 {
		s.code = code
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *statusRecorder) Write(p []byte) (int, error) {
	if s.code == 0 {
		s.code = http.StatusOK
	}
	return s.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController flush and hijack.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Flush implements http.Flusher for streamed answers.
func (s *statusRecorder) Flush() { _ = http.NewResponseController(s.ResponseWriter).Flush() }

func (s *statusRecorder) status() int {
	if s.code == 0 {
		return http.StatusOK
	}
	return s.code
}

// hostName returns the lower-case name in a Host header, without its port.
func hostName(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func hasPrefix(s, prefix string) bool { return strings.HasPrefix(s, prefix) }
