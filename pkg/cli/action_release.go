package cli

import (
	"context"
	"fmt"

	"github.com/devs/deploy/pkg/app"
)

// release is what was published.
type release struct{ version, previous, alias string }

// publish publishes a version of what was deployed, and moves the alias. Its description
// is the tag of the run.
func (a *action) publish(ctx context.Context) error {
	args := []string{"--canary-pause", a.in.CanaryPause}
	if a.verb == "publish" {
		args = append(args, a.args...)
	}
	for _, flag := range []struct{ name, value string }{
		{"--description", a.run.Tag}, {"--alias", a.in.Alias}, {"--canary", a.in.Canary}, {"--canary-check", a.in.CanaryCheck},
	} {
		if flag.value != "" {
			args = append(args, flag.name, flag.value)
		}
	}
	deployed := a.seen
	err := a.log.Section("publish", func() error { return a.command(ctx, "publish", args...) })
	published := a.seen
	if deployed != nil { // the reports are about the deploy
		a.seen = deployed
	}
	if published != nil && published != deployed {
		a.released = releasedOf(published)
	}
	return err
}

// releasedOf reads what publish yielded: that of the first service that has it.
func releasedOf(o *outcome) release {
	for _, s := range o.result.Services {
		if id := s.Output.Get("version", "id"); id != nil {
			return release{version: text(id), previous: previousOf(s.Output), alias: text(s.Output.Get("alias", "name"))}
		}
	}
	return release{}
}

// previousOf returns the version that the alias had before, else the one before.
func previousOf(v *app.Value) string {
	if previous := text(v.Get("alias", "previous")); previous != "" {
		return previous
	}
	return text(v.Get("version", "previous"))
}

// text returns a text or a number as text, "" for anything else.
func text(v *app.Value) string {
	switch {
	case v == nil:
		return ""
	case v.Kind == app.String:
		return v.Str()
	case v.Kind == app.Int:
		return fmt.Sprint(v.Scalar)
	}
	return ""
}
