package dockerfile_test

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/dockerfile"
)

// bases are the configs of the images that the tests build on.
func bases() map[string]*v1.ConfigFile {
	return map[string]*v1.ConfigFile{
		"base": {Config: v1.Config{Env: []string{"PATH=/bin"}}},
		"rich": {Author: "me", Config: v1.Config{
			Env: []string{"PATH=/bin", "HELLO=World"}, User: "app", WorkingDir: "/srv", Cmd: []string{"old"},
			Shell: []string{"/bin/bash", "-c"}, Labels: map[string]string{"a": "1"}, Hostname: "left",
			ExposedPorts: map[string]struct{}{"1/tcp": {}},
		}},
		"trigger": {Config: v1.Config{OnBuild: []string{"COPY . /src", "RUN make", "ARG X=1"}}},
		"wrong":   {Config: v1.Config{OnBuild: []string{"COPY --from=later / /"}}},
		"loop":    {Config: v1.Config{OnBuild: []string{"ONBUILD RUN true"}}},
	}
}

// outcome is what the evaluation of the target gave.
type outcome struct {
	ops      []dockerfile.Op
	history  []string
	state    *dockerfile.State
	warnings []string
}

func (o outcome) config() v1.Config { return o.state.Config() }

func (o outcome) run(t *testing.T, n int) *dockerfile.Run {
	t.Helper()
	if n >= len(o.ops) {
		t.Fatalf("there is no op %d in %v", n, o.ops)
	}
	r, ok := o.ops[n].(*dockerfile.Run)
	if !ok {
		t.Fatalf("op %d is %T, not a Run", n, o.ops[n])
	}
	return r
}

func (o outcome) copy(t *testing.T, n int) *dockerfile.Copy {
	t.Helper()
	if n >= len(o.ops) {
		t.Fatalf("there is no op %d in %v", n, o.ops)
	}
	c, ok := o.ops[n].(*dockerfile.Copy)
	if !ok {
		t.Fatalf("op %d is %T, not a Copy", n, o.ops[n])
	}
	return c
}

func parse(t *testing.T, src string, o dockerfile.Options) *dockerfile.File {
	t.Helper()
	f, err := dockerfile.Parse("Dockerfile", []byte(src), o)
	if err != nil {
		t.Fatalf("parsing: %v", diag.Render(err))
	}
	return f
}

// evaluate runs all stages of f and returns what the target did.
func evaluate(f *dockerfile.File) (outcome, error) {
	states := map[int]*dockerfile.State{}
	var out outcome
	for _, stage := range f.Stages {
		var s *dockerfile.State
		var err error
		if stage.Base.Kind == dockerfile.StageRef {
			s, err = f.StateOn(stage, states[stage.Base.Stage])
		} else {
			s, err = f.State(stage, bases()[stage.Base.Image])
		}
		if err != nil {
			return out, err
		}
		states[stage.Index] = s
		out = outcome{state: s, warnings: out.warnings}
		for {
			op, more, err := s.Next()
			if err != nil {
				return out, err
			}
			if !more {
				break
			}
			if op != nil {
				out.ops = append(out.ops, op)
			}
			if s.History() != "" {
				out.history = append(out.history, s.History())
			}
		}
		for _, w := range s.Warnings() {
			out.warnings = append(out.warnings, w.Error())
		}
	}
	return out, nil
}

func build(t *testing.T, src string, o dockerfile.Options) outcome {
	t.Helper()
	out, err := evaluate(parse(t, src, o))
	if err != nil {
		t.Fatalf("evaluating: %v", diag.Render(err))
	}
	return out
}

// failure returns the problem that src leads to, as the user sees it.
func failure(t *testing.T, src string, o dockerfile.Options) string {
	t.Helper()
	f, err := dockerfile.Parse("Dockerfile", []byte(src), o)
	if err == nil {
		_, err = evaluate(f)
	}
	if err == nil {
		t.Fatalf("no error for:\n%s", src)
	}
	return diag.Render(err)
}

func lines(s ...string) string { return strings.Join(s, "\n") + "\n" }
