package runner

import (
	"context"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

var _ Invoker = (*Pool)(nil)

// Invoke implements Invoker.
func (p *Pool) Invoke(ctx context.Context, fn Function, requestID string, event []byte) (*Result, error) {
	if err := checkRequestID(requestID); err != nil {
		return nil, err
	}
	if fn.RunOnce {
		return p.runOnce(ctx, fn, requestID, event)
	}
	inst, failed, err := p.acquire(ctx, fn, requestID, nil)
	if err != nil || failed != nil {
		return failed, err
	}
	defer p.release(inst, true)
	return p.call(ctx, inst, request{id: requestID, path: pathInvoke, body: event, limit: orDefault(fn.Timeout)})
}

func checkRequestID(id string) error {
	if strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return diag.Errorf("request id %q is not printable ASCII", id)
	}
	return nil
}
