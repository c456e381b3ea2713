package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/devs/deploy/pkg/diag"
)

// What ends by a signal has the exit code of an interrupt, whatever error it gives.
func TestInterrupted(t *testing.T) {
	signal := errors.New("interrupt signal received")
	ended, end := context.WithCancelCause(t.Context())
	end(signal)
	tests := []struct {
		name string
		ctx  context.Context
		err  error
		want int
		text string
	}{
		{"nothing", ended, nil, diag.ExitOK, ""},
		{"not interrupted", t.Context(), errors.New("no"), diag.ExitTool, "error: no\n"},
		{"its cause", ended, fmt.Errorf("building: %w", signal), diag.ExitInterrupted, "error: interrupted: interrupt signal received\n"},
		{"cancelled", ended, context.Canceled, diag.ExitInterrupted, "error: interrupted: interrupt signal received\n"},
		{"another error", ended, errors.New("disk full"), diag.ExitInterrupted, "error: disk full\nerror: interrupted: interrupt signal received\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := interrupted(test.ctx, test.err)
			if got := codeOf(err); got != test.want {
				t.Errorf("exit code %d, want %d", got, test.want)
			}
			if got := diag.Render(err); err != nil && got != test.text {
				t.Errorf("said %q, want %q", got, test.text)
			}
		})
	}
}
