package cli

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/ci/workflow"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/engine"
	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/report"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// last returns what the last plan or deploy yielded; its plan is never nil.
func (a *action) last() *engine.Result {
	if a.seen == nil || a.seen.result == nil {
		return &engine.Result{Plan: &plan.Plan{}}
	}
	return a.seen.result
}

// digestOf returns the digest of a plan, which is the same wherever and whenever the same
// is planned. With an approval key nobody without it can try out secret values on it.
func (a *action) digestOf(o *outcome) string {
	if o == nil || o.result == nil || len(o.result.Plan.Services) == 0 {
		return ""
	}
	args, err := deployArgs(o.args)
	if err != nil {
		return ""
	}
	seed := sha256.Sum256([]byte("devs plan digest\n" + a.in.ApprovalKey.Reveal()))
	return plan.NewFile(o.result.Plan, state.NewKey(bytes.NewReader(seed[:]), o.extra+a.in.ApprovalKey.Reveal()), args).Digest()
}

func isConflict(err error) bool { return errors.As(err, new(*resource.Conflict)) }

// refused reports whether the policy refuses a change of the last plan.
func (a *action) refused() bool {
	return slices.ContainsFunc(a.last().Plan.Services, func(s *plan.Service) bool { return len(s.Refused()) > 0 })
}

// drifted reports whether something is not as it was deployed.
func (a *action) drifted() bool {
	return slices.ContainsFunc(a.changes(), func(c *plan.Change) bool { return c.Drift == plan.Moved || c.Drift == plan.Gone })
}

func (a *action) changes() []*plan.Change {
	var list []*plan.Change
	for _, s := range a.last().Plan.Services {
		list = append(list, s.Changes...)
	}
	return list
}

// planJSON is where the plan is left as JSON, relative to the working directory.
const planJSON = stateFolder + "/plan.json"

// writePlan leaves the plan as JSON for the next steps.
func (a *action) writePlan() {
	if a.seen == nil {
		return
	}
	data, err := report.PlanJSON(a.last().Plan)
	if err == nil {
		err = os.MkdirAll(a.path(stateFolder), 0o755)
	}
	if err == nil {
		err = renameio.WriteFile(a.path(planJSON), []byte(a.redactor.Redact(string(data))), 0o644)
	}
	if err != nil {
		a.log.Note("warning: the plan was not written: %v", err)
	}
}

// outputs writes the outputs of action.yml.
func (a *action) outputs(err error) {
	values := map[string]string{
		"exit-code": strconv.Itoa(codeOf(err)), "failure-reason": a.failed(err), "comment-url": a.commentURL, "plan-digest": a.digest,
		"version": a.released.version, "previous-version": a.released.previous, "alias": a.released.alias,
		"plan": "", "changes": "", "has-changes": "", "drift": "", "url": "", "urls": "", "image": "", "digest": "",
	}
	if a.seen != nil {
		n := a.last().Plan.Counts()
		values["plan"] = a.fromWorkspace(a.path(planJSON))
		values["changes"], values["has-changes"] = report.CountsJSON(a.last().Plan), strconv.FormatBool(n.Pending() > 0)
		values["drift"] = strconv.FormatBool(a.drifted())
		urls := addresses(a.last().Services)
		if len(urls) > 0 {
			all, _ := json.Marshal(urls)
			values["urls"], values["url"] = string(all), urls[slices.Sorted(maps.Keys(urls))[0]]
		}
		values["image"], values["digest"] = imageOf(a.changes())
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		if name != "url" && name != "urls" { // one service may hand its address to another as a variable, all of which are secret
			value = a.redactor.Redact(value)
		}
		if _, err := a.log.Output(name, value); err != nil {
			a.log.Note("warning: %v", err)
		}
	}
}

// fromWorkspace returns a path relative to the workspace, as annotations and next steps
// want it: the workspace lies elsewhere for them.
func (a *action) fromWorkspace(path string) string {
	root := a.env("GITHUB_WORKSPACE")
	if root == "" {
		root = a.run.Workspace
	}
	roots := []string{root}
	if real, err := filepath.EvalSymlinks(root); err == nil { // in the product's image /tmp is a link
		roots = append(roots, real)
	}
	for _, root := range roots {
		if rel, err := filepath.Rel(root, path); root != "" && err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return path
}

// addresses returns the address of each service: that of its custom domain when it has
// one, else the one that the cloud gave it.
func addresses(services []engine.ServiceResult) map[string]string {
	all := map[string]string{}
	for _, s := range services {
		url := s.Output.Get("url")
		if domains := url.Get("custom_domain"); domains != nil && len(domains.Items) > 0 {
			d := domains.Items[0]
			all[s.Name] = cmp.Or(strings.ToLower(strings.Split(d.Get("protocol").Str(), ",")[0]), "http") + "://" + d.Get("domain").Str() + strings.TrimSuffix(d.Get("path").Str(), "*")
			continue
		}
		if system := url.Get("system_url"); system != nil && system.Kind == app.String && system.Str() != "" {
			all[s.Name] = system.Str()
		}
	}
	return all
}

// imageOf returns the image of the first container among what is wanted, and its digest.
func imageOf(changes []*plan.Change) (image, digest string) {
	for _, c := range changes {
		if c.Want == nil {
			continue
		}
		config, _ := c.Want.Attrs["customContainerConfig"].(map[string]any)
		if ref, _ := config["image"].(string); ref != "" {
			image, digest, _ = strings.Cut(ref, "@")
			return image, digest
		}
	}
	return "", ""
}

// annotations shows problems at their lines: what went wrong, then what a plan would
// destroy, then what somebody changed online.
func (a *action) annotations(err error) []workflow.Annotation {
	var list []workflow.Annotation
	if a.failed(err) != "" {
		for _, e := range diag.List(err) {
			list = append(list, a.annotation(workflow.Error, "", e))
		}
	}
	for _, kind := range []struct {
		is   func(*plan.Change) bool
		text string
	}{
		{func(c *plan.Change) bool { return c.Action == plan.Replace && c.Decision != plan.Leave }, "is deleted and made again"},
		{func(c *plan.Change) bool { return c.Action == plan.Delete && c.Decision != plan.Leave }, "is deleted"},
		{func(c *plan.Change) bool { return c.Drift == plan.Gone }, "was deleted online since the last deploy"},
		{func(c *plan.Change) bool { return c.Drift == plan.Moved }, "was changed online since the last deploy"},
	} {
		for _, c := range a.changes() {
			if (a.verb == "plan" || a.refused()) && kind.is(c) {
				list = append(list, a.annotation(workflow.Warning, "", diag.At(c.Pos, "%s %s", c.Resource, kind.text)))
			}
		}
	}
	for _, w := range a.notes {
		list = append(list, a.annotation(workflow.Notice, "", diag.At(w.Pos, "%s", w.Text)))
	}
	return list
}

func (a *action) annotation(level workflow.Level, title string, err error) workflow.Annotation {
	out := workflow.Annotation{Level: level, Title: title, Text: a.redactor.Redact(err.Error())}
	if p, ok := errors.AsType[*diag.Problem](err); ok {
		out.Text = p.Summary
		if p.Hint != "" {
			out.Text += "\n" + p.Hint
		}
		out.Text = a.redactor.Redact(out.Text)
		if !p.Pos.IsZero() {
			file := p.Pos.File
			if !filepath.IsAbs(file) {
				file = filepath.Join(a.Dir, file)
			}
			out.File, out.Line, out.Column = a.fromWorkspace(file), p.Pos.Line, p.Pos.Column
		}
	}
	return out
}
