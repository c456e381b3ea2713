package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	openapiutil "github.com/alibabacloud-go/openapi-util/service"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"
)

// answerKind is what a call yields when it works.
type answerKind int

const (
	jsonAnswer answerKind = iota // a JSON object
	noAnswer                     // nothing that is looked at
	anyAnswer                    // the bytes of a function
)

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
	attrs  map[string]any // of a jsonAnswer
}

// requestIDHeader is in every answer of the service, and of a function behind it.
const requestIDHeader = "X-Fc-Request-Id"

// signatureName is the signature of the edition 2021-04-06.
const signatureName = "ACS3-HMAC-SHA256"

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 20

// NewTransport returns what carries the calls of clients. Proxies come from the
// environment; this machine is reached without one.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        128,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
	}
}

// send signs the call, makes it once, and reads the answer whole.
func (c *Client) send(ctx context.Context, r request, path string, body []byte) (*reply, error) {
	query := url.Values{}
	for k, v := range r.query {
		if v != "" {
			query.Set(k, v)
		}
	}
	address := c.base.String() + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range c.signed(r, path, body) {
		if name != "host" {
			req.Header.Set(name, tea.StringValue(value))
		}
	}
	resp, err := c.api.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer (HTTP %d): %w", resp.StatusCode, err)
	}
	if len(data) > maxAnswer {
		return nil, fmt.Errorf("reading the answer (HTTP %d): it is larger than %d MiB", resp.StatusCode, maxAnswer>>20)
	}
	return &reply{status: resp.StatusCode, header: resp.Header, body: data}, nil
}

// signed returns the headers of a call with its signature.
func (c *Client) signed(r request, path string, body []byte) map[string]*string {
	algorithm := tea.String(signatureName)
	hash := openapiutil.HexEncode(openapiutil.Hash(body, algorithm))
	headers := map[string]*string{
		"host":                  tea.String(c.base.Host),
		"accept":                tea.String("application/json"),
		"user-agent":            tea.String(c.config.UserAgent),
		"x-acs-version":         tea.String(version),
		"x-acs-action":          tea.String(r.action),
		"x-acs-date":            openapiutil.GetTimestamp(),
		"x-acs-signature-nonce": util.GetNonce(),
		"x-acs-content-sha256":  hash,
	}
	if r.body != nil {
		headers["content-type"] = tea.String("application/json; charset=utf-8")
	}
	if isLoopback(c.base.Hostname()) {
		// Public addresses name the region; the embedded cloud has one for all of them.
		headers["x-acs-region-id"] = tea.String(c.config.Region)
	}
	for name, value := range r.header {
		if value != "" {
			headers[strings.ToLower(name)] = tea.String(value)
		}
	}
	if token := c.config.SecurityToken; !token.IsZero() {
		headers["x-acs-accesskey-id"] = tea.String(c.config.AccessKeyID.Reveal())
		headers["x-acs-security-token"] = tea.String(token.Reveal())
	}
	query := map[string]*string{}
	for k, v := range r.query {
		if v != "" {
			query[k] = tea.String(v)
		}
	}
	headers["authorization"] = openapiutil.GetAuthorization(
		&tea.Request{Method: tea.String(r.method), Pathname: tea.String(path), Query: query, Headers: headers},
		algorithm, hash, tea.String(c.config.AccessKeyID.Reveal()), tea.String(c.config.AccessKeySecret.Reveal()))
	return headers
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// check reads the answer of a call, which is an Error unless it is what the call
// should yield.
func (c *Client) check(r request, a *reply) error {
	switch {
	case a.status >= http.StatusMultipleChoices && a.status < http.StatusBadRequest:
		return c.elsewhere(a, "%s answered with a redirect (%s), which is not followed", c.base.Host, http.StatusText(a.status))
	case a.status >= http.StatusBadRequest:
		e := c.readError(a)
		e.after = retryAfter(a.header, c.retry.Now())
		return e
	case r.answer == anyAnswer && a.header.Get(requestIDHeader) == "":
		e := c.elsewhere(a, "the answer of %s%s is not one of a function: it has no %s", c.base.Host, a.kind(), requestIDHeader)
		e.Unsure = true
		return e
	case r.answer != jsonAnswer || a.status == http.StatusNoContent:
		return nil
	}
	v, err := DecodeJSON(string(a.body))
	attrs, ok := v.(map[string]any)
	if err != nil || !ok {
		e := c.elsewhere(a, "the answer of %s%s is not a JSON object", c.base.Host, a.kind())
		e.Unsure = true
		return e
	}
	a.attrs = attrs
	return nil
}

// readError reads the answer to a call that failed. The service spells its fields
// in two ways.
func (c *Client) readError(a *reply) *Error {
	var body struct {
		Code, Message, RequestID, RequestId any //nolint:revive // the wire's names
		ErrorCode, ErrorMessage             any
	}
	if v, err := DecodeJSON(string(a.body)); err == nil {
		if _, ok := v.(map[string]any); ok {
			// Fields of any type are taken, so that this cannot fail.
			_ = json.Unmarshal(a.body, &body)
			e := &Error{
				Status:    a.status,
				Code:      firstText(body.Code, body.ErrorCode),
				Message:   firstText(body.Message, body.ErrorMessage, http.StatusText(a.status)),
				RequestID: firstText(body.RequestID, body.RequestId, a.header.Get(requestIDHeader)),
				Unsure:    a.status >= http.StatusInternalServerError,
			}
			return e
		}
	}
	what := http.StatusText(a.status)
	if what == "" {
		what = "an error"
	}
	e := c.elsewhere(a, "%s: the answer of %s%s is not a JSON object", what, c.base.Host, a.kind())
	e.Unsure = a.status >= http.StatusInternalServerError
	return e
}

// elsewhere is the error for an answer that is not one of the service.
func (c *Client) elsewhere(a *reply, format string, args ...any) *Error {
	return &Error{Status: a.status, Message: fmt.Sprintf(format, args...), elsewhere: true}
}

// kind says in brackets what an answer is.
func (a *reply) kind() string {
	facts := []string{"empty"}
	if len(a.body) > 0 {
		facts = []string{fmt.Sprintf("%d bytes", len(a.body))}
	}
	if t := a.header.Get("Content-Type"); t != "" && len(a.body) > 0 {
		facts[0] = t
	}
	if s := a.header.Get("Server"); s != "" {
		facts = append(facts, "server "+s)
	}
	return fmt.Sprintf(" (%.120s)", strings.Join(facts, ", "))
}
