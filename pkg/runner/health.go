package runner

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// withDefaults fills in what the API says of fields that are not set.
func (h HealthCheck) withDefaults() HealthCheck {
	if h.Period <= 0 {
		h.Period = 3 * time.Second
	}
	if h.Timeout <= 0 {
		h.Timeout = time.Second
	}
	if h.FailureThreshold <= 0 {
		h.FailureThreshold = 3
	}
	if h.SuccessThreshold <= 0 {
		h.SuccessThreshold = 1
	}
	return h
}

// awaitHealthy checks the health of a server that has just started, until the check
// has succeeded or failed as often in a row as its thresholds say. It is not repeated
// while the instance works: one that fails later shows it by its answers.
func (p *Pool) awaitHealthy(ctx context.Context, inst *instance) (*Result, error) {
	if inst.fn.Health == nil || !inst.kind.server() {
		return nil, nil
	}
	h := inst.fn.Health.withDefaults()
	start := p.cfg.Now()
	wait, good, bad := h.InitialDelay, 0, 0
	for {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-inst.proc.over():
			timer.Stop()
			return p.unhealthy(inst, start, "Process exited unexpectedly before it was healthy ("+inst.proc.how()+")"), nil
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("checking the health of function %s: %w", inst.fn.FuncName, context.Cause(ctx))
		}
		wait = h.Period
		problem := inst.probe(ctx, h)
		if problem == "" {
			bad = 0
			if good++; good >= h.SuccessThreshold {
				return nil, nil
			}
			continue
		}
		good = 0
		if bad++; bad >= h.FailureThreshold && ctx.Err() == nil {
			p.discard(inst)
			return p.unhealthy(inst, start, fmt.Sprintf("Function instance health check failed %d times: GET %s: %s", bad, h.Path, problem)), nil
		}
	}
}

// probe asks once, and returns what is wrong.
func (i *instance) probe(ctx context.Context, h HealthCheck) (problem string) {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	url := "http://function/" + strings.TrimPrefix(h.Path, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := i.rt.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can stay
	resp.Body.Close()
	if resp.StatusCode >= 400 || resp.StatusCode < 200 {
		return resp.Status
	}
	return ""
}

func (p *Pool) unhealthy(inst *instance, start time.Time, message string) *Result {
	inst.log.sync()
	return &Result{InstanceID: inst.id, ErrorType: Unhandled, Body: errorBody(message), Log: tail(inst.log.since(0)),
		Duration: p.cfg.Now().Sub(start), MemoryMB: int(inst.peak() >> 20)}
}
