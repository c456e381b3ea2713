package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// The control paths of the contract of custom runtimes; pathLoad is our own, for
// the bridges alone.
const (
	pathLoad       = "/load"
	pathInitialize = "/initialize"
	pathInvoke     = "/invoke"
	pathHTTP       = "/http-invoke"
)

// The values of Result.ErrorType.
const (
	Handled   = "HandledInvocationError"   // reported by the function: exception, callback error
	Unhandled = "UnhandledInvocationError" // crash, timeout, answer too large
)

// maxAnswer is the limit of an answer to an event, in bytes (6 MiB as in the cloud).
const maxAnswer = 6 << 20

// request is one call of an instance on a control path.
type request struct {
	id    string
	path  string
	body  []byte
	limit time.Duration
}

var errTimeout = errors.New("the time limit was reached")
var errExited = errors.New("the process exited")

// call sends a request and returns the answer as a Result. An instance that is in
// an unknown state afterwards (after a timeout, for example) is killed and retired.
// The error is that of ctx.
func (p *Pool) call(ctx context.Context, inst *instance, rq request) (*Result, error) {
	bounded, cancel := inst.bound(ctx, rq.limit)
	defer cancel()
	start, mark := p.cfg.Now(), inst.log.mark()
	if inst.kind.bridge() { // what was printed while it started or idled belongs to this request
		mark = inst.logged
	}
	body, failed, err := inst.exchange(bounded, rq)
	res := &Result{InstanceID: inst.id, Body: body}
	if failed {
		res.ErrorType = Handled
	}
	if err != nil {
		res.ErrorType = Unhandled
		message, fault := p.diagnose(bounded, ctx, inst, rq, start, err)
		if fault != nil {
			return nil, fault
		}
		res.Body = errorBody(message)
	}
	res.Duration = p.cfg.Now().Sub(start)
	inst.log.sync()
	res.Log = inst.log.since(mark)
	if inst.kind.bridge() && rq.path == pathInvoke {
		inst.logged = inst.log.mark()
	}
	res.MemoryMB = int((inst.peak() + 1<<20 - 1) >> 20)
	return res, nil
}

// exchange sends the request and reads the whole answer.
func (i *instance) exchange(ctx context.Context, rq request) (body []byte, failed bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://function"+rq.path, bytes.NewReader(rq.body))
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("User-Agent", "")
	setControl(req.Header, i.fn, rq.id, rq.path)
	resp, err := i.rt.RoundTrip(req)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, false, err
	}
	if len(body) > maxAnswer {
		return nil, false, errTooLarge
	}
	return body, resp.StatusCode >= 400 || resp.Header.Get("X-Fc-Status") == "404", nil
}

var errTooLarge = fmt.Errorf("the response payload size exceeded the maximum allowed payload size (%d bytes)", maxAnswer)

// bound returns a context that ends with the limit (cause errTimeout), or soon
// after the process (cause errExited): what it sent with its last breath is read.
func (i *instance) bound(parent context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	timed, stop := context.WithTimeoutCause(parent, limit, errTimeout)
	ctx, cancel := context.WithCancelCause(timed)
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-i.proc.over():
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
			cancel(errExited)
		}
	}()
	return ctx, func() { cancel(context.Canceled); stop() }
}

// diagnose says why an exchange failed, and kills the instance when it cannot be
// used any more. The error is set when the caller has gone.
func (p *Pool) diagnose(bounded, parent context.Context, inst *instance, rq request, start time.Time, err error) (string, error) {
	timedOut := context.Cause(bounded) == errTimeout
	if !timedOut && parent.Err() == nil && !errors.Is(err, errTooLarge) {
		patience := time.Second
		if inst.kind.contained() { // there is more to end
			patience = 5 * time.Second
		}
		select { // the end of a connection is seen before the end of its process
		case <-inst.proc.over():
		case <-time.After(patience):
		}
	}
	exited := over(inst.proc)
	if timedOut || exited || inst.kind.bridge() { // a server survives the loss of one connection
		p.discard(inst)
	}
	switch {
	case timedOut:
		return timeoutMessage(inst, rq), nil
	case parent.Err() != nil:
		return "", fmt.Errorf("invoking function %s: %w", inst.fn.FuncName, context.Cause(parent))
	case exited:
		return exitMessage(inst, p.cfg.Now().Sub(start)), nil
	}
	return err.Error(), nil
}

// discard takes an instance out of use: one that serves a single request is
// killed at once, a shared one ends when its other requests have.
func (p *Pool) discard(inst *instance) {
	p.mu.Lock()
	inst.retire()
	alone := inst.active <= 1
	p.mu.Unlock()
	if alone {
		inst.proc.kill()
	}
}

func timeoutMessage(inst *instance, rq request) string {
	switch rq.path {
	case pathLoad:
		return fmt.Sprintf("Function instance did not start in %d seconds", seconds(rq.limit))
	case pathInitialize:
		return fmt.Sprintf("Function initialization timed out after %d seconds", seconds(rq.limit))
	}
	return fmt.Sprintf("Function timed out after %d seconds", seconds(rq.limit))
}

func exitMessage(inst *instance, after time.Duration) string {
	return fmt.Sprintf("Process exited unexpectedly before completing request (duration: %dms, maxMemoryUsage: %.2fMB, %s)",
		after.Milliseconds(), float64(inst.peak())/(1<<20), inst.proc.how())
}

// peak returns the most memory that the instance used so far, in bytes.
func (i *instance) peak() int64 {
	return i.proc.peak()
}

func errorBody(message string) []byte {
	body, _ := json.Marshal(map[string]string{"errorMessage": message}) // strings always encode
	return body
}

// seconds rounds up: a limit below a second is not "0 seconds".
func seconds(d time.Duration) int {
	return int((orDefault(d) + time.Second - 1) / time.Second)
}

// setControl sets the x-fc-* headers that carry the context of a request, as the
// custom runtime's specification names them. The credentials are empty: nothing
// of this machine's is handed out.
func setControl(h http.Header, fn Function, requestID, path string) {
	for name, value := range map[string]string{
		"X-Fc-Control-Path":           path,
		"X-Fc-Request-Id":             requestID,
		"X-Fc-Access-Key-Id":          "",
		"X-Fc-Access-Key-Secret":      "",
		"X-Fc-Security-Token":         "",
		"X-Fc-Function-Name":          fn.FuncName,
		"X-Fc-Function-Handler":       fn.Handler,
		"X-Fc-Function-Initializer":   fn.Init,
		"X-Fc-Function-Memory":        strconv.Itoa(fn.MemoryMB),
		"X-Fc-Function-Timeout":       strconv.Itoa(seconds(fn.Timeout)),
		"X-Fc-Initialization-Timeout": strconv.Itoa(seconds(fn.InitTimeout)),
		"X-Fc-Service-Name":           fn.ServiceName,
		"X-Fc-Service-Logproject":     fn.LogProject,
		"X-Fc-Service-Logstore":       fn.LogStore,
		"X-Fc-Qualifier":              fn.Qualifier,
		"X-Fc-Version-Id":             fn.VersionID,
		"X-Fc-Region":                 fn.Region,
		"X-Fc-Account-Id":             fn.AccountID,
		"X-Fc-Retry-Count":            "0",
	} {
		h.Set(name, value)
	}
}
