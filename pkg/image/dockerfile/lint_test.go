package dockerfile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/dockerfile"
)

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		src  string
		want []string
	}{
		{"FROM base\nRUN x", nil},
		{"FROM base as b", []string{"Dockerfile:1:1: 'as' and 'FROM' keywords' casing do not match (FromAsCasing)"}},
		{"FROM base AS B", []string{"Dockerfile:1:1: Stage name 'B' should be lowercase (StageNameCasing)"}},
		{"FROM base AS b\nFROM base AS b", []string{`Dockerfile:2:1: Duplicate stage name "b", stage names should be unique (DuplicateStageName)`}},
		{"FROM base AS context", []string{`Dockerfile:1:1: Stage name should not use the same name as reserved stage "context" (ReservedStageName)`}},
		{"FROM base\nENV A=1\n run x", []string{"Dockerfile:3:2: Command 'run' should match the case of the command majority (uppercase) (ConsistentInstructionCasing)"}},
		{"FROM base\nMAINTAINER x", []string{"Dockerfile:2:1: Maintainer instruction is deprecated in favor of using label (MaintainerDeprecated)"}},
		{"FROM base\nRUN x \\\n\n  y", []string{"Dockerfile:4:3: Empty continuation line (NoEmptyContinuation)"}},
		{"ARG TAG=1\nFROM base$TGA", []string{"Dockerfile:2:1: FROM argument 'TGA' is not declared (UndefinedArgInFrom)"}},
		{"FROM --platform=$TARGETPLATFORM base", []string{"Dockerfile:1:1: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior (RedundantTargetPlatform)"}},
		{"FROM --platform=linux/amd64 base", []string{`Dockerfile:1:1: FROM --platform flag should not use constant value "linux/amd64" (FromPlatformFlagConstDisallowed)`}},
		{"FROM --platform=linux/amd64 base AS for-amd64", nil},
		{"FROM base\nENV A 1", []string{`Dockerfile:2:1: "ENV key=value" should be used instead of legacy "ENV key value" format (LegacyKeyValueFormat)`}},
		{"FROM base\nLABEL A 1", []string{`Dockerfile:2:1: "LABEL key=value" should be used instead of legacy "LABEL key value" format (LegacyKeyValueFormat)`}},
		{"FROM base\nARG API_TOKEN\nENV PUBLIC_KEY=1", []string{`Dockerfile:2:1: Do not use ARG or ENV instructions for sensitive data (ARG "API_TOKEN") (SecretsUsedInArgOrEnv)`}},
		{"FROM base\nCMD x", []string{"Dockerfile:2:1: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (JSONArgsRecommended)"}},
		{"FROM rich\nCMD x", nil},
		{"FROM base\nCMD [\"x\"]\nCMD [\"y\"]", []string{"Dockerfile:2:1: Multiple CMD instructions should not be used in the same stage because only the last one will be used (MultipleInstructionsDisallowed)"}},
		{"FROM base\nENTRYPOINT [\"x\"]\nENTRYPOINT [\"y\"]", []string{"Dockerfile:2:1: Multiple ENTRYPOINT instructions should not be used in the same stage because only the last one will be used (MultipleInstructionsDisallowed)"}},
		{"FROM base\nWORKDIR x\nWORKDIR y", []string{`Dockerfile:2:1: Relative workdir "x" can have unexpected results if the base image changes (WorkdirRelativePath)`}},
		{"FROM base\nWORKDIR /x\nWORKDIR y", nil},
		{"FROM base\nEXPOSE 80/TCP 81:82", []string{
			"Dockerfile:2:1: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase (ExposeProtoCasing)",
			"Dockerfile:2:1: EXPOSE instruction should not define an IP address or host-port mapping, found '81:82' (ExposeInvalidFormat)",
		}},
		{"FROM base\nARG NAME\nENV PACKAGE=1\nCOPY $PACAGE $NAME /", []string{"Dockerfile:4:1: Usage of undefined variable '$PACAGE' (UndefinedVar)"}},
		{"# check=skip=StageNameCasing\nFROM base AS B", nil},
		{"# check=skip=all\nFROM base as B\nCMD x", nil},
		{"FROM base\n# check=skip=UndefinedVar\nCOPY $A /\nCOPY $A /", []string{"Dockerfile:4:1: Usage of undefined variable '$A' (UndefinedVar)"}},
		{"# syntax=docker/dockerfile:1\n# escape=\\\n# check=skip=JSONArgsRecommended;error=true\nFROM base\nCMD x", nil},
	} {
		f := parse(t, c.src+"\n", dockerfile.Options{})
		out, err := evaluate(f)
		if err != nil {
			t.Errorf("%q: %v", c.src, err)
		}
		var got []string
		for _, w := range f.Warnings {
			got = append(got, w.Error())
		}
		if got = append(got, out.warnings...); !cmp.Equal(got, c.want) {
			t.Errorf("%q\n%s", c.src, cmp.Diff(c.want, got))
		}
	}
}

func TestHintsOfWarnings(t *testing.T) {
	f := parse(t, "ARG VERSION=1\nFROM base$VERSIN\n", dockerfile.Options{})
	if len(f.Warnings) != 1 || f.Warnings[0].Hint != "did you mean VERSION?" {
		t.Error(f.Warnings)
	}
}

func TestDefaultOfBase(t *testing.T) {
	f := parse(t, "ARG TAG\nFROM base:$TAG\n", dockerfile.Options{BuildArgs: map[string]string{"TAG": "1"}})
	if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0].Summary, "InvalidDefaultArgInFrom") {
		t.Error(f.Warnings)
	}
}

// A step that breaks a rule fails the build only when the file asks for it.
func TestWarningsAsErrors(t *testing.T) {
	got := failure(t, "# check=error=true\nFROM base\nCMD x\n", dockerfile.Options{})
	want := lines(
		"error: Dockerfile: the Dockerfile breaks the rules JSONArgsRecommended, and its check directive asks for an error",
		"  Dockerfile:3:1: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (JSONArgsRecommended)",
		"hint: mend what is warned of, or name the rules in # check=skip=JSONArgsRecommended",
	)
	if got != want {
		t.Error(cmp.Diff(want, got))
	}
}

func TestUnusedBuildArgs(t *testing.T) {
	f := parse(t, "ARG META\nFROM base AS a\nARG OWN=1 OTHER\nONBUILD ARG LATER\nFROM base\n", dockerfile.Options{BuildArgs: map[string]string{
		"META": "", "OWN": "", "OTHER": "", "LATER": "", "http_proxy": "", "TARGETARCH": "", "SOURCE_DATE_EPOCH": "", "BUILDKIT_X": "",
		"OTHR": "", "NOBODY": "",
	}})
	var got []string
	for _, w := range f.Warnings {
		got = append(got, strings.TrimSpace(w.Summary+" "+w.Hint))
	}
	want := []string{"no ARG declares the build argument NOBODY", "no ARG declares the build argument OTHR did you mean OTHER?"}
	if !slices.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

// Values of --build-arg may be secrets: a plan does not print them.
func TestDescribeHidesGivenValues(t *testing.T) {
	f := parse(t, "ARG TOKEN\nFROM base\n", dockerfile.Options{BuildArgs: map[string]string{"TOKEN": "hidden-value"}})
	if got := f.Describe(); strings.Contains(got, "hidden-value") || !strings.Contains(got, "ARG TOKEN, given\n") {
		t.Error(got)
	}
}

func TestLimits(t *testing.T) {
	for name, src := range map[string]string{
		"more than 4194304":            "FROM a\n" + strings.Repeat("# x\n", 1<<20),
		"the line has 70007 bytes":     "FROM a\nLABEL a=" + strings.Repeat("x", 69999) + "\n",
		"${ stands 30000 times":        "FROM a\n" + strings.Repeat("ENV A=${A}${A}${A}\n", 10000),
		"ONBUILD stands more than":     "FROM a\n" + strings.Repeat("ONBUILD \\\n", 2000) + "RUN x\n",
		"more than 1000 stages":        strings.Repeat("FROM a\n", 1001),
		"EXPOSE names more than":       "FROM a\nEXPOSE" + strings.Repeat(" 1-65535", 4) + "\n",
		"no program could be given it": "FROM a\nENV A=" + strings.Repeat("x", 60000) + "\nARG B=$A$A$A\n",
	} {
		if got := failure(t, src, dockerfile.Options{}); !strings.Contains(got, name) {
			t.Errorf("want %q, got %s", name, got)
		}
	}
	_, err := dockerfile.Parse("Dockerfile", []byte("FROM a\n"), dockerfile.Options{})
	if diag.ExitCode(err) != diag.ExitOK {
		t.Error(err)
	}
}
