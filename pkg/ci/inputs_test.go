package ci_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/ci"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := len(pairs) - 2; i >= 0; i -= 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestInputs(t *testing.T) {
	in, err := ci.ReadInputs(env("INPUT_WORKING-DIRECTORY", "app", "PLUGIN_ACCESS_KEY_ID", "id", "INPUT_ACCESS_KEY_SECRET", "key",
		"INPUT_SERVICES", "a, b\nc", "INPUT_DRIFT", "", "INPUT_DRY-RUN", "True"))
	if err != nil {
		t.Fatal(err)
	}
	if in.WorkingDirectory != "app" || in.AccessKeyID.Reveal() != "id" || !slices.Equal(in.Services, []string{"a", "b", "c"}) || in.Drift != "fail" || !in.DryRun || !in.VersionOnTag {
		t.Errorf("%+v", in)
	}
	for want, getenv := range map[string]func(string) string{
		"the input drift":        env("INPUT_DRIFT", "locl"),
		"the input dry-run":      env("INPUT_DRY-RUN", "yes"),
		"the input canary-pause": env("INPUT_CANARY-PAUSE", "5"),
		"only one is given":      env("INPUT_ACCESS-KEY-ID", "id"),
	} {
		if _, err := ci.ReadInputs(getenv); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// action.yml and the code name the same inputs.
func TestInputsAreThoseOfActionYML(t *testing.T) {
	data, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Inputs map[string]struct{ Description, Default string }
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, in := range file.Inputs {
		names = append(names, name)
		if in.Description == "" {
			t.Errorf("the input %s has no description", name)
		}
	}
	want := ci.InputNames()
	slices.Sort(names)
	slices.Sort(want)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	var asked []string
	if _, err := ci.ReadInputs(func(name string) string {
		if name, ok := strings.CutPrefix(name, "INPUT_"); ok && !strings.Contains(name, "_") {
			if name = strings.ToLower(name); !slices.Contains(asked, name) {
				asked = append(asked, name)
			}
		}
		return ""
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(asked)
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("inputs that are read: %s", diff)
	}
}

func TestDetect(t *testing.T) {
	github := []string{"GITHUB_ACTIONS", "true", "GITHUB_REPOSITORY", "o/r", "GITHUB_SHA", "merge", "GITHUB_RUN_ID", "7", "GITHUB_SERVER_URL", "https://github.com", "GITHUB_EVENT_NAME", "pull_request"}
	event := func(head string) []byte {
		return []byte(`{"pull_request":{"number":5,"head":{"sha":"abc","repo":` + head + `},"base":{"repo":{"full_name":"o/r"}}}}`)
	}
	for _, tt := range []struct {
		name  string
		env   []string
		event []byte
		want  ci.Run
	}{
		{"own branch", github, event(`{"full_name":"O/r"}`), ci.Run{PullRequest: 5, SHA: "abc"}},
		{"fork", github, event(`{"full_name":"m/r","fork":true}`), ci.Run{PullRequest: 5, SHA: "abc", Fork: true}},
		{"deleted fork", github, event(`null`), ci.Run{PullRequest: 5, SHA: "abc", Fork: true}},
		{"damaged event", github, []byte(`{`), ci.Run{SHA: "merge", Fork: true}},
		{"comment on a pull request", append(slices.Clone(github), "GITHUB_EVENT_NAME", "issue_comment"), []byte(`{"issue":{"number":9,"pull_request":{}}}`), ci.Run{PullRequest: 9, SHA: "merge", Fork: true}},
		{"comment on an issue", append(slices.Clone(github), "GITHUB_EVENT_NAME", "issue_comment"), []byte(`{"issue":{"number":9}}`), ci.Run{SHA: "merge"}},
		{"tag", append(slices.Clone(github), "GITHUB_EVENT_NAME", "push", "GITHUB_REF", "refs/tags/v1"), nil, ci.Run{SHA: "merge", Tag: "v1"}},
		{"gitlab fork", []string{"GITLAB_CI", "true", "CI_MERGE_REQUEST_IID", "3", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "2", "CI_PROJECT_ID", "1"}, nil, ci.Run{PullRequest: 3, Fork: true}},
		{"jenkins", []string{"JENKINS_URL", "x", "CHANGE_ID", "4", "TAG_NAME", "v2"}, nil, ci.Run{PullRequest: 4, Tag: "v2"}},
		{"yunxiao", []string{"PIPELINE_ID", "1", "CI_COMMIT_SHA", "s"}, nil, ci.Run{SHA: "s"}},
		{"gitee", []string{"GITEE_PIPELINE_BUILD_NUMBER", "1", "DEVS_PULL_REQUEST", "8"}, nil, ci.Run{PullRequest: 8}},
	} {
		got := ci.Detect(env(tt.env...), tt.event)
		if got.PullRequest != tt.want.PullRequest || got.Fork != tt.want.Fork || got.SHA != tt.want.SHA || got.Tag != tt.want.Tag {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte(`{"pull_request":{"number":5}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		run := ci.Detect(env("GITHUB_ACTIONS", "true", "GITHUB_EVENT_NAME", "pull_request", "GITHUB_REPOSITORY", "o/r"), event)
		if run.PullRequest < 0 {
			t.Errorf("pull request %d", run.PullRequest)
		}
	})
}
