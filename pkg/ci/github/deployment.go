package github

import (
	"context"

	"github.com/google/go-github/v57/github"
)

// State is how a deployment stands.
type State string

// The states that a deployment goes through.
const (
	Queued     State = "queued"
	InProgress State = "in_progress"
	Success    State = "success"
	Failure    State = "failure"
)

// Deployment is one deployment to an environment, as GitHub shows it.
type Deployment struct {
	client *Client
	id     int64
	log    string

	environment string
}

const deploying = "deployments: write"

// StartDeployment tells GitHub that a commit is about to be deployed. log is where people
// see how it goes.
func (c *Client) StartDeployment(ctx context.Context, ref, environment, log string) (*Deployment, error) {
	none := []string{}
	no := false
	made, _, err := c.api.Repositories.CreateDeployment(ctx, c.owner, c.repo, &github.DeploymentRequest{
		Ref: &ref, Environment: &environment, AutoMerge: &no, RequiredContexts: &none,
	})
	if err != nil {
		return nil, explain("starting the deployment", deploying, err)
	}
	d := &Deployment{client: c, id: made.GetID(), log: log, environment: environment}
	return d, d.Set(ctx, Queued, "")
}

// Set says how the deployment stands. With Success, the older ones of the environment that
// succeeded become inactive. address is that of what was deployed, "" for none.
func (d *Deployment) Set(ctx context.Context, state State, address string) error {
	text := string(state)
	request := &github.DeploymentStatusRequest{State: &text}
	if d.log != "" {
		request.LogURL = &d.log
	}
	if address != "" {
		request.EnvironmentURL = &address
	}
	repos := d.client.api.Repositories
	_, _, err := repos.CreateDeploymentStatus(ctx, d.client.owner, d.client.repo, d.id, request)
	if err != nil || state != Success {
		return explain("telling how the deployment stands", deploying, err)
	}
	return explain("telling that the last deployment is no longer active", deploying, d.retire(ctx))
}

// older is how many deployments are looked at for one that is still active. GitHub itself
// leaves those of production environments active.
const older = 10

// retire makes the older deployments of the environment inactive.
func (d *Deployment) retire(ctx context.Context) error {
	repos, owner, repo := d.client.api.Repositories, d.client.owner, d.client.repo
	list, _, err := repos.ListDeployments(ctx, owner, repo, &github.DeploymentsListOptions{Environment: d.environment, ListOptions: github.ListOptions{PerPage: older}})
	if err != nil {
		return err
	}
	for _, o := range list {
		if o.GetID() >= d.id {
			continue
		}
		statuses, _, err := repos.ListDeploymentStatuses(ctx, owner, repo, o.GetID(), &github.ListOptions{PerPage: 1})
		if err != nil {
			return err
		}
		if len(statuses) == 0 || statuses[0].GetState() != string(Success) {
			continue
		}
		inactive := "inactive"
		if _, _, err := repos.CreateDeploymentStatus(ctx, owner, repo, o.GetID(), &github.DeploymentStatusRequest{State: &inactive}); err != nil {
			return err
		}
	}
	return nil
}
