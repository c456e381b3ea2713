package fc

import (
	"slices"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/registry/acr"
)

// Commands lists what the component can do. plan, deploy, rollback and remove are run
// by the engine, which adds its own flags.
func (c *Component) Commands() []component.Command {
	return []component.Command{
		planCommand(), deployCommand(), rollbackCommand(), removeCommand(), c.buildCommand(), c.infoCommand(), c.invokeCommand(),
		c.publishCommand(), c.versionCommand(), c.aliasCommand(),
	}
}

// selectors are the flags that choose other resources than the props say.
func selectors(more ...component.Flag) []component.Flag {
	flags := []component.Flag{
		{Name: "region", Type: component.StringFlag, Usage: "region, instead of props.region"},
		{Name: "service-name", Type: component.StringFlag, Usage: "service, instead of props.service.name"},
		{Name: "function-name", Type: component.StringFlag, Usage: "function, instead of props.function.name"},
	}
	return append(flags, more...)
}

func qualifierFlag() component.Flag {
	return component.Flag{Name: "qualifier", Type: component.StringFlag, Usage: "version or alias (default LATEST)"}
}

func triggerFlag() component.Flag {
	return component.Flag{Name: "trigger-name", Type: component.StringsFlag, Usage: "only this trigger; can be repeated"}
}

func domainFlag() component.Flag {
	return component.Flag{Name: "domain-name", Type: component.StringsFlag, Usage: "only this custom domain; can be repeated"}
}

func skipPushFlag() component.Flag {
	return component.Flag{Name: "skip-push", Type: component.BoolFlag, Usage: "deploy the image that the registry has, and push none"}
}

func pushRegistryFlag() component.Flag {
	return component.Flag{Name: "push-registry", Type: component.StringFlag, Usage: "push the image that was built over this network of the registry", Choices: []string{acr.PushInternet, acr.PushVPC}}
}

// deploySubs are the parts that can be deployed on their own.
func deploySubs() []string { return []string{"", "all", "service", "function", "trigger", "domain"} }

// removeSubs are the parts that can be removed on their own; those of notYet are
// known, but not done.
func removeSubs() []string {
	return append([]string{"", "service", "function", "trigger", "domain"}, notYet()...)
}

func notYet() []string {
	return []string{"version", "alias", "provision", "ondemand", "onDemand", "layer"}
}

func planCommand() component.Command {
	parts := slices.Concat(deploySubs()[1:], notYet())
	return component.Command{
		Name:  "plan",
		Short: "Show what a deploy or a removal would change, without changing anything",
		Flags: selectors(
			component.Flag{Name: "plan-type", Type: component.StringFlag, Usage: "what to plan (default deploy)", Choices: []string{"deploy", "remove", "rollback"}},
			component.Flag{Name: "sub-command", Type: component.StringFlag, Usage: "only this part", Choices: parts},
			component.Flag{Name: "type", Type: component.StringFlag, Usage: "only the code, or all but the code", Choices: []string{"code", "config"}},
			triggerFlag(), domainFlag(), skipPushFlag(), pushRegistryFlag(), qualifierFlag(),
		),
		Examples: []string{"devs plan", "devs plan --plan-type remove", "devs plan --sub-command function"},
	}
}

func deployCommand() component.Command {
	return component.Command{
		Name:    "deploy",
		Short:   "Create and update the service, its function, triggers and custom domains",
		Subs:    deploySubs(),
		Mutates: true,
		Flags: selectors(
			component.Flag{Name: "type", Type: component.StringFlag, Usage: "only the code, or all but the code, of what exists", Choices: []string{"code", "config"}},
			triggerFlag(), domainFlag(),
			skipPushFlag(), pushRegistryFlag(),
			qualifierFlag(),
		),
		Examples: []string{"devs deploy -y", "devs deploy function --type code --use-local", "devs deploy trigger --trigger-name web"},
	}
}

func removeCommand() component.Command {
	return component.Command{
		Name:    "remove",
		Short:   "Delete what the file declares",
		Subs:    removeSubs(),
		Mutates: true,
		Flags:   selectors(triggerFlag(), domainFlag(), qualifierFlag()),
		Examples: []string{
			"devs remove -y", "devs remove service --all -y", "devs remove trigger --trigger-name web -y",
		},
	}
}
