package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
)

// partitionsMax is what a coordinator can be told to allow a topic.
const partitionsMax = coordinator.PartitionsPerTopicMost

// agentOptions are what an agent can be configured with.
type agentOptions struct {
	region.AgentConfig
	inside security
	logs   LogOptions
	traces TraceOptions
}

func (o *agentOptions) settings() settings {
	o.KafkaAddr, o.AdminAddr = "127.0.0.1:9092", "127.0.0.1:9645"
	o.AutoCreateTopics, o.DefaultPartitions, o.Hedging = true, 1, true
	l := &o.Limits
	return append(settings{
		{"node-id", "broker id, one's own over both regions", true, number(&o.NodeID, 0, math.MaxInt32)},
		{"listen", "host:port for Kafka clients; default " + o.KafkaAddr, false, address(&o.KafkaAddr)},
		{"advertise", "host:port that clients are told; default: as it is listened on", false, address(&o.Advertise)},
		{"admin-listen", "host:port for health, metrics and profiles; default " + o.AdminAddr, false, address(&o.AdminAddr)},
		{"coordinators", "URLs of the region's coordinators", true, urls(&o.Coordinators)},
		{"bucket", "bucket of the region: s3://bucket/prefix?… or file:///dir", true, text(&o.BucketURL)},
		{"zone", "where the agent runs, for clients with client.rack", false, text(&o.Zone)},
		{"flush-profile", "latency: an object at once; cost: each 250 ms; default latency", false, profile(&o.Appender)},
		{"hedging", "whether a slow request to the bucket is sent a second time, one in twenty at most; not to directories; default true", false, yesNo(&o.Hedging)},
		{"memory-bytes", "that the agent may take, whatever clients do; default 512 MiB", false, number(&o.MemoryBytes, region.MemoryMin, math.MaxInt64)},
		{"cache-bytes", "of records read, kept, and on their way to clients; default 24 % of the memory", false, number(&o.CacheBytes, 1<<20, math.MaxInt64)},
		{"auto-create-topics", "whether Metadata creates topics that a client names and allows to be created, as Kafka's auto.create.topics.enable; default true", false, yesNo(&o.AutoCreateTopics)},
		{"default-partitions", "of topics that Metadata creates, as Kafka's num.partitions; default 1", false, number(&o.DefaultPartitions, 1, partitionsMax)},
		{"max-connections", "open connections, of 24 KiB each; default 15 % of the memory, at most 10000", false, number(&l.Connections, 1, math.MaxInt32)},
		{"max-connections-per-address", "open connections from one address; default 1000", false, number(&l.ConnectionsPerAddress, 1, math.MaxInt32)},
		{"max-request-bytes", "of one Produce request; default 100 MiB", false, number(&l.RequestBytes, 1<<10, math.MaxInt32)},
		{"max-buffered-bytes", "of the requests of all connections; default 22 % of the memory", false, number(&l.BufferedBytes, 1<<20, math.MaxInt64)},
		{"store-prices", storePricesUsage, false, prices(&o.Prices)},
	}, slices.Concat(o.inside.settings(), logSettings(&o.logs), traceSettings(&o.traces))...)
}

// RunAgent runs an agent until ctx ends, and returns the exit code.
func RunAgent(ctx context.Context, env Env) int {
	var o agentOptions
	if code, ok := env.load("agent", o.settings()); !ok {
		return code
	}
	if err := o.inside.validate(named{"coordinators", o.Coordinators}); err != nil {
		return env.misused("agent", err)
	}
	o.Version, o.Now, o.Logger = env.Version, env.Now, NewLogger(env.Err, o.logs)
	var err error
	if o.Security, err = o.inside.open(env, o.Logger); err != nil {
		return env.exit("agent", err)
	}
	// What the parts may hold is bounded by the plan; this makes the runtime collect in time, and return what it does not need.
	debug.SetMemoryLimit(cmp.Or(o.MemoryBytes, region.MemoryDefault))
	var bye func()
	if o.Trace, bye, err = NewTracer(ctx, o.traces, "gnomon-agent", fmt.Sprintf("agent-%d", o.NodeID), env.Version, o.Logger, env.Now); err != nil {
		return env.exit("agent", err)
	}
	defer bye()
	return env.exit("agent", serveAgent(ctx, env, o.AgentConfig))
}

func serveAgent(ctx context.Context, env Env, cfg region.AgentConfig) error {
	a, err := region.OpenAgent(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while it waited for a coordinator
		}
		return err
	}
	defer a.Close()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Run(gctx) })
	g.Go(func() error {
		if a.WaitReady(gctx) == nil {
			_, _ = fmt.Fprintf(env.Out, "ready: agent %d  kafka %s  admin %s\n", cfg.NodeID, a.KafkaAddr(), a.AdminURL())
		}
		return nil
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
