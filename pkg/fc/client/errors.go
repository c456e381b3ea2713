package client

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
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

	unsent    bool          // the request never left
	elsewhere bool          // what answered is not Function Compute
	after     time.Duration // to wait before the next call, as the answer asks; 0 for nothing
	cause     error         // of a failure on the way, for errors.Is
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

// explain turns what an attempt returned into an Error that holds no secret.
func (c *Client) explain(action string, err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{cause: err, unsent: isUnsent(err), Message: err.Error()}
		e.Unsure = !e.unsent
	}
	e.Action = action
	e.Message = c.redactor.Redact(e.Message)
	e.Code = c.redactor.Redact(e.Code)
	if e.cause != nil && c.redactor.Redact(e.cause.Error()) != e.cause.Error() {
		e.cause = nil
	}
	return e
}

func firstText(values ...any) string {
	for _, v := range values {
		if s, ok := v.(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// IsElsewhere reports whether err says that something else than Function Compute
// answered: it sends elsewhere, or its answer is not one of the service.
func IsElsewhere(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.elsewhere
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
