package engine

import (
	"context"
	"errors"
	"testing"
	"time"
)

// What runs behind a command outlives an interrupt, for a while.
func TestLinger(t *testing.T) {
	cause := errors.New("signal")
	ctx, interrupt := context.WithCancelCause(t.Context())
	long, stopLong := linger(ctx, time.Hour)
	short, stopShort := linger(ctx, 0)
	defer stopShort()
	if long.Err() != nil || short.Err() != nil {
		t.Error("ended before the interrupt")
	}
	interrupt(cause)
	<-short.Done()
	if got := context.Cause(short); !errors.Is(got, cause) {
		t.Errorf("ended by %v", got)
	}
	if long.Err() != nil {
		t.Error("ended with the interrupt")
	}
	stopLong()
	<-long.Done()
}
