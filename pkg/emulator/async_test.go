package emulator

import (
	"context"
	"strings"
	"testing"
	"time"

	fc "github.com/alibabacloud-go/fc-open-20210406/v2/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"
)

// async invokes without waiting and returns the request id.
func (w *world) async(function, event string, headers *fc.InvokeFunctionHeaders) string {
	w.t.Helper()
	headers.XFcInvocationType = str("Async")
	out, err := w.InvokeFunctionWithOptions(str("s"), &function, &fc.InvokeFunctionRequest{Body: []byte(event)}, headers, &util.RuntimeOptions{})
	w.ok(err)
	if *out.StatusCode != 202 || len(out.Body) != 0 {
		w.t.Errorf("answer %d %s", *out.StatusCode, out.Body)
	}
	return *out.Headers["x-fc-request-id"]
}

// until polls for a short while.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	for range 2000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatalf("waited in vain for: %s", what)
}

func (f *fakeRunner) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.events...)
}

func TestAsyncRetriesAndDestination(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "fail")
	w.function("s", "after", "echo")
	_, err := w.PutFunctionAsyncInvokeConfig(str("s"), str("f"), &fc.PutFunctionAsyncInvokeConfigRequest{
		MaxAsyncRetryAttempts: tea.Int64(2), StatefulInvocation: tea.Bool(true),
		DestinationConfig: &fc.DestinationConfig{
			OnSuccess: &fc.Destination{Destination: str("acs:fc:cn-hangzhou:1:services/s/functions/none")},
			OnFailure: &fc.Destination{Destination: str("acs:fc:cn-hangzhou:1:services/s.LATEST/functions/after")},
		}})
	w.ok(err)
	id := w.async("f", "ping", &fc.InvokeFunctionHeaders{})
	w.until("three attempts and the destination", func() bool { return len(w.runner.seen()) == 4 })
	events := w.runner.seen()
	if strings.Join(events[:3], " ") != "ping ping ping" || !strings.Contains(events[3], id) ||
		!strings.Contains(events[3], "RetriesExhausted") || !strings.Contains(events[3], `"requestPayload":"ping"`) {
		t.Errorf("events %q", events)
	}
	got, err := w.GetStatefulAsyncInvocation(str("s"), str("f"), &id, &fc.GetStatefulAsyncInvocationRequest{})
	w.ok(err)
	if *got.Body.Status != "Failed" || *got.Body.AlreadyRetriedTimes != 2 || !strings.Contains(*got.Body.InvocationErrorMessage, "boom") {
		t.Errorf("invocation %v", got.Body)
	}
	functions, err := w.ListStatefulAsyncInvocationFunctions(&fc.ListStatefulAsyncInvocationFunctionsRequest{})
	w.ok(err)
	if len(functions.Body.Data) != 1 || *functions.Body.Data[0].FunctionName != "f" {
		t.Errorf("functions %v", functions.Body)
	}
}

func TestAsyncRetriesUntilSuccess(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "echo")
	w.runner.fails = 3 // as many as are retried by default
	enable := &fc.InvokeFunctionHeaders{XFcStatefulAsyncInvocationEnable: str("true"), XFcStatefulAsyncInvocationId: str("mine")}
	w.async("f", "ping", enable)
	status := func() string {
		got, err := w.GetStatefulAsyncInvocation(str("s"), str("f"), str("mine"), &fc.GetStatefulAsyncInvocationRequest{})
		w.ok(err)
		return *got.Body.Status
	}
	w.until("success", func() bool { return status() == "Succeeded" })
	if n := len(w.runner.seen()); n != 4 {
		t.Errorf("%d attempts", n)
	}
	_, err := w.InvokeFunctionWithOptions(str("s"), str("f"), &fc.InvokeFunctionRequest{}, enable, &util.RuntimeOptions{})
	w.fails(err, 409, "StatefulAsyncInvocationAlreadyExists")
	_, err = w.StopStatefulAsyncInvocation(str("s"), str("f"), str("mine"), &fc.StopStatefulAsyncInvocationRequest{})
	w.fails(err, 400, "InvalidArgument")
	_, err = w.GetStatefulAsyncInvocation(str("s"), str("f"), str("other"), &fc.GetStatefulAsyncInvocationRequest{})
	w.fails(err, 404, "StatefulAsyncInvocationNotFound")
}

func TestStopStatefulInvocation(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "block")
	for _, id := range []string{"a1", "a2", "b1"} {
		w.async("f", "ping", &fc.InvokeFunctionHeaders{XFcStatefulAsyncInvocationEnable: str("true"), XFcStatefulAsyncInvocationId: &id})
	}
	list := func(req *fc.ListStatefulAsyncInvocationsRequest) []string {
		out, err := w.ListStatefulAsyncInvocations(str("s"), str("f"), req)
		w.ok(err)
		var ids []string
		for _, v := range out.Body.Invocations {
			ids = append(ids, *v.InvocationId+":"+*v.InvocationPayload)
		}
		return ids
	}
	running := &fc.ListStatefulAsyncInvocationsRequest{Status: str("Running")}
	w.until("all to run", func() bool { return len(list(running)) == 3 })
	_, err := w.StopStatefulAsyncInvocation(str("s"), str("f"), str("a1"), &fc.StopStatefulAsyncInvocationRequest{})
	w.ok(err)
	w.until("one to stop", func() bool { return len(list(running)) == 2 })
	got := list(&fc.ListStatefulAsyncInvocationsRequest{InvocationIdPrefix: str("a"), IncludePayload: tea.Bool(true), SortOrderByTime: str("asc")})
	if strings.Join(got, " ") != "a1:ping a2:ping" {
		t.Errorf("listed %v", got)
	}
	if got := list(&fc.ListStatefulAsyncInvocationsRequest{Limit: tea.Int32(1)}); strings.Join(got, " ") != "b1:" {
		t.Errorf("the newest first: %v", got)
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "block")
	w.async("f", "one", &fc.InvokeFunctionHeaders{})
	waiting := make(chan error, 1)
	go func() {
		_, err := w.InvokeFunction(str("s"), str("f"), &fc.InvokeFunctionRequest{Body: []byte("two")})
		waiting <- err
	}()
	w.until("both to run", func() bool { return len(w.runner.seen()) == 2 })
	if err := w.cloud.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err == nil {
		t.Error("the synchronous invocation succeeded")
	}
	_, err := w.ListServices(&fc.ListServicesRequest{})
	w.fails(err, 503, "ServiceUnavailable")
}

func TestInvocationsHoldNoLock(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "block")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waiting := make(chan string, 1)
	go func() {
		defer close(waiting)
		out, err := w.InvokeFunction(str("s"), str("f"), &fc.InvokeFunctionRequest{Body: []byte("x")})
		if err == nil && ctx.Err() == nil {
			waiting <- string(out.Body)
		}
	}()
	w.until("it to run", func() bool { return len(w.runner.seen()) == 1 })
	// the code that runs is replaced and collected only when it has ended
	first := w.runner.lastCall(t)
	w.update("s", "f", "echo")
	if got := w.invoke("s", "f", "LATEST"); got != "" {
		t.Errorf("the new code answers %q", got)
	}
	if entries := w.codeDirs(); len(entries) != 2 {
		t.Errorf("code folders %v while the old code runs", entries)
	}
	close(w.runner.block)
	if got := <-waiting; got != "x" {
		t.Errorf("the old code answers %q", got)
	}
	w.until("the old code to go", func() bool { return len(w.codeDirs()) == 1 })
	w.runner.mu.Lock()
	defer w.runner.mu.Unlock()
	if w.runner.running[first.Key] != 0 {
		t.Error("instances of the old code are left")
	}
}
