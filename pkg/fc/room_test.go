package fc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/devs/deploy/pkg/state"
)

func TestNotesHaveRoomForTwenty(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.deploy(onlyService)
	notes := w.notesOf("plan", onlyService)
	set := map[string]string{}
	for i := range maxTags {
		set[fmt.Sprint("key", i)] = "x"
	}
	if err := notes.Write(ctx, set, nil); err != nil {
		t.Fatal(err)
	}
	if err := notes.Write(ctx, map[string]string{"one": "more"}, nil); !errors.Is(err, state.ErrNoRoom) {
		t.Errorf("got %v", err)
	}
	if err := notes.Write(ctx, map[string]string{"key1": string(make([]byte, 1000))}, nil); err == nil || errors.Is(err, state.ErrNoRoom) {
		t.Errorf("a value that is too long: %v", err)
	}
}
