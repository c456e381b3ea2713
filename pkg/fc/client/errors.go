package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/alibabacloud-go/tea/tea"
)

// Error is what the API, or the way to it, answered to one call. It holds no key.
type Error struct {
	Action    string // the operation, such as GetService
	Status    int    // of HTTP; 0 when there was no readable answer
	Code      string // such as ServiceNotFound; "" when there was no readable answer
	Message   string
	RequestID string

	// Unsure is set when the call may have had its effect all the same: no answer,
	// or one of the kind 5xx.
	Unsure bool
	// Earlier is set when an earlier attempt of the same call was Unsure.
	Earlier bool

	unsent bool  // the request never left
	cause  error // of a failure on the way, for errors.Is
}

// Error returns one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Action + ": ")
	if e.Code != "" {
		b.WriteString(e.Code + ": ")
	}
	b.WriteString(e.Message)
	var facts []string
	if e.Status != 0 {
		facts = append(facts, fmt.Sprintf("HTTP %d", e.Status))
	}
	if e.RequestID != "" {
		facts = append(facts, "request id "+e.RequestID)
	}
	if len(facts) > 0 {
		b.WriteString(" (" + strings.Join(facts, ", ") + ")")
	}
	return b.String()
}

// Unwrap returns the failure on the way, nil when the API answered.
func (e *Error) Unwrap() error { return e.cause }

// IsNotFound reports whether err says that the thing asked for, or what it lives
// in, is not there. The status 404 alone does not say so: an address that is not
// that of the service answers with it too.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound &&
		(strings.Contains(e.Code, "NotFound") || strings.Contains(e.Code, "NotExist"))
}

// IsNotEmpty reports whether err says that other things still live in the one
// that should be deleted.
func IsNotEmpty(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (strings.HasSuffix(e.Code, "NotEmpty") || e.Code == "ProvisionConfigExist")
}

// IsExists reports whether err says that what should be created is there already.
func IsExists(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && strings.HasSuffix(e.Code, "AlreadyExists")
}

// IsForbidden reports whether err says that the credential may not do it.
func IsForbidden(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusForbidden && !IsBadKey(err)
}

// IsBadKey reports whether err says that the key itself is wrong or has expired.
func IsBadKey(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status < 400 || e.Status >= 500 {
		return false
	}
	for _, part := range []string{"Signature", "InvalidAccessKey", "SecurityToken", "AccessKeyIdNotFound"} {
		if strings.Contains(strings.ToLower(e.Code), strings.ToLower(part)) {
			return true
		}
	}
	return false
}

// IsMoved reports whether err says that the resource changed since its ETag was read.
func IsMoved(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusPreconditionFailed || e.Code == "PreconditionFailed")
}

// throttled reports whether the call was turned away before anything was done.
func (e *Error) throttled() bool {
	return e.Status == http.StatusTooManyRequests || e.Code == "ResourceThrottled" || strings.HasPrefix(e.Code, "Throttling")
}

// explain turns what the SDK returned into an Error.
func (c *Client) explain(action string, err error) *Error {
	e := &Error{Action: action}
	if sdkErr, ok := errors.AsType[*tea.SDKError](err); ok {
		c.readSDKError(sdkErr, e)
	} else {
		e.cause = err
		e.unsent = isUnsent(err)
		e.Unsure = !e.unsent
		e.Message = reason(err)
	}
	e.Message = c.redactor.Redact(e.Message)
	e.Code = c.redactor.Redact(e.Code)
	if e.cause != nil && c.redactor.Redact(e.cause.Error()) != e.cause.Error() {
		e.cause = nil
	}
	return e
}

// readSDKError reads the body of the answer, which the SDK keeps as JSON: its own
// fields know only one of the two spellings that the service uses.
func (c *Client) readSDKError(from *tea.SDKError, to *Error) {
	var body struct {
		Code, Message, RequestID, RequestId any //nolint:revive // the wire's names
		ErrorCode, ErrorMessage             any
		StatusCode                          int `json:"statusCode"`
	}
	// A body of another shape leaves the fields empty, which is handled below.
	_ = json.Unmarshal([]byte(tea.StringValue(from.Data)), &body)
	to.Status = tea.IntValue(from.StatusCode)
	if to.Status == 0 {
		to.Status = body.StatusCode
	}
	to.Code = firstText(body.Code, body.ErrorCode)
	to.Message = firstText(body.Message, body.ErrorMessage)
	to.RequestID = firstText(body.RequestID, body.RequestId)
	if to.Message == "" {
		to.Message = http.StatusText(to.Status)
	}
	to.Unsure = to.Status >= 500
}

func firstText(values ...any) string {
	for _, v := range values {
		if s, ok := v.(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// isUnsent reports whether no connection came about, so that nothing was asked.
func isUnsent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// isHopeless reports whether the same call can only fail again.
func isHopeless(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	if ok && dns.IsNotFound {
		return true
	}
	return strings.Contains(err.Error(), "x509: ") || strings.Contains(err.Error(), "tls: ")
}

// reason says in words why there was no readable answer.
func reason(err error) string {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "the endpoint gave an answer that is not JSON; is it the address of the service, or is a proxy in the way?"
	}
	if strings.Contains(err.Error(), "is not a map[string]interface{}") {
		return "the endpoint gave an answer that is not a JSON object; is it the address of the service, or is a proxy in the way?"
	}
	return err.Error()
}
