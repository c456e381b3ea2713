package engine

import (
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/plan"
)

// The flags that the engine itself understands.
const (
	flagUseLocal  = "use-local"
	flagUseRemote = "use-remote"
	flagAll       = "all"
	flagYes       = "assume-yes"
)

// Flags returns the engine's own flags for a command that it runs for a Provider.
func Flags(command string) []component.Flag {
	yes := component.Flag{Name: flagYes, Short: "y", Type: component.BoolFlag, Usage: "answer every question with yes; does not decide what to do about a difference"}
	policy := []component.Flag{
		{Name: flagUseLocal, Type: component.BoolFlag, Usage: "where the file and what is online differ, the file wins"},
		{Name: flagUseRemote, Type: component.BoolFlag, Usage: "where they differ, what is online stays; what is absent is created"},
	}
	switch command {
	case "deploy":
		return append(policy, yes)
	case "plan":
		return append(policy, yes,
			component.Flag{Name: flagAll, Type: component.BoolFlag, Usage: "with --plan-type remove: also what the file does not declare"})
	case "remove":
		return []component.Flag{yes,
			{Name: flagUseLocal, Type: component.BoolFlag, Usage: "only what the file declares; this is what remove does anyway"},
			{Name: flagAll, Type: component.BoolFlag, Usage: "also delete what lives in the declared services but is not in the file"}}
	}
	return []component.Flag{yes}
}

// policy returns the policy that the arguments ask for.
func policy(args component.Args) plan.Policy {
	switch {
	case args.Bool(flagUseLocal):
		return plan.Local
	case args.Bool(flagUseRemote):
		return plan.Remote
	}
	return plan.Fail
}
