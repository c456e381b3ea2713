package dockerfile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/image/dockerfile"
)

func TestConfig(t *testing.T) {
	path := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, c := range []struct {
		name string
		src  string
		want v1.Config
	}{
		{"scratch", "FROM scratch", v1.Config{Env: path, WorkingDir: "/"}},
		{"base", "FROM rich", v1.Config{
			Env: []string{"PATH=/bin", "HELLO=World"}, User: "app", WorkingDir: "/srv", Cmd: []string{"old"},
			Shell: []string{"/bin/bash", "-c"}, Labels: map[string]string{"a": "1"},
			ExposedPorts: map[string]struct{}{"1/tcp": {}},
		}},
		{"env keeps its place", "FROM scratch\nENV A=1 B=2\nENV A=3", v1.Config{
			Env: append(path[:1:1], "A=3", "B=2"), WorkingDir: "/",
		}},
		{"cmd", "FROM scratch\nCMD [\"a\", \"b c\"]", v1.Config{
			Env: path, WorkingDir: "/", Cmd: []string{"a", "b c"}, ArgsEscaped: true,
		}},
		{"cmd in a shell", "FROM scratch\nSHELL [\"/bin/ash\", \"-ec\"]\nCMD a  b", v1.Config{
			Env: path, WorkingDir: "/", Cmd: []string{"/bin/ash", "-ec", "a  b"}, ArgsEscaped: true, Shell: []string{"/bin/ash", "-ec"},
		}},
		{"cmd is not expanded", "FROM scratch\nENV A=1\nCMD echo $A", v1.Config{
			Env: append(path[:1:1], "A=1"), WorkingDir: "/", Cmd: []string{"/bin/sh", "-c", "echo $A"}, ArgsEscaped: true,
		}},
		{"workdir", "FROM scratch\nWORKDIR /a/\nWORKDIR b/../c\nWORKDIR ./d", v1.Config{Env: path, WorkingDir: "/a/c/d"}},
		{"workdir above the root", "FROM scratch\nWORKDIR ../../x", v1.Config{Env: path, WorkingDir: "/x"}},
		{"workdir that is undefined", "FROM scratch\nWORKDIR /a\nWORKDIR $NO", v1.Config{Env: path, WorkingDir: "/a"}},
		{"user", "FROM scratch\nARG U=1000\nUSER $U:nobody", v1.Config{Env: path, WorkingDir: "/", User: "1000:nobody"}},
		{"volume", "FROM scratch\nENV D=/d\nVOLUME $D/x /y\nVOLUME [\"/z z\"]", v1.Config{
			Env: append(path[:1:1], "D=/d"), WorkingDir: "/", Volumes: map[string]struct{}{"/d/x": {}, "/y": {}, "/z z": {}},
		}},
		{"stop signal", "FROM scratch\nSTOPSIGNAL SIGRTMIN+3", v1.Config{Env: path, WorkingDir: "/", StopSignal: "SIGRTMIN+3"}},
		{"label", "FROM scratch\nARG V=1\nLABEL a.b=\"x y\" v=$V \\\n c='$V'", v1.Config{
			Env: path, WorkingDir: "/", Labels: map[string]string{"a.b": "x y", "v": "1", "c": "$V"},
		}},
		{"expose", "FROM scratch\nENV P=\"90 91/udp\"\nEXPOSE 80 $P 8000-8002/tcp 127.0.0.1:5000:5001", v1.Config{
			Env: append(path[:1:1], "P=90 91/udp"), WorkingDir: "/", ExposedPorts: map[string]struct{}{
				"80/tcp": {}, "90/tcp": {}, "91/udp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}, "5001/tcp": {},
			},
		}},
		{"healthcheck", "FROM scratch\nHEALTHCHECK --interval=5s --timeout=3s --start-period=1m --retries=2 CMD curl -f x", v1.Config{
			Env: path, WorkingDir: "/", Healthcheck: &v1.HealthConfig{
				Test: []string{"CMD-SHELL", "curl -f x"}, Interval: 5 * time.Second, Timeout: 3 * time.Second, StartPeriod: time.Minute, Retries: 2,
			},
		}},
		{"healthcheck exec", "FROM scratch\nHEALTHCHECK CMD [\"x\"]", v1.Config{
			Env: path, WorkingDir: "/", Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "x"}},
		}},
		{"healthcheck none", "FROM scratch\nHEALTHCHECK CMD x\nHEALTHCHECK NONE", v1.Config{
			Env: path, WorkingDir: "/", Healthcheck: &v1.HealthConfig{Test: []string{"NONE"}},
		}},
		{"onbuild is kept as written", "FROM scratch\nENV A=1\nONBUILD RUN echo $A", v1.Config{
			Env: append(path[:1:1], "A=1"), WorkingDir: "/", OnBuild: []string{"RUN echo $A"},
		}},
		{"onbuild does not reach grandchildren", "FROM trigger", v1.Config{Env: path, WorkingDir: ""}},
		{"relative directory of a base", "FROM base AS a\nWORKDIR /x\nFROM a", v1.Config{Env: []string{"PATH=/bin"}, WorkingDir: "/x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, build(t, c.src+"\n", dockerfile.Options{}).config()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEntrypointResetsCmd(t *testing.T) {
	for src, want := range map[string]string{
		"FROM rich\nENTRYPOINT [\"e\"]":                                  "[e] []",
		"FROM rich\nCMD [\"c\"]\nENTRYPOINT [\"e\"]":                     "[e] [c]",
		"FROM rich\nENTRYPOINT [\"e\"]\nCMD [\"c\"]":                     "[e] [c]",
		"FROM rich AS a\nCMD [\"c\"]\nFROM a\nENTRYPOINT [\"e\"]":        "[e] []",
		"FROM rich\nENTRYPOINT [\"e\"]\nENTRYPOINT []":                   "[] []",
		"FROM rich\nENTRYPOINT exec e":                                   "[/bin/bash -c exec e] []",
		"FROM rich AS a\nENTRYPOINT [\"e\"]\nCMD [\"c\"]\nFROM a":        "[e] [c]",
		"FROM rich AS a\nENTRYPOINT [\"e\"]\nFROM a AS b\nCMD [\"c\"]\n": "[e] [c]",
	} {
		c := build(t, src+"\n", dockerfile.Options{}).config()
		if got := fmt.Sprint(c.Entrypoint, c.Cmd); got != want {
			t.Errorf("%s\ngot %s, want %s", src, got, want)
		}
	}
}

func TestStartInterval(t *testing.T) {
	out := build(t, "FROM base AS a\nHEALTHCHECK --start-interval=2s CMD x\nFROM a\n", dockerfile.Options{})
	if got := out.state.StartInterval(); got != 2*time.Second {
		t.Errorf("got %v", got)
	}
}

func TestHistory(t *testing.T) {
	out := build(t, lines(
		"FROM rich",
		"MAINTAINER you",
		"ENV A=1 B=\"x y\"",
		"LABEL l=$A",
		"WORKDIR sub",
		"COPY --chown=app --chmod=755 a $A /d/",
		"ADD --checksum=sha256:"+strings.Repeat("a", 64)+" https://example.com/x .",
		"COPY <<E f /e/",
		"E",
		"RUN [\"x\", \"y z\"]",
		"RUN make \\",
		"  all",
		"USER 1:2",
		"VOLUME /v",
		"EXPOSE 80",
		"STOPSIGNAL 9",
		"SHELL [\"/bin/ash\", \"-c\"]",
		"HEALTHCHECK CMD x",
		"ENTRYPOINT [\"e\"]",
		"CMD c",
		"ONBUILD RUN x",
		"WORKDIR /",
	), dockerfile.Options{})
	want := []string{
		"MAINTAINER you",
		"ENV A=1 B=x y",
		"LABEL l=1",
		"WORKDIR /srv/sub",
		"COPY --chown=app --chmod=755 a 1 /d/",
		"ADD https://example.com/x .",
		"COPY f <<E /e/",
		"RUN x y z",
		"RUN /bin/bash -c make   all",
		"USER 1:2",
		"VOLUME [/v]",
		"EXPOSE [80/tcp]",
		"STOPSIGNAL 9",
		"SHELL [/bin/ash -c]",
		"HEALTHCHECK {Test:[CMD-SHELL x] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
		`ENTRYPOINT ["e"]`,
		`CMD ["/bin/ash" "-c" "c"]`,
		"WORKDIR /",
	}
	if !cmp.Equal(out.history, want) {
		t.Error(cmp.Diff(want, out.history))
	}
	if out.state.Author() != "you" {
		t.Errorf("author: got %q", out.state.Author())
	}
	if got := len(out.ops); got != 6 {
		t.Errorf("got %d ops", got)
	}
	if got := out.state.Steps(); got != 7 {
		t.Errorf("got %d steps", got)
	}
}

// The config that a caller holds must not change under its feet, nor that of the base.
func TestConfigIsACopy(t *testing.T) {
	base := bases()["rich"]
	f := parse(t, "FROM rich\nENV HELLO=2\nLABEL a=2\nEXPOSE 2\n", dockerfile.Options{})
	s, err := f.State(f.Stages[0], base)
	if err != nil {
		t.Fatal(err)
	}
	before := s.Config()
	for {
		if _, more, err := s.Next(); err != nil || !more {
			break
		}
	}
	if diff := cmp.Diff(bases()["rich"], base); diff != "" {
		t.Error("the base changed:", diff)
	}
	if before.Labels["a"] != "1" || before.Env[1] != "HELLO=World" || len(before.ExposedPorts) != 1 {
		t.Error("an earlier config changed:", before)
	}
	again, err := f.State(f.Stages[0], base)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, more, err := again.Next(); err != nil || !more {
			break
		}
	}
	if diff := cmp.Diff(s.Config(), again.Config()); diff != "" {
		t.Error("a second evaluation differs:", diff)
	}
}
