package fc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
)

func (c *Component) publishCommand() component.Command {
	return component.Command{
		Name: "publish", Short: "Publish a version of what is online, and move an alias to it, at once or step by step",
		Mutates: true,
		Flags: selectors(
			descriptionFlag(),
			component.Flag{Name: "alias", Type: component.StringFlag, Usage: "the alias to move; made when it is not there"},
			component.Flag{Name: "canary", Type: component.StringFlag, Usage: "the percentages by which it moves, such as 10,50,100; at once when not given"},
			component.Flag{Name: "canary-pause", Type: component.StringFlag, Usage: "how long to wait behind each percentage (60s when not given)"},
			component.Flag{Name: "canary-check", Type: component.StringFlag, Usage: "an address that must answer with 2xx behind each pause; else the alias goes back"},
			component.Flag{Name: "dry-run", Type: component.BoolFlag, Usage: "tell what would be published, and publish nothing"},
		),
		Run:      reported(c.publish),
		Once:     c.sharedService,
		Examples: []string{"devs publish --description v1.2.0 --alias prod", "devs publish --alias prod --canary 10,50,100 --canary-check https://example.com/health"},
	}
}

// rollout is how an alias moves from one version to another.
type rollout struct {
	steps []int // percent, rising, the last is 100
	pause time.Duration
	check string // "" for none
}

const defaultPause = time.Minute

func parseCanary(args component.Args) (rollout, error) {
	c := rollout{pause: defaultPause, check: args.String("canary-check")}
	for _, flag := range []string{"canary", "canary-check"} {
		if args.String(flag) != "" && args.String("alias") == "" {
			return c, diag.Errorf("--%s is given, and no alias that moves", flag).WithCode(diag.ExitComponent).WithHint("name the alias with --alias")
		}
	}
	for word := range strings.SplitSeq(args.String("canary"), ",") {
		if word = strings.TrimSuffix(strings.TrimSpace(word), "%"); word == "" {
			continue
		}
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > 100 || len(c.steps) > 0 && n <= c.steps[len(c.steps)-1] {
			return c, diag.Errorf("--canary %s: percentages rise from 1 to 100", args.String("canary")).WithCode(diag.ExitComponent).WithHint("write 10,50,100, for example")
		}
		c.steps = append(c.steps, n)
	}
	if len(c.steps) == 0 || c.steps[len(c.steps)-1] != 100 {
		c.steps = append(c.steps, 100)
	}
	if text := args.String("canary-pause"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return c, diag.Errorf("--canary-pause %s is no duration", text).WithCode(diag.ExitComponent).WithHint("write 60s or 5m, for example")
		}
		c.pause = d
	}
	if u, err := url.Parse(c.check); c.check != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return c, diag.Errorf("--canary-check is no address").WithCode(diag.ExitComponent).WithHint("write https://host/path")
	}
	return c, nil
}

func (c *Component) publish(ctx context.Context, call *component.Call) (*app.Value, error) {
	steps, err := parseCanary(call.Args)
	if err != nil {
		return nil, err
	}
	v, err := c.versionsOf(call)
	if err != nil {
		return nil, err
	}
	if call.Args.Bool("dry-run") {
		if _, err := v.list(ctx); err != nil {
			return nil, err
		}
		v.notify(fmt.Sprintf("a version of service %s would be published, if anything changed since the last one", v.service))
		return nil, nil
	}
	p, err := v.publish(ctx, call.Args.String("description"))
	if err != nil {
		return nil, err
	}
	if p.fresh {
		v.notify(fmt.Sprintf("published version %s of service %s", p.id, v.service))
	} else {
		v.notify(fmt.Sprintf("nothing changed in service %s since version %s (%s) was published", v.service, p.id, p.description))
	}
	out := mapping("service", v.service, "version", mapping("id", p.id, "description", p.description, "published", p.fresh, "previous", p.before))
	if name := call.Args.String("alias"); name != "" {
		previous, err := v.move(ctx, name, p.id, steps)
		if err != nil {
			return nil, err
		}
		add(out, "alias", mapping("name", name, "version", p.id, "previous", previous))
	}
	return out, nil
}

// move moves an alias to a version, by the steps when it pointed to another one. It
// returns that one. When a step fails, the alias is as it was.
func (v *versions) move(ctx context.Context, name, version string, c rollout) (previous string, err error) {
	was, err := v.alias(ctx, name)
	if err != nil {
		return "", err
	}
	if was == nil {
		_, err := v.write(ctx, name, nil, aliasBody(version, map[string]any{}))
		return "", err
	}
	previous = text(was.Attrs, "versionId")
	if pointsTo(was, version) {
		return previous, nil
	}
	now := was
	var tried []map[string]any
	for _, percent := range c.steps {
		body := aliasBody(version, map[string]any{})
		if percent < 100 && previous != version {
			body = aliasBody(previous, map[string]any{version: float64(percent) / 100})
		}
		tried = append(tried, body)
		next, err := v.write(ctx, name, now, body)
		if err == nil {
			now = next
			v.notify(fmt.Sprintf("alias %s: %d%% to version %s", name, percent, version))
			err = v.watch(ctx, c, percent)
		}
		if err != nil {
			return previous, v.back(ctx, name, was, tried, err)
		}
	}
	return previous, nil
}

// watch waits behind a step, and asks whether all is well. The last step is not waited
// for where nothing is asked.
func (v *versions) watch(ctx context.Context, c rollout, percent int) error {
	if len(c.steps) == 1 && c.check == "" || percent == 100 && c.check == "" {
		return nil
	}
	if err := v.cfg.Sleep(ctx, c.pause); err != nil {
		return err
	}
	if c.check == "" {
		return nil
	}
	var err error
	for try := range checkTries {
		if try > 0 {
			if err := v.cfg.Sleep(ctx, time.Second); err != nil {
				return err
			}
		}
		if err = healthy(ctx, c.check); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

const (
	checkTries   = 3
	checkTimeout = 10 * time.Second
	backTimeout  = 20 * time.Second
)

// healthy asks an address once. Its query is not shown: it may hold a key.
func healthy(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("the address of the check is not one")
	}
	where := req.URL.Host + req.URL.Path
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("the check of %s failed: %w", where, e.Err)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the check of %s failed: HTTP %d", where, resp.StatusCode)
	}
	return nil
}

// back makes the alias what it was, also after an interrupt, and returns why. What was
// tried last may have arrived although its answer did not; what is none of it is somebody
// else's, and stays.
func (v *versions) back(ctx context.Context, name string, was *client.Object, tried []map[string]any, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backTimeout)
	defer cancel()
	body := map[string]any{}
	for _, key := range []string{"versionId", "additionalVersionWeight", "description", "resolvePolicy", "routePolicy"} {
		if value, ok := was.Attrs[key]; ok && value != nil && value != "" {
			body[key] = value
		}
	}
	current, err := v.alias(ctx, name)
	switch {
	case err != nil:
	case current == nil:
		err = errors.New("it is gone")
	case is(current, body): // nothing of it arrived
	case slices.ContainsFunc(tried, func(b map[string]any) bool { return is(current, b) }):
		_, err = v.write(ctx, name, current, body)
	default:
		err = errors.New("somebody else changed it meanwhile")
	}
	p := diag.Errorf("moving the alias %s: %v", name, why).WithCode(diag.ExitComponent).WithCause(why)
	if err != nil {
		return p.WithHint("the alias could not be put back to version %s: %v", text(was.Attrs, "versionId"), err)
	}
	return p.WithHint("the alias points to version %s as before", text(was.Attrs, "versionId"))
}
