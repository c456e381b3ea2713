package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Invocation is one call of a function with an event.
type Invocation struct {
	Service, Function string
	Qualifier         string // "" for LATEST
	Event             []byte
	Async             bool
	StatefulID        string        // of a stateful asynchronous invocation, "" for none
	Timeout           time.Duration // of the whole call
}

// InvocationResult is what an invocation yields.
type InvocationResult struct {
	Body       []byte // exactly as the function returned it
	Log        []byte // the end of what the function printed; nil when asynchronous
	ErrorType  string // "" on success
	InstanceID string
	RequestID  string
	Status     int
}

// Invoke hands an event to a function. It is never repeated: the function may have
// run although no answer came.
func (c *Client) Invoke(ctx context.Context, in Invocation) (*InvocationResult, error) {
	header := map[string]string{"X-Fc-Invocation-Type": "Sync", "X-Fc-Log-Type": "Tail"}
	if in.Async {
		header = map[string]string{"X-Fc-Invocation-Type": "Async", "X-Fc-Log-Type": "None"}
	}
	if in.StatefulID != "" {
		header["X-Fc-Stateful-Async-Invocation-Id"] = in.StatefulID
		header["X-Fc-Stateful-Async-Invocation-Enable"] = strconv.FormatBool(true)
	}
	event := in.Event
	if event == nil {
		event = []byte{}
	}
	a, err := c.exchange(ctx, request{
		action: "InvokeFunction", method: http.MethodPost,
		path: functionPath(in.Service, in.Function, "invocations"), query: atQualifier(in.Qualifier),
		header: header, raw: event, answer: anyAnswer, limit: in.Timeout, once: true,
	})
	if err != nil {
		return nil, err
	}
	// The log is a courtesy: one that cannot be decoded is shown as it came.
	log, err := base64.StdEncoding.DecodeString(a.header.Get("X-Fc-Log-Result"))
	if err != nil {
		log = []byte(a.header.Get("X-Fc-Log-Result"))
	}
	return &InvocationResult{
		Body: a.body, Log: log,
		ErrorType:  a.header.Get("X-Fc-Error-Type"),
		InstanceID: a.header.Get("X-Fc-Instance-Id"),
		RequestID:  a.header.Get(requestIDHeader),
		Status:     a.status,
	}, nil
}

// maxHTTPBody bounds the answer of an HTTP trigger, in bytes.
const maxHTTPBody = 64 << 20

// HTTPRequest is one request to an HTTP trigger or a custom domain.
type HTTPRequest struct {
	Method  string
	URL     string
	Header  http.Header
	Body    []byte
	Sign    bool // for triggers with authType function
	Timeout time.Duration
}

// HTTPResult is the answer to an HTTPRequest.
type HTTPResult struct {
	Status int
	Header http.Header
	Body   []byte
}

// InvokeHTTP makes the request, once and without following redirects.
func (c *Client) InvokeHTTP(ctx context.Context, in HTTPRequest) (*HTTPResult, error) {
	if in.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, in.Timeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, in.Method, in.URL, bytes.NewReader(in.Body))
	if err != nil {
		return nil, fmt.Errorf("making the HTTP request: %w", err)
	}
	for name, values := range in.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	if in.Sign {
		if req, err = c.sdk.SignRequest(req); err != nil {
			return nil, fmt.Errorf("signing the HTTP request: %s", c.redactor.Redact(err.Error()))
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("invoking over HTTP: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHTTPBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the function's answer: %w", err)
	}
	if len(body) > maxHTTPBody {
		return nil, fmt.Errorf("reading the function's answer: it is larger than %d MiB", maxHTTPBody>>20)
	}
	return &HTTPResult{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}
