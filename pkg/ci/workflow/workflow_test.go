package workflow_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/devs/deploy/pkg/ci/workflow"
)

type files struct {
	out, raw        bytes.Buffer
	output, summary string
}

func newLog(t *testing.T, runner bool) (*workflow.Log, *files) {
	t.Helper()
	f := &files{output: filepath.Join(t.TempDir(), "output"), summary: filepath.Join(t.TempDir(), "summary")}
	return workflow.New(workflow.Config{
		Runner: runner, Out: &f.out, Raw: &f.raw, Random: strings.NewReader(strings.Repeat("0123456789abcdef", 9)),
		Getenv: func(name string) string {
			return map[string]string{"GITHUB_OUTPUT": f.output, "GITHUB_STEP_SUMMARY": f.summary}[name]
		},
	}), f
}

const canary = "canary+secret/\"1\" é\nsecond line"

func TestMasks(t *testing.T) {
	log, f := newLog(t, true)
	log.Mask(canary, "", " ")
	for _, form := range []string{"canary+secret/\"1\" é%0Asecond line", "second line", base64.StdEncoding.EncodeToString([]byte(canary)), strings.ReplaceAll(url.QueryEscape(canary), "%", "%25"), `canary+secret/\"1\" é\nsecond line`} {
		if !strings.Contains(f.raw.String(), "::add-mask::"+form+"\n") {
			t.Errorf("%q is not hidden:\n%s", form, f.raw.String())
		}
	}
	for line := range strings.Lines(f.raw.String()) {
		if strings.TrimSpace(line) == "::add-mask::" {
			t.Error("an empty mask hides everything")
		}
	}
	plain, g := newLog(t, false)
	plain.Mask(canary)
	if g.raw.Len()+g.out.Len() > 0 {
		t.Error("a log without masks shows the secret")
	}
}

func TestForeignOutputIsNoCommand(t *testing.T) {
	log, f := newLog(t, true)
	err := log.Section("a\nb", func() error { f.out.WriteString("::set-output name=x::y"); return errors.New("x") })
	if err == nil {
		t.Error("the error is lost")
	}
	lines := strings.Split(strings.TrimSpace(f.out.String()), "\n")
	if len(lines) != 5 || lines[0] != "::group::a b" || !strings.HasPrefix(lines[1], "::stop-commands::") || lines[4] != "::endgroup::" {
		t.Fatalf("%q", lines)
	}
	token := strings.TrimPrefix(lines[1], "::stop-commands::")
	if len(token) < 32 || lines[3] != "::"+token+"::" {
		t.Errorf("%q", lines)
	}
	f.out.Reset()
	log.Note("a\n::error::x %s", "##[error]y")
	if got := f.out.String(); strings.Contains(got, "::error") || strings.Contains(got, "##[") {
		t.Errorf("%q", got)
	}
}

func TestOutputs(t *testing.T) {
	log, f := newLog(t, true)
	if ok, err := log.Output("a", "1\n2"); !ok || err != nil {
		t.Fatal(err)
	}
	const delimiter = "_GitHubActionsFileCommandDelimeter_"
	if _, err := log.Output("b", "x\n"+delimiter+"\nevil=1"); err == nil || strings.Contains(err.Error(), "evil") {
		t.Errorf("a value that ends itself: %v", err)
	}
	got, err := os.ReadFile(f.output)
	if err != nil || string(got) != "a<<"+delimiter+"\n1\n2\n"+delimiter+"\n" {
		t.Errorf("%q, %v", got, err)
	}
	f.output = filepath.Join(f.output, "no folder")
	if ok, err := log.Output("a", "1"); ok || err == nil {
		t.Error("a file that cannot be written is no error")
	}
}

func TestSummaryHasALimit(t *testing.T) {
	log, f := newLog(t, true)
	for range 3 {
		if err := log.Summary(strings.Repeat("é", workflow.MaxSummary/3)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(f.summary)
	if err != nil || len(data) > workflow.MaxSummary+2 || !utf8.Valid(data) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

func TestAnnotationsWithinTheLimits(t *testing.T) {
	log, f := newLog(t, true)
	var list []workflow.Annotation
	for range 13 {
		list = append(list, workflow.Annotation{Level: workflow.Error, Text: strings.Repeat("é", 4000), File: "a,b.yaml", Line: 3, Column: 4})
	}
	log.Annotate(append(list, workflow.Annotation{Level: workflow.Warning, Text: "a\n::error::b"}))
	lines := strings.Split(strings.TrimSpace(f.out.String()), "\n")
	if len(lines) != 11 || lines[9] != "::error::and 4 more; see the log and the summary" || lines[10] != "::warning::a%0A::error::b" {
		t.Fatalf("%d lines, %.200q", len(lines), lines[9:])
	}
	if !strings.Contains(lines[0], "file=a%2Cb.yaml") || !strings.Contains(lines[0], "line=3") || len(lines[0]) > workflow.MaxMessage+200 || !utf8.ValidString(lines[0]) {
		t.Errorf("%.100q", lines[0])
	}
}
