package daemon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// regionNumberMax: region epochs are n·8 + region number.
const regionNumberMax = 7

// snapshotEveryMax bounds how much of the log a start may have to replay.
const snapshotEveryMax = 1_000_000

// rebalanceDelayMax is far longer than anybody waits for a first assignment.
const rebalanceDelayMax = 5 * time.Minute

// coordinatorOptions are what a coordinator can be configured with.
type coordinatorOptions struct {
	region.CoordinatorConfig
	peers   []string
	inside  security
	peerTLS tlsfiles.Files
	etcd    etcdOptions
	logs    LogOptions
	traces  TraceOptions
}

func (o *coordinatorOptions) settings() settings {
	o.AdminAddr = "127.0.0.1:9644"
	id, limits := &o.Identity, &o.Limits
	return append(settings{
		{"id", "name of this coordinator, one's own in the region and the same at each start", true, text(&o.ID)},
		{"listen", "host:port for agents, operators and links; default " + o.AdminAddr, false, address(&o.AdminAddr)},
		{"advertise-url", "URL under which agents and other coordinators reach it; default: as it is listened on", false, oneURL(&o.AdvertiseURL)},
		{"etcd", "client URLs of the region's etcd", true, urls(&o.EtcdEndpoints)},
		{"bucket", "bucket of the region: s3://bucket/prefix?… or file:///dir", true, text(&o.BucketURL)},
		{"cluster-id", "of the region, 32 hexadecimal digits; each region has its own", true, clusterID(&id.ClusterID)},
		{"kafka-cluster-id", "that clients see; the same in both regions", true, text(&id.KafkaClusterID)},
		{"region-number", "one's own in the pair, 1 to 7", true, number(&id.Region, 1, regionNumberMax)},
		{"region-name", "as status shows it", true, text(&id.RegionName)},
		{"peers", "URLs of the other region's coordinators, for a region that comes back to find out that it was replaced", false, urls(&o.peers)},
		{"peer-tls-cert", "PEM file of the certificate that the other region wants to see; default tls-cert", false, text(&o.peerTLS.Cert)},
		{"peer-tls-key", "PEM file of its key", false, text(&o.peerTLS.Key)},
		{"peer-tls-ca", "PEM file of the other region's authorities; default tls-ca", false, text(&o.peerTLS.CA)},
		{"snapshot-every", "entries of the metalog between two snapshots; default 20000", false, number(&o.SnapshotEvery, 1, snapshotEveryMax)},
		{"group-initial-rebalance-delay", "how long an empty consumer group waits for more members, as Kafka's group.initial.rebalance.delay.ms; default 0s", false,
			duration(&o.Groups.InitialRebalanceDelay, rebalanceDelayMax)},
		{"max-topics", "topics of the region, those that links shadow here included; default 50000", false, number(&limits.Topics, 1, math.MaxInt32)},
		{"max-partitions", "partitions of all these topics; default 200000", false, number(&limits.Partitions, 1, math.MaxInt32)},
		{"max-partitions-per-topic", "partitions of one topic; default 10000", false, number(&limits.PartitionsPerTopic, 1, partitionsMax)},
		{"max-offsets-per-group", "committed offsets of one consumer group; default 100000", false, number(&limits.OffsetsPerGroup, 1, math.MaxInt32)},
		{"max-offset-bytes", "of the committed offsets of all groups, 128 each and their metadata; default 256 MiB", false, number(&limits.OffsetBytes, 1<<20, math.MaxInt64)},
		{"max-producers", "idempotent producers that partitions remember, each in each partition counting as one; default 500000", false, number(&limits.Producers, 1, math.MaxInt32)},
		{"store-prices", storePricesUsage, false, prices(&o.Prices)},
	}, slices.Concat(o.etcd.settings(), o.inside.settings(), logSettings(&o.logs), traceSettings(&o.traces))...)
}

// validate checks what only several settings show.
func (o *coordinatorOptions) validate() error {
	own := named{"advertise-url", nil}
	if o.AdvertiseURL != "" {
		own.urls = []string{o.AdvertiseURL}
	}
	if err := o.inside.validate(own); err != nil {
		return err
	}
	if err := o.etcd.validate(o.EtcdEndpoints); err != nil {
		return err
	}
	if o.peerTLS.None() {
		return o.inside.schemes(named{"peers", o.peers})
	}
	if err := o.peerTLS.Complete("peer-"); err != nil {
		return err
	}
	return schemes(true, "peer-tls-ca", named{"peers", o.peers})
}

// open reads certificates and secrets.
func (o *coordinatorOptions) open(env Env) (err error) {
	if o.Security, err = o.inside.open(env, o.Logger); err != nil {
		return err
	}
	o.Getenv = env.Getenv
	if o.Etcd, err = o.etcd.open(env, o.Logger); err != nil || o.peerTLS.None() {
		return err
	}
	o.PeerTLS, err = tlsfiles.Open(o.peerTLS, env.Now, o.Logger)
	return err
}

// RunCoordinator runs a coordinator until ctx ends, and returns the exit code.
func RunCoordinator(ctx context.Context, env Env) int {
	var o coordinatorOptions
	if code, ok := env.load("coordinator", o.settings()); !ok {
		return code
	}
	if err := o.validate(); err != nil {
		return env.misused("coordinator", err)
	}
	o.Version, o.Now, o.Logger = env.Version, env.Now, NewLogger(env.Err, o.logs)
	if err := o.open(env); err != nil {
		return env.exit("coordinator", err)
	}
	if len(o.peers) > 0 {
		o.PeerURLs = func() ([]string, error) { return o.peers, nil }
	}
	var bye func()
	var err error
	if o.Trace, bye, err = NewTracer(ctx, o.traces, "gnomon-coordinator", o.ID, env.Version, o.Logger, env.Now); err != nil {
		return env.exit("coordinator", err)
	}
	defer bye()
	return env.exit("coordinator", serveCoordinator(ctx, env, o.CoordinatorConfig))
}

func serveCoordinator(ctx context.Context, env Env, cfg region.CoordinatorConfig) error {
	c, err := region.OpenCoordinator(ctx, cfg)
	if err != nil {
		return fmt.Errorf("coordinator %s: %w", cfg.ID, err)
	}
	defer c.Close()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.Run(gctx) })
	g.Go(func() error {
		if c.WaitReady(gctx) == nil {
			_, _ = fmt.Fprintf(env.Out, "ready: coordinator %s  %s\n", cfg.ID, c.URL())
		}
		return nil
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
