package emulator

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/devs/deploy/pkg/runner"
)

const (
	defaultRetries = 3
	maxChain       = 16 // destinations that follow one another
	maxRetryWait   = time.Minute
)

// asyncCall is one asynchronous invocation.
type asyncCall struct {
	requestID, id                string // id is the caller's, for stateful ones
	service, function, qualifier string
	event                        []byte
	config                       asyncSpec
	chain                        int        // destinations before this one
	record                       *asyncTask // nil when it is not stateful
}

// spawn runs f in the background until Close.
func (c *Cloud) spawn(f func(ctx context.Context)) error {
	if !c.begin() {
		return unavailable()
	}
	go func() {
		defer c.tasks.Done()
		f(c.background)
	}()
	return nil
}

// invokeAsync takes an event in and runs the function after the answer.
func (c *region) invokeAsync(q *call) (*reply, error) {
	if len(q.body) > asyncBody {
		return nil, tooLarge("the event of an asynchronous invocation is larger than %d bytes", asyncBody)
	}
	doc, _, _, err := c.find(q)
	if err != nil {
		return nil, err
	}
	a := &asyncCall{
		requestID: q.id, id: orDefault(q.Header.Get("X-Fc-Stateful-Async-Invocation-Id"), q.id),
		service: q.params["s"], function: q.params["f"], qualifier: q.qualifier, event: q.body,
	}
	if rec := doc.Async[target{a.function, a.qualifier}.key()]; rec != nil {
		a.config = rec.Spec
	}
	ctx, cancel := context.WithCancel(c.background)
	if a.config.StatefulInvocation || strings.EqualFold(q.Header.Get("X-Fc-Stateful-Async-Invocation-Enable"), "true") {
		if a.record, err = c.async.add(a, c.now(), cancel); err != nil {
			cancel()
			return nil, err
		}
	}
	err = c.spawn(func(context.Context) {
		defer cancel()
		c.runAsync(ctx, a)
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return &reply{status: http.StatusAccepted, raw: []byte{}}, nil
}

// runAsync runs the function until it succeeds, or its retries are used up, and
// then calls the destination.
func (c *region) runAsync(ctx context.Context, a *asyncCall) {
	retries := int64(defaultRetries)
	if a.config.MaxAsyncRetryAttempts != nil {
		retries = *a.config.MaxAsyncRetryAttempts
	}
	wait := c.retryWait
	for attempt := int64(0); ; attempt++ {
		a.record.set("Running", c.now(), nil)
		res, err := c.runOnce(ctx, a)
		switch {
		case ctx.Err() != nil:
			a.record.set("Stopped", c.now(), nil)
			return
		case err == nil && res.ErrorType == "":
			a.record.set("Succeeded", c.now(), res)
			c.callDestination(a, res, attempt+1)
			return
		case err != nil:
			res = &runner.Result{Body: []byte(err.Error()), ErrorType: "UnhandledInvocationError"}
		}
		if attempt >= retries {
			a.record.set("Failed", c.now(), res)
			c.callDestination(a, res, attempt+1)
			return
		}
		a.record.set("Retrying", c.now(), res)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, maxRetryWait)
	}
}

// runOnce is one attempt.
func (c *region) runOnce(ctx context.Context, a *asyncCall) (*runner.Result, error) {
	p, err := c.prepare(ctx, a.service, a.function, a.qualifier)
	if err != nil {
		return nil, err
	}
	defer c.finish(p)
	return c.runner.Invoke(ctx, p.function, a.requestID, a.event)
}

var functionARN = regexp.MustCompile(`^acs:fc:[^:]*:[^:]*:services/([^/.]+)(?:\.([^/]+))?/functions/([^/]+)$`)

// callDestination hands the outcome to the function that is configured for it.
// Destinations outside Function Compute are not there in the embedded cloud.
func (c *region) callDestination(a *asyncCall, res *runner.Result, attempts int64) {
	var d *destination
	condition := "Success"
	if config := a.config.DestinationConfig; config != nil {
		d = config.OnSuccess
		if res.ErrorType != "" {
			d, condition = config.OnFailure, "RetriesExhausted"
		}
	}
	if d == nil || a.chain >= maxChain {
		return
	}
	m := functionARN.FindStringSubmatch(d.Destination)
	if m == nil {
		return
	}
	event, err := json.Marshal(map[string]any{
		"timestamp": c.now().UnixMilli(),
		"requestContext": map[string]any{
			"requestId": a.requestID, "condition": condition, "approximateInvokeCount": attempts,
			"functionArn": c.arn("services/" + a.service + "." + a.qualifier + "/functions/" + a.function),
		},
		"requestPayload":  string(a.event),
		"responseContext": map[string]any{"statusCode": 200, "functionError": res.ErrorType},
		"responsePayload": string(res.Body),
	})
	if err != nil {
		return
	}
	next := &asyncCall{
		requestID: newUUID(), service: m[1], qualifier: orDefault(m[2], latest), function: m[3],
		event: event, chain: a.chain + 1,
	}
	if doc, err := c.store.service(next.service); err == nil {
		if rec := doc.Async[target{next.function, next.qualifier}.key()]; rec != nil {
			next.config = rec.Spec
		}
	}
	_ = c.spawn(func(ctx context.Context) { c.runAsync(ctx, next) }) // refused only while closing
}

// asyncLedger remembers stateful asynchronous invocations while the cloud runs.
type asyncLedger struct {
	mu    sync.Mutex
	tasks []*asyncTask // oldest first
}

// maxLedger is how many stateful invocations are remembered.
const maxLedger = 10_000

// asyncTask is what is known of a stateful invocation.
type asyncTask struct {
	mu     sync.Mutex
	view   statefulView
	cancel context.CancelFunc
}

// statefulView is a stateful invocation as the API shows it; times in ms.
type statefulView struct {
	ServiceName            string          `json:"serviceName"`
	FunctionName           string          `json:"functionName"`
	Qualifier              string          `json:"qualifier"`
	InvocationID           string          `json:"invocationId"`
	RequestID              string          `json:"requestId"`
	Status                 string          `json:"status"`
	StartedTime            int64           `json:"startedTime"`
	EndTime                int64           `json:"endTime"`
	DurationMs             int64           `json:"durationMs"`
	AlreadyRetriedTimes    int64           `json:"alreadyRetriedTimes"`
	InstanceID             string          `json:"instanceId"`
	InvocationErrorMessage string          `json:"invocationErrorMessage"`
	InvocationPayload      string          `json:"invocationPayload"`
	ReturnPayload          string          `json:"returnPayload"`
	Events                 []statefulEvent `json:"events"`
}

type statefulEvent struct {
	EventID     int64  `json:"eventId"`
	Status      string `json:"status"`
	EventDetail string `json:"eventDetail"`
	Timestamp   int64  `json:"timestamp"`
}

// add remembers a new invocation; an id is used once for a function.
func (l *asyncLedger) add(a *asyncCall, now time.Time, cancel context.CancelFunc) (*asyncTask, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tasks {
		if t.is(a.service, a.function) && t.view.InvocationID == a.id {
			return nil, alreadyExists("StatefulAsyncInvocation", "stateful async invocation '%.128s' already exists", a.id)
		}
	}
	t := &asyncTask{cancel: cancel, view: statefulView{
		ServiceName: a.service, FunctionName: a.function, Qualifier: a.qualifier,
		InvocationID: a.id, RequestID: a.requestID, InvocationPayload: string(a.event),
		StartedTime: now.UnixMilli(),
	}}
	t.set("Enqueued", now, nil)
	if len(l.tasks) >= maxLedger {
		l.tasks = l.tasks[1:]
	}
	l.tasks = append(l.tasks, t)
	return t, nil
}

// set records a step; it does nothing for calls that are not stateful.
func (t *asyncTask) set(status string, now time.Time, res *runner.Result) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	v := &t.view
	v.Status = status
	detail := ""
	if res != nil {
		v.InstanceID, detail = res.InstanceID, res.ErrorType
		if res.ErrorType != "" {
			v.InvocationErrorMessage = string(res.Body)
		} else {
			v.ReturnPayload, v.InvocationErrorMessage = string(res.Body), ""
		}
	}
	switch status {
	case "Retrying":
		v.AlreadyRetriedTimes++
	case "Succeeded", "Failed", "Stopped":
		v.EndTime = now.UnixMilli()
		v.DurationMs = v.EndTime - v.StartedTime
	}
	v.Events = append(v.Events, statefulEvent{int64(len(v.Events) + 1), status, detail, now.UnixMilli()})
}

// is tells whose invocation it is. Names and ids never change, so that no lock is
// needed for them.
func (t *asyncTask) is(service, function string) bool {
	return t.view.ServiceName == service && t.view.FunctionName == function
}

func (t *asyncTask) snapshot() statefulView {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.view
	v.Events = append([]statefulEvent{}, v.Events...)
	return v
}
