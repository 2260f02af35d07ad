package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
	"github.com/gnomon-stream/gnomon/pkg/objlog/fetcher"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/hedge"
)

// Coordinator is what an agent asks of the coordinator.
type Coordinator interface {
	replica.Source
	Header
	// OpenSession opens a writer session for this agent and fences the ones that it had before.
	OpenSession(ctx context.Context, nodeID int32) (base.SessionID, error)
	// CommitAsync enqueues in the order of the calls; done is called once.
	CommitAsync(ctx context.Context, req *metalogpb.CommitRequest, done func(*metalogpb.CommitResult, error))
	Forward(ctx context.Context, client kafkaapi.Client, req kmsg.Request) (kmsg.Response, error)
	// Fenced tells whether another region has taken this one's role over.
	Fenced() bool
}

// Registry publishes agents and lists them.
type Registry interface {
	// Register keeps the agent in the list until ctx ends. base.ErrFenced when another process has its node id now.
	Register(ctx context.Context, agent *metalogpb.Agent) error
	FollowAgents(ctx context.Context, fn func([]*metalogpb.Agent)) error
}

// Config of an Agent.
type Config struct {
	Kafka       kafkaapi.Config
	Advertise   kafkaapi.Broker // as clients reach it
	Instance    []byte          // of the process, random: tells it from another one with the same node id
	Listener    net.Listener
	Cluster     base.ClusterID
	Version     string
	Coordinator Coordinator
	Registry    Registry
	Store       objstore.Store
	Objects     archive.Objects
	Appender    appender.Config
	CacheBytes  int64 // of the read cache; 0 means the fetcher's default
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
	Trace       *trace.Tracer // nil means none
	Now         func() time.Time
}

// Agent is one agent.
type Agent struct {
	cfg      Config
	view     *View
	catalog  *catalog
	appender *appender.Appender
	fetcher  *fetcher.Fetcher
	server   *kafkaapi.Server
	ready    atomic.Bool
}

// New puts an agent together. Run starts it.
func New(cfg Config) (*Agent, error) {
	a := &Agent{cfg: cfg, view: NewView(cfg.Coordinator, cfg.Objects, cfg.Coordinator, cfg.Logger)}
	a.catalog = &catalog{view: a.view, self: cfg.Advertise, fenced: cfg.Coordinator.Fenced}
	a.catalog.SetAgents(nil)
	cfg.Appender.Cluster = cfg.Cluster
	reads, hedges, err := hedging(cfg)
	if err != nil {
		return nil, fmt.Errorf("agent %d: %w", cfg.Advertise.NodeID, err)
	}
	a.fetcher = fetcher.New(fetcher.Config{Store: reads, CacheBytes: cfg.CacheBytes, Logger: cfg.Logger, Registerer: cfg.Registerer})
	end := newTail(a.fetcher, a.view, cfg.Now)
	a.appender = appender.New(cfg.Appender, appender.Deps{
		Store: cfg.Store, Committer: committer{cfg.Coordinator, cfg.Advertise.NodeID}, Logger: cfg.Logger, Now: cfg.Now, Registerer: cfg.Registerer,
		Hedges: hedges, Trace: cfg.Trace, Keep: end.keep,
	})
	a.server, err = kafkaapi.New(cfg.Kafka, kafkaapi.Deps{
		Catalog: a.catalog, Appender: produce{a.appender}, Reader: &reader{view: a.view, fetcher: a.fetcher, tail: end}, Controller: cfg.Coordinator,
		Logger: cfg.Logger, Registerer: cfg.Registerer, Clock: cfg.Now, Trace: cfg.Trace,
	})
	if err != nil {
		return nil, fmt.Errorf("agent %d: %w", cfg.Advertise.NodeID, err)
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(memory{a}); err != nil {
			return nil, fmt.Errorf("agent %d: %w", cfg.Advertise.NodeID, err)
		}
	}
	return a, nil
}

// hedging returns the store that spans are read from, and the metrics.
func hedging(cfg Config) (objstore.Store, *hedge.Metrics, error) {
	var m *hedge.Metrics
	if cfg.Registerer != nil {
		var err error
		if m, err = hedge.NewMetrics(cfg.Registerer); err != nil {
			return nil, nil, err
		}
	}
	if cfg.Appender.Hedge == nil {
		return cfg.Store, m, nil
	}
	return hedge.NewReads(cfg.Store, hedge.New(hedge.Options{Now: cfg.Now}), m), m, nil
}

// View is the agent's picture of the cluster.
func (a *Agent) View() *View { return a.view }

// Ready tells whether clients are served.
func (a *Agent) Ready() bool { return a.ready.Load() }

// Run serves until ctx ends. It opens the listener to clients once the view has reached the head of the log (A4): a client that
// connects earlier waits in the listener's backlog.
func (a *Agent) Run(ctx context.Context) error {
	// The write path outlives the server: what is in flight when ctx ends is settled, and answered, first.
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWriting()
	var write errgroup.Group
	write.Go(func() error { return a.appender.Run(writing) })

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.view.Run(ctx) })
	g.Go(func() error { return quiet(a.cfg.Registry.FollowAgents(ctx, a.catalog.SetAgents)) })
	g.Go(func() error {
		if !a.reachHead(ctx) {
			return nil // ctx ended
		}
		a.ready.Store(true)
		g.Go(func() error { return quiet(a.cfg.Registry.Register(ctx, a.registration())) })
		return quiet(a.server.Serve(ctx, a.cfg.Listener))
	})
	err := g.Wait()
	a.fetcher.Close()
	stopWriting()
	return errors.Join(err, write.Wait())
}

const headRetry = 100 * time.Millisecond

// reachHead waits until the view holds all that was confirmed before it was called, and the cluster is there.
//
// What an earlier process at this address told its clients was in the log by then. Had the coordinators no head to tell, the view could not
// have been loaded either: the wait adds nothing to what a start needs.
func (a *Agent) reachHead(ctx context.Context) bool {
	if a.view.Replica().WaitFor(ctx, metastore.Point{Seq: 1}) != nil {
		return false
	}
	for a.view.Refresh(ctx) != nil {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(headRetry):
		}
	}
	return true
}

// quiet drops the error that only says that ctx ended.
func quiet(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (a *Agent) registration() *metalogpb.Agent {
	b := a.cfg.Advertise
	return &metalogpb.Agent{NodeId: b.NodeID, Host: b.Host, Port: b.Port, Zone: b.Rack, Roles: []string{"kafka"}, Version: a.cfg.Version, Instance: a.cfg.Instance}
}

// committer gives the appender its sessions and commits.
type committer struct {
	c      Coordinator
	nodeID int32
}

func (c committer) OpenSession(ctx context.Context) (base.SessionID, error) {
	return c.c.OpenSession(ctx, c.nodeID)
}

func (c committer) CommitAsync(ctx context.Context, req *metalogpb.CommitRequest, done func(*metalogpb.CommitResult, error)) {
	c.c.CommitAsync(ctx, req, done)
}

// produce turns the Kafka server's batches into the appender's: the same values under other names, so that neither
// package knows the other.
type produce struct{ a *appender.Appender }

func (p produce) Refuse(ctx context.Context, batches []kafkaapi.ProduceBatch) {
	in := make([]appender.Batch, len(batches))
	for i, b := range batches {
		in[i] = appender.Batch(b)
	}
	p.a.Refuse(ctx, in)
}

func (p produce) Append(ctx context.Context, batches []kafkaapi.ProduceBatch, done func([]kafkaapi.ProduceResult)) {
	in := make([]appender.Batch, len(batches))
	for i, b := range batches {
		in[i] = appender.Batch(b)
	}
	p.a.Append(ctx, in, func(results []appender.Result) {
		out := make([]kafkaapi.ProduceResult, len(results))
		for i, r := range results {
			out[i] = kafkaapi.ProduceResult{Err: r.Err, BaseOffset: r.BaseOffset, LogStart: r.LogStart, LogAppendTime: -1}
		}
		done(out)
	})
}
