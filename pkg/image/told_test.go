package image_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image"
)

// Steps are counted as they are told: what changes no file is no step.
func TestStepsAreCounted(t *testing.T) {
	w := newWorld(t, "f", "1", "Dockerfile", "FROM scratch\nENV A=1\nCOPY f /a\nLABEL b=c\nUSER 1\nCOPY f /b\n")
	w.mustBuild("steps")
	last := 0
	for _, e := range w.events {
		if e.Step > e.Of {
			t.Errorf("step %d of %d: %s", e.Step, e.Of, e.Text)
		}
		last = max(last, e.Step)
	}
	if last != 2 {
		t.Errorf("there were %d steps, want 2", last)
	}
}

// A folder cannot be made below a file.
func TestWorkdirBelowFile(t *testing.T) {
	w := newWorld(t, "f", "1", "Dockerfile", "FROM scratch\nCOPY f /w\nWORKDIR /w/below/it\n")
	_, err := w.build("below")
	if err == nil || !strings.Contains(err.Error(), "/w is no folder in the image") {
		t.Errorf("the build gave %v", err)
	}
}

// The error of a secret is told as it is, with its hint.
func TestSecretError(t *testing.T) {
	w := newWorld(t, "Dockerfile", "FROM scratch\nRUN --mount=type=secret,id=token true\n")
	_, err := w.build("secret", func(_ *image.Config, o *image.Options) {
		o.Secrets = map[string]image.Secret{"token": func() ([]byte, error) {
			return nil, diag.Errorf("reading the secret token: no such file").WithHint("check src")
		}}
	})
	p, ok := errors.AsType[*diag.Problem](err)
	if !ok || p.Hint != "check src" || p.Summary != "reading the secret token: no such file" {
		t.Errorf("the build gave %v", err)
	}
}
