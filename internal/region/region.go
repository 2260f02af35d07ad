package region

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/agent"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/metered"
)

// Config of a region.
type Config struct {
	Identity coordinator.Identity
	// EtcdEndpoints are the client URLs of the region's etcd.
	EtcdEndpoints []string
	// BucketURL is file:///dir or s3://bucket/prefix?….
	BucketURL string
	Prices    *metered.Prices // see CoordinatorConfig
	// AdminAddr and KafkaAddrs are host:port to listen on; port 0 takes a free one. One agent an address.
	AdminAddr   string
	KafkaAddrs  []string
	FirstNodeID int32
	// PeerURLs finds the other region's admin URLs, none and no error when there is none.
	PeerURLs func() ([]string, error)
	// EndpointsFile gets the addresses as JSON once they are known; empty writes none.
	EndpointsFile string
	Appender      appender.Config
	SnapshotEvery base.Seq // see coordinator.Config
	Limits        coordinator.Limits
	Trace         *trace.Tracer // nil means none
	Version       string
	Logger        *slog.Logger
	Now           func() time.Time
}

// Endpoints are the addresses of a region, as EndpointsFile holds them.
type Endpoints struct {
	Region string   `json:"region"`
	Kafka  []string `json:"kafka"`
	Admin  string   `json:"admin"`
	Etcd   []string `json:"etcd"`
	Bucket string   `json:"bucket"`
	PID    int      `json:"pid"`
}

// devPatience is how long a region in one process waits for a store at its start: somebody looks at the terminal.
const devPatience = 30 * time.Second

// Region is one region in one process: a coordinator and its agents.
type Region struct {
	*Coordinator
	cfg    Config
	agents []*agent.Agent
	kafka  []net.Listener
}

// Open checks everything that can be checked before serving: the bucket (reach, conditional writes, whose it is), and
// the ports. Each problem is one sentence.
func Open(ctx context.Context, cfg Config) (*Region, error) {
	r := &Region{cfg: cfg}
	if err := r.open(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("region %s: %w", cfg.Identity.RegionName, err)
	}
	return r, nil
}

func (r *Region) open(ctx context.Context) error {
	for _, addr := range r.cfg.KafkaAddrs {
		l, err := listen("Kafka", addr)
		if err != nil {
			return err
		}
		r.kafka = append(r.kafka, l)
	}
	c, err := OpenCoordinator(ctx, CoordinatorConfig{
		ID: "coordinator-" + r.cfg.Identity.RegionName, Identity: r.cfg.Identity, EtcdEndpoints: r.cfg.EtcdEndpoints, BucketURL: r.cfg.BucketURL,
		BucketPatience: devPatience, Prices: r.cfg.Prices,
		AdminAddr: r.cfg.AdminAddr, PeerURLs: r.cfg.PeerURLs, SnapshotEvery: r.cfg.SnapshotEvery, Limits: r.cfg.Limits, Trace: r.cfg.Trace,
		Version: r.cfg.Version, Logger: r.cfg.Logger, Now: r.cfg.Now,
	})
	if err != nil {
		return err
	}
	r.Coordinator = c
	c.ready = r.ready
	for i, l := range r.kafka {
		a, err := newAgent(agentParts{
			nodeID: r.cfg.FirstNodeID + int32(i), listener: l, advertise: l.Addr().String(), cluster: r.cfg.Identity.ClusterID,
			autoCreate: true, defaultPartitions: 1, coordinator: local{c.coord}, registry: registry{c.log}, bucket: c.bucket, appender: r.cfg.Appender,
			hedging: onNetwork(r.cfg.BucketURL),
			version: r.cfg.Version, logger: r.cfg.Logger, metrics: c.registry, trace: r.cfg.Trace, now: r.cfg.Now,
		})
		if err != nil {
			return err
		}
		r.agents = append(r.agents, a)
	}
	return r.writeEndpoints()
}

// Endpoints returns the addresses that the region listens on.
func (r *Region) Endpoints() Endpoints {
	e := Endpoints{
		Region: r.cfg.Identity.RegionName, Admin: r.URL(), Etcd: r.cfg.EtcdEndpoints, Bucket: r.cfg.BucketURL, PID: os.Getpid(),
	}
	for _, l := range r.kafka {
		e.Kafka = append(e.Kafka, l.Addr().String())
	}
	return e
}

func (r *Region) writeEndpoints() error {
	if r.cfg.EndpointsFile == "" {
		return nil
	}
	b, err := json.MarshalIndent(r.Endpoints(), "", "  ")
	if err != nil {
		return err
	}
	tmp := r.cfg.EndpointsFile + ".tmp"
	if err := os.MkdirAll(filepath.Dir(tmp), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(tmp, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, r.cfg.EndpointsFile)
}

// Run serves until ctx ends. Agents stop first: what clients have in flight is then still committed and answered.
func (r *Region) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var back errgroup.Group
	back.Go(func() error {
		err := r.Coordinator.Run(behind)
		if err != nil {
			cancel() // agents cannot go on without
		}
		return err
	})
	front, fctx := errgroup.WithContext(ctx)
	for _, a := range r.agents {
		front.Go(func() error { return a.Run(fctx) })
	}
	front.Go(func() error {
		<-fctx.Done()
		return nil
	})
	err := front.Wait()
	stop()
	return errors.Join(err, back.Wait())
}

// WaitReady waits until the region leads, and every agent's view is loaded and serves.
func (r *Region) WaitReady(ctx context.Context) error {
	return await(ctx, r.ready, fmt.Sprintf("region %s is not ready", r.cfg.Identity.RegionName))
}

func (r *Region) ready() bool {
	if !r.coord.Leading() || r.coord.Replica().Applied() < 1 {
		return false
	}
	for _, a := range r.agents {
		if !a.Ready() {
			return false
		}
	}
	return true
}

// Close gives everything back that Open took.
func (r *Region) Close() {
	for _, l := range r.kafka {
		if err := closeListener(l); err != nil {
			r.cfg.Logger.Warn("close", "error", err)
		}
	}
	if r.Coordinator != nil {
		r.Coordinator.Close()
	}
}
