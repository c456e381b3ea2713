package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"syscall"
)

// fail answers with an error in the form of the distribution specification.
func fail(w http.ResponseWriter, status int, code, format string, args ...any) {
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, _ := json.Marshal(struct { // strings always encode
		Errors []entry `json:"errors"`
	}{[]entry{{code, fmt.Sprintf(format, args...)}}})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func unsupported(w http.ResponseWriter, req *request) {
	fail(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "the registry of the embedded cloud has no %.20s of %.200s", req.Method, req.URL.Path)
}

// broken answers when the disk fails.
func broken(w http.ResponseWriter, doing string, err error) {
	status := http.StatusInternalServerError
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		status = http.StatusInsufficientStorage
	}
	fail(w, status, "UNKNOWN", "%s: %v", doing, err)
}
