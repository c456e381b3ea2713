package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// sharedVersion makes the command version, which is about versions of services, print that
// of the tool when nothing stands behind it.
func (t *tool) sharedVersion(cmd *cobra.Command) {
	run := cmd.RunE
	cmd.Short = "Print the version of devs; list and publish versions of the service"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		rest, err := t.extract(args, t.allFlags())
		if err == nil && len(rest) == 0 && !t.Help {
			return t.printVersion()
		}
		return run(cmd, args)
	}
}

func (t *tool) printVersion() error {
	_, err := fmt.Fprintf(t.IO.Out, "devs %s %s/%s\n", t.Version, runtime.GOOS, runtime.GOARCH)
	return err
}
