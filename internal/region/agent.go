package region

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/agent"
	"github.com/gnomon-stream/gnomon/pkg/agent/remote"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/hedge"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/metered"
)

// AgentConfig of an agent that runs apart from its coordinators.
type AgentConfig struct {
	NodeID int32
	// KafkaAddr and AdminAddr are host:port to listen on; port 0 takes a free one.
	KafkaAddr, AdminAddr string
	// Advertise is the host:port that clients are told; empty means as it is listened on.
	Advertise string
	Zone      string
	// Coordinators are the URLs of the region's coordinators.
	Coordinators []string
	Security     Security
	BucketURL    string
	Prices       *metered.Prices // see CoordinatorConfig
	// AutoCreateTopics and DefaultPartitions are kafkaapi.Config's.
	AutoCreateTopics  bool
	DefaultPartitions int32
	Limits            kafkaapi.Limits
	CacheBytes        int64 // of the read cache; 0 means its share of MemoryBytes
	MemoryBytes       int64 // that the agent may take; 0 means MemoryDefault
	Appender          appender.Config
	Hedging           bool          // slow requests to the bucket are sent a second time; not to directories
	Trace             *trace.Tracer // nil means none
	Version           string
	Logger            *slog.Logger
	Now               func() time.Time
}

// Validate tells whether what the parts of the agent may hold fits its memory.
func (c AgentConfig) Validate() error {
	total := cmp.Or(c.MemoryBytes, MemoryDefault)
	return planMemory(total).apply(total, &c.Limits, &c.Appender, &c.CacheBytes)
}

// Agent is one agent in a process of its own.
type Agent struct {
	cfg      AgentConfig
	registry *prometheus.Registry
	kafka    net.Listener
	admin    net.Listener
	client   *remote.Client
	bucket   objstore.Store
	agent    *agent.Agent
}

// OpenAgent asks the coordinators which cluster this is, for as long as it takes one to answer, and checks what can be
// checked before serving: the ports, the bucket. Each problem is one sentence.
func OpenAgent(ctx context.Context, cfg AgentConfig) (*Agent, error) {
	a := &Agent{cfg: cfg, registry: newRegistry(cfg.Version)}
	if err := a.open(ctx); err != nil {
		a.Close()
		return nil, fmt.Errorf("agent %d: %w", cfg.NodeID, err)
	}
	return a, nil
}

func (a *Agent) open(ctx context.Context) error {
	err := a.cfg.Validate()
	if err != nil {
		return err
	}
	if a.kafka, err = listen("Kafka", a.cfg.KafkaAddr); err != nil {
		return err
	}
	if a.admin, err = listenAdmin(a.cfg.AdminAddr, a.cfg.Security, a.cfg.Logger); err != nil {
		return err
	}
	RegisterExpiry(a.registry, map[string]*tlsfiles.Set{"inside": a.cfg.Security.TLS})
	a.client, err = remote.New(remote.Config{Coordinators: a.cfg.Coordinators, HTTP: remote.NewHTTP(a.cfg.Security.TLS), Logger: a.cfg.Logger})
	if err != nil {
		return err
	}
	id, err := a.identify(ctx)
	if err != nil {
		return err
	}
	bucket, err := openBucket(ctx, a.cfg.BucketURL, id, bucketWait{now: a.cfg.Now, logger: a.cfg.Logger})
	if err != nil {
		return err
	}
	a.bucket = newStores(a.registry, a.cfg.Prices, a.cfg.BucketURL, a.cfg.Now).Wrap(bucket, metered.Own)
	at := a.cfg.Advertise
	if at == "" {
		at = a.kafka.Addr().String()
	}
	a.agent, err = newAgent(agentParts{
		nodeID: a.cfg.NodeID, listener: a.kafka, advertise: at, zone: a.cfg.Zone, cluster: id.ClusterID, coordinator: a.client, registry: a.client,
		autoCreate: a.cfg.AutoCreateTopics, defaultPartitions: a.cfg.DefaultPartitions,
		bucket: a.bucket, limits: a.cfg.Limits, cacheBytes: a.cfg.CacheBytes, memoryBytes: a.cfg.MemoryBytes, appender: a.cfg.Appender,
		hedging: a.cfg.Hedging && onNetwork(a.cfg.BucketURL), version: a.cfg.Version,
		logger: a.cfg.Logger, metrics: a.registry, trace: a.cfg.Trace, now: a.cfg.Now,
	})
	return err
}

const (
	identifyRetry = 500 * time.Millisecond
	identifyWarn  = 20 // attempts between two warnings of one cause
	// identifyCauses is how many causes are told as they come up; some have a port of the moment in them.
	identifyCauses = 8
)

// identify takes the cluster's identity from a coordinator.
func (a *Agent) identify(ctx context.Context) (coordinator.Identity, error) {
	said := map[string]bool{} // a refused handshake is now a clear alert, now a broken connection: each cause is told
	for n := 0; ; n++ {
		resp, err := a.client.Identify(ctx)
		if err == nil {
			return identityOf(resp)
		}
		if cause := err.Error(); n%identifyWarn == 0 || !said[cause] && len(said) < identifyCauses {
			said[cause] = true
			a.cfg.Logger.Warn("waits for a coordinator", "coordinators", a.cfg.Coordinators, "error", err)
		}
		select {
		case <-ctx.Done():
			return coordinator.Identity{}, fmt.Errorf("no coordinator of %v answered: %w: %w", a.cfg.Coordinators, base.ErrUnavailable, ctx.Err())
		case <-time.After(identifyRetry):
		}
	}
}

func identityOf(m *coordinatorpb.IdentifyResponse) (coordinator.Identity, error) {
	id := coordinator.Identity{KafkaClusterID: m.KafkaClusterId, Region: base.RegionNumber(m.RegionNumber), RegionName: m.RegionName}
	if len(m.ClusterId) != len(id.ClusterID) {
		return id, fmt.Errorf("the coordinator names a cluster id of %d bytes: %w", len(m.ClusterId), base.ErrVersion)
	}
	id.ClusterID = base.ClusterID(m.ClusterId)
	return id, nil
}

// agentParts are what an agent is made of, in whatever process it runs.
type agentParts struct {
	nodeID      int32
	listener    net.Listener
	advertise   string
	zone        string
	cluster     base.ClusterID
	coordinator agent.Coordinator
	registry    agent.Registry
	bucket      objstore.Store
	limits      kafkaapi.Limits
	// autoCreate and defaultPartitions are kafkaapi.Config's.
	autoCreate        bool
	defaultPartitions int32

	cacheBytes  int64
	memoryBytes int64
	appender    appender.Config
	hedging     bool
	version     string
	logger      *slog.Logger
	metrics     prometheus.Registerer
	trace       *trace.Tracer
	now         func() time.Time
}

func newAgent(p agentParts) (*agent.Agent, error) {
	host, portText, err := net.SplitHostPort(p.advertise)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port of the advertised address %q: %w", p.advertise, err)
	}
	total := cmp.Or(p.memoryBytes, MemoryDefault)
	if err := planMemory(total).apply(total, &p.limits, &p.appender, &p.cacheBytes); err != nil {
		return nil, err
	}
	instance := make([]byte, 16)
	_, _ = rand.Read(instance) // never fails
	if p.hedging {
		p.appender.Hedge = hedge.New(hedge.Options{Now: p.now})
	}
	kafka := kafkaapi.DefaultConfig(p.nodeID)
	kafka.Limits, kafka.AutoCreateTopics, kafka.DefaultPartitions = p.limits, p.autoCreate, p.defaultPartitions
	return agent.New(agent.Config{
		Kafka: kafka, Advertise: kafkaapi.Broker{NodeID: p.nodeID, Host: host, Port: int32(port), Rack: p.zone}, Instance: instance,
		Listener: p.listener, Cluster: p.cluster, Version: p.version, Coordinator: p.coordinator, Registry: p.registry,
		Store: p.bucket, Objects: objstore.AsObjects(p.bucket), Appender: p.appender, CacheBytes: p.cacheBytes,
		Logger:     p.logger.With("node_id", p.nodeID),
		Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"node_id": strconv.Itoa(int(p.nodeID))}, p.metrics), Trace: p.trace, Now: p.now,
	})
}

// KafkaAddr and AdminURL are where the agent listens.
func (a *Agent) KafkaAddr() string { return a.kafka.Addr().String() }

// AdminURL is where health and metrics are.
func (a *Agent) AdminURL() string { return a.cfg.Security.scheme() + a.admin.Addr().String() }

// Run serves until ctx ends: clients are sent to other agents first, and what they have in flight is committed and
// answered.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var port errgroup.Group
	port.Go(func() error {
		g := newGuard(a.cfg.Security, a.cfg.Logger, a.cfg.Now)
		mux := http.NewServeMux()
		handleProcess(mux, g, a.registry, a.Ready)
		err := serveHTTP(serving, a.admin, mux, g)
		if err != nil {
			cancel()
		}
		return err
	})
	err := a.agent.Run(ctx)
	stop()
	return errors.Join(err, port.Wait())
}

// Ready tells whether clients are served.
func (a *Agent) Ready() bool { return a.agent.Ready() }

// WaitReady waits for Ready.
func (a *Agent) WaitReady(ctx context.Context) error {
	return await(ctx, a.Ready, fmt.Sprintf("agent %d has not loaded the cluster's state", a.cfg.NodeID))
}

// Close gives everything back that OpenAgent took.
func (a *Agent) Close() {
	var errs []error
	for _, l := range []net.Listener{a.kafka, a.admin} {
		if l != nil {
			errs = append(errs, closeListener(l))
		}
	}
	if a.client != nil {
		a.client.Close()
	}
	if a.bucket != nil {
		errs = append(errs, a.bucket.Close())
	}
	if err := errors.Join(errs...); err != nil {
		a.cfg.Logger.Warn("close", "error", err)
	}
}
