// Package workflow speaks to the runner of GitHub Actions: masks, groups, annotations,
// outputs and the summary of the step. Elsewhere it writes plain text, no mask and no
// command. It knows what the runner understands, and nothing of plans or clouds.
//
// Source: "Workflow commands for GitHub Actions", and the runner (limits).
package workflow

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/sethvargo/go-githubactions"
)

// The limits of the runner.
const (
	MaxAnnotations = 10      // of each level, in one step
	MaxMessage     = 4096    // bytes of an annotation
	MaxSummary     = 1 << 20 // bytes of a step's summary
)

// delimiter is what go-githubactions puts around a value in a command file. A value that
// has it could add outputs of its own.
const delimiter = "_GitHubActionsFileCommandDelimeter_"

// Config is where a Log writes.
type Config struct {
	Runner bool      // the runner of GitHub Actions reads what is written
	Out    io.Writer // everything goes here, in order; without secrets
	Raw    io.Writer // the same without a redactor, for masks
	Getenv func(name string) string
	Random io.Reader // for tokens that nobody can guess
	Owner  func(path string)
	Client *http.Client
}

// Log is what a job's log shows and what its next steps read.
type Log struct {
	cfg    Config
	action *githubactions.Action
	masks  *githubactions.Action
}

// New returns a Log.
func New(cfg Config) *Log {
	if cfg.Client == nil {
		cfg.Client = http.DefaultClient
	}
	options := []githubactions.Option{githubactions.WithGetenv(cfg.Getenv), githubactions.WithHTTPClient(cfg.Client)}
	return &Log{
		cfg:    cfg,
		action: githubactions.New(append(options, githubactions.WithWriter(cfg.Out))...),
		masks:  githubactions.New(append(options, githubactions.WithWriter(cfg.Raw))...),
	}
}

// Mask hides values, in every form that they are usually written in, from all that this
// job will log.
func (l *Log) Mask(values ...string) {
	if !l.cfg.Runner {
		return // a log that knows no masks would show them
	}
	for _, v := range values {
		for _, form := range Forms(v) {
			_ = guard(func() { l.masks.AddMask(form) })
		}
	}
}

// Section runs f with what it logs folded under a title, as Plain does.
func (l *Log) Section(title string, f func() error) error {
	if !l.cfg.Runner {
		fmt.Fprintf(l.cfg.Out, "== %s\n", oneLine(title))
		return f()
	}
	_ = guard(func() { l.action.Group(oneLine(title)) })
	defer func() { _ = guard(l.action.EndGroup) }()
	return l.Plain(f)
}

// Plain runs f. What it logs may come from programs and people that are not trusted: no
// command in it is obeyed.
func (l *Log) Plain(f func() error) error {
	if !l.cfg.Runner {
		return f()
	}
	var bytes [16]byte
	if _, err := io.ReadFull(l.cfg.Random, bytes[:]); err != nil {
		return fmt.Errorf("making a token for the log: %w", err)
	}
	token := hex.EncodeToString(bytes[:])
	fmt.Fprintf(l.cfg.Out, "::stop-commands::%s\n", token)
	defer fmt.Fprintf(l.cfg.Out, "\n::%s::\n", token)
	return f()
}

// Note writes a line of ours.
func (l *Log) Note(format string, args ...any) {
	text := oneLine(fmt.Sprintf(format, args...))
	if l.cfg.Runner { // a line that begins with :: or holds ##[ would be a command
		text = strings.ReplaceAll(strings.ReplaceAll(text, "::", ":\u200b:"), "##[", "#\u200b#[")
	}
	fmt.Fprintln(l.cfg.Out, text)
}

// Output gives the next steps a value. It reports whether it was written: where the
// runner wants outputs, and the value could not pass for something else.
func (l *Log) Output(name, value string) (written bool, err error) {
	if !l.cfg.Runner || l.cfg.Getenv("GITHUB_OUTPUT") == "" {
		return false, nil
	}
	if strings.Contains(value, delimiter) {
		return false, fmt.Errorf("the output %s is left out: its value holds what separates outputs", name)
	}
	err = guard(func() { l.action.SetOutput(name, value) })
	l.own("GITHUB_OUTPUT")
	return err == nil, err
}

// Summary adds Markdown to the summary of the step, at most MaxSummary bytes of it.
func (l *Log) Summary(markdown string) error {
	if !l.cfg.Runner || l.cfg.Getenv("GITHUB_STEP_SUMMARY") == "" {
		return nil
	}
	room := MaxSummary - 1
	if info, err := os.Stat(l.cfg.Getenv("GITHUB_STEP_SUMMARY")); err == nil {
		room -= int(min(info.Size(), MaxSummary-1))
	}
	err := guard(func() { l.action.AddStepSummary(Cut(markdown, room)) })
	l.own("GITHUB_STEP_SUMMARY")
	return err
}

// IDToken asks for the OIDC token of the job. It needs the permission id-token: write.
func (l *Log) IDToken(ctx context.Context, audience string) (string, error) {
	return l.action.GetIDToken(ctx, audience)
}

// own leaves a file that the variable names to the owner of the workspace.
func (l *Log) own(variable string) {
	if l.cfg.Owner != nil {
		l.cfg.Owner(l.cfg.Getenv(variable))
	}
}

// guard turns the panics of the library, which come from files that cannot be written,
// into errors.
func guard(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("writing for the runner: %v", p)
		}
	}()
	f()
	return nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// Cut returns the beginning of text: at most n bytes, and no half character.
func Cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
