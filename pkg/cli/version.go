package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func (t *tool) newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return t.printVersion() },
	}
}

func (t *tool) printVersion() error {
	_, err := fmt.Fprintf(t.IO.Out, "devs %s %s/%s\n", t.Version, runtime.GOOS, runtime.GOARCH)
	return err
}
