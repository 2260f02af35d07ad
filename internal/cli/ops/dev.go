package ops

import (
	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/dev"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
)

// snapshotEveryMax bounds how much of the log a start may have to replay.
const snapshotEveryMax = 1_000_000

func devCommand(env *cli.Env) *cobra.Command {
	o := dev.Options{Buckets: map[string]string{}, Etcds: map[string]string{}}
	var bucketA, bucketB, etcdA, etcdB, profile string
	var observe observeFlags
	var snapshotEvery uint64
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run two regions and the link between them on this machine",
		Long: `Runs regions a and b, each with an embedded etcd, a bucket in a directory, a coordinator and two agents, and the
shadow link a-to-b. Kafka at 127.0.0.1:9092 and 9093 (a), 9192 and 9193 (b); admin HTTP at 127.0.0.1:9644 (a) and
9744 (b). A stop (Ctrl-C, or kill -9) and a start lose nothing.

With --region only one region runs, so that one of two processes on the same --data can be killed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Region != "" && o.Region != "a" && o.Region != "b" {
				return cli.Usage("--region is %q: use a or b, or leave it out for both", o.Region)
			}
			if snapshotEvery < 1 || snapshotEvery > snapshotEveryMax {
				return cli.Usage("--snapshot-every is %d: use 1 to %d entries", snapshotEvery, uint64(snapshotEveryMax))
			}
			if o.Limits.Topics < 1 || o.Limits.Partitions < 1 {
				return cli.Usage("--max-topics and --max-partitions are at least 1")
			}
			o.SnapshotEvery = base.Seq(snapshotEvery)
			if err := observe.apply(env, &o); err != nil {
				return err
			}
			switch profile {
			case "latency":
			case "cost":
				o.Appender = appender.CostProfile()
			default:
				return cli.Usage("--flush-profile is %q: use latency or cost", profile)
			}
			for name, urls := range map[string][2]string{"a": {bucketA, etcdA}, "b": {bucketB, etcdB}} {
				if urls[0] != "" {
					o.Buckets[name] = urls[0]
				}
				if urls[1] != "" {
					o.Etcds[name] = urls[1]
				}
			}
			o.Out, o.Now, o.Version = env.Out, env.Now, env.Version.Version
			end, err := observe.start(cmd.Context(), env, &o)
			if err != nil {
				return err
			}
			defer end()
			return dev.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Data, "data", "./gnomon-data", "directory for the data of both regions")
	f.StringVar(&o.Region, "region", "", "run this region only: a or b")
	f.BoolVar(&o.EphemeralPorts, "ephemeral-ports", false, "use free ports, the same ones at each start; they are in <data>/<region>/endpoints.json")
	f.StringVar(&bucketA, "bucket-a", "", "bucket of region a: file:///dir, or s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1&path_style=true")
	f.StringVar(&bucketB, "bucket-b", "", "bucket of region b")
	f.StringVar(&etcdA, "etcd-a", "", "etcd of region a that runs elsewhere, such as http://127.0.0.1:2379, instead of the embedded one")
	f.StringVar(&etcdB, "etcd-b", "", "etcd of region b that runs elsewhere")
	f.StringVar(&profile, "flush-profile", "latency", "when agents write an object: latency, at once, as directories and local stores cost nothing a PUT; cost, each 250 ms, for stores that bill by the request")
	f.Uint64Var(&snapshotEvery, "snapshot-every", 20_000, "entries of the metalog between two snapshots; a quarter as many stay in etcd once they are archived")
	f.IntVar(&o.Limits.Topics, "max-topics", coordinator.TopicsDefault, "topics of a region, those that it shadows included")
	f.IntVar(&o.Limits.Partitions, "max-partitions", coordinator.PartitionsDefault, "partitions of all these topics")
	observe.add(f)
	return cmd
}
