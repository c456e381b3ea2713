package ci

import (
	"context"
	"time"
)

// Comment is a comment on a pull request.
type Comment struct {
	ID      string
	Body    string
	Author  string // its login
	URL     string
	Created time.Time
	Updated time.Time
}

// Comments are the comments of one pull request, where a CI's API keeps them.
type Comments interface {
	// List returns all of them, the oldest first.
	List(ctx context.Context) ([]Comment, error)
	Create(ctx context.Context, body string) (*Comment, error)
	Update(ctx context.Context, id, body string) (*Comment, error)
	Delete(ctx context.Context, id string) error
	// Self returns the login under which the token of this run writes.
	Self(ctx context.Context) (string, error)
}

// Denied is the error of an API that a token lacks a right for.
type Denied struct {
	Err   error
	Needs string // what to do about it, complete: for GitHub the permissions: block to add
}

func (d *Denied) Error() string { return d.Err.Error() }

// Unwrap returns the error of the API.
func (d *Denied) Unwrap() error { return d.Err }
