package ci

import (
	"strconv"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/report"
	"github.com/devs/deploy/pkg/secret"
)

// Approval is the question whether a plan is the one that a comment shows.
type Approval struct {
	Comments    []Comment
	Self        string // who may have written it
	Repository  string
	PullRequest int
	Key         string // of the comment
	Digest      string // of the plan
	Secret      secret.String
}

// About is what the MAC of a section covers besides the section.
func About(repository string, pullRequest int, key string) []string {
	return []string{repository, strconv.Itoa(pullRequest), key}
}

// Check returns why the plan is not approved, nil when it is.
func (a Approval) Check() error {
	where := "the pull request #" + strconv.Itoa(a.PullRequest)
	other, found := "", false
	for _, c := range a.Comments {
		if !isOurs(c, a.Self, a.Key) {
			continue
		}
		parsed, _ := report.ParseComment(c.Body)
		for _, s := range parsed.Sections {
			found = true
			switch {
			case s.Digest == "" || s.Digest != a.Digest:
				other = s.Digest
			case !s.Intact():
				return refuse("the plan on %s was edited", where)
			case !a.Secret.IsZero() && !s.Signed(a.Secret.Reveal(), About(a.Repository, a.PullRequest, a.Key)...):
				return refuse("the plan on %s is not signed with the approval-key", where)
			default:
				return nil
			}
		}
	}
	if !found {
		return refuse("there is no plan by %s on %s", a.Self, where)
	}
	return refuse("what would be deployed now is another plan than the one on %s: its digest is %.12s, there it is %.12s", where, a.Digest, other)
}

func refuse(format string, args ...any) error {
	return diag.Errorf(format, args...).WithCode(diag.ExitComponent).
		WithHint("nothing was changed; plan again on a pull request, look at it, and merge it")
}
