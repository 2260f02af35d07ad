package region

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/agent/remote"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/coordinator/groups"
	"github.com/gnomon-stream/gnomon/pkg/metastore/etcd"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/metered"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// CoordinatorConfig of a coordinator.
type CoordinatorConfig struct {
	// ID tells the coordinator from others of the region; it stays the same over restarts.
	ID       string
	Identity coordinator.Identity
	// EtcdEndpoints are the client URLs of the region's etcd.
	EtcdEndpoints []string
	Etcd          EtcdAccess
	// BucketURL is file:///dir or s3://bucket/prefix?….
	BucketURL string
	// BucketPatience is how long a store that does not answer is waited for at the start; 0 means until the start is given up.
	BucketPatience time.Duration
	// Prices are what the store bills; nil means as is usual at the bucket's place.
	Prices *metered.Prices
	// AdminAddr is the host:port to listen on; port 0 takes a free one.
	AdminAddr string
	// AdvertiseURL is where agents and other coordinators reach AdminAddr; empty means as it is listened on.
	AdvertiseURL string
	// PeerURLs finds the admin URLs of the other region, none and no error when there is none.
	PeerURLs func() ([]string, error)
	Security Security
	// Getenv reads the variables that links name; nil: those of the process.
	Getenv func(string) string
	// PeerTLS is what the other region is asked with; nil means what Security has.
	PeerTLS       *tlsfiles.Set
	SnapshotEvery base.Seq      // see coordinator.Config
	Groups        groups.Config // zero means the defaults
	Limits        coordinator.Limits
	Trace         *trace.Tracer // nil means none
	Version       string
	Logger        *slog.Logger
	Now           func() time.Time
}

// Coordinator is one coordinator with what belongs to it: the links that it runs while it leads, and the admin port.
type Coordinator struct {
	cfg      CoordinatorConfig
	registry *prometheus.Registry
	bucket   objstore.Store
	log      *etcd.Log
	coord    *coordinator.Coordinator
	links    *linkManager
	roster   *roster
	admin    net.Listener
	http     *http.Client // to other coordinators: a paused one is found out
	// ready tells whether the process serves; set before Run.
	ready func() bool
}

// OpenCoordinator checks everything that can be checked before serving: the port, the bucket (reach, conditional writes,
// whose it is). Each problem is one sentence.
func OpenCoordinator(ctx context.Context, cfg CoordinatorConfig) (*Coordinator, error) {
	c := &Coordinator{cfg: cfg, registry: newRegistry(cfg.Version), http: remote.NewHTTP(cfg.Security.TLS)}
	c.ready = c.informed
	if err := c.open(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Coordinator) open(ctx context.Context) error {
	var err error
	if c.admin, err = listenAdmin(c.cfg.AdminAddr, c.cfg.Security, c.cfg.Logger); err != nil {
		return err
	}
	RegisterExpiry(c.registry, map[string]*tlsfiles.Set{"inside": c.cfg.Security.TLS, "peer": c.cfg.PeerTLS, "etcd": c.cfg.Etcd.TLS})
	bucket, err := openBucket(ctx, c.cfg.BucketURL, c.cfg.Identity, bucketWait{c.cfg.Now, c.cfg.Logger, c.cfg.BucketPatience})
	if err != nil {
		return err
	}
	stores := newStores(c.registry, c.cfg.Prices, c.cfg.BucketURL, c.cfg.Now)
	c.bucket = stores.Wrap(bucket, metered.Own)
	if c.log, err = c.openLog(ctx); err != nil {
		return err
	}
	c.coord = coordinator.New(coordinator.Config{
		ID: c.cfg.ID, Address: c.URL(), Log: c.log, Objects: objstore.AsObjects(c.bucket), Identity: c.cfg.Identity,
		Peer: c.peer(), Now: c.cfg.Now, Logger: c.cfg.Logger, Registerer: c.registry, Trace: c.cfg.Trace, SnapshotEvery: c.cfg.SnapshotEvery, Groups: c.cfg.Groups,
		Limits: c.cfg.Limits,
	})
	c.links = newLinkManager(c.coord, c.bucket, c.cfg, c.http, stores, shadow.NewMetrics(c.registry))
	c.roster = newRoster()
	return nil
}

func listen(what, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s address %s cannot be opened: stop what listens there, or choose another port: %w", what, addr, err)
	}
	return l, nil
}

// listenAdmin opens an admin port, if nothing but loopback reaches it, or something protects it.
func listenAdmin(addr string, s Security, logger *slog.Logger) (net.Listener, error) {
	l, err := listen("admin", addr)
	if err != nil {
		return nil, err
	}
	if err := s.check(l); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s.warn(logger, l)
	return l, nil
}

// URL is where others reach the coordinator.
func (c *Coordinator) URL() string {
	if c.cfg.AdvertiseURL != "" {
		return c.cfg.AdvertiseURL
	}
	return c.cfg.Security.scheme() + c.admin.Addr().String()
}

func (c *Coordinator) peer() coordinator.Peer {
	if c.cfg.PeerURLs == nil {
		return nil
	}
	h := c.http
	if c.cfg.PeerTLS != nil {
		h = remote.NewHTTP(c.cfg.PeerTLS)
	}
	return &peer{urls: c.cfg.PeerURLs, cluster: c.cfg.Identity.ClusterID, http: h}
}

// Run serves until ctx ends. The term ends first, so that another coordinator may lead at once; what agents ask meanwhile
// is told so, and goes there.
func (c *Coordinator) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	port, sctx := errgroup.WithContext(serving)
	for _, run := range []func(context.Context) error{c.serveAdmin, c.followAgents} {
		port.Go(func() error {
			err := run(sctx)
			if err != nil {
				cancel()
			}
			return err
		})
	}
	term, tctx := errgroup.WithContext(ctx)
	term.Go(func() error { return c.coord.Run(tctx) })
	term.Go(func() error { return c.links.run(tctx) })
	term.Go(func() error { return c.tellChanges(tctx) })
	err := term.Wait()
	stop()
	return errors.Join(err, port.Wait())
}

// followAgents keeps the list of agents for those who ask this coordinator.
func (c *Coordinator) followAgents(ctx context.Context) error {
	if err := c.log.FollowAgents(ctx, c.roster.set); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// informed tells whether the coordinator knows the cluster: it leads, or follows a log that a leader has begun.
func (c *Coordinator) informed() bool { return c.coord.Replica().Applied() >= 1 }

// WaitReady waits until the coordinator leads, or follows a leader.
func (c *Coordinator) WaitReady(ctx context.Context) error {
	return await(ctx, c.ready, "the coordinator has found neither a leader nor a cluster to found")
}

// await polls until a condition holds.
func await(ctx context.Context, condition func() bool, missing string) error {
	for !condition() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", missing, base.ErrUnavailable, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// Close gives everything back that OpenCoordinator took.
func (c *Coordinator) Close() {
	var errs []error
	if c.admin != nil {
		errs = append(errs, closeListener(c.admin))
	}
	if c.log != nil {
		errs = append(errs, c.log.Close())
	}
	if c.bucket != nil {
		errs = append(errs, c.bucket.Close())
	}
	c.http.CloseIdleConnections()
	if err := errors.Join(errs...); err != nil {
		c.cfg.Logger.Warn("close", "error", err)
	}
}

func closeListener(l net.Listener) error {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
