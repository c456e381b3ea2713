package dockerfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/dockerfile"
)

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name  string
		src   string
		args  []string
		files []dockerfile.InlineFile
		text  string
	}{
		{"shell", "RUN a  $B 'c'", []string{"/bin/sh", "-c", "a  $B 'c'"}, nil, "RUN a  $B 'c'"},
		{"exec", `RUN ["a", "$B"]`, []string{"a", "$B"}, nil, `RUN ["a", "$B"]`},
		{"no json", `RUN ["a", 'b']`, []string{"/bin/sh", "-c", `["a", 'b']`}, nil, `RUN ["a", 'b']`},
		{"continued", "RUN a && \\\n    # why\n    b", []string{"/bin/sh", "-c", "a &&     b"}, nil, "RUN a &&     b"},
		{"own shell", "SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN a", []string{"/bin/bash", "-o", "pipefail", "-c", "a"}, nil, "RUN a"},
		{"heredoc", "RUN <<EOF\na $B\n  b\nEOF", []string{"/bin/sh", "-c", "a $B\n  b\n"}, nil, "RUN <<EOF (a $B...)"},
		{"heredoc with tabs", "RUN <<-EOF\n\ta\n\tEOF", []string{"/bin/sh", "-c", "a\n"}, nil, "RUN <<-EOF (a)"},
		{
			"heredoc with an interpreter", "RUN <<EOF\n#!/usr/bin/python3\nprint(1)\nEOF", []string{"/bin/sh", "-c", "/.heredocs/EOF"},
			[]dockerfile.InlineFile{{Path: "/.heredocs/EOF", Mode: 0o755, Data: "#!/usr/bin/python3\nprint(1)\n"}}, "RUN <<EOF (#!/usr/bin/python3...)",
		},
		{"heredoc of a command", "RUN python3 <<EOF\nprint(1)\nEOF", []string{"/bin/sh", "-c", "python3 <<EOF\nprint(1)\nEOF"}, nil, "RUN python3 <<EOF (print(1))"},
		{"command after a heredoc", "RUN <<EOF python3\nprint(1)\nEOF", []string{"/bin/sh", "-c", "<<EOF python3\nprint(1)\nEOF"}, nil, "RUN <<EOF python3 (print(1))"},
		{"two heredocs", "RUN cat <<A <<'B'\n1\nA\n2\nB", []string{"/bin/sh", "-c", "cat <<A <<'B'\n1\nA\n2\nB"}, nil, "RUN cat <<A <<'B' (1)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := build(t, "FROM base\n"+c.src+"\n", dockerfile.Options{}).run(t, 0)
			if !cmp.Equal(r.Args, c.args) {
				t.Error(cmp.Diff(c.args, r.Args))
			}
			if !cmp.Equal(r.Files, c.files) {
				t.Error(cmp.Diff(c.files, r.Files))
			}
			if r.Text() != c.text {
				t.Errorf("text: got %q, want %q", r.Text(), c.text)
			}
		})
	}
}

func TestRunPlace(t *testing.T) {
	out := build(t, lines("FROM rich", "", "WORKDIR w", "USER 7:8", "  RUN --network=none --security=insecure --device=vendor.com/gpu=0,required x"), dockerfile.Options{})
	r := out.run(t, 1)
	got := fmt.Sprint(r.Pos(), r.Dir, r.User, r.Network, r.Security, r.Devices)
	if want := "Dockerfile:5:3/srv/w7:8noneinsecure[{vendor.com/gpu=0 true}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w, ok := out.ops[0].(*dockerfile.Workdir)
	if !ok || w.Path != "/srv/w" || w.User != "app" {
		t.Errorf("got %+v", out.ops[0])
	}
}

func TestMounts(t *testing.T) {
	mode := uint32(0o440)
	id := uint32(1000)
	context := dockerfile.Source{}
	nothing := dockerfile.Source{Kind: dockerfile.Scratch}
	for _, c := range []struct {
		flag string
		want dockerfile.Mount
	}{
		{"type=bind,target=/t", dockerfile.Mount{Type: "bind", From: context, Source: "/", Target: "/t", ReadOnly: true}},
		{"source=a/b,target=t,rw", dockerfile.Mount{Type: "bind", From: context, Source: "/a/b", Target: "/srv/t"}},
		{"source=../../x,target=t", dockerfile.Mount{Type: "bind", From: context, Source: "/x", Target: "/srv/t", ReadOnly: true}},
		{"type=bind,from=one,source=/s,dst=/t", dockerfile.Mount{
			Type: "bind", From: dockerfile.Source{Kind: dockerfile.StageRef, Stage: 0, Name: "one"}, Source: "/s", Target: "/t", ReadOnly: true,
		}},
		{"from=alpine:3,target=/t", dockerfile.Mount{
			Type: "bind", From: dockerfile.Source{Kind: dockerfile.Image, Image: "alpine:3"}, Source: "/", Target: "/t", ReadOnly: true,
		}},
		{"type=cache,target=/root/.cache/", dockerfile.Mount{
			Type: "cache", From: nothing, Source: "/", Target: "/root/.cache", ID: "/root/.cache", Sharing: "shared",
		}},
		{"type=cache,id=$ID,target=/c,sharing=locked,mode=440,uid=1000,gid=1000,ro", dockerfile.Mount{
			Type: "cache", From: nothing, Source: "/", Target: "/c", ID: "my", Sharing: "locked", Mode: &mode, UID: &id, GID: &id, ReadOnly: true,
		}},
		{"type=tmpfs,target=/t,size=1m", dockerfile.Mount{Type: "tmpfs", From: nothing, Source: "/", Target: "/t", Size: 1 << 20}},
		{"type=secret,id=key", dockerfile.Mount{Type: "secret", Target: "/run/secrets/key", ID: "key", ReadOnly: true}},
		{"type=secret,target=/x/key,required", dockerfile.Mount{Type: "secret", Target: "/x/key", ID: "key", ReadOnly: true, Required: true}},
		{"type=secret,id=key,env=KEY", dockerfile.Mount{Type: "secret", ID: "key", Env: "KEY", ReadOnly: true}},
		{"type=secret,id=key,env=KEY,target=k,mode=0440", dockerfile.Mount{
			Type: "secret", ID: "key", Env: "KEY", Target: "/srv/k", Mode: &mode, ReadOnly: true,
		}},
		{"type=ssh", dockerfile.Mount{Type: "ssh", ID: "default", Target: "/run/buildkit/ssh_agent.0", ReadOnly: true}},
		{"type=ssh,id=git,target=/a,required=true", dockerfile.Mount{Type: "ssh", ID: "git", Target: "/a", Required: true, ReadOnly: true}},
	} {
		t.Run(c.flag, func(t *testing.T) {
			r := build(t, lines("FROM base AS one", "FROM rich", "ARG ID=my", "RUN --mount="+c.flag+" x"), dockerfile.Options{}).run(t, 0)
			if len(r.Mounts) != 1 {
				t.Fatalf("got %d mounts", len(r.Mounts))
			}
			if diff := cmp.Diff(c.want, r.Mounts[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSecondAgent(t *testing.T) {
	r := build(t, "FROM base\nRUN --mount=type=ssh --mount=type=tmpfs,target=/t --mount=type=ssh,id=b x\n", dockerfile.Options{}).run(t, 0)
	if got := r.Mounts[2].Target; got != "/run/buildkit/ssh_agent.1" {
		t.Errorf("got %s", got)
	}
}

func TestCopy(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		src  string
		want dockerfile.Copy
	}{
		{"COPY a b c/", dockerfile.Copy{Sources: []string{"a", "b"}, Dest: "/srv/c/"}},
		{"COPY . .", dockerfile.Copy{Sources: []string{"."}, Dest: "/srv/"}},
		{"COPY . ./", dockerfile.Copy{Sources: []string{"."}, Dest: "/srv/"}},
		{"COPY a ../b", dockerfile.Copy{Sources: []string{"a"}, Dest: "/b"}},
		{"COPY a /x/../y/.", dockerfile.Copy{Sources: []string{"a"}, Dest: "/y/"}},
		{"COPY a /", dockerfile.Copy{Sources: []string{"a"}, Dest: "/"}},
		{`COPY ["a b", "/c d"]`, dockerfile.Copy{Sources: []string{"a b"}, Dest: "/c d"}},
		{`COPY "a"\ b /c`, dockerfile.Copy{Sources: []string{"a", "b"}, Dest: "/c"}},
		{"COPY $V-* ${D:-/d}/", dockerfile.Copy{Sources: []string{"1-*"}, Dest: "/d/"}},
		{
			"COPY --chown=$V:app --chmod=u+x --link=false --parents --exclude=*.md --exclude=x ./a/./b /c",
			dockerfile.Copy{Sources: []string{"./a/./b"}, Dest: "/c", Chown: "1:app", Chmod: "u+x", Parents: true, Excludes: []string{"*.md", "x"}},
		},
		{"COPY --link --chown=1:2 a /", dockerfile.Copy{Sources: []string{"a"}, Dest: "/", Chown: "1:2", Link: true}},
		{"COPY --from=one a /", dockerfile.Copy{Sources: []string{"a"}, Dest: "/", From: dockerfile.Source{Kind: dockerfile.StageRef, Name: "one"}}},
		{"COPY --from=ONE a /", dockerfile.Copy{Sources: []string{"a"}, Dest: "/", From: dockerfile.Source{Kind: dockerfile.StageRef, Name: "one"}}},
		{"COPY --from=0 a /", dockerfile.Copy{Sources: []string{"a"}, Dest: "/", From: dockerfile.Source{Kind: dockerfile.StageRef, Name: "one"}}},
		{"COPY --from=nginx:1 a /", dockerfile.Copy{Sources: []string{"a"}, Dest: "/", From: dockerfile.Source{Kind: dockerfile.Image, Image: "nginx:1"}}},
		{"COPY --from=scratch a /", dockerfile.Copy{Sources: []string{"a"}, Dest: "/", From: dockerfile.Source{Kind: dockerfile.Scratch}}},
		{"COPY <<E /f\n$V \"x\" \\$V\nE", dockerfile.Copy{Dest: "/f", Inline: []dockerfile.Heredoc{{Name: "E", Data: "1 \"x\" $V\n"}}}},
		{"COPY <<'E' /f\n$V\nE", dockerfile.Copy{Dest: "/f", Inline: []dockerfile.Heredoc{{Name: "E", Data: "$V\n"}}}},
		{"COPY <<\"E\" /f\n$V\nE", dockerfile.Copy{Dest: "/f", Inline: []dockerfile.Heredoc{{Name: "E", Data: "$V\n"}}}},
		{"COPY <<-E a <<F /d/\n\tx\n\tE\ny\nF", dockerfile.Copy{
			Sources: []string{"a"}, Dest: "/d/", Inline: []dockerfile.Heredoc{{Name: "E", Data: "x\n"}, {Name: "F", Data: "y\n"}},
		}},
		{"COPY <<E /f\nE", dockerfile.Copy{Dest: "/f", Inline: []dockerfile.Heredoc{{Name: "E"}}}},
		{"ADD a.tar.gz /", dockerfile.Copy{Add: true, Sources: []string{"a.tar.gz"}, Dest: "/"}},
		{"ADD --unpack=false --keep-git-dir a /", dockerfile.Copy{Add: true, Sources: []string{"a"}, Dest: "/", Unpack: &no, KeepGitDir: &yes}},
		{"ADD --checksum=sha256:$V https://h/x?a=b /", dockerfile.Copy{Add: true, Sources: []string{"https://h/x?a=b"}, Dest: "/", Checksum: "sha256:1"}},
	} {
		t.Run(c.src, func(t *testing.T) {
			got := *build(t, lines("FROM base AS one", "FROM rich", "ARG V=1", c.src), dockerfile.Options{}).copy(t, 0)
			got.Step, got.SourceAt = dockerfile.Step{}, nil
			if len(got.Sources) == 0 {
				got.Sources = nil
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSourcePlaces(t *testing.T) {
	c := build(t, lines("FROM base", "COPY --chown=1 \\", "  package.json  lib/$X \\", "  /dest/"), dockerfile.Options{}).copy(t, 0)
	want := []diag.Pos{{File: "Dockerfile", Line: 3, Column: 3}, {File: "Dockerfile", Line: 3, Column: 17}}
	if diff := cmp.Diff(want, c.SourceAt); diff != "" {
		t.Error(diff)
	}
	if got := c.Pos().String(); got != "Dockerfile:2:1" {
		t.Errorf("got %s", got)
	}
}

// Each of these differs from the others in one thing that decides the files.
func TestKeys(t *testing.T) {
	seen := map[string]string{}
	for _, src := range []string{
		"RUN a", "RUN b", `RUN ["a"]`, "RUN <<EOF\na\nEOF", "RUN <<EOF\n#!/a\nb\nEOF", "RUN <<EOF\n#!/a\nc\nEOF",
		"ENV A=1\nRUN a", "ARG A=2\nRUN a", "USER 1\nRUN a", "WORKDIR /a\nUSER 0\nRUN a", "RUN --network=none a", "RUN --security=insecure a",
		"RUN --device=a a", "RUN --device=a,required a",
		"RUN --mount=target=/a a", "RUN --mount=target=/a,rw a", "RUN --mount=target=/b a", "RUN --mount=target=/a,source=b a",
		"RUN --mount=target=/a,from=x a", "RUN --mount=type=cache,target=/a a", "RUN --mount=type=cache,target=/a,id=b a",
		"RUN --mount=type=cache,target=/a,sharing=locked a", "RUN --mount=type=cache,target=/a,mode=700 a", "RUN --mount=type=cache,target=/a,uid=1 a",
		"RUN --mount=type=cache,target=/a,gid=1 a", "RUN --mount=type=tmpfs,target=/a a", "RUN --mount=type=tmpfs,target=/a,size=1k a",
		"RUN --mount=type=secret,id=a a", "RUN --mount=type=secret,id=a,required a", "RUN --mount=type=secret,id=a,env=B a", "RUN --mount=type=ssh a",
		"COPY a /", "COPY b /", "COPY a b /", `COPY ["a b", "/"]`, "COPY a /c", "COPY a /c/", "ADD a /", "COPY --from=x a /", "COPY --chown=1 a /",
		"COPY --chmod=1 a /", "COPY --link a /", "COPY --parents a /", "COPY --exclude=b a /", "ADD --unpack a /", "ADD --unpack=false a /",
		"ADD --keep-git-dir a /", "ADD https://h/a /", "ADD --checksum=sha256:1 https://h/a /", "COPY <<E /\nE", "COPY <<E /\na\nE", "COPY <<F /\na\nF",
		"WORKDIR /a", "WORKDIR /b", "USER 1\nWORKDIR /a",
	} {
		out := build(t, "FROM base\n"+src+"\n", dockerfile.Options{})
		key := out.ops[len(out.ops)-1].Key()
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have the same key %q", src, other, key)
		}
		seen[key] = src
	}
}

// What does not decide the files is not in the key: the place, and which stage it is.
func TestKeysIgnore(t *testing.T) {
	last := func(src string) string {
		out := build(t, src, dockerfile.Options{})
		return out.ops[len(out.ops)-1].Key()
	}
	a := last("FROM base AS a\nFROM base\nCOPY --from=a x /\n")
	b := last("FROM base AS z\nFROM base AS b\n\nFROM base\n\nCOPY   --from=b x /\n")
	if a != b {
		t.Errorf("got %q and %q", a, b)
	}
}

func TestRemoteOf(t *testing.T) {
	for src, want := range map[string]dockerfile.Remote{
		"a.txt":                           dockerfile.Local,
		"a@b":                             dockerfile.Local,
		"./http://x":                      dockerfile.Local,
		"github.com/a/b":                  dockerfile.Local,
		"ftp://h/x":                       dockerfile.Local,
		"http://h/x":                      dockerfile.HTTP,
		"https://h/x.git.zip":             dockerfile.HTTP,
		"https://h/x?y=.git":              dockerfile.HTTP,
		"https://h/x.git":                 dockerfile.Git,
		"https://h/x.git#main:sub":        dockerfile.Git,
		"https://h/x.git?ref=main&subdir": dockerfile.Git,
		"git@github.com:a/b.git":          dockerfile.Git,
		"git@github.com:a/b":              dockerfile.Git,
		"ssh://git@h/x":                   dockerfile.Git,
		"git://h/x":                       dockerfile.Git,
	} {
		if got := dockerfile.RemoteOf(src); got != want {
			t.Errorf("%s: got %d, want %d", src, got, want)
		}
	}
}

func TestLongValues(t *testing.T) {
	double := "FROM base\nENV A=" + strings.Repeat("x", 1000) + "\n" + strings.Repeat("ENV A=$A$A\n", 60)
	if got := failure(t, double, dockerfile.Options{}); !strings.Contains(got, "no program could be given it") {
		t.Error(got)
	}
	wide := "FROM base\nENV A=" + strings.Repeat("x", 60000) + "\nENV A=$A$A\nLABEL a=" + strings.Repeat("$A", 10) + "\n"
	if got := failure(t, wide, dockerfile.Options{}); !strings.Contains(got, "the variables of one word") {
		t.Error(got)
	}
}
