package dockerfile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/image/dockerfile"
)

// TestVariables shows with ENV R=... what words expand to.
func TestVariables(t *testing.T) {
	arm := v1.Platform{OS: "linux", Architecture: "arm64"}
	amd := v1.Platform{OS: "linux", Architecture: "amd64"}
	for _, c := range []struct {
		name string
		src  string
		args map[string]string
		want string
	}{
		{"env", "FROM base\nENV A=1\nENV R=$A", nil, "1"},
		{"one line sees the env before it", "FROM base\nENV A=1\nENV A=2 R=$A", nil, "1"},
		{"undefined is empty", "FROM base\nENV R=x$NO", nil, "x"},
		{"default", "FROM base\nENV R=${NO:-d}", nil, "d"},
		{"default unless set", "FROM base\nENV A=\nENV R=${A-d}", nil, ""},
		{"default when empty", "FROM base\nENV A=\nENV R=${A:-d}", nil, "d"},
		{"alternative", "FROM base\nENV A=1\nENV R=${A:+yes}", nil, "yes"},
		{"no alternative", "FROM base\nENV R=${A:+yes}", nil, ""},
		{"cut suffix", "FROM base\nENV A=foo.tar.gz\nENV R=${A%.*}", nil, "foo.tar"},
		{"cut long suffix", "FROM base\nENV A=foo.tar.gz\nENV R=${A%%.*}", nil, "foo"},
		{"cut prefix", "FROM base\nENV A=a/b/c\nENV R=${A#*/}", nil, "b/c"},
		{"cut long prefix", "FROM base\nENV A=a/b/c\nENV R=${A##*/}", nil, "c"},
		{"replace once", "FROM base\nENV A=aXbX\nENV R=${A/X/-}", nil, "a-bX"},
		{"replace all", "FROM base\nENV A=aXbX\nENV R=${A//X/-}", nil, "a-b-"},
		{"nested", "FROM base\nENV B=2\nENV R=${A:-${B}}", nil, "2"},
		{"single quotes", "FROM base\nENV A=1\nENV R='$A'", nil, "$A"},
		{"double quotes", "FROM base\nENV A=1\nENV R=\"$A b\"", nil, "1 b"},
		{"escaped", "FROM base\nENV A=1\nENV R=\\$A", nil, "$A"},
		{"escape directive", "# escape=`\nFROM base\nENV A=1\nENV R=`$A\\", nil, "$A\\"},
		{"legacy form", "FROM base\nENV R a  b", nil, "a  b"},
		{"arg default", "FROM base\nARG A=1\nENV R=$A", nil, "1"},
		{"arg given", "FROM base\nARG A=1\nENV R=$A", map[string]string{"A": "2"}, "2"},
		{"arg given is not expanded", "FROM base\nARG A\nENV R=$A", map[string]string{"A": "$PATH"}, "$PATH"},
		{"arg not declared", "FROM base\nENV R=$A", map[string]string{"A": "2"}, ""},
		{"arg of the default of another", "FROM base\nARG A=1\nARG B=${A}2\nENV R=$B", nil, "12"},
		{"arg of the same line", "FROM base\nARG A=1 B=$A\nENV R=$B", nil, "1"},
		{"arg after use", "FROM base\nENV R=$A\nARG A=1", nil, ""},
		{"arg twice", "FROM base\nARG A=1\nARG A\nENV R=$A", nil, "1"},
		{"global arg is not in the stage", "ARG A=1\nFROM base\nENV R=$A", nil, ""},
		{"global arg declared", "ARG A=1\nFROM base\nARG A\nENV R=$A", nil, "1"},
		{"global arg with another default", "ARG A=1\nFROM base\nARG A=2\nENV R=$A", nil, "2"},
		{"global arg given", "ARG A=1\nFROM base\nARG A\nENV R=$A", map[string]string{"A": "3"}, "3"},
		{"global arg of another", "ARG A=1\nARG B=$A.2\nFROM base\nARG B\nENV R=$B", nil, "1.2"},
		{"env after arg wins", "FROM base\nARG A=1\nENV A=2\nENV R=$A", map[string]string{"A": "3"}, "2"},
		{"arg after env wins", "FROM base\nENV A=2\nARG A=1\nENV R=$A", nil, "1"},
		{"arg over the env of the base", "FROM rich\nARG HELLO=me\nENV R=$HELLO", nil, "me"},
		{"arg without a value under env", "FROM rich\nARG HELLO\nENV R=$HELLO", nil, "World"},
		{"arg does not leave the stage", "FROM base AS a\nARG A=1\nFROM base\nENV R=$A", nil, ""},
		{"arg reaches stages on it", "FROM base AS a\nARG A=1\nFROM a\nENV R=$A", nil, "1"},
		{"platform args must be declared", "FROM base\nENV R=$TARGETARCH", nil, ""},
		{"target arch", "FROM base\nARG TARGETARCH\nENV R=$TARGETARCH", nil, "arm64"},
		{"target platform", "FROM base\nARG TARGETPLATFORM\nENV R=$TARGETPLATFORM", nil, "linux/arm64"},
		{"build platform", "FROM base\nARG BUILDPLATFORM BUILDOS\nENV R=$BUILDPLATFORM-$BUILDOS", nil, "linux/amd64-linux"},
		{"target platform in a global arg", "ARG A=x-$TARGETARCH\nFROM base\nARG A\nENV R=$A", nil, "x-arm64"},
		{"target stage", "FROM base AS web\nARG TARGETSTAGE\nENV R=$TARGETSTAGE", nil, "web"},
		{"target stage of a file without names", "FROM base\nARG TARGETSTAGE\nENV R=$TARGETSTAGE", nil, "default"},
		{"default of a platform arg", "FROM base\nARG TARGETARCH=mine\nENV R=$TARGETARCH", nil, "mine"},
		{"proxy needs an ARG to be seen", "FROM base\nENV R=$HTTP_PROXY", map[string]string{"HTTP_PROXY": "p"}, ""},
		{"continued line", "FROM base\nENV A=1 \\\n  R=2", nil, "2"},
		{"comment in a continued line", "FROM base\nENV A=1 \\\n# no\n  R=2", nil, "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := build(t, c.src+"\n", dockerfile.Options{BuildArgs: c.args, Platform: arm, BuildPlatform: amd})
			got := "not there"
			for _, kv := range out.config().Env {
				if v, ok := strings.CutPrefix(kv, "R="); ok {
					got = v
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestArgsInRun(t *testing.T) {
	out := build(t, lines(
		"ARG V=1",
		"FROM rich",
		"ARG V NONE SET=a",
		"ENV OWN=$SET",
		"RUN go build",
		"ARG HELLO=me",
		"RUN true",
	), dockerfile.Options{BuildArgs: map[string]string{"HTTP_PROXY": "http://p", "no_proxy": "x"}})
	r := out.run(t, 0)
	if want := []string{"PATH=/bin", "HELLO=World", "V=1", "SET=a", "OWN=a"}; !cmp.Equal(r.Env, want) {
		t.Error(cmp.Diff(want, r.Env))
	}
	if want := []string{"HTTP_PROXY=http://p", "http_proxy=http://p", "no_proxy=x", "NO_PROXY=x"}; !cmp.Equal(r.Proxy, want) {
		t.Error(cmp.Diff(want, r.Proxy))
	}
	if want := []string{"PATH=/bin", "HELLO=me", "V=1", "SET=a", "OWN=a"}; !cmp.Equal(out.run(t, 1).Env, want) {
		t.Error(cmp.Diff(want, out.run(t, 1).Env))
	}
	if want := []string{"PATH=/bin", "HELLO=World", "OWN=a"}; !cmp.Equal(out.config().Env, want) {
		t.Error("arguments are in the config:", cmp.Diff(want, out.config().Env))
	}
	want := []string{
		"ARG V=1 NONE SET=a",
		"ENV OWN=a",
		"RUN |3 V=1 NONE= SET=a /bin/bash -c go build",
		"ARG HELLO=me",
		"RUN |4 V=1 NONE= SET=a HELLO=me /bin/bash -c true",
	}
	if !cmp.Equal(out.history, want) {
		t.Error(cmp.Diff(want, out.history))
	}
}

// A declared proxy is like any other argument, and a proxy is never part of the key.
func TestProxies(t *testing.T) {
	with := func(src, proxy string) *dockerfile.Run {
		return build(t, src, dockerfile.Options{BuildArgs: map[string]string{"HTTPS_PROXY": proxy}}).run(t, 0)
	}
	plain := "FROM base\nRUN x\n"
	if with(plain, "a").Key() != with(plain, "b").Key() {
		t.Error("the key depends on an undeclared proxy")
	}
	declared := "FROM base\nARG HTTPS_PROXY\nRUN x\n"
	if with(declared, "a").Key() == with(declared, "b").Key() {
		t.Error("the key does not depend on a declared proxy")
	}
	out := build(t, plain, dockerfile.Options{BuildArgs: map[string]string{"HTTPS_PROXY": "a"}})
	if want := []string{"RUN /bin/sh -c x"}; !cmp.Equal(out.history, want) {
		t.Error(cmp.Diff(want, out.history))
	}
}

func TestMetaArgs(t *testing.T) {
	f := parse(t, "ARG A=1\nARG B\nARG C=$A-$TARGETOS\nFROM base\n", dockerfile.Options{BuildArgs: map[string]string{"A": "9"}})
	var got []string
	for _, m := range f.MetaArgs {
		got = append(got, m.Name+"="+m.Value+" "+m.Pos.String())
	}
	want := []string{"A=9 Dockerfile:1:5", "B= Dockerfile:2:5", "C=9-linux Dockerfile:3:5"}
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

func TestPlatforms(t *testing.T) {
	def := v1.Platform{OS: "linux", Architecture: "s390x"}
	for in, want := range map[string]string{
		"linux/amd64":     "linux/amd64",
		"linux/arm64/v8":  "linux/arm64",
		"linux/arm":       "linux/arm/v7",
		"linux/arm/6":     "linux/arm/v6",
		"LINUX/x86_64":    "linux/amd64",
		"aarch64":         "linux/arm64",
		"linux":           "linux/s390x",
		"linux/amd64/v2":  "linux/amd64/v2",
		"windows/amd64":   "images for windows are not supported, only for linux",
		"windows":         "images for windows are not supported, only for linux",
		"linux/amd64/a/b": `"linux/amd64/a/b" is no platform: write it as linux/amd64`,
		"a b":             `"a b" is no platform: write it as linux/amd64`,
		"":                `"" is no platform: write it as linux/amd64`,
		"linux/":          `"linux/" is no platform: write it as linux/amd64`,
	} {
		p, err := dockerfile.ParsePlatform(in, def)
		got := p.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
