package ops

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

func fsckCommand(env *cli.Env) *cobra.Command {
	var f storesFlags
	var deep bool
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check a region's index against its bucket; the exit code is 1 when something is wrong",
		Long: `Replays the archive of the metalog in the bucket, and compares what it names with the objects: holes and overlaps of offsets, missing
objects and wrong sizes, reference counts, objects that no event names, the archive itself. It works on a region that runs and on
one that does not, and writes nothing.

  gnomon fsck --bucket s3://gnomon-a --etcd http://10.0.0.5:2379
  gnomon fsck --bucket s3://gnomon-a --deep      # reads every object, and the archive from its first entry`,
		Args: cobra.NoArgs,
	}
	f.add(env, cmd, true)
	cmd.Flags().BoolVar(&deep, "deep", false, "read every object: footers, digests, chain heads; and replay the archive from its first entry")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := f.open(cmd.Context(), env)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		o := recovery.CheckOptions{Bucket: s.Bucket, Deep: deep, Now: env.Now, Say: say(env)}
		if s.Log != nil {
			o.Log = s.Log
		}
		rep, err := recovery.Check(cmd.Context(), o)
		if err != nil {
			return cli.Fail("check the region", err, "")
		}
		if err := env.Emit(rep, func(w io.Writer) { fsckText(w, rep) }); err != nil {
			return err
		}
		if !rep.Clean {
			return cli.Fail("call the region sound", fmt.Errorf("%d findings", len(rep.Findings)+rep.More), "see docs/RESTORE.md for what each means")
		}
		return nil
	}
	return cmd
}

func fsckText(w io.Writer, r *recovery.CheckReport) {
	_, _ = fmt.Fprintf(w, "region %s at seq %d of incarnation %s: %d topics, %d partitions, %d spans\n", r.Region, r.Seq, r.Incarnation, r.Topics, r.Partitions, r.Spans)
	for _, class := range []state.ObjectClass{state.Named, state.InFlight, state.Newer, state.Quarantined, state.Garbage, state.Unknown} {
		if n := r.Objects[class]; n.Objects > 0 {
			cli.Row(w, "  "+string(class), n.Objects, "objects", size(n.Bytes))
		}
	}
	for _, x := range r.Findings {
		cli.Row(w, "WRONG", x.Kind, x.Where, x.Detail)
	}
	if r.More > 0 {
		_, _ = fmt.Fprintf(w, "and %d more\n", r.More)
	}
	if r.Clean {
		_, _ = fmt.Fprintln(w, "nothing is wrong")
	}
}
