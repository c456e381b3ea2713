package dockerfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/devs/deploy/pkg/diag"
)

func (x *step) setEnv(c *instructions.EnvCommand) error {
	history := "ENV"
	inConfig := newEnv(x.config.Env)
	for _, e := range c.Env {
		x.lintPair("ENV", e, c)
		x.lintSecret("ENV", e.Key, c)
		if err := checkVariable("ENV", e.Key, e.Value); err != nil {
			return err
		}
		history += " " + e.Key + "=" + e.Value
		x.env.set(e.Key, e.Value)
		inConfig.set(e.Key, e.Value)
	}
	x.config.Env = inConfig.list()
	x.history = history
	return nil
}

// declare evaluates ARG: --build-arg wins over the default, and without both the value
// is that of the global scope, where there is one.
func (x *step) declare(c *instructions.ArgCommand) error {
	history := "ARG"
	for _, arg := range c.Args {
		x.lintSecret("ARG", arg.Key, c)
		value, set := x.file.options.BuildArgs[arg.Key]
		switch {
		case set:
		case arg.Value != nil:
			expanded, err := x.expandWith(x.lex, *arg.Value)
			if err != nil {
				return err
			}
			value, set = expanded, true
		default:
			value, set = x.file.globals.Get(arg.Key)
		}
		history += " " + arg.Key
		if !set {
			x.args.set(arg.Key, "")
			continue
		}
		if err := checkVariable("ARG", arg.Key, value); err != nil {
			return err
		}
		history += "=" + value
		x.args.set(arg.Key, value)
		x.env.set(arg.Key, value)
	}
	x.history = history
	return nil
}

func (x *step) label(c *instructions.LabelCommand) error {
	history := "LABEL"
	if x.config.Labels == nil {
		x.config.Labels = map[string]string{}
	}
	for _, l := range c.Labels {
		x.lintPair("LABEL", l, c)
		if l.Key == "" {
			return diag.Errorf("LABEL has a label without a name")
		}
		x.config.Labels[l.Key] = l.Value
		history += " " + l.Key + "=" + l.Value
	}
	x.history = history
	return nil
}

// setCmd evaluates CMD. ArgsEscaped is set as BuildKit does; it means nothing on Linux.
func (x *step) setCmd(c *instructions.CmdCommand) error {
	x.lintOnce(&x.cmd, c)
	x.config.Cmd = x.commandLine(c.ShellDependantCmdLine, c)
	x.config.ArgsEscaped = true
	x.history = fmt.Sprintf("CMD %q", x.config.Cmd)
	return nil
}

// setEntrypoint evaluates ENTRYPOINT. It resets the CMD of the base, not one of the
// same stage.
func (x *step) setEntrypoint(c *instructions.EntrypointCommand) error {
	x.lintOnce(&x.entrypoint, c)
	x.config.Entrypoint = x.commandLine(c.ShellDependantCmdLine, c)
	if x.cmd == nil {
		x.config.Cmd = nil
	}
	x.history = fmt.Sprintf("ENTRYPOINT %q", x.config.Entrypoint)
	return nil
}

// commandLine returns the arguments of CMD or ENTRYPOINT.
func (x *step) commandLine(line instructions.ShellDependantCmdLine, c instructions.Command) []string {
	if !line.PrependShell {
		return line.CmdLine
	}
	if len(x.config.Shell) == 0 {
		x.lint.Run(&linter.RuleJSONArgsRecommended, c.Location(), linter.RuleJSONArgsRecommended.Format(c.Name()))
	}
	return x.withShell(line.CmdLine)
}

// withShell puts the shell of the image before a command.
func (x *step) withShell(args []string) []string {
	shell := x.config.Shell
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(append([]string{}, shell...), strings.Join(args, " "))
}

func (x *step) healthcheck(c *instructions.HealthCheckCommand) error {
	x.lintOnce(&x.health, c)
	h := c.Health
	x.config.Healthcheck = &v1.HealthConfig{
		Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries,
	}
	x.startInterval = h.StartInterval
	x.history = fmt.Sprintf("HEALTHCHECK %+v", *h)
	return nil
}

func (x *step) volume(c *instructions.VolumeCommand) error {
	if x.config.Volumes == nil {
		x.config.Volumes = map[string]struct{}{}
	}
	for _, v := range c.Volumes {
		if v == "" {
			return diag.Errorf("VOLUME has an empty path")
		}
		x.config.Volumes[v] = struct{}{}
	}
	x.history = fmt.Sprintf("VOLUME %v", c.Volumes)
	return nil
}

// stopSignal evaluates STOPSIGNAL: a number, or a name with or without SIG.
func (x *step) stopSignal(c *instructions.StopSignalCommand) error {
	if !isSignal(c.Signal) {
		return diag.Errorf("%q is no signal", c.Signal).WithHint("write its name or number, such as SIGTERM or 15")
	}
	x.config.StopSignal = c.Signal
	x.history = "STOPSIGNAL " + c.Signal
	return nil
}

func isSignal(s string) bool {
	if regexp.MustCompile(`^([1-9]|[1-5][0-9]|6[0-4])$`).MatchString(s) {
		return true
	}
	const names = ` ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS ` +
		`TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ `
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	return name != "" && !strings.Contains(name, " ") && strings.Contains(names, " "+name+" ") ||
		regexp.MustCompile(`^RTMIN(\+([1-9]|1[0-5]))?$|^RTMAX(-([1-9]|1[0-4]))?$`).MatchString(name)
}

// lintPair reports ENV and LABEL in their old form without =.
func (x *step) lintPair(name string, pair instructions.KeyValuePair, c instructions.Command) {
	if pair.NoDelim {
		x.lint.Run(&linter.RuleLegacyKeyValueFormat, c.Location(), linter.RuleLegacyKeyValueFormat.Format(name))
	}
}

// lintSecret reports names that look as if they held a secret: ENV and ARG stay
// readable in the image. The words are those of BuildKit's rule.
func (x *step) lintSecret(name, key string, c instructions.Command) {
	words := strings.Split(strings.ToLower(key), "_")
	has := func(list ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	if has("apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token") &&
		!has("public", "file", "version") {
		x.lint.Run(&linter.RuleSecretsUsedInArgOrEnv, c.Location(), linter.RuleSecretsUsedInArgOrEnv.Format(name, key))
	}
}

// lintOnce reports the earlier one of two instructions of which only the last counts.
func (x *step) lintOnce(earlier *[]parser.Range, c instructions.Command) {
	if *earlier != nil {
		x.lint.Run(&linter.RuleMultipleInstructionsDisallowed, *earlier, linter.RuleMultipleInstructionsDisallowed.Format(c.Name()))
	}
	*earlier = c.Location()
}
