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
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/agent"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/metastore/etcd"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/open"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// Config of a region.
type Config struct {
	Identity coordinator.Identity
	// EtcdEndpoints are the client URLs of the region's etcd.
	EtcdEndpoints []string
	// BucketURL is file:///dir or s3://bucket/prefix?….
	BucketURL string
	// AdminAddr and KafkaAddrs are host:port to listen on; port 0 takes a free one. One agent an address.
	AdminAddr   string
	KafkaAddrs  []string
	FirstNodeID int32
	// PeerURL finds the other region's admin URL, "" and no error when there is none.
	PeerURL func() (string, error)
	// EndpointsFile gets the addresses as JSON once they are known; empty writes none.
	EndpointsFile string
	Appender      appender.Config
	SnapshotEvery base.Seq // see coordinator.Config
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

// Region is one region, put together.
type Region struct {
	cfg      Config
	registry *prometheus.Registry
	bucket   objstore.Store
	log      *etcd.Log
	coord    *coordinator.Coordinator
	agents   []*agent.Agent
	links    *linkManager
	admin    net.Listener
	kafka    []net.Listener
}

// Open checks everything that can be checked before serving: the bucket (reach, conditional writes, whose it is), and
// the ports. Each problem is one sentence.
func Open(ctx context.Context, cfg Config) (*Region, error) {
	r := &Region{cfg: cfg, registry: prometheus.NewRegistry()}
	r.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := r.open(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("region %s: %w", cfg.Identity.RegionName, err)
	}
	return r, nil
}

func (r *Region) open(ctx context.Context) error {
	if err := r.listen(); err != nil {
		return err
	}
	var err error
	if r.bucket, err = open.Open(ctx, r.cfg.BucketURL, open.Options{}); err != nil {
		return err
	}
	if err := checkBucket(ctx, r.bucket, r.cfg.Identity, r.cfg.Now()); err != nil {
		return err
	}
	r.log, err = etcd.Open(etcd.Config{Endpoints: r.cfg.EtcdEndpoints, Cluster: r.cfg.Identity.ClusterID, Logger: r.cfg.Logger})
	if err != nil {
		return err
	}
	objects := objstore.AsObjects(r.bucket)
	r.coord = coordinator.New(coordinator.Config{
		ID: "coordinator-" + r.cfg.Identity.RegionName, Address: r.adminURL(), Log: r.log, Objects: objects, Identity: r.cfg.Identity,
		Peer: r.peer(), Now: r.cfg.Now, Logger: r.cfg.Logger, Registerer: r.registry,
		SnapshotEvery: r.cfg.SnapshotEvery,
	})
	for i, l := range r.kafka {
		a, err := r.newAgent(r.cfg.FirstNodeID+int32(i), l)
		if err != nil {
			return err
		}
		r.agents = append(r.agents, a)
	}
	r.links = newLinkManager(r.coord, r.bucket, r.cfg, shadow.NewMetrics(r.registry))
	return r.writeEndpoints()
}

// checkBucket proves that the bucket can be used, and claims it for this cluster.
func checkBucket(ctx context.Context, bucket objstore.Store, id coordinator.Identity, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := objstore.ProbeConditionalPut(ctx, bucket, fmt.Sprintf("meta/probe/%d-%d", id.Region, now.UnixNano())); err != nil {
		return err
	}
	return objstore.ClaimBucket(ctx, bucket, objstore.Claim{ClusterID: id.ClusterID, KafkaClusterID: id.KafkaClusterID, Region: id.Region})
}

func (r *Region) listen() error {
	var err error
	if r.admin, err = listen("admin", r.cfg.AdminAddr); err != nil {
		return err
	}
	for _, addr := range r.cfg.KafkaAddrs {
		l, err := listen("Kafka", addr)
		if err != nil {
			return err
		}
		r.kafka = append(r.kafka, l)
	}
	return nil
}

func listen(what, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s address %s cannot be opened: stop what listens there, or choose another port: %w", what, addr, err)
	}
	return l, nil
}

func (r *Region) newAgent(nodeID int32, l net.Listener) (*agent.Agent, error) {
	host, portText, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseInt(portText, 10, 32)
	if err != nil {
		return nil, err
	}
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"node_id": strconv.Itoa(int(nodeID))}, r.registry)
	return agent.New(agent.Config{
		Kafka: kafkaapi.DefaultConfig(nodeID), Advertise: kafkaapi.Broker{NodeID: nodeID, Host: host, Port: int32(port)},
		Listener: l, Cluster: r.cfg.Identity.ClusterID, Version: r.cfg.Version, Coordinator: local{r.coord}, Registry: r.log,
		Store: r.bucket, Objects: objstore.AsObjects(r.bucket), Appender: r.cfg.Appender,
		Logger: r.cfg.Logger.With("node_id", nodeID), Registerer: labelled, Now: r.cfg.Now,
	})
}

func (r *Region) adminURL() string { return "http://" + r.admin.Addr().String() }

// Endpoints returns the addresses that the region listens on.
func (r *Region) Endpoints() Endpoints {
	e := Endpoints{
		Region: r.cfg.Identity.RegionName, Admin: r.adminURL(), Etcd: r.cfg.EtcdEndpoints, Bucket: r.cfg.BucketURL, PID: os.Getpid(),
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
	back, bctx := errgroup.WithContext(behind)
	for _, run := range []func(context.Context) error{r.coord.Run, r.links.run, r.serveAdmin} {
		back.Go(func() error {
			err := run(bctx)
			if err != nil {
				cancel() // agents cannot go on without
			}
			return err
		})
	}
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
	for !r.ready() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("region %s is not ready: %w: %w", r.cfg.Identity.RegionName, base.ErrUnavailable, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

func (r *Region) ready() bool {
	if !r.coord.Leading() || r.coord.Replica().Applied() < 1 {
		return false
	}
	for _, a := range r.agents {
		if a.View().Replica().Applied() < 1 {
			return false
		}
	}
	return true
}

// Close gives everything back that Open took.
func (r *Region) Close() {
	var errs []error
	for _, l := range append(r.kafka, r.admin) {
		if l != nil {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if r.log != nil {
		errs = append(errs, r.log.Close())
	}
	if r.bucket != nil {
		errs = append(errs, r.bucket.Close())
	}
	if err := errors.Join(errs...); err != nil {
		r.cfg.Logger.Warn("close", "error", err)
	}
}
