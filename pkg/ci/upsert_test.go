package ci_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devs/deploy/pkg/ci"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/report"
	"github.com/devs/deploy/pkg/secret"
)

// board keeps comments in memory, as an API does that has no compare-and-swap.
type board struct {
	mu     sync.Mutex
	last   int
	list   []ci.Comment
	writes int
}

func (b *board) List(context.Context) ([]ci.Comment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list), nil
}

func (b *board) Create(_ context.Context, body string) (*ci.Comment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	b.writes++
	c := ci.Comment{ID: strconv.Itoa(b.last), Body: body, Author: "Bot", URL: "u" + strconv.Itoa(b.last)}
	b.list = append(b.list, c)
	return &c, nil
}

func (b *board) Update(_ context.Context, id, body string) (*ci.Comment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes++
	for i := range b.list {
		if b.list[i].ID == id {
			b.list[i].Body = body
			c := b.list[i]
			return &c, nil
		}
	}
	return nil, errors.New("HTTP 404")
}

func (b *board) Delete(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = slices.DeleteFunc(b.list, func(c ci.Comment) bool { return c.ID == id })
	return nil
}

func (b *board) Self(context.Context) (string, error) { return "bot", nil }

func upsert(b *board, name, text string, create bool) ci.Upsert {
	return ci.Upsert{
		Comments: b, Key: "k", Create: create, Settle: 4 * time.Millisecond,
		Pause:   func(_ context.Context, d time.Duration) error { time.Sleep(d); return nil },
		Section: func(int) report.Section { return report.Seal(name, text, "", "") },
	}
}

func TestUpsertEditsInPlace(t *testing.T) {
	b := &board{}
	ctx := context.Background()
	b.list = []ci.Comment{{ID: "x", Author: "stranger", Body: "<!-- devs:plan v=1 key=k -->\nmine!"}, {ID: "y", Author: "bot", Body: "<!-- devs:plan v=1 key=other -->"}}
	if c, err := upsert(b, "job", "text", false).Run(ctx); c != nil || err != nil || b.writes != 0 {
		t.Fatalf("%v, %v: a comment that nobody wants", c, err)
	}
	if c, err := upsert(b, "job", "text", true).Run(ctx); err != nil || c.URL != "u1" {
		t.Fatal(c, err)
	}
	writes := b.writes
	if _, err := upsert(b, "job", "text", true).Run(ctx); err != nil || b.writes != writes {
		t.Errorf("the same text is written again: %d writes, %v", b.writes-writes, err)
	}
	if _, err := upsert(b, "job", "nothing to do", false).Run(ctx); err != nil {
		t.Error(err)
	}
	if len(b.list) != 3 || !strings.Contains(b.list[2].Body, "nothing to do") || strings.Contains(b.list[0].Body, "nothing") {
		t.Errorf("%+v", b.list)
	}
}

// slow takes its time before each request.
type slow struct {
	ci.Comments
	wait func()
}

func (s slow) List(ctx context.Context) ([]ci.Comment, error) {
	s.wait()
	return s.Comments.List(ctx)
}

func (s slow) Create(ctx context.Context, body string) (*ci.Comment, error) {
	s.wait()
	return s.Comments.Create(ctx, body)
}

func (s slow) Update(ctx context.Context, id, body string) (*ci.Comment, error) {
	s.wait()
	return s.Comments.Update(ctx, id, body)
}

// The jobs of a matrix begin within a second and each request takes up to 700 ms: none
// loses what another says. Time is that of the bubble and chance that of the job, so it is
// the same on every machine. (Requests that take much longer than Settle can lose a
// section, as no look is the last one then.)
func TestMatrixJobsShareOneComment(t *testing.T) {
	const jobs = 8
	for seed := range 300 {
		synctest.Test(t, func(t *testing.T) {
			b := &board{}
			var wg sync.WaitGroup
			for job := range jobs {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(uint64(seed), uint64(job)))
					within := func(d time.Duration) { time.Sleep(time.Duration(random.Int64N(int64(d)))) }
					within(time.Second)
					u := upsert(b, fmt.Sprint("job ", job), fmt.Sprint("text of ", job), true)
					u.Comments = slow{b, func() { within(700 * time.Millisecond) }}
					u.Settle = 1500 * time.Millisecond // as the action has it
					u.Pause = func(context.Context, time.Duration) error {
						time.Sleep(u.Settle / 2)
						within(u.Settle)
						return nil
					}
					if _, err := u.Run(context.Background()); err != nil {
						t.Errorf("seed %d, job %d: %v", seed, job, err)
					}
				})
			}
			wg.Wait()
			if len(b.list) != 1 {
				t.Fatalf("seed %d: %d comments", seed, len(b.list))
			}
			c, _ := report.ParseComment(b.list[0].Body)
			for job := range jobs {
				if s := c.Find(fmt.Sprint("job ", job)); s == nil || s.Text != fmt.Sprint("text of ", job) {
					t.Errorf("seed %d: job %d lost its section", seed, job)
				}
			}
		})
	}
}

func TestApproval(t *testing.T) {
	const digest, other = "aaaa", "bbbb"
	key := secret.New("approval key")
	about := ci.About("o/r", 7, "k")
	body := func(s report.Section) string {
		c := report.Comment{Key: "k"}
		c.Put(s)
		return c.Render(report.MaxComment)
	}
	good := body(report.Seal("plan", "the plan", digest, key.Reveal(), about...))
	for _, tt := range []struct {
		name, author, body, want string
		key                      secret.String
	}{
		{"as it is", "bot", good, "", secret.String{}},
		{"signed", "Bot", good, "", key},
		{"another plan", "bot", body(report.Seal("plan", "the plan", other, "", about...)), "is another plan than the one on", secret.String{}},
		{"edited", "bot", strings.Replace(good, "the plan", "a plan", 1), "was edited", secret.String{}},
		{"another author", "mallory", good, "there is no plan by bot", secret.String{}},
		{"not signed", "bot", body(report.Seal("plan", "the plan", digest, "")), "is not signed", key},
		{"signed by another", "bot", body(report.Seal("plan", "the plan", digest, "guess", about...)), "is not signed", key},
		{"moved from another pull request", "bot", body(report.Seal("plan", "the plan", digest, key.Reveal(), ci.About("o/r", 8, "k")...)), "is not signed", key},
		{"no comment of ours", "bot", "hello", "there is no plan", secret.String{}},
	} {
		err := ci.Approval{
			Comments: []ci.Comment{{Author: tt.author, Body: tt.body}}, Self: "bot", Repository: "o/r", PullRequest: 7, Key: "k", Digest: digest, Secret: tt.key,
		}.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || diag.ExitCode(err) != diag.ExitComponent) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
