// Package ci is what a run knows of the CI that it runs in: its inputs, the event, the
// pull request, and the comments on it. It reads no environment by itself and does no
// I/O; the packages below it speak to the API of one CI each.
package ci

import (
	"cmp"
	"strconv"
	"strings"
)

// Provider is the CI that runs a job.
type Provider string

// The providers; "" is none that is known.
const (
	GitHub  Provider = "github"
	GitLab  Provider = "gitlab"
	Gitee   Provider = "gitee"
	Jenkins Provider = "jenkins"
	Yunxiao Provider = "yunxiao"
)

// Run is a run of a job, as its CI tells of it. What it does not tell is empty.
type Run struct {
	Provider    Provider
	Event       string // push, pull_request, …
	Repository  string // owner/name; on GitLab the path of the project
	ProjectID   string // of GitLab
	PullRequest int    // its number, 0 for none
	Fork        bool   // the code comes from a pull request of another repository
	SHA         string // the commit that people see: of a pull request its head
	Ref         string
	Tag         string // the name of the tag that the run is for
	ID          string // of the run
	Attempt     string
	Job         string
	URL         string // where people look at the run
	APIURL      string
	Workspace   string // absolute
}

// inCI are the variables by which a CI is known, whatever it is.
var inCI = []string{"CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "GITEE_PIPELINE_BUILD_NUMBER", "PIPELINE_ID", "SERVERLESS_DEVS_CICD", "SERVERLESS_CD"}

// Detected reports whether a CI runs this process; set reports whether a variable says yes.
func Detected(set func(name string) bool) bool {
	for _, name := range inCI {
		if set(name) {
			return true
		}
	}
	return false
}

// Detect returns what the environment and the event tell of the run. event is the
// content of $GITHUB_EVENT_PATH, nil elsewhere; it is not trusted to be well-formed.
func Detect(getenv func(name string) string, event []byte) *Run {
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		return gitHubRun(getenv, event)
	case getenv("GITLAB_CI") != "":
		return gitLabRun(getenv)
	case getenv("GITEE_PIPELINE_BUILD_NUMBER") != "":
		return giteeRun(getenv)
	case getenv("JENKINS_URL") != "":
		return jenkinsRun(getenv)
	case getenv("PIPELINE_ID") != "":
		return &Run{
			Provider: Yunxiao, Workspace: getenv("PROJECT_DIR"), ID: getenv("BUILD_NUMBER"), SHA: getenv("CI_COMMIT_SHA"),
			Ref: getenv("CI_COMMIT_REF_NAME"), Job: getenv("CI_SOURCE_NAME"),
		}
	}
	return &Run{}
}

func gitLabRun(getenv func(string) string) *Run {
	source := getenv("CI_MERGE_REQUEST_SOURCE_PROJECT_ID")
	return &Run{
		Provider: GitLab, Event: getenv("CI_PIPELINE_SOURCE"), Repository: getenv("CI_PROJECT_PATH"), ProjectID: getenv("CI_PROJECT_ID"),
		PullRequest: number(getenv("CI_MERGE_REQUEST_IID")), Fork: source != "" && source != cmp.Or(getenv("CI_MERGE_REQUEST_PROJECT_ID"), getenv("CI_PROJECT_ID")),
		SHA: getenv("CI_COMMIT_SHA"), Ref: getenv("CI_COMMIT_REF_NAME"), Tag: getenv("CI_COMMIT_TAG"), ID: getenv("CI_PIPELINE_ID"),
		Job: getenv("CI_JOB_NAME"), URL: getenv("CI_JOB_URL"), APIURL: getenv("CI_API_V4_URL"), Workspace: getenv("CI_PROJECT_DIR"),
	}
}

// giteeRun takes the pull request from DEVS_PULL_REQUEST too: Gitee Go documents no
// variable for it.
func giteeRun(getenv func(string) string) *Run {
	return &Run{
		Provider: Gitee, Repository: cmp.Or(getenv("DEVS_REPOSITORY"), getenv("GITEE_REPO")), PullRequest: number(cmp.Or(getenv("DEVS_PULL_REQUEST"), getenv("GITEE_PULL_REQUEST_IID"))),
		SHA: getenv("GITEE_COMMIT"), Ref: getenv("GITEE_BRANCH"), ID: getenv("GITEE_PIPELINE_BUILD_NUMBER"), Job: getenv("GITEE_PIPELINE_NAME"),
		APIURL: "https://gitee.com/api/v5",
	}
}

func jenkinsRun(getenv func(string) string) *Run {
	return &Run{
		Provider: Jenkins, PullRequest: number(getenv("CHANGE_ID")), Fork: getenv("CHANGE_FORK") != "", SHA: getenv("GIT_COMMIT"),
		Ref: getenv("BRANCH_NAME"), Tag: getenv("TAG_NAME"), ID: getenv("BUILD_NUMBER"), Job: getenv("JOB_NAME"), URL: getenv("BUILD_URL"),
		Workspace: getenv("WORKSPACE"),
	}
}

func number(text string) int {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
