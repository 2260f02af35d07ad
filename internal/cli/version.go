package cli

import (
	"io"
	"runtime/debug"
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

// BuildVersion is what the Go tool has written into the binary.
func BuildVersion() Version {
	v := Version{Version: "devel"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = info.GoVersion
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}
