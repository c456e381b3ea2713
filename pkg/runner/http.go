package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"

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
	inst, failed, err := p.acquire(r.Context(), fn, requestID)
	if err != nil {
		writeProblem(w, http.StatusBadGateway, "FunctionNotStarted", err)
		return
	}
	if failed != nil {
		writeFailure(w, http.StatusBadGateway, failed.ErrorType, failed.Body)
		return
	}
	defer func() { p.release(inst, inst.kind == custom || !inst.cut()) }()
	p.proxy(w, r, inst, request{id: requestID, path: pathHTTP, limit: orDefault(fn.Timeout)}, base)
}

var errBody = diag.Errorf("the request body is larger than %d bytes", maxHTTP)

func (p *Pool) proxy(w http.ResponseWriter, r *http.Request, inst *instance, rq request, base string) {
	ctx, cancel := inst.bound(r.Context(), rq.limit)
	defer cancel()
	start := p.cfg.Now()
	body := http.MaxBytesReader(w, r.Body, maxHTTP)
	out := r.WithContext(ctx)
	out.Body = body
	if r.ContentLength < 0 && inst.kind != custom { // bridges need to know the length
		whole, err := io.ReadAll(body)
		if err != nil {
			writeProblem(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", errBody)
			return
		}
		out.ContentLength, out.TransferEncoding = int64(len(whole)), nil
		out.Body = io.NopCloser(bytes.NewReader(whole))
	}
	proxy := httputil.ReverseProxy{
		Transport:      inst.rt,
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0),
		Rewrite:        func(pr *httputil.ProxyRequest) { rewrite(pr, inst, rq, base) },
		ModifyResponse: limitAnswer,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				writeProblem(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", errBody)
				return
			}
			if inst.kind == custom && r.Context().Err() != nil {
				return // the client has gone, the server sees that by itself
			}
			message, fault := p.diagnose(ctx, r.Context(), inst, rq, start, err)
			if fault != nil {
				return // nobody reads the answer
			}
			status := http.StatusBadGateway
			if context.Cause(ctx) == errTimeout {
				status = http.StatusGatewayTimeout
			}
			writeFailure(w, status, Unhandled, errorBody(message))
		},
	}
	proxy.ServeHTTP(w, out)
	if context.Cause(ctx) == errTimeout { // also in the middle of an answer
		p.discard(inst)
	}
}

// rewrite makes the request that the function sees. The x-fc-* headers of clients
// are dropped: they cannot speak for the platform.
func rewrite(pr *httputil.ProxyRequest, inst *instance, rq request, base string) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host = "http", "function"
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
	setControl(out.Header, inst.fn, rq.id, rq.path)
	if base != "" {
		out.Header.Set("X-Fc-Base-Path", base)
	}
	if inst.kind != custom {
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

// limitAnswer bounds the body and translates a bridge's report of a failure.
func limitAnswer(resp *http.Response) error {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	if resp.Header.Get("X-Fc-Status") == "404" {
		resp.Header.Set("X-Fc-Error-Type", Handled)
	}
	resp.Header.Del("X-Fc-Status")
	if resp.ContentLength > maxHTTP && resp.Request.Method != http.MethodHead {
		return errTooLarge
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxHTTP}
	return nil
}

// boundedBody fails when more than left bytes come.
type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
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
