package githubapi

import (
	"fmt"
	"strconv"
)

// user is an account as answers show it.
func user(login string) map[string]any {
	u := map[string]any{"login": login, "id": 1, "node_id": "U", "gravatar_id": "", "type": "User", "site_admin": false}
	for _, key := range []string{
		"avatar_url", "events_url", "followers_url", "following_url", "gists_url", "html_url", "organizations_url",
		"received_events_url", "repos_url", "starred_url", "subscriptions_url", "url",
	} {
		u[key] = "https://github.invalid/" + key
	}
	return u
}

func (a *API) json(c *Comment) map[string]any {
	id := strconv.FormatInt(c.ID, 10)
	return map[string]any{
		"id": c.ID, "node_id": "C" + id, "body": c.Body, "user": user(c.Author), "created_at": stamp(), "updated_at": stamp(),
		"url": a.URL + "/comments/" + id, "html_url": fmt.Sprintf("%s/o/r/pull/%d#issuecomment-%s", a.URL, c.Issue, id),
		"issue_url": fmt.Sprintf("%s/repos/o/r/issues/%d", a.URL, c.Issue), "author_association": "NONE",
	}
}

func (a *API) deploymentJSON(d *Deployment) map[string]any {
	url := fmt.Sprintf("%s/repos/o/r/deployments/%d", a.URL, d.ID)
	return map[string]any{
		"id": d.ID, "node_id": "D", "sha": d.Ref, "ref": d.Ref, "task": "deploy", "environment": d.Environment, "creator": user("bot"),
		"payload": map[string]any{}, "description": nil, "statuses_url": url + "/statuses", "repository_url": a.URL + "/repos/o/r", "url": url,
		"created_at": stamp(), "updated_at": stamp(),
	}
}

func (a *API) statusJSON(d *Deployment, state string, id int64) map[string]any {
	url := fmt.Sprintf("%s/repos/o/r/deployments/%d", a.URL, d.ID)
	return map[string]any{
		"id": id, "node_id": "S", "state": state, "creator": user("bot"), "description": "", "deployment_url": url, "target_url": "https://github.invalid",
		"repository_url": a.URL + "/repos/o/r", "url": url + "/statuses/" + strconv.FormatInt(id, 10), "created_at": stamp(), "updated_at": stamp(),
	}
}
