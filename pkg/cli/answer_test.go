package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/fc"
	"github.com/devs/deploy/pkg/stream"
)

// A question ends with the context, though nobody answers.
func TestAnswerEndsWithItsContext(t *testing.T) {
	silent, hold := io.Pipe()
	defer hold.Close()
	signal := errors.New("interrupt signal received")
	ctx, end := context.WithCancelCause(t.Context())
	end(signal)
	streams, _, _ := stream.Test("")
	streams.In = silent
	asked := &tool{Env: &Env{IO: streams}}
	if text, err := asked.answer(ctx); text != "" || !errors.Is(err, signal) {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestAnswer(t *testing.T) {
	for input, want := range map[string]string{"": "", "\n": "", "Local \nmore": "local", "y": "y"} {
		streams, _, _ := stream.Test("")
		streams.In = strings.NewReader(input)
		asked := &tool{Env: &Env{IO: streams}}
		if got, err := asked.answer(t.Context()); got != want || err != nil {
			t.Errorf("%q: got %q, %v", input, got, err)
		}
	}
}

func TestPlanFileStandsAnywhere(t *testing.T) {
	asked := &tool{components: component.Catalogue{"fc": fc.New}}
	tests := []struct {
		args string
		want int
	}{
		{"", -1},
		{"plan.json", 0},
		{"-y plan.json", 1},
		{"--use-local plan.json --prune", 1},
		{"--parallelism 4 plan.json", 2},
		{"--parallelism=4 plan.json", 1},
		{"function plan.json", 1},
		{"--trigger-name plan.json", -1},
		{"--trigger-name=plan.json", -1},
		{"--unknown.json", -1},
		{"-- plan.json", -1},
	}
	for _, test := range tests {
		if got := asked.planFileAt(strings.Fields(test.args)); got != test.want {
			t.Errorf("%s: got %d, want %d", test.args, got, test.want)
		}
	}
}
