package dockerfile_test

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/dockerfile"
)

// TestProblems has what each mistake leads to, as the user sees it: the place, what is
// wrong, and what to do.
func TestProblems(t *testing.T) {
	o := dockerfile.Options{Contexts: map[string]string{"oci": "oci-layout://x", "web": "https://h/x"}}
	for _, c := range problems() {
		if got := failure(t, c.src, o); got != c.want {
			t.Errorf("%q\ngot\n%swant\n%s", c.src, got, c.want)
		}
	}
}

func problems() []struct{ src, want string } {
	return []struct{ src, want string }{
		{"",
			"error: Dockerfile: the Dockerfile has no instructions\nhint: begin with FROM and an image\n"},
		{"# only a comment\n",
			"error: Dockerfile: the Dockerfile has no instructions\nhint: begin with FROM and an image\n"},
		{"RUN x",
			"error: Dockerfile:1:1: RUN stands before the first FROM\nhint: begin with FROM; only ARG may stand before it\n"},
		{"ARG A=1",
			"error: Dockerfile: the Dockerfile has no FROM\nhint: begin with FROM and an image\n"},
		{"FORM a",
			"error: Dockerfile:1:1: unknown instruction: FORM\nhint: did you mean FROM?\n"},
		{"FROM a\nRUN x &&\n  y",
			"error: Dockerfile:3:3: unknown instruction: y\nhint: when the line belongs to the one before, end that one with \\\n"},
		{"FROM a\nRUNN x",
			"error: Dockerfile:2:1: unknown instruction: RUNN\nhint: did you mean RUN?\n"},
		{"FROM a AS",
			"error: Dockerfile:1:1: FROM requires either one or three arguments\nhint: write FROM image:tag, or FROM image:tag AS name\n"},
		{"FROM a AS 1x",
			"error: Dockerfile:1:11: invalid name for build stage: \"1x\", name can't start with a number or contain symbols\nhint: write FROM image:tag, or FROM image:tag AS name\n"},
		{"FROM",
			"error: Dockerfile:1:1: FROM requires either one or three arguments\nhint: write FROM image:tag, or FROM image:tag AS name\n"},
		{"FROM $A",
			"error: Dockerfile:1:6: the base \"$A\" of the stage is empty\nhint: give the ARG that it names a default value before the first FROM, or use --build-arg\n"},
		{"FROM a:b:c",
			"error: Dockerfile:1:6: \"a:b:c\" is no name of an image\n  could not parse reference: a:b:c\nhint: write it as repository:tag, in lower case\n"},
		{"FROM Alpine",
			"error: Dockerfile:1:6: \"Alpine\" is no name of an image\n  could not parse reference: Alpine\nhint: write it as repository:tag, in lower case\n"},
		{"FROM --platform=$X a",
			"error: Dockerfile:1:1: --platform=$X is empty\nhint: give the ARG that it names a default value before the first FROM\n"},
		{"FROM --platform=windows/amd64 a",
			"error: Dockerfile:1:1: images for windows are not supported, only for linux\n"},
		{"FROM --platfrom=linux a",
			"error: Dockerfile:1:6: unknown flag: --platfrom\nhint: did you mean platform?\n"},
		{"FROM a\nCOPY a",
			"error: Dockerfile:2:1: COPY requires at least two arguments, but only one was provided. Destination could not be determined\nhint: write COPY source... destination\n"},
		{"FROM a\nCOPY --form=x a /",
			"error: Dockerfile:2:6: unknown flag: --form\nhint: did you mean from?\n"},
		{"FROM a\nCOPY --chown a /",
			"error: Dockerfile:2:6: missing a value on flag: --chown\nhint: write COPY source... destination\n"},
		{"FROM a\nCOPY --from=$X a /",
			"error: Dockerfile:2:6: --from=$X: variables are not allowed here\nhint: name a stage, and write the variable into its FROM\n"},
		{"FROM a\nCOPY --from=1 a /",
			"error: Dockerfile:2:8: there is no stage 1\nhint: the file has the stages 0 to 0\n"},
		{"FROM a\nCOPY --from=0 a /",
			"error: Dockerfile:2:8: a stage cannot take files from itself\nhint: name an earlier stage or an image\n"},
		{"FROM a AS x\nCOPY --from=x a /",
			"error: Dockerfile:2:8: a stage cannot take files from itself\nhint: name an earlier stage or an image\n"},
		{"FROM a\nCOPY --from=later a /\nFROM b AS later\nFROM a\nCOPY --from=0 / /",
			"error: Dockerfile:2:8: stage 1 (later) stands after this one, so it cannot give files to it\nhint: move the stage before the one that uses it\n"},
		{"FROM a\nCOPY --from=BAD:: a /",
			"error: Dockerfile:2:8: \"BAD::\" is no name of an image\n  could not parse reference: BAD::\nhint: write it as repository:tag, in lower case\n"},
		{"FROM a\nRUN --mount=type=bnd,target=/x y",
			"error: Dockerfile:2:18: unsupported mount type \"bnd\"\nhint: did you mean bind?\n"},
		{"FROM a\nRUN --mount=type=bind,tgt=/x y",
			"error: Dockerfile:2:23: unexpected key 'tgt' in 'tgt=/x'\nhint: did you mean dst?\n"},
		{"FROM a\nRUN --mount=target=/ y",
			"error: Dockerfile:2:1: --mount: the target cannot be the root directory\nhint: write target=/a/path\n"},
		{"FROM a\nRUN --mount=from=$X,target=/y z",
			"error: Dockerfile:2:13: 'from' doesn't support variable expansion, define alias stage instead\nhint: the flags are --mount=type=bind|cache|tmpfs|secret|ssh,target=/path, --network=default|none|host, --security=sandbox and --device=NAME\n"},
		{"FROM a\nRUN --mount=type=cache,sharing=some,target=/y z",
			"error: Dockerfile:2:32: unsupported sharing value \"some\"\nhint: the flags are --mount=type=bind|cache|tmpfs|secret|ssh,target=/path, --network=default|none|host, --security=sandbox and --device=NAME\n"},
		{"FROM a\nRUN --mount=type=secret y",
			"error: Dockerfile:2:1: invalid secret mount. one of source, target required\nhint: the flags are --mount=type=bind|cache|tmpfs|secret|ssh,target=/path, --network=default|none|host, --security=sandbox and --device=NAME\n"},
		{"FROM a\nRUN --mount=type=ssh,source=x y",
			"error: Dockerfile:2:1: --mount=type=ssh has no source\nhint: name the agent with id=\n"},
		{"FROM a\nRUN --network=some y",
			"error: Dockerfile:2:15: invalid network mode \"some\"\nhint: the flags are --mount=type=bind|cache|tmpfs|secret|ssh,target=/path, --network=default|none|host, --security=sandbox and --device=NAME\n"},
		{"FROM a\nRUN --security=some y",
			"error: Dockerfile:2:16: security \"some\" is not valid\nhint: the flags are --mount=type=bind|cache|tmpfs|secret|ssh,target=/path, --network=default|none|host, --security=sandbox and --device=NAME\n"},
		{"FROM a\nRUN --mount=type=tmpfs,target=/x,size=big y",
			"error: Dockerfile:2:39: invalid value for size: big\nhint: the flags are --mount=type=bind|cache|tmpfs|secret|ssh,target=/path, --network=default|none|host, --security=sandbox and --device=NAME\n"},
		{"FROM a\nRUN []",
			"error: Dockerfile:2:1: RUN has no command\nhint: write RUN command, or RUN [\"program\", \"argument\"]\n"},
		{"FROM a\nRUN <<EOF\nx\n",
			"error: Dockerfile:2:1: unterminated heredoc\nhint: end it with a line that holds nothing but its word\n"},
		{"FROM a\nCOPY <<a/b /x\na/b\n",
			"error: Dockerfile:2:8: \"a/b\" cannot be the name of a file\nhint: write <<name, without slashes\n"},
		{"FROM a\nRUN <<../x\n#!/x\n../x\n",
			"error: Dockerfile:2:7: \"../x\" cannot be the name of a script\nhint: write <<EOF\n"},
		{"FROM a\nENV A",
			"error: Dockerfile:2:1: ENV must have two arguments\nhint: write ENV NAME=value\n"},
		{"FROM a\nENV $X=1",
			"error: Dockerfile:2:1: ENV has a variable without a name\n"},
		{"FROM a\nENV A=${B",
			"error: Dockerfile:2:7: a brace of a variable is not closed\nhint: write ${NAME}\n"},
		{"FROM a\nENV A=${B!x}",
			"error: Dockerfile:2:7: failed to process \"${B!x}\": unsupported modifier (!) in substitution\nhint: use ${x:-y}, ${x:+y}, ${x:?y}, ${x#y}, ${x%y} or ${x/y/z}\n"},
		{"FROM a\nENV A=\"x",
			"error: Dockerfile:2:1: failed to process \"\\\"x\": unexpected end of statement while looking for matching double-quote\nhint: close the quote; names with spaces need the JSON form, as in COPY [\"a b\", \"/c\"]\n"},
		{"FROM a\nENV A=${B:?must be set}",
			"error: Dockerfile:2:1: Syntax error - can't find = in \"be\". Must be of the form: name=value\nhint: write ENV NAME=value\n"},
		{"FROM a\nCOPY \"a b\" /c",
			"error: Dockerfile:2:1: failed to process \"\\\"a\": unexpected end of statement while looking for matching double-quote\nhint: close the quote; names with spaces need the JSON form, as in COPY [\"a b\", \"/c\"]\n"},
		{"FROM a\nLABEL x",
			"error: Dockerfile:2:1: LABEL must have two arguments\nhint: write LABEL name=value\n"},
		{"FROM a\nLABEL $N=1",
			"error: Dockerfile:2:1: LABEL has a label without a name\n"},
		{"FROM a\nUSER",
			"error: Dockerfile:2:1: USER requires exactly one argument\nhint: write USER name, or USER uid:gid\n"},
		{"FROM a\nWORKDIR",
			"error: Dockerfile:2:1: WORKDIR requires exactly one argument\nhint: write WORKDIR /path\n"},
		{"FROM a\nEXPOSE",
			"error: Dockerfile:2:1: EXPOSE requires at least one argument\nhint: write EXPOSE 8080\n"},
		{"FROM a\nEXPOSE x",
			"error: Dockerfile:2:8: EXPOSE: \"x\" is no port\nhint: write it as 8080, 8080/udp or 8000-8010/tcp\n"},
		{"FROM a\nEXPOSE 70000",
			"error: Dockerfile:2:8: EXPOSE: \"70000\" is no port\nhint: write it as 8080, 8080/udp or 8000-8010/tcp\n"},
		{"FROM a\nEXPOSE 5-3",
			"error: Dockerfile:2:8: EXPOSE: \"5-3\" is no port\nhint: write it as 8080, 8080/udp or 8000-8010/tcp\n"},
		{"FROM a\nEXPOSE 80/icmp",
			"error: Dockerfile:2:8: EXPOSE: \"80/icmp\" is no port\nhint: write it as 8080, 8080/udp or 8000-8010/tcp\n"},
		{"FROM a\nEXPOSE 1:2:3:4",
			"error: Dockerfile:2:8: EXPOSE: \"1:2:3:4\" is no port\nhint: write it as 8080, 8080/udp or 8000-8010/tcp\n"},
		{"FROM a\nSTOPSIGNAL SIGNONE",
			"error: Dockerfile:2:12: \"SIGNONE\" is no signal\nhint: write its name or number, such as SIGTERM or 15\n"},
		{"FROM a\nSTOPSIGNAL 0",
			"error: Dockerfile:2:12: \"0\" is no signal\nhint: write its name or number, such as SIGTERM or 15\n"},
		{"FROM a\nVOLUME",
			"error: Dockerfile:2:1: VOLUME requires at least one argument\nhint: write VOLUME /path\n"},
		{"FROM a\nVOLUME $X",
			"error: Dockerfile:2:1: VOLUME has an empty path\n"},
		{"FROM a\nSHELL /bin/sh",
			"error: Dockerfile:2:1: SHELL requires the arguments to be in JSON form\nhint: write SHELL [\"program\", \"argument\"]\n"},
		{"FROM a\nHEALTHCHECK x",
			"error: Dockerfile:2:1: Unknown type \"X\" in HEALTHCHECK (try CMD)\nhint: write HEALTHCHECK --interval=30s CMD command, or HEALTHCHECK NONE\n"},
		{"FROM a\nHEALTHCHECK --interval=x CMD y",
			"error: Dockerfile:2:24: time: invalid duration \"x\"\nhint: write HEALTHCHECK --interval=30s CMD command, or HEALTHCHECK NONE\n"},
		{"FROM a\nHEALTHCHECK CMD",
			"error: Dockerfile:2:1: Missing command after HEALTHCHECK CMD\nhint: write HEALTHCHECK --interval=30s CMD command, or HEALTHCHECK NONE\n"},
		{"FROM a\nHEALTHCHECK NONE x",
			"error: Dockerfile:2:1: HEALTHCHECK NONE takes no arguments\nhint: write HEALTHCHECK --interval=30s CMD command, or HEALTHCHECK NONE\n"},
		{"FROM a\nONBUILD ONBUILD RUN x",
			"error: Dockerfile:2:1: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed\nhint: write ONBUILD and one instruction other than FROM, MAINTAINER and ONBUILD\n"},
		{"FROM a\nONBUILD FROM x",
			"error: Dockerfile:2:1: FROM isn't allowed as an ONBUILD trigger\nhint: write ONBUILD and one instruction other than FROM, MAINTAINER and ONBUILD\n"},
		{"FROM a\nONBUILD MAINTAINER x",
			"error: Dockerfile:2:1: MAINTAINER isn't allowed as an ONBUILD trigger\nhint: write ONBUILD and one instruction other than FROM, MAINTAINER and ONBUILD\n"},
		{"FROM a\nONBUILD RUNN x",
			"error: Dockerfile:2:9: unknown instruction: RUNN\nhint: did you mean RUN?\n"},
		{"FROM a\nONBUILD",
			"error: Dockerfile:2:1: ONBUILD requires at least one argument\nhint: write ONBUILD and one instruction other than FROM, MAINTAINER and ONBUILD\n"},
		{"FROM a\nONBUILD COPY x",
			"error: Dockerfile:2:1: COPY requires at least two arguments, but only one was provided. Destination could not be determined\nhint: write ONBUILD and one instruction other than FROM, MAINTAINER and ONBUILD\n"},
		{"FROM a\nENV A=\"${B:?must be set}\"",
			"error: Dockerfile:2:1: failed to process \"\\\"${B:?must be set}\\\"\": B: must be set\n"},
		{"FROM loop",
			"error: Dockerfile:1:1: an ONBUILD trigger of loop: ONBUILD cannot be an ONBUILD trigger\n"},
		{"# escape=x\nFROM a",
			"error: Dockerfile:1:1: \"x\" cannot be the escape character\nhint: use ` or \\\n"},
		{"# syntax=a\n# escape=`\n# escape=`\nFROM a",
			"error: Dockerfile:3:1: only one escape parser directive can be used\n"},
		{"# check=foo\nFROM a",
			"error: Dockerfile:1:1: invalid check option \"foo\"\nhint: write it as # check=skip=Rule1,Rule2;error=true\n"},
		{"# check=error=true\nFROM a as b\n",
			"error: Dockerfile: the Dockerfile breaks the rules FromAsCasing, and its check directive asks for an error\n  Dockerfile:2:1: 'as' and 'FROM' keywords' casing do not match (FromAsCasing)\nhint: mend what is warned of, or name the rules in # check=skip=FromAsCasing\n"},
		{"FROM a\nCOPY https://x/y /",
			"error: Dockerfile:2:6: COPY cannot take files from https://x/y\nhint: use ADD\n"},
		{"FROM a\nCOPY git@h:x/y.git /",
			"error: Dockerfile:2:6: COPY cannot take files from git@h:x/y.git\nhint: use ADD\n"},
		{"FROM a\nADD --checksum=sha256:x a /",
			"error: Dockerfile:2:1: --checksum is for one URL or git address\nhint: write one ADD for each source\n"},
		{"FROM a\nADD --checksum=sha256:x https://a https://b /",
			"error: Dockerfile:2:1: --checksum is for one URL or git address\nhint: write one ADD for each source\n"},
		{"FROM a\nCOPY --checksum=x a /",
			"error: Dockerfile:2:6: unknown flag: --checksum\nhint: write COPY source... destination\n"},
		{"FROM a\nCOPY --link --chown=app a /",
			"error: Dockerfile:2:1: --chown=app: --link needs numbers, since it cannot see the users of the image\nhint: write --chown=1000:1000, or leave --link out\n"},
		{"FROM a\nCOPY --chmod=77777 a /",
			"error: Dockerfile:2:1: --chmod=77777 is more than 7777\n"},
		{"FROM oci",
			"error: Dockerfile:1:1: --build-context oci=oci-layout://x: this kind of context is not supported\nhint: give a folder or docker-image://REFERENCE\n"},
		{"FROM a\nCOPY --from=web / /",
			"error: Dockerfile:2:8: --build-context web=https://h/x: this kind of context is not supported\nhint: give a folder or docker-image://REFERENCE\n"},
		{"FROM a\nENV A=${B/x",
			"error: Dockerfile:2:7: failed to process \"${B/x\": syntax error: missing '/' in ${}\n"},
		{"FROM a\nRUN --mount=type=secret,id=a,from=b x",
			"error: Dockerfile:2:1: secret mount should not have a from\nhint: the flags are --mount=type=bind|cache|tmpfs|secret|ssh,target=/path, --network=default|none|host, --security=sandbox and --device=NAME\n"},
		{"FROM a\nCOPY a <<E\nE\n",
			"error: Dockerfile:2:1: COPY cannot accept a heredoc as a destination\nhint: write COPY source... destination\n"},
		{"FROM a\nRUN x\nFROM b AS c\nCOPY --from=7 / /",
			"error: Dockerfile:4:8: there is no stage 7\nhint: the file has the stages 0 to 1\n"},
		{"FROM a\nUSER a b\\\n  ${",
			"error: Dockerfile:2:1: failed to process \"a b  ${\": syntax error: missing '}'\n"},
		{"FROM a\nHEALTHCHECK --retries=-1 CMD x",
			"error: Dockerfile:2:1: --retries cannot be negative (-1)\nhint: write HEALTHCHECK --interval=30s CMD command, or HEALTHCHECK NONE\n"},
		{"FROM a AS b c",
			"error: Dockerfile:1:1: FROM requires either one or three arguments\nhint: write FROM image:tag, or FROM image:tag AS name\n"},
		{"FROM a\nCMD x --\nENTRYPOINTX y",
			"error: Dockerfile:3:1: unknown instruction: ENTRYPOINTX\nhint: did you mean ENTRYPOINT?\n"},
		{"FROM a\x00b",
			"error: Dockerfile:1: the Dockerfile has a NUL byte\nhint: save it as text in UTF-8\n"},
		{"FROM a\nARG =x",
			"error: Dockerfile:2:1: ARG names can not be blank\nhint: write ARG NAME or ARG NAME=default\n"},
		{"FROM a\nARG",
			"error: Dockerfile:2:1: ARG requires at least one argument\nhint: write ARG NAME or ARG NAME=default\n"},
		{"FROM a\nMAINTAINER",
			"error: Dockerfile:2:1: MAINTAINER requires exactly one argument\nhint: write MAINTAINER name\n"},
	}
}

func TestTarget(t *testing.T) {
	for target, want := range map[string]string{
		"biuld": "error: Dockerfile: the Dockerfile has no stage \"biuld\"\nhint: did you mean build?\n",
		"zzzz":  "error: Dockerfile: the Dockerfile has no stage \"zzzz\"\nhint: use one of: build, web\n",
	} {
		if got := failure(t, "FROM a AS build\nFROM b AS web\n", dockerfile.Options{Target: target}); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
	want := "error: Dockerfile: the Dockerfile has no stage \"Web\"\nhint: no stage of it has a name: write FROM ... AS web\n"
	if got := failure(t, "FROM a\n", dockerfile.Options{Target: "Web"}); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// A mistake in a stage that the target does not need is no matter, as far as it is not
// one of grammar.
func TestProblemElsewhere(t *testing.T) {
	src := "FROM base AS bad\nCOPY --from=late / /\nFROM base AS late\n"
	parse(t, src, dockerfile.Options{})
	failure(t, src, dockerfile.Options{Target: "bad"})
	failure(t, "FROM base AS bad\nCOPY x\nFROM base\n", dockerfile.Options{})
}

// Triggers come from images, which are foreign: they are refused when the stage begins.
func TestTriggerProblems(t *testing.T) {
	for trigger, want := range map[string]string{
		"ONBUILD RUN x":             "error: Dockerfile:2:2: an ONBUILD trigger of image: ONBUILD cannot be an ONBUILD trigger\n",
		"FROM x":                    "error: Dockerfile:2:2: an ONBUILD trigger of image: FROM cannot be an ONBUILD trigger\n",
		"RUN a\nRUN b":              "error: Dockerfile:2:2: an ONBUILD trigger of image: the ONBUILD trigger \"RUN a\\nRUN b\" is not one instruction\n",
		"":                          "error: Dockerfile:2:2: an ONBUILD trigger of image: file with no instructions\n",
		"RUNN x":                    "error: Dockerfile:2:2: an ONBUILD trigger of image: unknown instruction: RUNN\nhint: did you mean RUN?\n",
		"COPY --from=late / /":      "error: Dockerfile:2:2: an ONBUILD trigger of image: stage 1 (late) stands after this one, so it cannot give files to it\nhint: move the stage before the one that uses it\n",
		"COPY https://h/x /":        "error: Dockerfile:2:2: an ONBUILD trigger of image: COPY cannot take files from https://h/x\nhint: use ADD\n",
		"RUN --mount=target=/ true": "error: Dockerfile:2:2: an ONBUILD trigger of image: --mount: the target cannot be the root directory\nhint: write target=/a/path\n",
	} {
		f := parse(t, "# a file\n FROM image AS first\nFROM b AS late\n", dockerfile.Options{Target: "first"})
		s, err := f.State(f.Stages[0], &v1.ConfigFile{Config: v1.Config{OnBuild: []string{trigger}}})
		if err == nil {
			_, _, err = s.Next()
			if _, more, again := s.Next(); more || again == nil || again.Error() != err.Error() {
				t.Errorf("%q: after the error: %v, %v", trigger, more, again)
			}
		}
		if got := diag.Render(err); got != want {
			t.Errorf("%q\ngot\n%swant\n%s", trigger, got, want)
		}
	}
}
