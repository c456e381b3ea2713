package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// apiError is an answer that is not a success: an HTTP status and the code and
// message that clients read.
type apiError struct {
	status  int
	code    string
	message string
	cause   error // of an internal error
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func (e *apiError) Unwrap() error { return e.cause }

func newError(status int, code, format string, args ...any) *apiError {
	return &apiError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *apiError {
	return newError(http.StatusBadRequest, "InvalidArgument", format, args...)
}

// notFound takes the kind as it stands in the code: ServiceNotFound.
func notFound(kind, format string, args ...any) *apiError {
	return newError(http.StatusNotFound, kind+"NotFound", format, args...)
}

func alreadyExists(kind, format string, args ...any) *apiError {
	return newError(http.StatusConflict, kind+"AlreadyExists", format, args...)
}

func conflict(code, format string, args ...any) *apiError {
	return newError(http.StatusConflict, code, format, args...)
}

func tooLarge(format string, args ...any) *apiError {
	return newError(http.StatusRequestEntityTooLarge, "EntityTooLarge", format, args...)
}

// unavailable is the answer while the cloud closes.
func unavailable() *apiError {
	return newError(http.StatusServiceUnavailable, "ServiceUnavailable", "the embedded cloud is shutting down")
}

// internalError is for what must not happen and for a disk that fails.
func internalError(err error) *apiError {
	e := newError(http.StatusInternalServerError, "InternalServerError",
		"an internal error has occurred, please look at the log of the embedded cloud: %v", err)
	e.cause = err
	return e
}

// errorBody is what both editions send: the 2021-04-06 SDK reads Code and
// Message, the 2016-08-15 SDK ErrorCode and ErrorMessage.
type errorBody struct {
	Code         string
	Message      string
	RequestID    string `json:"RequestId"`
	HostID       string `json:"HostId"`
	ErrorCode    string
	ErrorMessage string
}

// fail answers with err.
func (q *call) fail(w http.ResponseWriter, err error) {
	api, ok := errors.AsType[*apiError](err)
	switch {
	case !ok && q.Context().Err() != nil:
		api = unavailable() // the client left, or the cloud closes
	case !ok:
		api = internalError(err)
	}
	q.errorCode = api.code
	body, _ := json.Marshal(errorBody{
		Code: api.code, Message: api.message, RequestID: q.id, HostID: q.Host,
		ErrorCode: api.code, ErrorMessage: api.message,
	})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(api.status)
	_, _ = w.Write(body)
}
