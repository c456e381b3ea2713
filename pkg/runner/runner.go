// Package runner runs one function of the embedded cloud as processes of this
// machine: it starts instances with the interpreters on PATH, hands them events
// and HTTP requests, and reads back answers, errors and logs. It knows processes
// and loopback sockets, nothing of the Function Compute API's resources.
//
// Every runtime is spoken to in the contract of custom runtimes, HTTP with a
// control path: custom ones on their port, Python and Node.js through a bridge
// script on an inherited socket, which loads the handler and serves one request at
// a time. An instance starts (loads its code or listens) without a share of the
// function's timeout, is initialized within InitTimeout, and each invocation has
// Timeout.
//
// What is not as in the cloud: the code is where CodeDir says and not at /code
// (paths below /code are translated in the path lists of the environment and in a
// custom runtime's command only); /tmp is the machine's, TMPDIR and HOME are the
// instance's own; memory is measured, not limited; credentials are empty; custom
// runtimes of one machine share its ports. Functions are not isolated from the
// machine: run only code that you would run yourself.
package runner

import (
	"context"
	"net/http"
	"time"
)

// Function is all that is needed to start an instance.
type Function struct {
	Key      string // identifies the deployed state; instances of one key are shared
	CodeDir  string // the extracted code package; never written
	Runtime  string // as in the API: python3.9, nodejs16, custom, …
	Handler  string
	Init     string // the initializer's handler, "" for none
	Env      map[string]string
	Command  []string // customRuntimeConfig: command and args
	CAPort   int      // port of a custom runtime; 0 means 9000
	MemoryMB int

	Timeout     time.Duration
	InitTimeout time.Duration
	Concurrency int // requests that one instance takes at once, at least 1

	AccountID   string
	Region      string
	ServiceName string
	FuncName    string
	Qualifier   string // as asked for
	VersionID   string // as resolved
	Role        string
	LogProject  string
	LogStore    string
}

// Result is what an event invocation yields.
type Result struct {
	Body       []byte
	Log        []byte // what the function printed since the invocation before, the last 4 KiB; see FrameLog
	ErrorType  string // "" on success, else HandledInvocationError or UnhandledInvocationError
	InstanceID string
	Duration   time.Duration
	MemoryMB   int // the most that the instance used, 0 when unknown
}

// Invoker is what the embedded cloud needs of this package.
type Invoker interface {
	// Invoke hands event to an instance and waits for the answer. A failure of the
	// function (exception, crash, timeout) is a Result with ErrorType; an error
	// means that no instance could be run, for example because the runtime is not
	// supported here, and says what is missing.
	Invoke(ctx context.Context, fn Function, requestID string, event []byte) (*Result, error)
	// ServeHTTP hands an HTTP-trigger request to an instance. The request's path,
	// host and query are as the function shall see them; base is the prefix that
	// was cut from the path ("" for custom domains).
	ServeHTTP(w http.ResponseWriter, r *http.Request, fn Function, requestID, base string)
	// Stop ends the instances of the key, for code or configuration that is gone.
	Stop(key string)
	// Instances lists the ids of the running instances of the key.
	Instances(key string) []string
	// Close ends all instances and waits for them.
	Close() error
}
