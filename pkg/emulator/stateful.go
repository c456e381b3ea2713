package emulator

import (
	"slices"
	"strconv"
	"strings"
)

// statefulOf lists the stateful invocations of the request's function and
// qualifier, the newest first.
func (c *region) statefulOf(q *call) []*asyncTask {
	c.async.mu.Lock()
	defer c.async.mu.Unlock()
	var found []*asyncTask
	for _, t := range slices.Backward(c.async.tasks) {
		if t.is(q.params["s"], q.params["f"]) && t.view.Qualifier == q.qualifier {
			found = append(found, t)
		}
	}
	return found
}

// queryTime reads a time in ms from the query, or fallback.
func (q *call) queryTime(name string, fallback int64) (int64, error) {
	text := q.query.Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, invalid("%s must be a time in ms (actual: '%.64s')", name, text)
	}
	return n, nil
}

func (c *region) listStateful(q *call) (*reply, error) {
	if _, _, _, err := c.find(q); err != nil {
		return nil, err
	}
	limit, err := q.pageSize()
	if err != nil {
		return nil, err
	}
	begin, err := q.queryTime("startedTimeBegin", 0)
	if err != nil {
		return nil, err
	}
	end, err := q.queryTime("startedTimeEnd", 1<<62)
	if err != nil {
		return nil, err
	}
	status, prefix, token := q.query.Get("status"), q.query.Get("invocationIdPrefix"), q.query.Get("nextToken")
	tasks := c.statefulOf(q)
	if strings.EqualFold(q.query.Get("sortOrderByTime"), "asc") {
		slices.Reverse(tasks)
	}
	views, next := []statefulView{}, ""
	for _, t := range tasks {
		v := t.snapshot()
		if token != "" && v.RequestID != token {
			continue
		}
		token = ""
		if status != "" && v.Status != status || !hasPrefix(v.InvocationID, prefix) || v.StartedTime < begin || v.StartedTime > end {
			continue
		}
		if len(views) == limit {
			next = v.RequestID
			break
		}
		if q.query.Get("includePayload") != "true" {
			v.InvocationPayload, v.ReturnPayload = "", ""
		}
		views = append(views, v)
	}
	return &reply{body: struct {
		Invocations []statefulView `json:"invocations"`
		NextToken   string         `json:"nextToken,omitempty"`
	}{views, next}}, nil
}

// stateful returns the invocation that the path names.
func (c *region) stateful(q *call) (*asyncTask, error) {
	if _, _, _, err := c.find(q); err != nil {
		return nil, err
	}
	for _, t := range c.statefulOf(q) {
		if t.view.InvocationID == q.params["i"] {
			return t, nil
		}
	}
	return nil, notFound("StatefulAsyncInvocation", "stateful async invocation '%.128s' does not exist", q.params["i"])
}

func (c *region) getStateful(q *call) (*reply, error) {
	t, err := c.stateful(q)
	if err != nil {
		return nil, err
	}
	return &reply{body: t.snapshot()}, nil
}

// stopStateful ends an invocation that has not ended yet.
func (c *region) stopStateful(q *call) (*reply, error) {
	t, err := c.stateful(q)
	if err != nil {
		return nil, err
	}
	if s := t.snapshot().Status; oneOf(s, "Succeeded", "Failed", "Stopped") {
		return nil, invalid("stateful async invocation '%.128s' has ended already (status: %s)", q.params["i"], s)
	}
	t.cancel()
	return &reply{raw: []byte{}}, nil
}

// listStatefulFunctions lists the functions whose configuration asks for stateful
// invocations.
func (c *region) listStatefulFunctions(q *call) (*reply, error) {
	type meta struct {
		ServiceName  string `json:"serviceName"`
		FunctionName string `json:"functionName"`
		Qualifier    string `json:"qualifier"`
	}
	all := []meta{}
	for _, doc := range c.store.allServices() {
		for _, a := range sortedValues(doc.Async) {
			if a.Spec.StatefulInvocation {
				all = append(all, meta{doc.Service.Spec.ServiceName, a.Function, a.Qualifier})
			}
		}
	}
	all, next, err := page(q, all, func(m meta) string { return m.ServiceName + "/" + m.FunctionName + "/" + m.Qualifier })
	if err != nil {
		return nil, err
	}
	return &reply{body: struct {
		Data      []meta `json:"data"`
		NextToken string `json:"nextToken,omitempty"`
	}{all, next}}, nil
}
