package emulator

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	fc "github.com/alibabacloud-go/fc-open-20210406/v2/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
)

func TestIfMatch(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "echo")
	got, err := w.GetFunction(str("s"), str("f"), &fc.GetFunctionRequest{})
	w.ok(err)
	etag := got.Headers["etag"]
	none := &util.RuntimeOptions{}

	// of many writers that saw the same state, one wins
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() {
			_, results[i] = w.UpdateFunctionWithOptions(str("s"), str("f"),
				&fc.UpdateFunctionRequest{Description: str(fmt.Sprint(i))}, &fc.UpdateFunctionHeaders{IfMatch: etag}, none)
		})
	}
	wg.Wait()
	won := slices.IndexFunc(results, func(err error) bool { return err == nil })
	for i, err := range results {
		if i != won {
			w.fails(err, 412, "PreconditionFailed")
		}
	}
	got, err = w.GetFunction(str("s"), str("f"), &fc.GetFunctionRequest{})
	w.ok(err)
	if *got.Body.Description != fmt.Sprint(won) {
		t.Errorf("%d won, but the description is %s", won, *got.Body.Description)
	}
	_, err = w.DeleteFunctionWithOptions(str("s"), str("f"), &fc.DeleteFunctionHeaders{IfMatch: etag}, none)
	w.fails(err, 412, "PreconditionFailed")
	_, err = w.DeleteFunctionWithOptions(str("s"), str("f"), &fc.DeleteFunctionHeaders{IfMatch: str(`"` + *got.Headers["etag"] + `"`)}, none)
	w.ok(err)

	l := w.legacy()
	l.do("POST", "/services/s/versions", object{}).want(t, 200, "")
	l.do("POST", "/services/s/aliases", object{"aliasName": "a", "versionId": "1"}).want(t, 200, "")
	l.do("POST", "/custom-domains", object{"domainName": "a.example.com", "protocol": "HTTP"}).want(t, 200, "")
	w.function("s", "f", "echo")
	l.do("PUT", "/services/s/functions/f/on-demand-config", object{"maximumInstanceCount": 1}).want(t, 200, "")
	l.do("POST", "/services/s/functions/f/triggers", object{"triggerName": "t", "triggerType": "timer", "triggerConfig": object{"cronExpression": "@every 1m"}}).want(t, 200, "")
	for _, path := range []string{"/services/s", "/services/s/aliases/a", "/services/s/functions/f/triggers/t", "/services/s/functions/f/on-demand-config", "/custom-domains/a.example.com"} {
		right := l.do("GET", path, nil).header.Get("Etag")
		for _, method := range []string{"PUT", "DELETE"} {
			l.header = map[string]string{"if-match": "old"}
			l.do(method, path, object{"maximumInstanceCount": 1}).want(t, 412, "PreconditionFailed")
		}
		l.header = map[string]string{"if-match": `W/"x", ` + right}
		l.do("PUT", path, object{"maximumInstanceCount": 2}).want(t, 200, "")
		l.header = nil
		if l.do("GET", path, nil).header.Get("Etag") == right {
			t.Errorf("%s keeps its ETag after an update", path)
		}
	}
}

func TestParallelRequests(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "echo")
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			l := w.legacy()
			for n := range 5 {
				name := fmt.Sprintf("f%d-%d", i, n)
				for _, step := range []struct {
					method, path string
					body         any
				}{
					{"POST", "/services/s/functions", object{"functionName": name, "runtime": "custom", "code": object{"zipFile": *code(t, name).ZipFile}}},
					{"POST", "/services/s/functions/" + name + "/invocations", "event"},
					{"PUT", "/services/s/functions/f", object{"code": object{"zipFile": *code(t, name).ZipFile}}},
					{"POST", "/services/s/functions/f/invocations", "event"},
					{"GET", "/services/s/functions", nil},
					{"PUT", "/services/s", object{"description": name}},
					{"GET", "/services/s/functions/f/instances", nil},
					{"DELETE", "/services/s/functions/" + name, nil},
				} {
					if a := l.do(step.method, step.path, step.body); a.status >= 300 {
						t.Errorf("%s %s: %d %s", step.method, step.path, a.status, a.raw)
					}
				}
			}
		})
	}
	wg.Wait()
	list, err := w.ListFunctions(str("s"), &fc.ListFunctionsRequest{})
	w.ok(err)
	if len(list.Body.Functions) != 1 {
		t.Errorf("%d functions are left", len(list.Body.Functions))
	}
	if n := len(w.runner.running); n > 1 {
		t.Errorf("instances of %d states are left, at most the current one should be", n)
	}
}
