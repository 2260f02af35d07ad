package ops

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/demo"
)

func demoCommand(env *cli.Env) *cobra.Command {
	o := demo.Options{Now: env.Now}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Lose a region in mid-stream, fail over, and measure what is lost",
		Long: `Starts two regions as processes of their own, streams real flight records through region a with a consumer group
reading, kills region a, fails over to region b, and lets the same clients go on there. Then it compares what was promised
with what is there. Takes about 20 seconds.

Exit code 1 if a record at or below the boundary is missing, an offset was skipped, or a record below the committed offset
was delivered again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Rate < 1 || o.Rate > rateMax {
				return cli.Usage("--rate is %d: use 1 to %d records a second", o.Rate, rateMax)
			}
			out := env.Out
			if env.JSON() {
				out = env.Err
			}
			o.Say = func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
			report, err := demo.Run(cmd.Context(), o)
			if err != nil {
				return cli.Fail("run the demo", err, "")
			}
			if err := env.Emit(report, func(w io.Writer) { report.Write(w) }); err != nil {
				return err
			}
			if !report.OK {
				return coded{cli.Fail("keep every promise", fmt.Errorf("%d problems", len(report.Problems)), "see the report"), 1}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Data, "data", "", "directory for the data of both regions, kept afterwards; empty means a temporary one")
	f.IntVar(&o.Rate, "rate", 4000, "records a second")
	return cmd
}

// rateMax is more than the sample in a second.
const rateMax = 1_000_000
