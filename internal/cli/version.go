package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func versionCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of this program",
		Args: arguments(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v := env.Version
			return env.Emit(v, func(w io.Writer) {
				row(w, strings.Join(strings.Fields("gnomon "+v.Version+" "+v.Commit+" "+v.Go), " "))
			})
		},
	}
}
