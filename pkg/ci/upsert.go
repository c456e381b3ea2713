package ci

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/report"
)

// Upsert is what a job wants to say in the one comment that all jobs of a pull request
// share. There is no compare-and-swap for comments: a job writes, waits, and reads again
// whether another one has written over it.
type Upsert struct {
	Comments Comments
	Key      string
	// Section makes the job's section, whose text has room bytes.
	Section func(room int) report.Section
	// Create says that a comment is written where there is none yet.
	Create bool
	// Pause waits between looks; Settle is how long others may take to write over it.
	Pause  func(ctx context.Context, d time.Duration) error
	Settle time.Duration
}

// looks is how often a job looks whether others wrote over its section.
const looks = 24

// Run writes the section, and returns the comment; nil when there is none and none was
// wanted.
func (u Upsert) Run(ctx context.Context) (*Comment, error) {
	self, err := u.Comments.Self(ctx)
	if err != nil {
		return nil, err
	}
	quiet := 0 // looks in a row that found the section as it was written
	for look := range looks {
		mine, err := u.mine(ctx, self)
		if err != nil {
			return nil, err
		}
		if len(mine) == 0 && !u.Create {
			return nil, nil
		}
		written, done, err := u.write(ctx, mine)
		if err != nil {
			return nil, err
		}
		if written.Author != "" {
			self = written.Author // who writes is who the token is, whatever was said
		}
		switch {
		case done && look == 0: // as it was before this run: nobody was about to change it
			return written, nil
		case done:
			quiet++
		default:
			quiet = 0
		}
		if quiet == 2 {
			return written, nil
		}
		if err := u.Pause(ctx, u.Settle/2+rand.N(u.Settle+1)); err != nil {
			return written, err
		}
	}
	return nil, fmt.Errorf("the comment was written over again and again by other jobs")
}

// mine returns the comments with the key that this token wrote, the oldest first.
func (u Upsert) mine(ctx context.Context, self string) ([]Comment, error) {
	all, err := u.Comments.List(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c Comment) bool { return !isOurs(c, self, u.Key) }), nil
}

// isOurs reports whether a comment has the key and the author.
func isOurs(c Comment, self, key string) bool {
	have, ok := report.KeyOf(c.Body)
	return ok && have == key && strings.EqualFold(c.Author, self)
}

// write puts the section into the oldest comment. What younger ones say goes there too,
// and they go. done tells that nothing had to be changed.
func (u Upsert) write(ctx context.Context, mine []Comment) (written *Comment, done bool, err error) {
	merged := &report.Comment{Key: u.Key}
	for _, c := range slices.Backward(mine) {
		parsed, _ := report.ParseComment(c.Body)
		for _, s := range parsed.Sections {
			merged.Put(s) // the oldest comment has the last word
		}
	}
	name := u.Section(report.MaxComment).Name
	merged.Put(u.Section(merged.Room(name, report.MaxComment)))
	body := strings.TrimRight(merged.Render(report.MaxComment), "\n")
	if len(mine) == 0 {
		c, err := u.Comments.Create(ctx, body)
		return c, false, err
	}
	written, done = &mine[0], strings.TrimRight(mine[0].Body, "\n") == body && len(mine) == 1
	if strings.TrimRight(mine[0].Body, "\n") != body {
		if written, err = u.Comments.Update(ctx, mine[0].ID, body); err != nil {
			return nil, false, err
		}
	}
	for _, c := range mine[1:] {
		if err := u.Comments.Delete(ctx, c.ID); err != nil {
			return written, false, err
		}
	}
	return written, done, nil
}
