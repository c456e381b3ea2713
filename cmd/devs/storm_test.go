package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// A fault is what happens to one request.
type fault struct {
	name  string
	kill  bool // the process that made the request is killed
	fresh bool // each deploy runs on a runner of its own: the folder .s is not kept
	stop  bool // the process is interrupted, while its request goes on

	reach  bool // the cloud did what the request asks for
	half   bool // half of the answer is sent
	status int  // answered instead of the cloud's answer; 0: the connection is reset
}

// faults are all that can happen to a request.
func faults() []fault {
	return []fault{
		{name: "killed before it left", kill: true},
		{name: "killed before it left, fresh runner", kill: true, fresh: true},
		{name: "killed before the answer", kill: true, reach: true},
		{name: "killed before the answer, fresh runner", kill: true, reach: true, fresh: true},
		{name: "killed within the answer", kill: true, reach: true, half: true},
		{name: "killed within the answer, fresh runner", kill: true, reach: true, half: true, fresh: true},
		{name: "interrupted", stop: true},
		{name: "interrupted, fresh runner", stop: true, fresh: true},
		{name: "500", status: http.StatusInternalServerError},
		{name: "500 after it was done", status: http.StatusInternalServerError, reach: true},
		{name: "503", status: http.StatusServiceUnavailable},
		{name: "429", status: http.StatusTooManyRequests},
		{name: "reset before it was done", reach: false},
		{name: "reset after it was done", reach: true},
		{name: "half of the answer", reach: true, half: true},
	}
}

// storm stands between the commands and the cloud. It names the requests, lets a
// fault happen to one of them, and keeps an account of what the cloud made.
type storm struct {
	mu      sync.Mutex
	seen    map[string]int // how many requests of one name there were
	calls   []string       // all requests, in the order in which they came
	writes  int            // requests other than GET, but for tags
	victim  string         // the request that the fault happens to, "" for none
	fault   fault
	fired   bool
	end     func(syscall.Signal)
	dead    bool            // the process was killed: what still comes from it is not heard
	from    map[string]bool // other ends of the connections of the process
	buried  map[string]bool // those of killed processes
	created map[string]int  // what the cloud made and has, by path
	twice   []string        // what it made although it was there
}

func newStorm() *storm {
	return &storm{from: map[string]bool{}, buried: map[string]bool{}, created: map[string]int{}, seen: map[string]int{}}
}

// begin prepares for the next command. end sends it a signal.
func (s *storm) begin(victim string, f fault, end func(syscall.Signal)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr := range s.from {
		s.buried[addr] = true
	}
	s.from, s.seen, s.calls, s.writes = map[string]bool{}, map[string]int{}, nil, 0
	s.victim, s.fault, s.end, s.fired, s.dead = victim, f, end, false, false
}

// wrap is the middleware.
func (s *storm) wrap(cloud http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := hold(r)
		struck := s.hear(r, body)
		if !struck {
			s.pass(cloud, w, r, body)
			return
		}
		if s.fault.stop {
			s.end(syscall.SIGINT)
			s.pass(cloud, w, r, body)
			return
		}
		if s.fault.kill && !s.fault.reach {
			s.end(syscall.SIGKILL)
		}
		var got *answer
		if s.fault.reach {
			got = &answer{header: http.Header{}}
			s.pass(cloud, got, r, body)
		}
		s.strike(w, got)
	})
}

// hear counts a request and tells whether it is the one.
func (s *storm) hear(r *http.Request, body []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.buried[r.RemoteAddr] {
		panic(http.ErrAbortHandler)
	}
	s.from[r.RemoteAddr] = true
	name := nameCall(r, body)
	s.seen[name]++
	name += " #" + strconv.Itoa(s.seen[name])
	s.calls = append(s.calls, name)
	if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/tag") {
		s.writes++
	}
	if s.fired || name != s.victim {
		return false
	}
	s.fired = true
	s.dead = s.fault.kill
	return true
}

// nameCall names a request. Those of tags are told apart by the service and by
// whether they are about a lock.
func nameCall(r *http.Request, body []byte) string {
	name := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/2021-04-06")
	if !strings.HasSuffix(r.URL.Path, "/tag") {
		return name
	}
	var in struct {
		ResourceARN string            `json:"resourceArn"`
		Tags        map[string]string `json:"tags"`
		TagKeys     []string          `json:"tagKeys"`
	}
	_ = json.Unmarshal(body, &in)
	arn := in.ResourceARN + r.URL.Query().Get("resourceArn")
	name += " " + arn[strings.LastIndex(arn, "/")+1:]
	for key := range in.Tags {
		in.TagKeys = append(in.TagKeys, key)
	}
	for _, key := range in.TagKeys {
		if strings.Contains(key, ".lock.") {
			return name + " (lock)"
		}
	}
	return name
}

// pass lets the cloud answer, and notes what it made.
func (s *storm) pass(cloud http.Handler, w http.ResponseWriter, r *http.Request, body []byte) {
	made := madeBy(r, body)
	r.Body = http.NoBody
	if len(body) > 0 {
		r.Body = readCloser{bytes.NewReader(body)}
	}
	watch := &statusWatch{ResponseWriter: w}
	cloud.ServeHTTP(watch, r)
	if watch.status >= 300 || made == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodDelete {
		delete(s.created, made)
		return
	}
	s.created[made]++
	if s.created[made] > 1 {
		s.twice = append(s.twice, made)
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// statusWatch keeps the status of an answer.
type statusWatch struct {
	http.ResponseWriter
	status int
}

func (w *statusWatch) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// madeBy returns the path of the resource that a request makes or deletes, "" for none.
func madeBy(r *http.Request, body []byte) string {
	path := strings.TrimPrefix(r.URL.Path, "/2021-04-06")
	switch {
	case strings.HasSuffix(path, "/tag"):
		return ""
	case r.Method == http.MethodDelete:
		return path
	case r.Method != http.MethodPost:
		return ""
	}
	var in map[string]any
	_ = json.Unmarshal(body, &in)
	for _, field := range []string{"triggerName", "functionName", "serviceName", "domainName", "vpcId"} {
		if name, ok := in[field].(string); ok {
			return path + "/" + url.PathEscape(name)
		}
	}
	return path + "/?"
}

// strike makes the fault happen. got is the answer of the cloud, nil when the request
// did not reach it.
func (s *storm) strike(w http.ResponseWriter, got *answer) {
	f := s.fault
	if f.status != 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.status)
		code := map[int]string{429: "ResourceThrottled", 503: "ServiceUnavailable"}[f.status]
		if code == "" {
			code = "InternalServerError"
		}
		fmt.Fprintf(w, `{"Code":%q,"Message":"a fault of the test"}`, code)
		return
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	if f.half {
		_, _ = conn.Write(halfOf(got))
	}
	if f.kill {
		s.end(syscall.SIGKILL)
		return
	}
	if !f.half {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
}

// halfOf returns the first half of an answer as it is sent: the half of its body, or
// of its head when there is no body.
func halfOf(got *answer) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", got.status, http.StatusText(got.status))
	_ = got.header.Write(&b)
	if got.body.Len() == 0 {
		return b.Bytes()[:b.Len()/2]
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", got.body.Len())
	b.Write(got.body.Bytes()[:got.body.Len()/2])
	return b.Bytes()
}

// deploy runs a command as a process, with the fault for one request of it.
func (s *storm) deploy(a *arena, dir, victim string, f fault, args ...string) (*outcome, error) {
	var p *process
	ready := make(chan struct{})
	s.begin(victim, f, func(sig syscall.Signal) {
		<-ready
		_ = p.cmd.Process.Signal(sig)
	})
	p, err := a.start(dir, args...)
	if err != nil {
		return nil, err
	}
	close(ready)
	out, err := p.wait()
	a.settle()
	return out, err
}

func (s *storm) struck() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fired
}
