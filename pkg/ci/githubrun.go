package ci

import (
	"encoding/json"
	"strings"
)

// event is what counts of the JSON that GitHub describes an event with.
type event struct {
	PullRequest *struct {
		Number int    `json:"number"`
		Head   branch `json:"head"`
		Base   branch `json:"base"`
	} `json:"pull_request"`
	Issue *struct {
		Number      int             `json:"number"`
		PullRequest json.RawMessage `json:"pull_request"`
	} `json:"issue"`
	WorkflowRun *struct {
		Event          string `json:"event"`
		HeadSHA        string `json:"head_sha"`
		HeadRepository struct {
			FullName string `json:"full_name"`
		} `json:"head_repository"`
		PullRequests []struct {
			Number int `json:"number"`
		} `json:"pull_requests"`
	} `json:"workflow_run"`
}

type branch struct {
	SHA  string `json:"sha"`
	Repo *struct {
		FullName string `json:"full_name"`
		Fork     bool   `json:"fork"`
	} `json:"repo"` // null when the fork was deleted
}

func gitHubRun(getenv func(string) string, data []byte) *Run {
	r := &Run{
		Provider: GitHub, Event: getenv("GITHUB_EVENT_NAME"), Repository: getenv("GITHUB_REPOSITORY"), SHA: getenv("GITHUB_SHA"),
		Ref: getenv("GITHUB_REF"), ID: getenv("GITHUB_RUN_ID"), Attempt: getenv("GITHUB_RUN_ATTEMPT"), Job: getenv("GITHUB_JOB"),
		APIURL: getenv("GITHUB_API_URL"), Workspace: getenv("GITHUB_WORKSPACE"),
	}
	if tag, ok := strings.CutPrefix(r.Ref, "refs/tags/"); ok {
		r.Tag = tag
	}
	if server := getenv("GITHUB_SERVER_URL"); server != "" && r.ID != "" {
		r.URL = server + "/" + r.Repository + "/actions/runs/" + r.ID
		if r.Attempt != "" && r.Attempt != "1" {
			r.URL += "/attempts/" + r.Attempt
		}
	}
	var e event
	err := json.Unmarshal(data, &e)
	switch {
	case strings.HasPrefix(r.Event, "pull_request") && (err != nil || e.PullRequest == nil),
		r.Event == "issue_comment" && (err != nil || e.Issue == nil),
		r.Event == "workflow_run" && (err != nil || e.WorkflowRun == nil):
		r.Fork = true // where nothing tells whose code it is, it is nobody's that is trusted
	case e.PullRequest != nil:
		r.PullRequest = max(e.PullRequest.Number, 0)
		r.Fork = isFork(e.PullRequest.Head, r.Repository)
		if e.PullRequest.Head.SHA != "" {
			r.SHA = e.PullRequest.Head.SHA
		}
	case e.Issue != nil && len(e.Issue.PullRequest) > 0 && string(e.Issue.PullRequest) != "null":
		r.PullRequest = max(e.Issue.Number, 0)
		r.Fork = true // the event does not tell where its code comes from
	case e.WorkflowRun != nil:
		// The job begins on the default branch, but may check out what the other run was for.
		r.Fork = !strings.EqualFold(e.WorkflowRun.HeadRepository.FullName, r.Repository)
		r.SHA = e.WorkflowRun.HeadSHA
		if len(e.WorkflowRun.PullRequests) > 0 {
			r.PullRequest = max(e.WorkflowRun.PullRequests[0].Number, 0)
		}
	}
	return r
}

// isFork reports whether a branch is not one of the repository itself.
func isFork(b branch, repository string) bool {
	return b.Repo == nil || !strings.EqualFold(b.Repo.FullName, repository)
}
