package registry_test

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// fault is what goes wrong with one request.
type fault struct {
	name string
	// cutRequest cuts both connections after so many bytes of the body of the
	// request; -1 does not.
	cutRequest int64
	// cutAnswer hands the request on, and cuts the answer in its middle.
	cutAnswer bool
	// noAnswer hands the request on, and cuts before the answer.
	noAnswer bool
	// status is answered without handing the request on.
	status     int
	retryAfter string
}

var faults = []fault{
	{name: "cut at once", cutRequest: 0},
	{name: "cut in the body", cutRequest: 700_001},
	{name: "answer lost", cutRequest: -1, noAnswer: true},
	{name: "half an answer", cutRequest: -1, cutAnswer: true},
	{name: "429", cutRequest: -1, status: 429, retryAfter: "3"},
	{name: "503", cutRequest: -1, status: 503},
	{name: "500", cutRequest: -1, status: 500},
}

// proxy stands before a registry and makes one request, or more, go wrong.
type proxy struct {
	to string

	mu     sync.Mutex
	n      int                                 // requests so far
	choose func(n int, r *http.Request) *fault // nil: nothing goes wrong
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	n := p.n
	p.n++
	var f *fault
	if p.choose != nil {
		f = p.choose(n, r)
	}
	p.mu.Unlock()
	if f == nil {
		f = &fault{cutRequest: -1}
	}
	if f.status != 0 {
		w.Header().Set("Retry-After", f.retryAfter)
		w.WriteHeader(f.status)
		return
	}
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", p.to, ""
	if f.cutRequest >= 0 {
		if r.ContentLength <= f.cutRequest {
			panic(http.ErrAbortHandler) // nothing is handed on
		}
		out.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, f.cutRequest), broken{}))
	}
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err != nil || f.noAnswer {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	for key, v := range resp.Header {
		w.Header()[key] = v
	}
	data, _ := io.ReadAll(resp.Body)
	if f.cutAnswer {
		if len(data) == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(data[:len(data)/2])
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(data)
}

// reset begins counting anew and sets what goes wrong.
func (p *proxy) reset(choose func(n int, r *http.Request) *fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n, p.choose = 0, choose
}

func (p *proxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("cut by the test") }

// behind serves a proxy before a registry and returns it with its host.
func behind(t testing.TB, to string) (*proxy, string) {
	t.Helper()
	p := &proxy{to: to}
	return p, serve(t, p)
}
