package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devs/deploy/pkg/ci"
)

// EntrypointName is the name under which the program is the ENTRYPOINT of its images.
const EntrypointName = "entrypoint"

// Entrypoint decides what a container of our image runs for what it was started with:
// another program, whose path it returns, with env.Args as its arguments; or, for "",
// this one, with env.Args as they are afterwards.
//
//   - No arguments are the action where there are inputs of one, else the help.
//   - Our own commands are ours, although a program may have the name of one.
//   - What look finds on PATH is run as it is: CIs start containers with `cat`, `tail -f
//     /dev/null` or `sh`, and put their scripts into them.
//   - All else is ours: a service and its command, a flag, a mistake.
//
// It is no script: shells drop variables whose names have dashes, and the inputs of
// actions do.
func Entrypoint(env *Env, look func(name string) (string, error)) (program string) {
	if len(env.Args) == 0 {
		if slices.ContainsFunc(env.Environ, func(e string) bool {
			return slices.ContainsFunc(ci.Prefixes(), func(p string) bool { return strings.HasPrefix(e, p) })
		}) {
			env.Args = []string{"action"}
		}
		return ""
	}
	name := env.Args[0]
	if strings.Contains(name, "/") {
		return name // and what is wrong with it is told when it is run
	}
	if name == "" || strings.HasPrefix(name, "-") || isOwn(env, name) {
		return ""
	}
	found, err := look(name)
	if err != nil {
		return ""
	}
	return found
}

// isOwn reports whether a word is a command of the tool.
func isOwn(env *Env, name string) bool {
	root := newTool(env).newRoot()
	root.InitDefaultHelpCmd()
	return slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == name || c.HasAlias(name) })
}
