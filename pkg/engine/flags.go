package engine

import (
	"cmp"
	"strings"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plan"
)

// The flags that the engine itself understands.
const (
	flagUseLocal  = "use-local"
	flagUseRemote = "use-remote"
	flagAll       = "all"
	flagDrift     = "drift"
	flagPrune     = "prune"
	flagYes       = "assume-yes"
	flagKeepCode  = "keep-code"
	flagVersion   = "version-id"
)

// Flags returns the engine's own flags for a command that it runs for a Provider.
func Flags(command string) []component.Flag {
	parallel := component.Flag{Name: flagParallelism, Type: component.IntFlag, Usage: "how many requests to the cloud are under way at once, 1 to 64; 8 when it is not given"}
	yes := component.Flag{Name: flagYes, Short: "y", Type: component.BoolFlag, Usage: "answer every question with yes; does not decide what to do about a difference"}
	policy := []component.Flag{
		{Name: flagUseLocal, Type: component.BoolFlag, Usage: "where the file and what is online differ, the file wins"},
		{Name: flagUseRemote, Type: component.BoolFlag, Usage: "where they differ, what is online stays; what is absent is created"},
		{Name: flagDrift, Type: component.StringFlag, Choices: []string{"local", "remote", "fail", "prompt"},
			Usage: "what to do where somebody else changed what is online: local and remote are --use-local and --use-remote, prompt asks"},
		{Name: flagPrune, Type: component.BoolFlag, Usage: "delete what this application deployed and its file no longer has"},
	}
	version := component.Flag{Name: flagVersion, Type: component.StringFlag, Usage: "go back to this published version, whatever the record says"}
	keep := component.Flag{Name: flagKeepCode, Type: component.BoolFlag, Usage: "keep the code packages beside the record, for rollback"}
	switch command {
	case "deploy":
		return append(policy, parallel, yes, keep)
	case "plan":
		version.Usage = "with --plan-type rollback: go back to this published version"
		return append(policy, parallel, yes, version,
			component.Flag{Name: flagAll, Type: component.BoolFlag, Usage: "with --plan-type remove: also what the file does not declare; rollback: each resource to before its own last change"})
	case rollback:
		keep.Usage = "keep the code packages that are replaced beside the record, to go forward again"
		return []component.Flag{parallel, yes, version, keep,
			{Name: flagUseLocal, Type: component.BoolFlag, Usage: "also where somebody else changed what is online since the last deploy"},
			{Name: flagAll, Type: component.BoolFlag, Usage: "each resource to before its own last change, not only those that the last deploy changed"},
			{Name: flagPrune, Type: component.BoolFlag, Usage: "delete what the last deploy made"}}
	case "remove":
		return []component.Flag{parallel, yes,
			{Name: flagUseLocal, Type: component.BoolFlag, Usage: "only what the file declares; this is what remove does anyway"},
			{Name: flagAll, Type: component.BoolFlag, Usage: "also delete what lives in the declared services but is not in the file"}}
	}
	return []component.Flag{yes}
}

// policyOf returns the policy that the arguments of s ask for: that of the plan which is
// applied, that of a flag, that of who was asked, or the default.
func (e *Engine) policyOf(args component.Args) plan.Policy {
	answer := e.answered()
	switch {
	case args.Bool(flagUseLocal):
		return plan.Local
	case args.Bool(flagUseRemote):
		return plan.Remote
	case answer != "":
		return answer
	case args.String(flagDrift) != "":
		return plan.Policy(args.String(flagDrift))
	}
	return cmp.Or(e.Default, plan.Fail)
}

// checkPolicy refuses flags that contradict each other.
func checkPolicy(args component.Args) error {
	var given []string
	for _, name := range []string{flagUseLocal, flagUseRemote} {
		if args.Bool(name) {
			given = append(given, "--"+name)
		}
	}
	if drift := args.String(flagDrift); drift != "" {
		given = append(given, "--"+flagDrift+"="+drift)
	}
	if len(given) > 1 {
		return diag.Errorf("%s exclude each other", strings.Join(given, " and ")).WithHint("give one of them")
	}
	return nil
}
