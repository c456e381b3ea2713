package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/diag"
)

// maxHTTP is the limit of the body of an HTTP-trigger request and of its answer,
// in bytes (32 MB in the cloud).
const maxHTTP = 32 << 20

// ServeHTTP implements Invoker. A failure of the function is answered with 502, a
// timeout with 504, both with X-Fc-Error-Type and the error as JSON.
func (p *Pool) ServeHTTP(w http.ResponseWriter, r *http.Request, fn Function, requestID, base string) {
	if err := checkRequestID(requestID); err != nil {
		writeProblem(w, http.StatusBadRequest, "InvalidArgument", err)
		return
	}
	if r.ContentLength > maxHTTP {
		writeProblem(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", errBody)
		return
	}
	if fn.RunOnce {
		writeProblem(w, http.StatusBadRequest, "InvalidArgument", diag.Errorf(
			"function %s has webServerMode false: it runs for events, and takes no HTTP requests", fn.FuncName))
		return
	}
	inst, failed, err := p.acquire(r.Context(), fn, requestID, nil)
	if err != nil {
		writeProblem(w, http.StatusBadGateway, "FunctionNotStarted", err)
		return
	}
	if failed != nil {
		writeFailure(w, http.StatusBadGateway, failed.ErrorType, failed.Body)
		return
	}
	ex := &httpExchange{pool: p, inst: inst, client: r, start: p.cfg.Now(), base: base,
		rq: request{id: requestID, path: pathHTTP, limit: orDefault(fn.Timeout)}}
	// A bridge whose answer was not read to its end is of no more use.
	defer func() { p.release(inst, inst.kind.server() || ex.complete) }()
	ex.serve(w)
}

var errBody = diag.Errorf("the request body is larger than %d bytes", maxHTTP)

// httpExchange is one request of an HTTP trigger on its way through an instance.
type httpExchange struct {
	pool     *Pool
	inst     *instance
	client   *http.Request
	rq       request
	base     string
	start    time.Time
	ctx      context.Context // of this exchange alone: the client's, with the time limit
	complete bool            // the answer was read to its end, and its connection stays
}

func (ex *httpExchange) serve(w http.ResponseWriter) {
	ctx, cancel := ex.inst.bound(ex.client.Context(), ex.rq.limit)
	defer cancel()
	ex.ctx = ctx
	out := ex.client.WithContext(ctx)
	out.Body = http.MaxBytesReader(w, ex.client.Body, maxHTTP)
	if out.ContentLength < 0 && ex.inst.kind.bridge() { // bridges need to know the length
		whole, err := io.ReadAll(out.Body)
		if err != nil {
			ex.complete = true // the instance knows nothing of it
			writeProblem(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", errBody)
			return
		}
		out.ContentLength, out.TransferEncoding = int64(len(whole)), nil
		out.Body = io.NopCloser(bytes.NewReader(whole))
	}
	proxy := httputil.ReverseProxy{
		Transport:      ex.inst.rt,
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0),
		Rewrite:        ex.rewrite,
		ModifyResponse: ex.answer,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, err error) { ex.fail(w, err) },
	}
	defer func() { // also when an answer breaks off, which panics
		if ex.inst.kind.bridge() {
			ex.inst.logged = ex.inst.log.mark()
		}
		if context.Cause(ctx) == errTimeout {
			ex.pool.discard(ex.inst)
		}
	}()
	proxy.ServeHTTP(w, out)
}

// fail answers a request that the instance did not.
func (ex *httpExchange) fail(w http.ResponseWriter, err error) {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		writeProblem(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", errBody)
		return
	}
	message, gone := ex.pool.diagnose(ex.ctx, ex.client.Context(), ex.inst, ex.rq, ex.start, err)
	if gone != nil {
		return // nobody reads the answer
	}
	status := http.StatusBadGateway
	if context.Cause(ex.ctx) == errTimeout {
		status = http.StatusGatewayTimeout
	}
	writeFailure(w, status, Unhandled, errorBody(message))
}

// rewrite makes the request that the function sees. The x-fc-* headers of clients
// are dropped: they cannot speak for the platform.
func (ex *httpExchange) rewrite(pr *httputil.ProxyRequest) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host, out.URL.RawQuery = "http", "function", pr.In.URL.RawQuery
	out.Host = pr.In.Host
	for name := range out.Header {
		if strings.HasPrefix(strings.ToLower(name), "x-fc-") {
			delete(out.Header, name)
		}
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := pr.In.Header[name]; ok {
			out.Header[name] = values
		}
	}
	if _, ok := pr.In.Header["User-Agent"]; !ok {
		out.Header.Set("User-Agent", "") // none of ours
	}
	out.Header.Del("Expect")
	setControl(out.Header, ex.inst.fn, ex.rq.id, ex.rq.path)
	if ex.base != "" {
		out.Header.Set("X-Fc-Base-Path", ex.base)
	}
	if ex.inst.kind.bridge() {
		out.Header.Set("X-Fc-Client-Ip", clientIP(pr.In))
		out.Header.Set("X-Fc-Scheme", scheme(pr.In))
	}
}

func clientIP(r *http.Request) string {
	if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ","); first != "" {
		return strings.TrimSpace(first)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func scheme(r *http.Request) string {
	if proto := r.Header.Get("X-Forwarded-Proto"); proto == "https" || proto == "http" {
		return proto
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// answer bounds the body and translates a bridge's report of a failure.
func (ex *httpExchange) answer(resp *http.Response) error {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	if resp.Header.Get("X-Fc-Status") == "404" {
		resp.Header.Set("X-Fc-Error-Type", Handled)
	}
	resp.Header.Del("X-Fc-Status")
	if resp.ContentLength > maxHTTP && resp.Request.Method != http.MethodHead {
		return errAnswerBody
	}
	kept := !resp.Close
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxHTTP, atEnd: func() { ex.complete = kept }}
	return nil
}

var errAnswerBody = fmt.Errorf("the response body is larger than %d bytes", maxHTTP)

// boundedBody fails when more than left bytes come, and tells of the end.
type boundedBody struct {
	io.ReadCloser
	left  int64
	atEnd func()
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errAnswerBody
	}
	if err == io.EOF {
		b.atEnd()
	}
	return n, err
}

func writeFailure(w http.ResponseWriter, status int, errorType string, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Fc-Error-Type", errorType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// writeProblem answers as the API does when no function could run.
func writeProblem(w http.ResponseWriter, status int, code string, err error) {
	message := err.Error()
	if problem, ok := errors.AsType[*diag.Problem](err); ok && problem.Hint != "" {
		message += ": " + problem.Hint
	}
	body, _ := json.Marshal(map[string]string{"ErrorCode": code, "ErrorMessage": message}) // strings always encode
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
