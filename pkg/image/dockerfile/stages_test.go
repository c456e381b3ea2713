package dockerfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/image/dockerfile"
)

// stages prints the stages that are needed: index, name, base and platform.
func stages(f *dockerfile.File) string {
	var list []string
	for _, s := range f.Stages {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%d %s", s.Index, s.Name))+" <- "+s.Base.String()+" "+s.Platform.String())
	}
	return strings.Join(list, "; ")
}

func TestStages(t *testing.T) {
	arm := v1.Platform{OS: "linux", Architecture: "arm64"}
	amd := v1.Platform{OS: "linux", Architecture: "amd64"}
	for _, c := range []struct {
		name     string
		src      string
		target   string
		args     map[string]string
		contexts map[string]string
		want     string
	}{
		{"one", "FROM alpine:3", "", nil, nil, "0 <- alpine:3 linux/arm64"},
		{"only what is needed", "FROM a AS one\nFROM b AS two\nFROM c\nCOPY --from=two / /", "", nil, nil, "1 two <- b linux/arm64; 2 <- c linux/arm64"},
		{"on a stage", "FROM a AS one\nFROM one", "", nil, nil, "0 one <- a linux/arm64; 1 <- stage 0 (one) linux/arm64"},
		{"target in the middle", "FROM a AS one\nFROM b AS two\nFROM c", "TWO", nil, nil, "1 two <- b linux/arm64"},
		{"through stages", "FROM a AS one\nFROM b AS two\nRUN --mount=from=one,target=/t x\nFROM c\nCOPY --from=1 / /", "", nil, nil, "0 one <- a linux/arm64; 1 two <- b linux/arm64; 2 <- c linux/arm64"},
		{"numbers are no names for mounts", "FROM a AS one\nFROM c\nRUN --mount=from=0,target=/t x", "", nil, nil, "1 <- c linux/arm64"},
		{"names have no case", "FROM a AS One\nFROM ONE", "", nil, nil, "0 one <- a linux/arm64; 1 <- stage 0 (one) linux/arm64"},
		{"a name shadows an image", "FROM alpine AS alpine\nFROM alpine", "", nil, nil, "0 alpine <- alpine linux/arm64; 1 <- stage 0 (alpine) linux/arm64"},
		{"a name twice", "FROM a AS x\nFROM b AS x\nFROM x", "", nil, nil, "1 x <- b linux/arm64; 2 <- stage 1 (x) linux/arm64"},
		{"a name twice as target", "FROM a AS x\nFROM b AS x\nFROM c", "x", nil, nil, "1 x <- b linux/arm64"},
		{"a later stage is no base", "FROM golang\nCOPY . .\nFROM b AS golang", "golang", nil, nil, "1 golang <- b linux/arm64"},
		{"scratch", "FROM scratch", "", nil, nil, "0 <- scratch linux/arm64"},
		{"argument", "ARG V=3\nFROM alpine:${V}", "", nil, nil, "0 <- alpine:3 linux/arm64"},
		{"argument given", "ARG V=3\nFROM alpine:${V}", "", map[string]string{"V": "4"}, nil, "0 <- alpine:4 linux/arm64"},
		{"argument by platform", "FROM x:$TARGETARCH", "", nil, nil, "0 <- x:arm64 linux/arm64"},
		{"stage by argument", "ARG V=one\nFROM a AS one\nFROM b AS two\nFROM $V", "", map[string]string{"V": "two"}, nil, "1 two <- b linux/arm64; 2 <- stage 1 (two) linux/arm64"},
		{"stage arguments are not for FROM", "FROM a AS one\nARG V=9\nFROM alpine:${V:-3}", "", nil, nil, "1 <- alpine:3 linux/arm64"},
		{"build platform", "FROM --platform=$BUILDPLATFORM golang AS b\nFROM b AS c\nFROM a\nCOPY --from=c / /", "", nil, nil, "0 b <- golang linux/amd64; 1 c <- stage 0 (b) linux/amd64; 2 <- a linux/arm64"},
		{"constant platform", "FROM --platform=linux/arm/v6 a", "", nil, nil, "0 <- a linux/arm/v6"},
		{"onbuild of a stage", "FROM z AS x\nFROM a AS one\nONBUILD COPY --from=x / /\nFROM one", "", nil, nil, "0 x <- z linux/arm64; 1 one <- a linux/arm64; 2 <- stage 1 (one) linux/arm64"},
		{"context for an image", "FROM alpine", "", nil, map[string]string{"docker.io/library/alpine:latest": "docker-image://alpine@sha256:" + strings.Repeat("a", 64)}, "0 <- alpine@sha256:" + strings.Repeat("a", 64) + " linux/arm64"},
		{"context for a stage", "FROM a AS one\nRUN x\nFROM one", "", nil, map[string]string{"one": "docker-image://b"}, "0 one <- b linux/arm64; 1 <- stage 0 (one) linux/arm64"},
		{"context that is a folder", "FROM a\nFROM files", "", nil, map[string]string{"files": "../x"}, "1 <- build context files linux/arm64"},
		{"empty context", "FROM a", "", nil, map[string]string{"a": "docker-image://scratch"}, "0 <- scratch linux/arm64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := parse(t, c.src+"\n", dockerfile.Options{
				Target: c.target, BuildArgs: c.args, Contexts: c.contexts, Platform: arm, BuildPlatform: amd,
			})
			if got := stages(f); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestNamedContext(t *testing.T) {
	out := build(t, lines("FROM base", "COPY --from=assets a /", "RUN --mount=from=assets,target=/t x"), dockerfile.Options{
		Contexts: map[string]string{"Assets": "/some/where", "unused": "x"},
	})
	want := dockerfile.Source{Kind: dockerfile.Named, Name: "Assets", Path: "/some/where"}
	if got := out.copy(t, 0).From; got != want {
		t.Errorf("got %+v", got)
	}
	if got := out.run(t, 1).Mounts[0].From; got != want {
		t.Errorf("got %+v", got)
	}
	sources, err := out.state.Sources()
	if err != nil || !cmp.Equal(sources, []dockerfile.Source{want}) {
		t.Errorf("got %+v, %v", sources, err)
	}
}

func TestDefaultPlatform(t *testing.T) {
	f := parse(t, "FROM a\n", dockerfile.Options{})
	if got := f.Stages[0].Platform.String(); got != "linux/amd64" {
		t.Errorf("got %s", got)
	}
	f = parse(t, "FROM --platform=$BUILDPLATFORM a\n", dockerfile.Options{Platform: v1.Platform{Architecture: "aarch64"}})
	if got := f.Stages[0].Platform.String(); got != "linux/arm64" {
		t.Errorf("got %s", got)
	}
}

// Triggers of a base run first, in the scope of the child, and only once.
func TestTriggers(t *testing.T) {
	out := build(t, lines("FROM trigger", "RUN after $X"), dockerfile.Options{BuildArgs: map[string]string{"X": "2"}})
	want := []string{"COPY . /src", "RUN /bin/sh -c make", "ARG X=2", "RUN |1 X=2 /bin/sh -c after $X"}
	if !cmp.Equal(out.history, want) {
		t.Error(cmp.Diff(want, out.history))
	}
	if got := out.ops[0].Pos().String(); got != "Dockerfile:1:1" {
		t.Errorf("a trigger of an image is at %s", got)
	}
	if got := out.state.Steps(); got != 3 {
		t.Errorf("got %d steps", got)
	}
	out = build(t, lines(
		"FROM base AS a", "ONBUILD WORKDIR /w", "ONBUILD COPY <<E f .", "in", "E", "ONBUILD RUN b", "RUN own",
		"FROM a AS b", "RUN c", "FROM b", "RUN d",
	), dockerfile.Options{Target: "b"})
	want = []string{"WORKDIR /w", "COPY f <<E .", "RUN /bin/sh -c b", "RUN /bin/sh -c c"}
	if !cmp.Equal(out.history, want) {
		t.Error(cmp.Diff(want, out.history))
	}
	if got := out.copy(t, 1).Inline; len(got) != 1 || got[0].Data != "in\n" {
		t.Errorf("got %+v", got)
	}
	if got := out.ops[0].Pos().String(); got != "Dockerfile:2:1" {
		t.Errorf("a trigger of a stage is at %s", got)
	}
}

// A trigger of an image can need a stage that nothing else needs.
func TestTriggerNeedsStage(t *testing.T) {
	f := parse(t, "FROM a AS extra\nFROM wants\n", dockerfile.Options{})
	if len(f.Stages) != 1 {
		t.Fatalf("got %s", stages(f))
	}
	s, err := f.State(f.Stages[0], &v1.ConfigFile{Config: v1.Config{OnBuild: []string{"COPY --from=extra / /"}}})
	if err != nil {
		t.Fatal(err)
	}
	sources, err := s.Sources()
	if err != nil || len(sources) != 1 || sources[0].Kind != dockerfile.StageRef {
		t.Fatalf("got %+v, %v", sources, err)
	}
	if extra, ok := f.Stage(sources[0].Stage); !ok || extra.Name != "extra" {
		t.Errorf("got %+v", extra)
	}
	if _, ok := f.Stage(2); ok {
		t.Error("there is a stage 2")
	}
}

func TestStateOnLeavesTheParent(t *testing.T) {
	f := parse(t, "FROM base AS a\nARG X=1\nENV Y=1\nFROM a AS b\nARG X=2\nENV Y=2 Z=3\nFROM a\nCOPY --from=b / /\nRUN x\n", dockerfile.Options{})
	out, err := evaluate(f)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"PATH=/bin", "X=1", "Y=1"}; !cmp.Equal(out.run(t, 1).Env, want) {
		t.Error(cmp.Diff(want, out.run(t, 1).Env))
	}
}

func TestDescribe(t *testing.T) {
	f := parse(t, lines(
		"ARG V=3", "ARG NONE", "FROM golang:$V AS build", "WORKDIR /src", "COPY . .", "RUN go  build \\", "  -o /app", "ONBUILD RUN x",
		"FROM a AS unused", "FROM build", "RUN <<EOF", "first", "second", "EOF", "COPY --from=build "+strings.Repeat("long", 40)+" /", "CMD [\"/app\"]",
	), dockerfile.Options{})
	want := lines(
		"ARG V=3",
		"ARG NONE",
		"stage 0 (build): FROM golang:3 for linux/amd64",
		"   1  WORKDIR /src",
		"   2  COPY . .",
		"   3  RUN go build -o /app",
		"      ONBUILD RUN x",
		"stage 2, the target: FROM stage 0 (build) for linux/amd64",
		"   1  ONBUILD RUN x",
		"   2  RUN <<EOF (first...)",
		"   3  COPY --from=build "+strings.Repeat("long", 40)[:79]+"...",
		`      CMD ["/app"]`,
		"stages that the target does not need: 1",
	)
	if got := f.Describe(); got != want {
		t.Error(cmp.Diff(want, got))
	}
}
