// Package runner runs one function of the embedded cloud as processes of this
// machine: it starts instances with the interpreters on PATH or in the files of an
// image, hands them events and HTTP requests, and reads back answers, errors and
// logs. It knows processes, images and loopback sockets, nothing of the Function
// Compute API's resources, and nothing of registries.
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
// instance's own; memory is measured (of images it is not known), not limited;
// credentials are empty; custom runtimes and containers of one machine share its
// network and ports. Functions are not isolated from the machine, images as far as
// package sandbox says: run only code that you would run yourself.
package runner

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Function is all that is needed to start an instance.
type Function struct {
	Key      string // identifies the deployed state; instances of one key are shared
	CodeDir  string // the extracted code package; never written; "" for images
	Runtime  string // as in the API: python3.9, nodejs16, custom, …
	Handler  string
	Init     string // the initializer's handler, "" for none
	Env      map[string]string
	Command  []string // customRuntimeConfig: command and args; of an image instead of its ENTRYPOINT
	CAPort   int      // port of a custom runtime or container; 0 means 9000
	MemoryMB int

	Timeout     time.Duration
	InitTimeout time.Duration
	Concurrency int // requests that one instance takes at once, at least 1

	// Of runtime custom-container.
	Image   *Image   `json:"-"`
	Args    []string // instead of the image's CMD
	RunOnce bool     // webServerMode is false: a process for each event

	Health *HealthCheck // of a server that is ready only when it says so; may be nil

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

// Image is the image of a function.
type Image struct {
	Name string // as users know it
	// Pull tells what is in the image. It is called for an instance that has to
	// unpack it.
	Pull func(ctx context.Context) (*Contents, error)
}

// Contents is what is in an image: its configuration (OCI image-spec, config.md) and
// its layers as a registry has them, lowest first.
type Contents struct {
	Entrypoint, Cmd, Env []string
	WorkingDir, User     string
	Layers               []func(ctx context.Context) (io.ReadCloser, error)
}

// HealthCheck is a customHealthCheckConfig; a zero is the default of the API.
type HealthCheck struct {
	Path             string // and query of a GET request
	InitialDelay     time.Duration
	Period           time.Duration // 3 s by default
	Timeout          time.Duration // 1 s by default
	FailureThreshold int           // failures in a row, 3 by default
	SuccessThreshold int           // successes in a row, 1 by default
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
